package gate

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

const (
	draws      = 2000
	confidence = 0.9
)

// sums are those of one user.
type sums struct{ value, weight float64 }

// ratio is Σ value / Σ weight over users with its standard error, that of the
// residuals value − ratio·weight (Cochran 1977, "Sampling Techniques", chapter 6).
type ratio struct {
	value float64
	error float64
}

// moments are sums over users, which tell all of a ratio.
type moments struct{ n, value, weight, values, products, weights float64 }

func (m *moments) add(s sums) {
	m.n++
	m.value += s.value
	m.weight += s.weight
	m.values += s.value * s.value
	m.products += s.value * s.weight
	m.weights += s.weight * s.weight
}

// ratio is NaN of users without weight, such as those of a draw whom the champion
// recommends nothing that they choose.
func (m *moments) ratio() ratio {
	if m.weight == 0 {
		return ratio{value: math.NaN()}
	}
	r := ratio{value: m.value / m.weight}
	if m.n < 2 {
		return r
	}
	squares := m.values - 2*r.value*m.products + r.value*r.value*m.weights
	r.error = math.Sqrt(max(squares, 0)*m.n/(m.n-1)) / m.weight
	return r
}

// bootstrapT returns Σ value / Σ weight over users and its 90 % studentised
// bootstrap interval: with the ratio R and its standard error s, and R* and s* of
// users drawn with replacement,
//
//	R − q95·s to R − q05·s,   q the quantiles of (R* − R)/s*
//
// (Efron & Tibshirani 1993, section 12.5), which covers rightly also where few users
// have most of the ratings. Users are drawn, not ratings, because the ratings of one
// user are not independent. With less than two users nothing is known: the interval
// is value ± bound. Ends are never further from the ratio than that. The same seed
// draws the same users.
func bootstrapT(seed uint64, of []sums, bound float64) (point float64, interval message.Interval) {
	var all moments
	for _, s := range of {
		all.add(s)
	}
	if all.weight == 0 {
		return 0, message.Interval{Low: -bound, High: bound}
	}
	r := all.ratio()
	if len(of) < 2 {
		return r.value, message.Interval{Low: r.value - bound, High: r.value + bound}
	}
	random := rand.New(rand.NewPCG(seed, 0))
	drawn := make([]float64, draws)
	for k := range drawn {
		var m moments
		for range of {
			m.add(of[random.IntN(len(of))])
		}
		drawn[k] = studentized(m.ratio(), r)
	}
	slices.Sort(drawn)
	quantile := func(p float64) float64 { return stat.Quantile(p, stat.LinInterp, drawn, nil) }
	low, high := r.value-quantile((1+confidence)/2)*r.error, r.value-quantile((1-confidence)/2)*r.error
	return r.value, message.Interval{Low: max(low, r.value-bound), High: min(high, r.value+bound)}
}

// studentized is finite also of a draw without spread, as of one user drawn every
// time, or without weight.
func studentized(drawn, r ratio) float64 {
	const least = 1e-12
	difference := drawn.value - r.value
	if math.IsNaN(difference) || math.Abs(difference) < least {
		return 0
	}
	return difference / max(drawn.error, least)
}

// effectiveUsers is (Σn)²/Σn² of the users' ratings n: as many users with equally
// many ratings would tell as much (Kish 1965, "Survey Sampling").
func effectiveUsers(counts map[int64]int) float64 {
	sum, squares := 0.0, 0.0
	for _, n := range counts {
		sum += float64(n)
		squares += float64(n) * float64(n)
	}
	if squares == 0 {
		return 0
	}
	return sum * sum / squares
}
