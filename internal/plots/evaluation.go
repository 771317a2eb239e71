package plots

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
)

// Evaluation draws errors by user activity, calibration and the quality of lists by
// their length, and of a model that states its uncertainty the coverage of its
// intervals and the histogram of the probability integral transform, into path.
// Its errors are those of Check, or of writing.
func Evaluation(path string, r eval.Result) error {
	panels, columns := []panel{
		func() (*plot.Plot, error) { return activity(r) },
		func() (*plot.Plot, error) { return calibration(r) },
		func() (*plot.Plot, error) { return precisionRecall(r) },
		func() (*plot.Plot, error) { return byLength(r) },
	}, 2
	if r.Intervals != nil {
		panels = append(panels, func() (*plot.Plot, error) { return coverage(r) }, func() (*plot.Plot, error) { return transform(r) })
	}
	return drawInto(path, columns, panels)
}

func activity(r eval.Result) (*plot.Plot, error) {
	p := newPlot("Error by user activity, "+r.Algorithm+" of rank "+strconv.Itoa(r.Parameters.Rank), "training ratings of the user (quarters of users)", "RMSE and 90 % interval, stars")
	var model, biases estimates
	var names []string
	for k, g := range r.ByActivity {
		at := float64(k)
		model.add(at-apart, g.RMSE, g.RMSE90.Low, g.RMSE90.High)
		biases.add(at+apart, g.BiasRMSE, g.Bias90.Low, g.Bias90.High)
		names = append(names, g.Group)
	}
	if len(names) == 0 {
		return p, nil
	}
	if err := first.whiskers(p, r.Algorithm, model); err != nil {
		return nil, err
	}
	if err := second.whiskers(p, "biases alone", biases); err != nil {
		return nil, err
	}
	groups(p, names)
	room(p, 2)
	return p, nil
}

// apart is how far marks of a group stand beside its place.
const apart = 0.08

func calibration(r eval.Result) (*plot.Plot, error) {
	p := newPlot(fmt.Sprintf("Calibration on %d ratings", r.TestRatings), "prediction, nearest half star", "mean of prediction − rating, stars")
	if err := first.line(p, "", calibrationPoints(r.Calibration)); err != nil {
		return nil, err
	}
	p.X.Min, p.X.Max = 0.4, 5.1
	p.Y.Min, p.Y.Max = min(p.Y.Min, -0.5), max(p.Y.Max, 0.5)
	room(p, 0)
	return p, others.level(p, "", 0)
}

func calibrationPoints(of []eval.Calibration) (points plotter.XYs) {
	for _, c := range of {
		points = append(points, plotter.XY{X: c.Predicted, Y: c.Error})
	}
	return points
}

// lists are the rankings that are drawn.
func lists(r eval.Result) []struct {
	look
	name string
	eval.Ranking
} {
	popular := second
	popular.dash = dashes
	return []struct {
		look
		name string
		eval.Ranking
	}{{first, r.Algorithm + ", as served", r.Ranking}, {popular, "most popular", r.Baselines.Popularity}}
}

// namedDepths are the lengths of lists that have a mark.
var namedDepths = []int{1, 2, 5, 10, 20, 50}

func precisionRecall(r eval.Result) (*plot.Plot, error) {
	p := newPlot("Precision and recall of the first k movies", "recall@k, share of the relevant movies", "precision@k, share of the list")
	for _, list := range lists(r) {
		var curve, marked plotter.XYs
		var names []string
		for k := range list.PrecisionAt {
			curve = append(curve, plotter.XY{X: list.RecallAt[k], Y: list.PrecisionAt[k]})
			if slices.Contains(namedDepths, k+1) {
				marked = append(marked, curve[k])
				names = append(names, fmt.Sprintf("k = %d", k+1))
			}
		}
		if len(curve) == 0 {
			continue
		}
		if err := list.curve(p, list.name, curve, marked); err != nil {
			return nil, err
		}
		labels, err := plotter.NewLabels(plotter.XYLabels{XYs: marked, Labels: names})
		if err != nil {
			return nil, err
		}
		for k := range labels.TextStyle {
			labels.TextStyle[k].Font.Variant, labels.TextStyle[k].Font.Size = "Sans", vg.Points(7.5)
		}
		labels.Offset = vg.Point{X: vg.Points(5), Y: vg.Points(3)}
		p.Add(labels)
	}
	p.X.Min, p.Y.Min = 0, 0
	p.X.Max *= 1.06 // for the last label
	room(p, 3)      // for the first
	return p, nil
}

// curve draws a line that is marked in some places.
func (l look) curve(p *plot.Plot, name string, points, marked plotter.XYs) error {
	plain := l
	plain.mark = nil
	if err := plain.line(p, "", points); err != nil || name == "" {
		return err
	}
	marks, err := plotter.NewScatter(marked)
	if err != nil {
		return err
	}
	marks.Color, marks.Shape, marks.Radius = l.color, l.mark, vg.Points(2.8)
	p.Add(marks)
	sample, err := plotter.NewLine(points[:1])
	if err != nil {
		return err
	}
	sample.Color, sample.Width, sample.Dashes = l.color, vg.Points(1.5), l.dash
	p.Legend.Add(name, sample, marks)
	return nil
}

// byLength has precision@k and recall@k of either list over k.
func byLength(r eval.Result) (*plot.Plot, error) {
	p := newPlot(fmt.Sprintf("Lists of %d users by their length", r.Ranking.Users), "k, movies in the list", "precision@k, recall@k")
	p.X.Tick.Marker = wholeTicks{}
	count := 0
	for _, list := range lists(r) {
		var precision, recall, marked plotter.XYs
		for k := range list.PrecisionAt {
			precision = append(precision, plotter.XY{X: float64(k + 1), Y: list.PrecisionAt[k]})
			recall = append(recall, plotter.XY{X: float64(k + 1), Y: list.RecallAt[k]})
			if slices.Contains(namedDepths, k+1) {
				marked = append(marked, precision[k])
			}
		}
		if len(precision) == 0 {
			continue
		}
		if err := list.curve(p, "precision@k, "+list.name, precision, marked); err != nil {
			return nil, err
		}
		list.mark = nil
		if err := list.line(p, "recall@k, "+list.name, recall); err != nil {
			return nil, err
		}
		count += 2
	}
	p.X.Min, p.Y.Min = 0, 0
	room(p, count)
	return p, nil
}

func coverage(r eval.Result) (*plot.Plot, error) {
	p := newPlot("Ratings within prediction intervals", "interval, % of the probability", "ratings within it, %")
	p.X.Tick.Marker = plot.ConstantTicks{{Value: 50, Label: "50"}, {Value: 80, Label: "80"}, {Value: 90, Label: "90"}}
	rest := others
	rest.mark = nil
	for k, c := range slices.Backward(r.Intervals.Coverage) { // all ratings last, on top
		points := plotter.XYs{{X: 50, Y: 100 * c.Of50}, {X: 80, Y: 100 * c.Of80}, {X: 90, Y: 100 * c.Of90}}
		l, name := rest, ""
		if k == 0 {
			l, name = first, "all ratings"
		} else if k == 1 {
			name = "groups of users and of movies"
		}
		if err := l.line(p, name, points); err != nil {
			return nil, err
		}
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 45, 95, min(p.Y.Min, 40), max(p.Y.Max, 100)
	p.Y.Tick.Marker = percentTicks{}
	right := second
	right.mark, right.dash = nil, dashes
	if err := right.line(p, "as it is to be", plotter.XYs{{X: 45, Y: 45}, {X: 95, Y: 95}}); err != nil {
		return nil, err
	}
	room(p, 3)
	return p, nil
}

// percentTicks end at 100.
type percentTicks struct{ ticks }

func (t percentTicks) Ticks(low, high float64) []plot.Tick {
	return slices.DeleteFunc(t.ticks.Ticks(low, high), func(tick plot.Tick) bool { return tick.Value > 100 })
}

func transform(r eval.Result) (*plot.Plot, error) {
	p := newPlot("Probability integral transform", "place of the rating in its predicted distribution", "ratings, 1 if uncertainty is stated rightly")
	n := float64(len(r.Intervals.PIT))
	bars := make([]plotter.HistogramBin, len(r.Intervals.PIT))
	for k, share := range r.Intervals.PIT {
		bars[k] = plotter.HistogramBin{Min: float64(k) / n, Max: float64(k+1) / n, Weight: share * n}
	}
	chart := &plotter.Histogram{Bins: bars, FillColor: blue, LineStyle: plotter.DefaultLineStyle}
	chart.LineStyle.Color, chart.LineStyle.Width = pale, vg.Points(0.5)
	p.Add(chart)
	p.X.Min, p.X.Max = 0, 1
	p.Y.Min, p.Y.Max = 0, math.Max(p.Y.Max*1.05, 1.5)
	level := second
	return p, level.level(p, "", 1)
}
