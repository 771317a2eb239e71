package als

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

// noise is what a rating scatters by: normal with precision alpha·w_u, with w_u
// ~ Gamma(nu/2, nu/2) for user u, which is Student's t over users (Lakshminarayanan,
// Bouchard & Archambeau 2011, "Robust Bayesian Matrix Factorisation").
type noise struct {
	alpha float64 // 1/stars²
	nu    float64 // degrees of freedom: the fewer, the more users differ
}

const (
	startFreedom = 5
	// nu is exponential with this mean a priori.
	meanFreedom  = 10
	leastFreedom = 0.5
	mostFreedom  = 200
)

// weight is the expected weight of a user with n ratings whose squared errors
// times alpha sum up to errors.
func (n noise) weight(count int, errors float64) float64 {
	return (n.nu + float64(count)) / (n.nu + errors)
}

// sampleWeight draws it.
func (n noise) sampleWeight(count int, errors float64, src rand.Source) float64 {
	return distuv.Gamma{Alpha: (n.nu + float64(count)) / 2, Beta: (n.nu + errors) / 2, Src: src}.Rand()
}

// sampleAlpha draws alpha, of which nothing is known before: count ratings have
// squared errors times weights that sum up to errors.
func (n *noise) sampleAlpha(count int, errors float64, src rand.Source) {
	n.alpha = distuv.Gamma{Alpha: float64(count) / 2, Beta: max(errors, 1e-9*float64(count)) / 2, Src: src}.Rand()
}

// logFreedom is the log density of nu, up to a constant, given the number of
// users and the sums of their (expected) weights and of the weights' logarithms.
func logFreedom(nu, users, weights, logs float64) float64 {
	h := nu / 2
	gamma, _ := math.Lgamma(h)
	return users*(h*math.Log(h)-gamma) + h*(logs-weights) - nu/meanFreedom
}

// sampleFreedom moves nu by steps of Metropolis' on its logarithm.
func (n *noise) sampleFreedom(users, weights, logs float64, random *rand.Rand) {
	density := func(nu float64) float64 { return logFreedom(nu, users, weights, logs) + math.Log(nu) }
	now := density(n.nu)
	for range 10 {
		proposed := n.nu * math.Exp(0.3*random.NormFloat64())
		if proposed < leastFreedom || proposed > mostFreedom {
			continue
		}
		if then := density(proposed); math.Log(1-random.Float64()) < then-now {
			n.nu, now = proposed, then
		}
	}
}

// bestFreedom sets nu to what is most likely, by golden-section search.
func (n *noise) bestFreedom(users, weights, logs float64) {
	low, high := math.Log(leastFreedom), math.Log(mostFreedom)
	const golden = 0.6180339887498949
	for range 30 {
		a, b := high-golden*(high-low), low+golden*(high-low)
		if logFreedom(math.Exp(a), users, weights, logs) > logFreedom(math.Exp(b), users, weights, logs) {
			high = b
		} else {
			low = a
		}
	}
	n.nu = math.Exp((low + high) / 2)
}

// expectedLogWeight is E[ln w] of the posterior whose mean weight gives.
func (n noise) expectedLogWeight(count int, errors float64) float64 {
	return mathext.Digamma((n.nu+float64(count))/2) - math.Log((n.nu+errors)/2)
}
