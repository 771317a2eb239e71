package plots

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// contrast is that of biases alone with a trained model.
func contrast(t *testing.T) eval.Contrast {
	t.Helper()
	train, test := eval.RandomSplit(recsystest.Ratings(150, 80, 0.5, 1), 0.2, 1)
	matrix, err := ratings.NewMatrix(train)
	if err != nil {
		t.Fatal(err)
	}
	biases, err := als.BiasOnly(t.Context(), matrix, 1, 0.5, 10)
	if err != nil {
		t.Fatal(err)
	}
	trained, err := als.Train(t.Context(), matrix, als.Parameters{Algorithm: als.ALS, Rank: 4, Lambda: 0.5, Nu: 0.5, Iterations: 5}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var models [2]*model.Model
	for k, f := range []*als.Factors{biases, trained} {
		if models[k], err = model.New(f, model.MovieLensScale); err != nil {
			t.Fatal(err)
		}
	}
	c, err := eval.NewContrast(models[0], models[1], test)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestComparisonsShowTheFigures(t *testing.T) {
	c := contrast(t)
	pic := seen(t, func() (*plot.Plot, error) { return calibrations("old", "new", c) })
	highest := 0.0
	for _, side := range []struct {
		of     []eval.Calibration
		color  string
		dashed bool
	}{{c.Challenger, svgBlue, false}, {c.Champion, svgOrange, true}} {
		var points plotter.XYs
		for _, at := range side.of {
			points = append(points, plotter.XY{X: at.Predicted, Y: at.Error})
			highest = max(highest, at.Error)
		}
		pic.shows("errors by prediction", side.color, side.dashed, points)
	}
	pic.legendAbove(highest, "old", "new")
	pic = seen(t, func() (*plot.Plot, error) { return gains("old", "new", c) })
	if len(c.ByActivity) != 4 {
		t.Fatalf("%d groups", len(c.ByActivity))
	}
	for _, g := range c.ByActivity {
		gain := g.Champion - g.Challenger
		if gain <= 0 {
			t.Errorf("%s: a trained model gains %v over biases", g.Group, gain)
		}
		pic.whisker(g.Group, svgBlue, gain-1.6449*g.StandardError, gain+1.6449*g.StandardError)
	}
	a, b := filepath.Join(t.TempDir(), "a.svg"), filepath.Join(t.TempDir(), "b.svg")
	if err := errors.Join(Comparison(a, "old", "new", c), Comparison(b, "old", "new", contrast(t))); err != nil || !bytes.Equal(read(t, a), read(t, b)) {
		t.Errorf("the same figures give other bytes: %v", err)
	}
}

// lived are live ratings of a challenger that is better, for days.
func lived(users, days int) (all []experiment.Rating) {
	random := rand.New(rand.NewPCG(1, 1))
	at := int64(1_790_000_000_000)
	for range users * days {
		at += 86_400_000 / int64(users)
		stars := float64(1+random.IntN(9)) / 2
		all = append(all, experiment.Rating{User: int64(random.IntN(users)), Movie: random.Int64N(5000), At: at, Actual: stars, Predictions: []experiment.Prediction{
			{Version: "old", Value: stars + 0.9*random.NormFloat64()}, {Version: "new", Role: "challenger:new", Value: stars + 0.6*random.NormFloat64()},
		}})
	}
	return all
}

func TestLiveComparisonsShowTheFigures(t *testing.T) {
	histories := experiment.NewComparisons(experiment.Config{}).Replay(lived(200, 6))
	if len(histories) != 1 {
		t.Fatalf("%d comparisons", len(histories))
	}
	pic := seen(t, func() (*plot.Plot, error) { return sequence(histories[0]) })
	pic.x = axis{} // days have no numbers
	var gain plotter.XYs
	highest := 0.0
	for _, m := range histories[0].Moments {
		if m.Users >= 30 {
			gain = append(gain, plotter.XY{Y: m.Gain})
			highest = max(highest, m.High)
		}
	}
	pic.shows("gain", svgBlue, false, gain)
	pic.legendAbove(highest, "always within, with 95 % confidence")
	band := 0
	for _, o := range pic.paths {
		if !strings.Contains(o.style, "fill:#C5DDEC") || len(o.points) < 2*len(gain) {
			continue
		}
		band++
		last := histories[0].Moments[len(histories[0].Moments)-1]
		for k, want := range []float64{last.Low, last.High} { // where the outline turns back
			if got := pic.y.value(o.points[len(gain)-1+k][1]); got-want > 1e-3 || want-got > 1e-3 {
				t.Errorf("the sequence ends at %v, want %v", got, want)
			}
		}
	}
	if band != 1 {
		t.Errorf("%d bands", band)
	}
	path := filepath.Join(t.TempDir(), "a.png")
	if err := Live(path, histories); err != nil {
		t.Error(err)
	}
	few := experiment.NewComparisons(experiment.Config{}).Replay(lived(5, 4)) // too few for a sequence
	if err := Live(path, few); err != nil || len(few) != 1 {
		t.Errorf("%d comparisons, %v", len(few), err)
	}
	if err := Live(path, nil); !errors.Is(err, ErrEmpty) {
		t.Errorf("no comparison: %v", err)
	}
}
