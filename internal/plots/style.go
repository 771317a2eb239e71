package plots

import (
	"fmt"
	"image/color"
	"math"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// The first colours of the live page, which colour-blind readers tell apart (Okabe &
// Ito 2008). In print their greys differ little: so do dashes and marks.
var (
	blue   = color.NRGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0xff}
	orange = color.NRGBA{R: 0xe6, G: 0x9f, B: 0x00, A: 0xff}
	grey   = color.NRGBA{R: 0x8a, G: 0x92, B: 0x9c, A: 0xff}
	pale   = color.NRGBA{R: 0xe2, G: 0xe5, B: 0xe9, A: 0xff}
)

// look is how one of the things that are compared is drawn everywhere.
type look struct {
	color color.Color
	mark  draw.GlyphDrawer // nil for none
	dash  []vg.Length
}

var (
	first  = look{blue, draw.CircleGlyph{}, nil}
	second = look{orange, draw.BoxGlyph{}, nil}
	others = look{color: grey, mark: draw.TriangleGlyph{}}
	dashes = []vg.Length{vg.Points(5), vg.Points(3)}
)

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	for _, style := range []*text.Style{
		&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle,
	} {
		style.Font.Variant, style.Font.Size = "Sans", vg.Points(9)
	}
	p.Title.TextStyle.Font.Size, p.Title.Padding = vg.Points(11), vg.Points(5)
	p.X.Label.Padding, p.Y.Label.Padding = vg.Points(3), vg.Points(3)
	p.X.Padding, p.Y.Padding = vg.Points(2), vg.Points(2)
	p.Y.Tick.Marker, p.X.Tick.Marker = ticks{}, ticks{}
	// On the left names begin where they are put, however wide the reader's letters are.
	p.Legend.Top, p.Legend.Left, p.Legend.Padding, p.Legend.ThumbnailWidth = true, true, vg.Points(3), vg.Points(26)
	p.Legend.XOffs = vg.Points(6)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = nil, pale
	p.Add(grid)
	return p
}

// line draws points and names them in the legend, if there is a name. Points of which
// one coordinate is NaN are left out.
func (l look) line(p *plot.Plot, name string, points plotter.XYs) error {
	var known plotter.XYs
	for _, xy := range points {
		if !math.IsNaN(xy.X) && !math.IsNaN(xy.Y) {
			known = append(known, xy)
		}
	}
	if len(known) == 0 {
		return nil
	}
	line, marks, err := plotter.NewLinePoints(known)
	if err != nil {
		return err
	}
	line.Color, line.Width, line.Dashes = l.color, vg.Points(1.5), l.dash
	p.Add(line)
	thumbs := []plot.Thumbnailer{line}
	if l.mark != nil {
		marks.Color, marks.Shape, marks.Radius = l.color, l.mark, vg.Points(2.8)
		p.Add(marks)
		thumbs = append(thumbs, marks)
	}
	if name != "" {
		p.Legend.Add(name, thumbs...)
	}
	return nil
}

// estimates are values with the intervals they lie in, at places on the x axis.
type estimates struct {
	plotter.XYs
	plotter.YErrors // from the value down, and up
}

func (e *estimates) add(x, y, low, high float64) {
	e.XYs = append(e.XYs, plotter.XY{X: x, Y: y})
	e.YErrors = append(e.YErrors, struct{ Low, High float64 }{y - low, high - y})
}

// whiskers draws marks with intervals, and no line.
func (l look) whiskers(p *plot.Plot, name string, e estimates) error {
	bars, err := plotter.NewYErrorBars(e)
	if err != nil {
		return err
	}
	bars.LineStyle.Color, bars.LineStyle.Width = l.color, vg.Points(1.5)
	marks, err := plotter.NewScatter(e.XYs)
	if err != nil {
		return err
	}
	marks.Color, marks.Shape, marks.Radius = l.color, l.mark, vg.Points(3.5)
	p.Add(bars, marks)
	if name != "" {
		p.Legend.Add(name, marks)
	}
	return nil
}

// level draws a dashed line at a height, over what the x axis shows by then.
func (l look) level(p *plot.Plot, name string, y float64) error {
	l.mark, l.dash = nil, dashes
	return l.line(p, name, plotter.XYs{{X: p.X.Min, Y: y}, {X: p.X.Max, Y: y}})
}

// groups makes the x axis one of groups, one at each whole number.
func groups(p *plot.Plot, names []string) {
	shown := make([]string, len(names))
	for k, name := range names {
		shown[k] = strings.NewReplacer("users of ", "", " ratings", "").Replace(name)
	}
	p.NominalX(shown...)
	p.X.Min, p.X.Max = -0.5, float64(len(names))-0.5
	p.X.Tick.Label.Font.Variant, p.X.Tick.Label.Font.Size = "Sans", vg.Points(9)
}

// longestName of a version that a title has room for.
const longestName = 24

// brief cuts the names of versions that somebody else gave.
func brief(name string) string {
	if letters := []rune(name); len(letters) > longestName {
		return string(letters[:longestName-1]) + "…"
	}
	return name
}

// room leaves some below and above all that is drawn, and more above for a legend of so
// many lines.
func room(p *plot.Plot, lines int) {
	if !(p.Y.Max > p.Y.Min) {
		p.Y.Min, p.Y.Max = p.Y.Min-0.5, p.Y.Max+0.5
	}
	if p.Y.Min != 0 {
		p.Y.Min -= 0.04 * (p.Y.Max - p.Y.Min)
	}
	share := 0.04 + 0.08*float64(lines)
	p.Y.Max = p.Y.Min + (p.Y.Max-p.Y.Min)/(1-share)
}

// ticks are at round numbers, with labels of equal decimals and a true minus.
type ticks struct{}

func (ticks) Ticks(low, high float64) (all []plot.Tick) {
	power := math.Pow(10, math.Floor(math.Log10(high-low))-1)
	step := leastStep([]float64{power, 2 * power, 5 * power, 10 * power, 20 * power}, high-low, 7)
	decimals := max(0, int(-math.Floor(math.Log10(step)+1e-9)))
	for k := math.Ceil(low/step - 1e-9); k*step <= high+1e-9*step; k++ {
		label := strconv.FormatFloat(k*step+0, 'f', decimals, 64) // + 0 makes −0 a 0
		all = append(all, plot.Tick{Value: k * step, Label: strings.Replace(label, "-", "−", 1)})
	}
	return all
}

// wholeTicks are ticks at whole numbers only.
type wholeTicks struct{}

func (wholeTicks) Ticks(low, high float64) (all []plot.Tick) {
	step := leastStep([]float64{1, 2, 5, 10, 20, 50, 100, 200, 500}, high-low, 10)
	for at := math.Ceil(low/step) * step; at <= high; at += step {
		all = append(all, plot.Tick{Value: at, Label: fmt.Sprint(int(at))})
	}
	return all
}

// timeTicks are ticks of an axis of Unix seconds, in UTC.
type timeTicks struct{}

func (timeTicks) Ticks(low, high float64) (all []plot.Tick) {
	const minute, hour, day = 60, 3600, 86400
	step := leastStep([]float64{1, 10, minute, 5 * minute, 15 * minute, hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day, 7 * day, 14 * day, 28 * day, 91 * day, 364 * day}, high-low, 7)
	format := "2 Jan\n15:04"
	switch {
	case step < minute:
		format = "15:04:05"
	case step >= 28*day:
		format = "2 Jan\n2006"
	case step >= day:
		format = "2 Jan"
	}
	for at := math.Ceil(low/step) * step; at <= high; at += step {
		all = append(all, plot.Tick{Value: at, Label: time.Unix(int64(at), 0).UTC().Format(format)})
	}
	return all
}

// leastStep returns the least step of which at most so many are in the span, or the
// greatest.
func leastStep(of []float64, span float64, most int) float64 {
	for _, step := range of {
		if span/step <= float64(most) {
			return step
		}
	}
	return of[len(of)-1]
}
