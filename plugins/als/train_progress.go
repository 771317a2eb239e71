package als

import (
	"fmt"
	"math"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/training"
)

// logEvery is how often the log tells of a training.
const logEvery = 10 * time.Second

// trainProgress tells metrics and the log how far a training is.
type trainProgress struct {
	log                            *service.Logger
	running, iteration, iterations *service.MetricGauge
	rmse, remaining, seconds       *service.MetricGauge
	versions                       *service.MetricCounter
	began, logged                  time.Time
}

func newTrainProgress(mgr *service.Resources) *trainProgress {
	gauge := func(name string) *service.MetricGauge { return mgr.Metrics().NewGauge("als_train_" + name) }
	p := &trainProgress{
		log: mgr.Logger(), running: gauge("running"), iteration: gauge("iteration"), iterations: gauge("iterations"),
		rmse: gauge("rmse"), remaining: gauge("eta_seconds"), seconds: gauge("seconds"),
		versions: mgr.Metrics().NewCounter("als_train_versions", "outcome"),
	}
	for _, outcome := range []string{outcomePromoted, outcomeShadow, outcomeKept} {
		p.versions.Incr(0, outcome) // there from the start, so that the first one is an increase
	}
	return p
}

func (p *trainProgress) begin() {
	p.began = time.Now()
	p.logged = p.began
	p.running.Set(1)
}

func (p *trainProgress) end() {
	p.running.Set(0)
	p.remaining.Set(0)
	p.seconds.SetFloat64(time.Since(p.began).Seconds())
}

func (p *trainProgress) count(of training.Outcome) {
	outcome := outcomeKept
	switch {
	case of.Promoted:
		outcome = outcomePromoted
	case of.Shadowed:
		outcome = outcomeShadow
	}
	p.versions.Incr(1, outcome)
}

func (p *trainProgress) report(at als.Progress) {
	p.iteration.Set(int64(at.Iteration))
	p.iterations.Set(int64(at.Total))
	p.remaining.SetFloat64(at.Remaining().Seconds())
	told := fmt.Sprintf("Training the %s head: iteration %d of %d", at.Head, at.Iteration, at.Total)
	if !math.IsNaN(at.RMSE) {
		p.rmse.SetFloat64(at.RMSE)
		told += fmt.Sprintf(", RMSE %.4f", at.RMSE)
	}
	if !math.IsNaN(at.Validation) {
		told += fmt.Sprintf(", %.4f on what is left out", at.Validation)
	}
	told += fmt.Sprintf(", %s left", at.Remaining().Round(100*time.Millisecond))
	if time.Since(p.logged) < logEvery {
		p.log.Debug(told)
		return
	}
	p.logged = time.Now()
	p.log.Info(told)
}
