package model

import (
	"math"
	"slices"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// The movies that diversify chooses from: poolPages times as many as a page has,
// at most deepest unless the page is longer.
const poolPages = 10

// pool is how many of the best are put into another order. It does not depend on
// the offset, so that pages of one length do not overlap.
func (q *Query) pool() int { return max(min(poolPages*q.N, deepest), q.N) }

// diversify puts the pool at the head of a list into the order of maximal marginal
// relevance, as far as the page reaches:
//
//	argmax over the rest of λ·relevance(i) − (1 − λ)·max over the chosen j of cos(y_i, y_j)        (Carbonell & Goldstein 1998)
//
// with λ = 1 − q.Diversity, the relevance being the score laid over 0 to 1 within
// the pool, and y the movies' factors in the head that ranks. Ties go to the
// greater score. What stands behind the pool keeps its place.
func (m *Model) diversify(list []Scored, q *Query) {
	pool := list[:min(q.pool(), len(list))]
	if len(pool) < 2 {
		return
	}
	most, least := pool[0].Score, pool[len(pool)-1].Score
	relevance := func(s Scored) float64 {
		if most == least {
			return 1
		}
		return float64(s.Score-least) / float64(most-least)
	}
	stride := kernel.Stride(len(m.headFactors(0)))
	unit := m.unitRows(pool, stride)
	lambda, products := 1-q.Diversity, make([]float32, len(pool))
	// nearest is the cosine to the nearest of the chosen. Nothing is near before the
	// first: all are as good then, and the pool's first is chosen.
	nearest := make([]float64, len(pool))
	left := make([]int, len(pool)) // places in the pool, ascending
	for k := range left {
		left[k], nearest[k] = k, math.Inf(-1)
	}
	order := make([]Scored, 0, len(pool))
	for len(order) < min(q.Offset+q.N, len(pool)) {
		at, value := 0, math.Inf(-1)
		for k, place := range left {
			if v := lambda*relevance(pool[place]) - q.Diversity*nearest[place]; v > value {
				at, value = k, v
			}
		}
		chosen := left[at]
		left = slices.Delete(left, at, at+1)
		order = append(order, pool[chosen])
		kernel.Products(products, unit, stride, unit[chosen*stride:][:stride])
		for _, place := range left {
			nearest[place] = max(nearest[place], float64(products[place]))
		}
	}
	for _, place := range left {
		order = append(order, pool[place])
	}
	copy(pool, order)
}

// unitRows returns the movies' factors [len(list) × stride] in the head that ranks,
// each of length 1, or 0 if it has none.
func (m *Model) unitRows(list []Scored, stride int) []float32 {
	unit := kernel.Aligned(len(list) * stride)
	for k, scored := range list {
		y := m.headFactors(m.movieRow(scored.Movie))
		if norm := math.Sqrt(float64(kernel.Dot(y, y))); norm > 0 {
			for c, value := range y {
				unit[k*stride+c] = float32(float64(value) / norm)
			}
		}
	}
	return unit
}
