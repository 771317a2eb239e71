package commands

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
)

// parameterFlags are the parameters of the algorithms. Those that are not given
// are the algorithm's own.
func parameterFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "algorithm", Usage: "one of " + strings.Join(als.Algorithms(), ", "), Value: als.Default},
		&cli.IntFlag{Name: "rank", Usage: "number of factors", DefaultText: "the algorithm's"},
		&cli.Float64Flag{Name: "lambda", Usage: "regularization λ of λ·n^ν", DefaultText: "the algorithm's"},
		&cli.Float64Flag{Name: "nu", Usage: "regularization ν of λ·n^ν", DefaultText: "the algorithm's"},
		&cli.IntFlag{Name: "iterations", Usage: "sweeps over both sides", DefaultText: "the algorithm's"},
		&cli.IntFlag{Name: "burn-in", Usage: "of the iterations of als_bayes, the first that are forgotten", DefaultText: "the algorithm's"},
		&cli.IntFlag{Name: "preference-rank", Usage: "number of factors of the head that ranks, 0 for none", Value: als.DefaultPreference().Rank},
		&cli.Float64Flag{Name: "preference-alpha", Usage: "confidence α·r of a choice for which r stars speak", Value: als.DefaultPreference().Alpha},
		&cli.Float64Flag{Name: "preference-lambda", Usage: "regularization of the head that ranks", Value: als.DefaultPreference().Lambda},
		&cli.IntFlag{Name: "preference-iterations", Usage: "sweeps over both sides", Value: als.DefaultPreference().Iterations},
		&cli.Float64Flag{Name: "preference-beta", Usage: "share of the predicted rating in the ranking score", DefaultText: "chosen on a part of the training ratings"},
		&cli.Float64Flag{Name: "preference-tag-weight", Usage: "how much a tag speaks for a movie, in stars", Value: als.DefaultPreference().TagWeight},
		&cli.Float64Flag{Name: "preference-view-weight", Usage: "how much a view speaks for a movie, in stars", Value: als.DefaultPreference().ViewWeight},
		&cli.Float64Flag{Name: "preference-half-life", Usage: "days after which an event counts half, 0 for never", Value: als.DefaultPreference().HalfLife},
		&cli.Uint64Flag{Name: "seed", Usage: "of the starting factors, and of the split of eval", Value: als.DefaultParameters(als.Default).Seed},
		&cli.IntFlag{Name: "threads", Usage: "threads, 0 for one for each CPU; the result does not depend on it"},
	}
}

func parameters(c *cli.Context) (als.Parameters, error) {
	p := als.DefaultParameters(c.String("algorithm"))
	p.Seed, p.Threads = c.Uint64("seed"), c.Int("threads")
	for name, to := range map[string]*int{"rank": &p.Rank, "iterations": &p.Iterations, "burn-in": &p.BurnIn} {
		if c.IsSet(name) {
			*to = c.Int(name)
		}
	}
	for name, to := range map[string]*float64{"lambda": &p.Lambda, "nu": &p.Nu} {
		if c.IsSet(name) {
			*to = c.Float64(name)
		}
	}
	head := als.DefaultPreference()
	head.Rank, head.Iterations, head.Alpha = c.Int("preference-rank"), c.Int("preference-iterations"), c.Float64("preference-alpha")
	head.Lambda, head.HalfLife = c.Float64("preference-lambda"), c.Float64("preference-half-life")
	head.TagWeight, head.ViewWeight = c.Float64("preference-tag-weight"), c.Float64("preference-view-weight")
	if head.ChooseBeta = !c.IsSet("preference-beta"); !head.ChooseBeta {
		head.Beta = c.Float64("preference-beta")
	}
	p.Preference = &head
	if p.Preference.Rank == 0 && p.Algorithm != als.Implicit {
		p.Preference = nil
	}
	if err := p.Validate(); err != nil {
		return p, usageError{err}
	}
	return p, nil
}

// iterations returns a function that shows the progress of training, and costs an
// iteration nothing that could be measured.
func iterations() func(als.Progress) {
	var p *progress
	return func(at als.Progress) {
		if p == nil || at.Iteration == 1 {
			if p != nil {
				p.end() // of a training that was stopped early
			}
			p = newProgress("training, "+at.Head, "iterations", int64(at.Total))
			p.began = p.began.Add(-at.Elapsed)
		}
		p.describe(func() string { return "training, " + describe(at) })
		p.set(int64(at.Iteration))
		if at.Iteration == at.Total {
			p.end()
		}
	}
}

// between is told of trainings, one after the other, and shows that there is work
// between them and after them too, until end.
func between(what string, training func(als.Progress)) (tell func(als.Progress), end func()) {
	still := func() {} // ends what is shown
	end = func() {
		still()
		still = func() {}
	}
	return func(at als.Progress) {
		end()
		if training(at); at.Iteration == at.Total {
			still = busy(what)
		}
	}, end
}

// describe says which head is trained, and how well it does.
func describe(p als.Progress) string {
	what := p.Head
	if !math.IsNaN(p.RMSE) {
		what += fmt.Sprintf(", RMSE %.4f", p.RMSE)
	}
	if !math.IsNaN(p.Validation) {
		what += fmt.Sprintf(", validation %.4f", p.Validation)
	}
	return what
}

// seconds since started, in milliseconds' precision.
func seconds(started time.Time) float64 {
	return math.Round(time.Since(started).Seconds()*1000) / 1000
}
