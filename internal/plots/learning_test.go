package plots

import (
	"bytes"
	"errors"
	"math"
	"path/filepath"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/training"
)

// learnt is the curve of a true training.
func learnt(t *testing.T, algorithm string, holdout float64) training.Curve {
	t.Helper()
	p := als.DefaultParameters(algorithm)
	p.Rank, p.Iterations, p.BurnIn = 4, 6, min(p.BurnIn, 2)
	head := als.DefaultPreference()
	head.Rank, head.Iterations, head.ChooseBeta = 4, 5, false
	p.Preference = &head
	var c training.Curve
	job := training.Job{Parameters: p, Holdout: holdout, Curve: &c}
	if _, err := job.Train(t.Context(), ratings.Log{Ratings: recsystest.Ratings(150, 80, 0.5, 1)}); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLearningCurvesShowTheFigures(t *testing.T) {
	c := learnt(t, als.ALS, 0.2)
	var trained, held, loss, ndcg plotter.XYs
	highest := c.BiasRMSE
	for k, at := range c.Rating {
		trained, held = append(trained, plotter.XY{X: float64(k + 1), Y: at.Trained}), append(held, plotter.XY{X: float64(k + 1), Y: at.Held})
		highest = max(highest, at.Trained, at.Held)
	}
	for k, at := range c.Preference {
		loss, ndcg = append(loss, plotter.XY{X: float64(k + 1), Y: at.Loss}), append(ndcg, plotter.XY{X: float64(k + 1), Y: at.NDCG10})
	}
	pic := seen(t, func() (*plot.Plot, error) { return ratingCurve(c) })
	pic.shows("RMSE in training", svgBlue, false, trained)
	pic.shows("RMSE held out", svgOrange, false, held)
	pic.shows("RMSE of biases", svgGrey, true, plotter.XYs{{X: 0.5, Y: c.BiasRMSE}, {X: 6.5, Y: c.BiasRMSE}})
	pic.legendAbove(highest, "held out, biases alone")
	pic = seen(t, func() (*plot.Plot, error) { return lossCurve(c) })
	pic.shows("loss", svgBlue, false, loss)
	pic = seen(t, func() (*plot.Plot, error) { return rankingCurve(c) })
	pic.shows("NDCG@10", svgOrange, false, ndcg)
}

// TestLearningIsDrawnOfAnyTraining: of one head, without a holdout, and the same
// training gives the same bytes.
func TestLearningIsDrawnOfAnyTraining(t *testing.T) {
	for _, algorithm := range als.Algorithms() {
		for _, holdout := range []float64{0, 0.2} {
			a, b := filepath.Join(t.TempDir(), "a.svg"), filepath.Join(t.TempDir(), "b.svg")
			if err := Learning(a, learnt(t, algorithm, holdout)); err != nil {
				t.Fatalf("%s: %v", algorithm, err)
			}
			if err := Learning(b, learnt(t, algorithm, holdout)); err != nil || !bytes.Equal(read(t, a), read(t, b)) {
				t.Errorf("%s: two trainings, two pictures (%v)", algorithm, err)
			}
			text := read(t, a)
			for what, want := range map[string]bool{"Head that rates": algorithm != als.Implicit, "what training minimizes": true, "NDCG@10": holdout > 0} {
				if bytes.Contains(text, []byte(what)) != want {
					t.Errorf("%s, holdout %v: that it says %q is not %v", algorithm, holdout, what, want)
				}
			}
		}
	}
	if err := Learning(filepath.Join(t.TempDir(), "a.svg"), training.Curve{}); !errors.Is(err, ErrEmpty) {
		t.Errorf("nothing was trained: %v", err)
	}
}

func TestPointsThatAreNotThereAreNotDrawn(t *testing.T) {
	p := newPlot("", "", "")
	points := plotter.XYs{{X: 1, Y: math.NaN()}, {X: 2, Y: 3}, {X: 3, Y: 4}}
	if err := first.line(p, "", points); err != nil || p.X.Min != 2 {
		t.Errorf("begins at %v, %v", p.X.Min, err)
	}
	if err := first.line(p, "", points[:1]); err != nil {
		t.Error(err)
	}
}
