package live

import (
	"math"
	"time"
)

// The bounds of a span.
const (
	seriesSteps  = 180
	genreSteps   = 30
	keptVersions = 6  // of one step; what more versions predict in it is in the whole only
	halfStars    = 11 // bins of calibration: 0, 0.5 … 5 stars
)

// wider is how many times the window each span reaches back.
var wider = [...]time.Duration{1, 12, 96}

// z80 is the 90 % quantile of the standard normal: ±z80 deviations hold 80 %.
const z80 = 1.2815515655446004

// span is predictions over one range of time, in steps.
type span struct {
	window time.Duration
	series *ring[point]
	coarse *ring[coarsePoint]
}

func newSpan(window time.Duration) *span {
	step := max(window.Milliseconds()/seriesSteps, 1000)
	return &span{
		window: time.Duration(step*seriesSteps) * time.Millisecond,
		series: newRing[point](step, seriesSteps),
		coarse: newRing[coarsePoint](step*seriesSteps/genreSteps, genreSteps),
	}
}

// point is one step of a series.
type point struct {
	predicted        mean
	errors, baseline errorSum
	byVersion        [keptVersions]versionPoint
}

// versionPoint is what one version predicted in a step: in service, and, where the
// actual rating is known, in any role. The zero value is free.
type versionPoint struct {
	version   uint32 // versionUse.id
	predicted mean
	errors    errorSum
}

func (p *point) of(version uint32) *versionPoint {
	for i := range p.byVersion {
		if v := &p.byVersion[i]; v.version == version || v.version == 0 {
			v.version = version
			return v
		}
	}
	return &versionPoint{} // no room
}

// coarsePoint is one step of what needs fewer of them; nil genres until something
// is in it.
type coarsePoint struct {
	genres      []mean
	calibration [halfStars]calibrationBin
}

// calibrationBin is rated predictions of about one value.
type calibrationBin struct {
	n         int64
	deviation float64 // Σ prediction − actual
	stated    int64   // that came with a standard deviation
	within    int64   // of them, with the actual rating inside the 80 % interval
}

func (b *calibrationBin) add(predicted, actual, stddev float64) {
	b.n++
	b.deviation += predicted - actual
	if stddev >= 0 { // not NaN
		b.stated++
		if math.Abs(predicted-actual) <= z80*stddev {
			b.within++
		}
	}
}

func (b *calibrationBin) merge(other *calibrationBin) {
	b.n += other.n
	b.deviation += other.deviation
	b.stated += other.stated
	b.within += other.within
}

// binOf is the bin of a prediction: the half star next to it.
func binOf(predicted float64) int {
	return int(min(max(math.Round(2*predicted), 0), halfStars-1))
}
