package plots

import (
	"errors"
	"fmt"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
)

// ErrFormat says that pictures of this kind cannot be drawn.
var ErrFormat = errors.New("pictures are .svg or .png")

// Check returns an error that wraps ErrFormat for a file that Evaluation cannot
// draw.
func Check(path string) error {
	if kind := strings.ToLower(filepath.Ext(path)); kind != ".svg" && kind != ".png" {
		return fmt.Errorf("%q: %w", path, ErrFormat)
	}
	return nil
}

const panelWidth, panelHeight = 11 * vg.Centimeter, 8 * vg.Centimeter

var (
	ours   = color.RGBA{R: 0x1f, G: 0x77, B: 0xb4, A: 0xff}
	theirs = color.RGBA{R: 0xb0, G: 0xb0, B: 0xb0, A: 0xff}
)

// Evaluation draws errors by user activity and calibration, and of a model that
// states its uncertainty the coverage of its intervals and the histogram of the
// probability integral transform, into path, .svg or .png. The file appears when
// it is whole.
func Evaluation(path string, r eval.Result) error {
	if err := Check(path); err != nil {
		return err
	}
	panels := []func(eval.Result) (*plot.Plot, error){activity, calibration}
	if r.Intervals != nil {
		panels = append(panels, coverage, transform)
	}
	tiles := make([][]*plot.Plot, len(panels)/2)
	for k, panel := range panels {
		p, err := panel(r)
		if err != nil {
			return fmt.Errorf("drawing: %w", err)
		}
		p.Title.Padding = vg.Points(4)
		p.Y.Padding, p.X.Padding = vg.Points(2), vg.Points(2)
		tiles[k/2] = append(tiles[k/2], p)
	}
	canvas, err := newCanvas(path, 2*panelWidth, vg.Length(len(tiles))*panelHeight)
	if err != nil {
		return err
	}
	layout := draw.Tiles{Rows: len(tiles), Cols: 2, PadTop: 8, PadBottom: 8, PadLeft: 8, PadRight: 12, PadX: 16, PadY: 16}
	for row, canvases := range plot.Align(tiles, layout, draw.New(canvas)) {
		for column, c := range canvases {
			tiles[row][column].Draw(c)
		}
	}
	return write(path, canvas)
}

type canvas interface {
	vg.CanvasSizer
	io.WriterTo
}

func newCanvas(path string, width, height vg.Length) (canvas, error) {
	if strings.EqualFold(filepath.Ext(path), ".svg") {
		return vgsvg.New(width, height), nil
	}
	return vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(150), vgimg.UseBackgroundColor(color.White))}, nil
}

func write(path string, c canvas) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("writing the picture: %w", err)
	}
	defer os.Remove(file.Name()) // of no effect once it is renamed
	_, err = c.WriteTo(file)
	if err := errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		return fmt.Errorf("writing the picture: %w", err)
	}
	return os.Rename(file.Name(), path)
}

func activity(r eval.Result) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s of rank %d: error by user activity", r.Algorithm, r.Parameters.Rank)
	p.X.Label.Text, p.Y.Label.Text = "training ratings of the user, quarters of users", "RMSE, stars"
	var model, biases plotter.Values
	var names []string
	for _, g := range r.ByActivity {
		model, biases = append(model, g.RMSE), append(biases, g.BiasRMSE)
		names = append(names, strings.NewReplacer("users of ", "", " ratings", "").Replace(g.Group))
	}
	p.NominalX(names...)
	for k, bars := range []struct {
		values plotter.Values
		color  color.Color
		name   string
	}{{model, ours, r.Algorithm}, {biases, theirs, "biases alone"}} {
		chart, err := plotter.NewBarChart(bars.values, vg.Points(22))
		if err != nil {
			return nil, err
		}
		chart.Color, chart.LineStyle.Width, chart.Offset = bars.color, 0, vg.Points(float64(24*k-12))
		p.Add(chart)
		p.Legend.Add(bars.name, chart)
	}
	p.Legend.Top = true
	p.Y.Min, p.Y.Max = 0, 1.35*max(p.Y.Max, 1e-9)
	return p, nil
}

func calibration(r eval.Result) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("Calibration on %d ratings", r.TestRatings)
	p.X.Label.Text, p.Y.Label.Text = "prediction, nearest half star", "mean of prediction − rating, stars"
	var points plotter.XYs
	for _, c := range r.Calibration {
		points = append(points, plotter.XY{X: c.Predicted, Y: c.Error})
	}
	line, marks, err := plotter.NewLinePoints(points)
	if err != nil {
		return nil, err
	}
	line.Color, marks.Color, marks.Shape = ours, ours, draw.CircleGlyph{}
	p.Add(plotter.NewGrid(), level(0), line, marks)
	p.Y.Min, p.Y.Max = min(p.Y.Min, -0.5), max(p.Y.Max, 0.5)
	return p, nil
}

// level is a dashed line at a height.
func level(y float64) *plotter.Function {
	f := plotter.NewFunction(func(float64) float64 { return y })
	f.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
	return f
}

func coverage(r eval.Result) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "Ratings within prediction intervals"
	p.X.Label.Text, p.Y.Label.Text = "interval, %", "ratings within it, %"
	diagonal := plotter.NewFunction(func(x float64) float64 { return x })
	diagonal.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(plotter.NewGrid(), diagonal)
	for k, c := range slices.Backward(r.Intervals.Coverage) { // all ratings last, on top
		points := plotter.XYs{{X: 50, Y: 100 * c.Of50}, {X: 80, Y: 100 * c.Of80}, {X: 90, Y: 100 * c.Of90}}
		line, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		marks.Shape = draw.CircleGlyph{}
		if line.Color, marks.Color = theirs, theirs; k == 0 {
			line.Color, marks.Color = ours, ours
			p.Legend.Add("all ratings", line, marks)
		} else if k == 1 {
			p.Legend.Add("groups of users and movies", line, marks)
		}
		p.Add(line, marks)
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 45, 95, 40, 105
	return p, nil
}

func transform(r eval.Result) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "Probability integral transform"
	p.X.Label.Text, p.Y.Label.Text = "place of the rating in its predicted distribution", "ratings, 1 if all is right"
	n := float64(len(r.Intervals.PIT))
	values := make(plotter.Values, len(r.Intervals.PIT))
	names := make([]string, len(values))
	for k, share := range r.Intervals.PIT {
		values[k] = share * n
		if k%5 == 0 {
			names[k] = strconv.FormatFloat(float64(k)/n, 'g', 2, 64)
		}
	}
	chart, err := plotter.NewBarChart(values, vg.Points(11))
	if err != nil {
		return nil, err
	}
	chart.Color, chart.LineStyle.Width = ours, 0
	p.Add(chart, level(1))
	p.NominalX(names...)
	p.Y.Min, p.Y.Max = 0, max(p.Y.Max, 1.5)
	return p, nil
}
