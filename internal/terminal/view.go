package terminal

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/recsys-benthos/recsys-benthos/internal/live"
)

// View is what the live view is drawn from.
type View struct {
	live.Snapshot
	Source string // where the messages come from
	Away   string // why nothing comes, "" if it does
	Colour bool
}

// The colours of the view, as SGR codes.
const (
	strong = "1"
	faint  = "2"
	red    = "31"
	green  = "32"
	cyan   = "36"
)

// Lines draws the view into at most height lines of at most width columns.
func (v View) Lines(width, height int) []string {
	lines := v.head(width)
	graph := v.graph(width, min(4, max(1, (height-len(lines))/5)))
	lines = append(lines, graph...)
	for _, section := range v.sections(width) {
		room := height - len(lines) - 1 // the last line says how to end
		if room < 3 {
			break
		}
		lines = append(append(lines, ""), section[:min(len(section), room-1)]...)
	}
	lines = lines[:max(0, min(len(lines), height-1))]
	return append(lines, v.paint(faint, Shorten("q or Ctrl-C ends", width)))
}

// head is what matters most, and is drawn however small the terminal is.
func (v View) head(width int) []string {
	s, state := v.Snapshot, v.paint(green, "connected")
	if v.Away != "" {
		state = v.paint(red, "away")
	}
	const others = len("recsys-benthos  connected")
	lines := []string{v.paint(strong, "recsys-benthos") + " " + Shorten(clean(v.Source), max(leastColumn, width-others)) + " " + state}
	if v.Away != "" {
		lines = append(lines, v.paint(red, Shorten(clean(v.Away), width)))
	}
	for _, text := range []string{
		fmt.Sprintf("predictions %d · %s/s now · %s/s in the last minute · cold %d · dead letters %d",
			s.Totals.Predictions, number(s.Throughput.Last10, 1), number(s.Throughput.Last60, 1), s.Totals.Cold, s.Totals.DeadLetters),
		fmt.Sprintf("live RMSE %s on %d ratings · of the latest %d: %s · MAE %s", number(s.Accuracy.Overall.RMSE, 4), s.Accuracy.Overall.Count,
			s.Accuracy.Latest.Count, number(s.Accuracy.Latest.RMSE, 4), number(s.Accuracy.Overall.MAE, 4)),
		v.champion(),
	} {
		lines = append(lines, Wrap(text, width)...)
	}
	return lines
}

func (v View) champion() string {
	m := v.Model
	if m == nil {
		return "no model yet"
	}
	return fmt.Sprintf("champion %s since %s · RMSE %s on its holdout · trained on %d ratings", clean(m.Version), clock(m.PromotedAt), number(m.RMSE, 4), m.Ratings)
}

// sections are lists in the order of their importance, each under a title.
func (v View) sections(width int) [][]string {
	var all [][]string
	add := func(title string, t *Table) {
		if len(t.rows) > 0 {
			all = append(all, append([]string{v.paint(strong, title)}, strings.Split(strings.TrimSuffix(t.Text(width), "\n"), "\n")...))
		}
	}
	letters := NewTable(Column{"", Whole}, Column{"", Cut}, Column{"", Cut})
	for _, d := range v.DeadLetters[:min(3, len(v.DeadLetters))] {
		letters.Row(clock(d.At), clean(d.Topic+" "+d.Partition+"/"+d.Offset), clean(d.Reason))
	}
	add("dead letters", letters)
	versions := NewTable(Column{"", Whole}, Column{"", Whole}, Column{"", Whole})
	for _, m := range v.ByModel[:min(4, len(v.ByModel))] {
		versions.Row(clean(m.Version), fmt.Sprintf("%d predictions", m.Predictions), "RMSE "+number(m.RMSE, 4))
	}
	add("versions", versions)
	latest := NewTable(Column{"", Whole}, Column{"", Whole}, Column{"", Whole}, Column{"", Whole}, Column{"", Cut})
	for _, p := range v.Latest {
		actual := ""
		if p.Actual != nil {
			actual = "rated " + number(*p.Actual, 1)
		}
		title := clean(p.Title)
		if title == "" {
			title = "movie " + strconv.FormatInt(p.Movie, 10)
		}
		latest.Row(clock(p.At), fmt.Sprintf("user %d", p.User), number(p.Value, 2), actual, title)
	}
	add("latest predictions", latest)
	return all
}

// levels are the heights of one character of the graph.
var levels = []rune(" ▁▂▃▄▅▆▇█")

// graph draws predictions per second over the window, the newest at the right.
func (v View) graph(width, height int) []string {
	s := v.Series
	if len(s.Count) == 0 || s.StepMillis <= 0 || width < 2*leastColumn {
		return nil
	}
	rates := make([]float64, min(width, len(s.Count)))
	most := 0.0
	for i, count := range s.Count[len(s.Count)-len(rates):] {
		rates[i] = float64(count) * 1000 / float64(s.StepMillis)
		most = max(most, rates[i])
	}
	shown := time.Duration(int64(len(rates))*s.StepMillis) * time.Millisecond
	lines := []string{v.paint(strong, Shorten(fmt.Sprintf("predictions per second, %s (greatest %.1f)", shown.Round(time.Second), most), width))}
	for row := height - 1; row >= 0; row-- {
		line := make([]rune, len(rates))
		for i, rate := range rates {
			eighths := 0
			if most > 0 {
				eighths = int(math.Ceil(rate/most*float64(8*height))) - 8*row
			}
			line[i] = levels[min(max(eighths, 0), 8)]
		}
		lines = append(lines, v.paint(cyan, string(line)))
	}
	return lines
}

func (v View) paint(code, text string) string {
	if !v.Colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Line is the view in one line, where there is no terminal to draw on.
func (v View) Line() string {
	s := v.Snapshot
	parts := []string{
		fmt.Sprintf("predictions %d", s.Totals.Predictions), number(s.Throughput.Last10, 1) + "/s",
		"live RMSE " + number(s.Accuracy.Overall.RMSE, 4),
	}
	if s.Model == nil {
		parts = append(parts, "no model yet")
	} else {
		parts = append(parts, "model "+clean(s.Model.Version))
	}
	parts = append(parts, fmt.Sprintf("cold %d", s.Totals.Cold), fmt.Sprintf("dead letters %d", s.Totals.DeadLetters))
	if v.Away != "" {
		parts = append(parts, "away: "+clean(v.Away))
	}
	return strings.Join(parts, " · ")
}

// clean makes one line of a text that came by a topic, without what a terminal
// would obey.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, text)
}

// number has so many decimals, or says that there is none.
func number(n live.Number, decimals int) string {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return "–"
	}
	return strconv.FormatFloat(float64(n), 'f', decimals, 64)
}

func clock(millis int64) string { return time.UnixMilli(millis).Format(time.TimeOnly) }
