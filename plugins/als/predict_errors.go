package als

import (
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
)

// liveWindow is how many rated predictions the live RMSE is of, about.
const liveWindow = 1000

// delaySample is how many predictions of a large batch one delay is told of: to tell of
// each would cost more than 1 % of a prediction, and they hardly differ.
const delaySample = 64

// predictErrors is how well versions predict ratings that are new to them, as two
// counters that are added up over processes: the root of the quotient of their rates
// is the RMSE of any span of time. The gauge beside them is that of this process. It
// also tells how long requests took from their record to their prediction.
type predictErrors struct {
	rated, squares *service.MetricCounter
	rmse           *service.MetricGauge
	delay          *service.MetricTimer

	mu      sync.Mutex // batches of several partitions come at once
	rolling eval.Rolling
}

func newPredictErrors(m *service.Metrics) *predictErrors {
	return &predictErrors{
		rated: m.NewCounter("als_predict_rated"), squares: m.NewCounter("als_predict_squared_error"),
		rmse: m.NewGauge("als_predict_rmse"), delay: m.NewTimer("als_predict_delay"),
		rolling: eval.Rolling{Window: liveWindow},
	}
}

// count adds so many rated predictions and the sum of the squares of their errors, in
// stars. None are counted, too, so that the counters are there from the start.
func (e *predictErrors) count(rated int, squares float64) {
	e.rated.Incr(int64(rated))
	e.squares.IncrFloat64(squares)
	if rated == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rmse.SetFloat64(e.rolling.Add(rated, squares))
}

// took tells how long a request waited for its prediction, in milliseconds as records
// have their time. Clocks that differ make it none.
func (e *predictErrors) took(milliseconds int64) {
	e.delay.Timing(max(milliseconds, 0) * int64(time.Millisecond))
}
