package plots

import (
	"fmt"
	"image/color"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
)

// Comparison draws what the challenger gains by user activity, and the errors of both
// versions by predicted rating, into path. Its errors are those of Check, or of writing.
func Comparison(path, champion, challenger string, c eval.Contrast) error {
	champion, challenger = brief(champion), brief(challenger)
	return drawInto(path, 2, []panel{
		func() (*plot.Plot, error) { return gains(champion, challenger, c) },
		func() (*plot.Plot, error) { return calibrations(champion, challenger, c) },
	})
}

// z90 is the 95 % quantile of the normal distribution.
const z90 = 1.6449

func gains(champion, challenger string, c eval.Contrast) (*plot.Plot, error) {
	p := newPlot(fmt.Sprintf("Gain of %s over %s", challenger, champion), fmt.Sprintf("ratings of the user that %s knows (quarters of its users)", champion), "gain in RMSE and 90 % interval, stars")
	var gain estimates
	var names []string
	for k, g := range c.ByActivity {
		half := z90 * g.StandardError
		gain.add(float64(k), -g.Difference, -g.Difference-half, -g.Difference+half)
		names = append(names, fmt.Sprintf("%s\n(%d users)", g.Group, g.Users))
	}
	if len(names) == 0 {
		return p, nil
	}
	if err := first.whiskers(p, "", gain); err != nil {
		return nil, err
	}
	groups(p, names)
	err := others.level(p, "", 0)
	room(p, 0)
	return p, err
}

func calibrations(champion, challenger string, c eval.Contrast) (*plot.Plot, error) {
	p := newPlot(fmt.Sprintf("Error by predicted rating, of %d ratings", c.TestRatings), "prediction, nearest half star", "mean of prediction − rating, stars")
	if err := first.line(p, challenger, calibrationPoints(c.Challenger)); err != nil {
		return nil, err
	}
	old := second
	old.dash = dashes
	if err := old.line(p, champion, calibrationPoints(c.Champion)); err != nil {
		return nil, err
	}
	p.X.Min, p.X.Max = 0.4, 5.1
	p.Y.Min, p.Y.Max = min(p.Y.Min, -0.5), max(p.Y.Max, 0.5)
	if err := others.level(p, "", 0); err != nil {
		return nil, err
	}
	room(p, 2)
	return p, nil
}

// Live draws the confidence sequences of live comparisons over time into path. Its
// errors are those of Check, of writing, or ErrEmpty.
func Live(path string, histories []experiment.History) error {
	if len(histories) == 0 {
		return fmt.Errorf("%q: %w: no user's ratings were predicted by two versions for a whole period", path, ErrEmpty)
	}
	var panels []panel
	for _, h := range histories {
		panels = append(panels, func() (*plot.Plot, error) { return sequence(h) })
	}
	return drawInto(path, 2, panels)
}

func sequence(h experiment.History) (*plot.Plot, error) {
	p := newPlot(fmt.Sprintf("Gain of %s over %s", brief(h.Challenger), brief(h.Champion)), "time of the ratings, UTC", "gain in squared error, stars²")
	p.X.Tick.Marker = timeTicks{}
	moments := h.Moments
	if k := slices.IndexFunc(moments, bounded); k >= 0 {
		moments = moments[k:] // the gain of a few users may be anywhere
	}
	var gain, low, high plotter.XYs
	for _, m := range moments {
		x := float64(m.At.UnixMilli()) / 1000
		gain = append(gain, plotter.XY{X: x, Y: m.Gain})
		if bounded(m) {
			low, high = append(low, plotter.XY{X: x, Y: m.Low}), append(high, plotter.XY{X: x, Y: m.High})
		}
	}
	if len(low) > 1 {
		if err := band(p, low, high); err != nil {
			return nil, err
		}
	}
	l := first
	l.mark = nil
	if len(gain) == 1 {
		l = first
	}
	last := moments[len(moments)-1]
	if err := l.line(p, fmt.Sprintf("gain, of %d users at the end", last.Users), gain); err != nil {
		return nil, err
	}
	if p.X.Max-p.X.Min < 1 {
		p.X.Min, p.X.Max = p.X.Min-30, p.X.Max+30
	}
	if err := others.level(p, "", 0); err != nil {
		return nil, err
	}
	room(p, 2)
	return p, nil
}

// bounded reports whether there are users enough for a confidence sequence.
func bounded(m experiment.Moment) bool { return m.Low > -1 || m.High < 1 }

// band fills what lies between low and high.
func band(p *plot.Plot, low, high plotter.XYs) error {
	outline := append(plotter.XYs{}, low...)
	for k := len(high) - 1; k >= 0; k-- {
		outline = append(outline, high[k])
	}
	area, err := plotter.NewPolygon(outline)
	if err != nil {
		return err
	}
	area.Color, area.LineStyle.Width = color.NRGBA{R: 0xc5, G: 0xdd, B: 0xec, A: 0xff}, 0
	p.Add(area)
	p.Legend.Add("always within, with 95 % confidence", area)
	for _, edge := range []plotter.XYs{low, high} {
		line, err := plotter.NewLine(edge)
		if err != nil {
			return err
		}
		line.Color, line.Width = blue, vg.Points(0.5)
		p.Add(line)
	}
	return nil
}
