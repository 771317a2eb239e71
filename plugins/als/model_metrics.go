package als

import (
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

// The results of a swap.
const (
	swapOK     = "ok"
	swapFailed = "failed"
)

// modelMetrics tell what serves, since when, and how swaps went. The follower calls
// them one at a time.
type modelMetrics struct {
	promotion, serves, ready, swapped, created *service.MetricGauge
	swaps                                      *service.MetricCounter
	served                                     string
}

func newModelMetrics(m *service.Metrics) *modelMetrics {
	t := &modelMetrics{
		promotion: m.NewGauge("als_model_promotion"), serves: m.NewGauge("als_model_serves", "version"), ready: m.NewGauge("als_model_ready"),
		swapped: m.NewGauge("als_model_swapped_seconds"), created: m.NewGauge("als_model_created_seconds"),
		swaps: m.NewCounter("als_model_swaps", "result"),
	}
	t.ready.Set(0) // readiness looks at it before there is a model
	t.swaps.Incr(0, swapOK)
	t.swaps.Incr(0, swapFailed)
	m.NewGauge("als_kernel", "kernel").Set(1, kernel.Name())
	return t
}

func (t *modelMetrics) swap(l *model.LineUp) {
	t.promotion.Set(l.Sequence)
	if t.served != "" {
		t.serves.Set(0, t.served)
	}
	t.served = l.Champion.Name
	t.serves.Set(1, t.served)
	t.ready.Set(1)
	t.swapped.Set(time.Now().Unix())
	t.created.Set(l.Champion.Made / 1000)
	t.swaps.Incr(1, swapOK)
}

func (t *modelMetrics) fail() { t.swaps.Incr(1, swapFailed) }
