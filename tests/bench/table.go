package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// row compares what we measured in each round with its yardstick.
type row struct {
	what      string
	unit      string
	ours      []float64
	yardstick []float64 // of the same rounds; none: ours itself is judged
	floor     float64   // of the ratio, or of ours; 0: nothing is demanded
	aim       float64
	less      bool   // less is better
	remark    string // instead of a verdict
}

type table struct {
	rows []row
	note string // after "Measured", before the time it took
}

func (t table) markdown() string {
	var b strings.Builder
	b.WriteString("| what | ours | yardstick | ratio (rounds) | floor | aim | verdict |\n| - | - | - | - | - | - | - |\n")
	for _, r := range t.rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", r.what, r.quantity(r.ours), r.quantity(r.yardstick),
			r.ratioText(), bound(r.floor), bound(r.aim), r.verdict())
	}
	return b.String()
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// quantity is the median, and how far the rounds lie apart.
func (r *row) quantity(values []float64) string {
	if len(values) == 0 {
		return "–"
	}
	return fmt.Sprintf("%s %s (%s–%s)", digits(median(values)), r.unit, digits(slices.Min(values)), digits(slices.Max(values)))
}

// digits writes a number with three significant digits, large ones by thousands.
func digits(value float64) string {
	switch {
	case value >= 10_000:
		return fmt.Sprintf("%.0fk", value/1000)
	case value >= 1000:
		return fmt.Sprintf("%.2fk", value/1000)
	case value >= 100:
		return fmt.Sprintf("%.0f", value)
	case value >= 10:
		return fmt.Sprintf("%.1f", value)
	default:
		return fmt.Sprintf("%.2f", value)
	}
}

// ratio is that of the medians.
func (r *row) ratio() float64 { return median(r.ours) / median(r.yardstick) }

func (r *row) ratioText() string {
	if len(r.yardstick) == 0 || len(r.ours) == 0 {
		return "–"
	}
	ratios := make([]float64, min(len(r.ours), len(r.yardstick)))
	for i := range ratios {
		ratios[i] = r.ours[i] / r.yardstick[i]
	}
	return fmt.Sprintf("**%.2f** (%.2f–%.2f)", r.ratio(), slices.Min(ratios), slices.Max(ratios))
}

func bound(value float64) string {
	if value == 0 {
		return "–"
	}
	return fmt.Sprint(math.Round(value*1000) / 1000)
}

func (r *row) verdict() string {
	if r.remark != "" || r.floor == 0 || len(r.ours) == 0 {
		return r.remark
	}
	value := median(r.ours)
	if len(r.yardstick) > 0 {
		value = r.ratio()
	}
	floor, aim := r.floor, r.aim
	if r.less {
		value, floor, aim = 1/value, 1/floor, 1/aim
	}
	switch {
	case r.aim != 0 && value >= aim:
		return "reaches aim"
	case value >= floor && r.aim == 0:
		return "reaches floor"
	case value >= floor:
		return fmt.Sprintf("above floor, short of aim by %.0f %%", 100*(1-value/aim))
	default:
		return fmt.Sprintf("**short of floor by %.0f %%**", 100*(1-value/floor))
	}
}

// machine says where and when this is measured.
func (b *bench) machine() string {
	model := "unknown CPU"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d × %s, %s, %d rounds in turns; medians, and least to greatest round in brackets",
		time.Now().UTC().Format("2006-01-02 15:04"), runtime.NumCPU(), model, runtime.Version(), b.rounds)
}
