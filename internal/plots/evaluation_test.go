package plots

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// evaluated is a true evaluation, small enough to be fast.
func evaluated(t *testing.T, algorithm string) eval.Result {
	t.Helper()
	train, test := eval.RandomSplit(recsystest.Ratings(150, 80, 0.5, 1), 0.2, 1)
	p := als.DefaultParameters(algorithm)
	p.Rank, p.Iterations = 4, 4
	head := als.DefaultPreference()
	head.Rank, head.Iterations, head.ChooseBeta = 4, 3, false
	p.Preference = &head
	r, err := eval.Run(t.Context(), train, test, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestEvaluationsAreDrawnInBothFormats(t *testing.T) {
	for _, algorithm := range []string{als.ALS, als.VB} {
		r := evaluated(t, algorithm)
		path := filepath.Join(t.TempDir(), "evaluation.png")
		if err := Evaluation(path, r); err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(bytes.NewReader(read(t, path)))
		if err != nil {
			t.Fatal(err)
		}
		if high := picture.Bounds().Dy() > picture.Bounds().Dx(); high != (r.Intervals != nil) {
			t.Errorf("%s: the picture is %v", algorithm, picture.Bounds())
		}
		path = filepath.Join(t.TempDir(), "evaluation.SVG")
		if err := Evaluation(path, r); err != nil {
			t.Fatal(err)
		}
		text := string(read(t, path))
		for _, want := range []string{algorithm + " of rank 4", "biases alone", "most popular", "k = 10", "stars", ",sans-serif"} {
			if !strings.Contains(text, want) {
				t.Errorf("the SVG does not say %q", want)
			}
		}
		if strings.Contains(text, "Probability integral transform") != (algorithm == als.VB) {
			t.Errorf("%s: the transform's panel is wrong", algorithm)
		}
	}
}

// TestTheSameFiguresGiveTheSameBytes, over a file that is there.
func TestTheSameFiguresGiveTheSameBytes(t *testing.T) {
	r := evaluated(t, als.VB)
	for _, name := range []string{"a.svg", "a.png"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte("an older picture"), 0o600); err != nil {
			t.Fatal(err)
		}
		var before []byte
		for range 3 {
			if err := Evaluation(path, r); err != nil {
				t.Fatal(err)
			}
			data := read(t, path)
			if before != nil && !bytes.Equal(data, before) {
				t.Errorf("%s: %d bytes, and then %d others", name, len(before), len(data))
			}
			before = data
		}
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
			t.Errorf("files are left behind: %v, %v", left, err)
		}
	}
}

// TestPicturesShowTheFigures reads the coordinates of lines back, by the axes' labels.
func TestPicturesShowTheFigures(t *testing.T) {
	r := evaluated(t, als.VB)
	pic := seen(t, func() (*plot.Plot, error) { return calibration(r) })
	var errors plotter.XYs
	for _, c := range r.Calibration {
		errors = append(errors, plotter.XY{X: c.Predicted, Y: c.Error})
	}
	pic.shows("calibration", svgBlue, false, errors)

	curve := func(of eval.Ranking) (both, precision, recall plotter.XYs) {
		for k := range 50 {
			both = append(both, plotter.XY{X: of.RecallAt[k], Y: of.PrecisionAt[k]})
			precision = append(precision, plotter.XY{X: float64(k + 1), Y: of.PrecisionAt[k]})
			recall = append(recall, plotter.XY{X: float64(k + 1), Y: of.RecallAt[k]})
		}
		return both, precision, recall
	}
	ours, precision, recall := curve(r.Ranking)
	popular, theirPrecision, theirRecall := curve(r.Baselines.Popularity)
	pic = seen(t, func() (*plot.Plot, error) { return precisionRecall(r) })
	pic.shows("precision and recall", svgBlue, false, ours)
	pic.shows("those of popularity", svgOrange, true, popular)
	pic.legendAbove(max(ours[0].Y, popular[0].Y), "als_vb, as served", "most popular")
	pic = seen(t, func() (*plot.Plot, error) { return byLength(r) })
	pic.shows("precision by length", svgBlue, false, precision)
	pic.shows("recall by length", svgBlue, false, recall)
	pic.shows("precision of popularity", svgOrange, true, theirPrecision)
	pic.shows("recall of popularity", svgOrange, true, theirRecall)
	pic.legendAbove(max(recall[49].Y, theirRecall[49].Y), "precision@k, als_vb, as served", "recall@k, most popular")

	pic = seen(t, func() (*plot.Plot, error) { return coverage(r) })
	all := r.Intervals.Coverage[0]
	pic.shows("coverage", svgBlue, false, plotter.XYs{{X: 50, Y: 100 * all.Of50}, {X: 80, Y: 100 * all.Of80}, {X: 90, Y: 100 * all.Of90}})
	pic = seen(t, func() (*plot.Plot, error) { return activity(r) })
	for k, g := range r.ByActivity {
		pic.whisker(g.Group, svgBlue, g.RMSE90.Low, g.RMSE90.High)
		pic.whisker(g.Group, svgOrange, g.Bias90.Low, g.Bias90.High)
		pic.legendAbove(max(g.RMSE90.High, g.Bias90.High), "als_vb", "biases alone")
		if k > 3 {
			t.Errorf("there are %d groups", len(r.ByActivity))
		}
	}
}

// whisker fails the test unless a vertical line of that colour goes from low to high.
func (p *picture) whisker(what, color string, low, high float64) {
	p.t.Helper()
	p.x = axis{}
	p.shows(what, color, false, plotter.XYs{{Y: low}, {Y: high}})
}
