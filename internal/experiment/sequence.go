package experiment

import "math"

// tightest is the number of users at which confidence sequences are tightest.
const tightest = 100

// radius returns half the width of the asymptotic confidence sequence of a mean of
// n values with the given variance (Waudby-Smith et al. 2024, theorem 2.2):
//
//	σ/√n·z,  z² = 2·(nρ²+1)/(nρ²) · ln(√(nρ²+1)/α),  ρ² = (−2·ln α + ln(1 − 2·ln α))/tightest
//
// with the variance estimated from the same values, z is the quantile of Student's
// distribution that has the normal one's probability (Wallace 1959, "Bounds on
// normal approximations to Student's and the chi-square distributions"), which is
// no different in the limit; without it, 40 users are settled too often.
func radius(alpha float64, n int, variance float64) float64 {
	rho2 := (-2*math.Log(alpha) + math.Log(1-2*math.Log(alpha))) / tightest
	t := float64(n)
	z2 := 2 * (t*rho2 + 1) / (t * rho2) * math.Log(math.Sqrt(t*rho2+1)/alpha)
	freedom := t - 1
	wallace := (8*freedom + 3) / (8*freedom + 1)
	return math.Sqrt(variance / t * freedom * math.Expm1(z2*wallace*wallace/freedom))
}

// moments accumulates a mean and a variance of values that may be replaced.
type moments struct {
	n            int
	sum, squares float64
}

func (m *moments) add(x float64) { m.n++; m.sum += x; m.squares += x * x }

func (m *moments) replace(before, after float64) {
	m.sum += after - before
	m.squares += after*after - before*before
}

func (m *moments) mean() float64 { return m.sum / float64(m.n) }

func (m *moments) variance() float64 {
	n := float64(m.n)
	return max(0, m.squares-m.sum*m.sum/n) / (n - 1)
}

// bets are two gamblers, who bet on values in [-1, 1]: one that their mean is above
// 0, one that it is below. What each has is a nonnegative supermartingale, starting
// at 1, if the mean of each value given those before is not.
type bets struct {
	past         moments
	above, below float64 // logarithms of what they have
}

const (
	largestBet  = 0.75 // a share of what is at hand; at 1 one value could take all
	betVariance = 0.01 // what the values' variance is taken for before there are any
)

// add plays one round. The bet is that of aGRAPA, μ/(σ² + μ²) with what was seen
// before, on the side where it is above 0.
func (b *bets) add(x float64) {
	n := float64(b.past.n)
	mean := b.past.sum / (n + 1)
	variance := (betVariance + max(0, b.past.squares-n*mean*mean)) / (n + 1)
	bet := mean / (variance + mean*mean)
	b.above += math.Log1p(min(max(bet, 0), largestBet) * x)
	b.below += math.Log1p(min(max(-bet, 0), largestBet) * -x)
	b.past.add(x)
}

// mostMoney keeps e-values finite, as JSON has to have them.
const mostMoney = 1e300

// eValue is what both have, of half the money each.
func (b *bets) eValue() float64 { return min((math.Exp(b.above)+math.Exp(b.below))/2, mostMoney) }
