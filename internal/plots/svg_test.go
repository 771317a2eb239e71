package plots

import (
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/plot/plotter"
)

// picture is what an SVG of one panel shows, its y axis going up.
type picture struct {
	t     *testing.T
	texts []label
	paths []outline
	x, y  axis
}

type label struct {
	x, y float64
	text string
}

type outline struct {
	style  string
	points [][2]float64
}

// axis says what a coordinate stands for, by the labels of its ticks.
type axis struct{ from, to, low, high float64 }

func (a axis) value(at float64) float64 { return a.low + (at-a.from)/(a.to-a.from)*(a.high-a.low) }

// place is the coordinate of a value.
func (a axis) place(value float64) float64 {
	return a.from + (value-a.low)/(a.high-a.low)*(a.to-a.from)
}

// pixel is what coordinates are written to, in points, twice: they have five digits.
const pixel = 0.02

// seen draws a panel and reads it. Axes of groups or of time have no numbers.
func seen(t *testing.T, p panel) picture {
	t.Helper()
	path := filepath.Join(t.TempDir(), "panel.svg")
	if err := drawInto(path, 1, []panel{p}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var root element
	if err := xml.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	pic := picture{t: t}
	pic.read(root, false)
	pic.x, pic.y = pic.scale(0), pic.scale(1)
	return pic
}

type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []element  `xml:",any"`
}

func (e element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (p *picture) read(e element, rotated bool) {
	rotated = rotated || strings.Contains(e.attr("transform"), "rotate")
	switch e.XMLName.Local {
	case "text":
		if !rotated {
			p.texts = append(p.texts, label{number(p.t, e.attr("x")), -number(p.t, e.attr("y")), e.Text})
		}
	case "path":
		o := outline{style: e.attr("style")}
		for _, pair := range strings.FieldsFunc(e.attr("d"), func(r rune) bool { return strings.ContainsRune("MLZ", r) }) {
			x, y, found := strings.Cut(pair, ",")
			if !found || strings.Contains(pair, "A") { // an arc of a mark
				continue
			}
			o.points = append(o.points, [2]float64{number(p.t, x), number(p.t, y)})
		}
		p.paths = append(p.paths, o)
	}
	for _, child := range e.Children {
		p.read(child, rotated)
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	value, err := strconv.ParseFloat(strings.Replace(text, "−", "-", 1), 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// scale finds the ticks of an axis, which are eight points long, and the labels that
// stand beside or under them.
func (p *picture) scale(dimension int) (a axis) {
	p.t.Helper()
	other := 1 - dimension
	var places, values []float64
	for _, o := range p.paths {
		if len(o.points) != 2 || !strings.Contains(o.style, "#000000") || o.points[0][dimension] != o.points[1][dimension] ||
			math.Abs(math.Abs(o.points[1][other]-o.points[0][other])-8) > pixel {
			continue
		}
		at, end := o.points[0][dimension], min(o.points[0][other], o.points[1][other])
		best, distance := "", 14.0
		for _, l := range p.texts {
			along, across := l.x+4, l.y
			if dimension == 1 {
				along, across = l.y+2.3, l.x
			}
			if _, err := strconv.ParseFloat(strings.Replace(l.text, "−", "-", 1), 64); err == nil && across < end && math.Abs(along-at) < distance {
				best, distance = l.text, math.Abs(along-at)
			}
		}
		if best != "" {
			places, values = append(places, at), append(values, number(p.t, best))
		}
	}
	if len(places) < 2 {
		return a
	}
	last := len(places) - 1
	a = axis{places[0], places[last], values[0], values[last]}
	for k := range places {
		if math.Abs(a.place(values[k])-places[k]) > pixel {
			p.t.Errorf("tick %v stands at %v, not at %v", values[k], places[k], a.place(values[k]))
		}
	}
	return a
}

// shows fails the test unless a line of that colour goes through the points, and
// through no others.
func (p *picture) shows(what, color string, dashed bool, points plotter.XYs) {
	p.t.Helper()
	var near []string
	for _, o := range p.paths {
		if !strings.Contains(o.style, "stroke:"+color) || !strings.Contains(o.style, "stroke-width:1.5") || strings.Contains(o.style, "dasharray") != dashed || len(o.points) != len(points) {
			continue
		}
		worst := 0.0
		for k, at := range o.points {
			if p.x != (axis{}) {
				worst = max(worst, math.Abs(at[0]-p.x.place(points[k].X)))
			}
			worst = max(worst, math.Abs(at[1]-p.y.place(points[k].Y)))
		}
		if worst <= 2*pixel {
			return
		}
		near = append(near, fmt.Sprintf("%.3f points off, from (%.4f, %.4f)", worst, p.x.value(o.points[0][0]), p.y.value(o.points[0][1])))
	}
	p.t.Errorf("%s: no line in %s shows %.4v; there are: %s", what, color, points, strings.Join(near, "; "))
}

// legendAbove fails the test if an entry of the legend is not there, or not above all
// that is drawn.
func (p *picture) legendAbove(highest float64, entries ...string) {
	p.t.Helper()
	for _, entry := range entries {
		found := false
		for _, l := range p.texts {
			if l.text == entry {
				found = true
				if l.y <= p.y.place(highest) {
					p.t.Errorf("%q covers what is drawn: it stands at %.1f, that at %.1f", entry, l.y, p.y.place(highest))
				}
			}
		}
		if !found {
			p.t.Errorf("the legend does not say %q", entry)
		}
	}
}

const svgBlue, svgOrange, svgGrey = "#0072B2", "#E69F00", "#8A929C"
