package live

import "math"

// accuracy is the error of rated predictions: of all, and of the latest.
type accuracy struct {
	overall, recent  errorSum
	recentErrs       []float64 // a ring of the errors in recent
	recentNext       int
	baseline, beside errorSum // of the baseline, and of the predictions of the same ratings
}

func (a *accuracy) add(p *prediction) {
	err := p.value - p.actual
	a.overall.add(err)
	if !math.IsNaN(p.baseline) {
		a.baseline.add(p.baseline - p.actual)
		a.beside.add(err)
	}
	a.recent.add(err)
	if len(a.recentErrs) < LatestCount {
		a.recentErrs = append(a.recentErrs, err)
		return
	}
	a.recent.remove(a.recentErrs[a.recentNext])
	a.recentErrs[a.recentNext] = err
	if a.recentNext = (a.recentNext + 1) % LatestCount; a.recentNext == 0 {
		a.recent = errorSum{} // anew from time to time, so that rounding does not add up
		for _, e := range a.recentErrs {
			a.recent.add(e)
		}
	}
}

func (a *accuracy) take() AccuracyAll {
	return AccuracyAll{
		Overall: a.overall.accuracy(), Latest: a.recent.accuracy(),
		Baseline: a.baseline.accuracy(), BesideBaseline: a.beside.accuracy(),
	}
}
