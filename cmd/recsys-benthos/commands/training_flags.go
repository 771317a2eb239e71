package commands

import (
	"fmt"
	"math"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
)

// parameterFlags are the parameters of the algorithms.
func parameterFlags() []cli.Flag {
	d := als.DefaultParameters()
	return []cli.Flag{
		&cli.StringFlag{Name: "algorithm", Usage: "als: explicit ratings with biases", Value: "als"},
		&cli.IntFlag{Name: "rank", Usage: "number of factors", Value: d.Rank},
		&cli.Float64Flag{Name: "lambda", Usage: "regularization λ of λ·n^ν", Value: d.Lambda},
		&cli.Float64Flag{Name: "nu", Usage: "regularization ν of λ·n^ν", Value: d.Nu},
		&cli.IntFlag{Name: "iterations", Usage: "sweeps over both sides", Value: d.Iterations},
		&cli.Uint64Flag{Name: "seed", Usage: "of the starting factors, and of the split of eval", Value: d.Seed},
		&cli.IntFlag{Name: "threads", Usage: "threads, 0 for one for each CPU; the result does not depend on it"},
	}
}

func parameters(c *cli.Context) (als.Parameters, error) {
	p := als.Parameters{
		Rank: c.Int("rank"), Lambda: c.Float64("lambda"), Nu: c.Float64("nu"),
		Iterations: c.Int("iterations"), Seed: c.Uint64("seed"), Threads: c.Int("threads"),
	}
	return p, p.Validate()
}

// iterationBar returns a function that shows the progress of training on a
// terminal, and nil elsewhere.
func iterationBar() func(als.Progress) {
	if !isatty.IsTerminal(os.Stderr.Fd()) {
		return nil
	}
	var bar *progressbar.ProgressBar
	return func(p als.Progress) {
		if bar == nil {
			bar = progressbar.NewOptions(p.Total, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetWidth(24),
				progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
		}
		bar.Describe(fmt.Sprintf("training, RMSE %.4f", p.RMSE))
		_ = bar.Set(p.Iteration) // what cannot be drawn is not missed
	}
}

// seconds since started, in milliseconds' precision.
func seconds(started time.Time) float64 {
	return math.Round(time.Since(started).Seconds()*1000) / 1000
}
