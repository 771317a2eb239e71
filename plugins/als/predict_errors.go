package als

import "github.com/redpanda-data/benthos/v4/public/service"

// predictErrors is how well versions predict ratings that are new to them, as two
// counters that are added up over processes: the root of the quotient of their rates
// is the RMSE of any span of time.
type predictErrors struct {
	rated, squares *service.MetricCounter
}

func newPredictErrors(m *service.Metrics) predictErrors {
	return predictErrors{rated: m.NewCounter("als_predict_rated"), squares: m.NewCounter("als_predict_squared_error")}
}

// count adds so many rated predictions and the sum of the squares of their errors, in
// stars. None are counted, too, so that both metrics are there from the start.
func (e predictErrors) count(rated int, squares float64) {
	e.rated.Incr(int64(rated))
	e.squares.IncrFloat64(squares)
}
