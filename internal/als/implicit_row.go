package als

import (
	"math"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

const (
	implicitChunk  = 128 // rated rows that are packed at once for a Gram matrix
	implicitPacked = 512 // and for conjugate gradients, within a second-level cache
	// exactRank is the rank up to which rows are solved exactly whatever was asked
	// for: that is faster than three steps of conjugate gradients.
	exactRank = 32
)

// implicitRow solves one row of implicit ALS after another in scratch memory of
// its own. It is not safe for concurrent use.
type implicitRow struct {
	p           PreferenceParameters
	stride      int
	width       int
	gram        []float32 // [stride × width], the right side in the column after the matrix
	packed      []float32 // [implicitPacked × stride]
	scale       []float32 // [implicitPacked]
	coefficient []float32 // [implicitChunk]
	right, sum  []float32 // [stride]
	directions  []float32 // of conjugate gradients: the gradient, the step [2 × stride]
	product     []float32 // [stride]

	halves    []uint16 // packed rows [implicitPacked × stride]
	half      []uint16 // a vector [stride]
	pairs     []uint32 // [implicitChunk/2 × stride]
	high, low []uint32 // coefficients as two bfloat16 [implicitChunk/2]
}

func newImplicitRow(p PreferenceParameters, stride int) *implicitRow {
	width := stride + kernel.Width
	s := &implicitRow{
		p: p, stride: stride, width: width,
		gram:  kernel.Aligned(stride * width),
		scale: kernel.Aligned(implicitPacked), coefficient: kernel.Aligned(implicitChunk),
		right: kernel.Aligned(stride), sum: kernel.Aligned(stride), directions: kernel.Aligned(2 * stride), product: kernel.Aligned(stride),
		packed: kernel.Aligned(implicitPacked * stride),
	}
	if kernel.HasBFloat16() {
		s.halves, s.half = make([]uint16, implicitPacked*stride), make([]uint16, stride)
		s.pairs, s.high, s.low = make([]uint32, implicitChunk/2*stride), make([]uint32, implicitChunk/2), make([]uint32, implicitChunk/2)
	}
	return s
}

// isExact reports whether rows are solved by Cholesky factors.
func (p PreferenceParameters) isExact() bool { return p.CG == 0 || p.Rank <= exactRank }

// solve replaces x [stride] by the solution of
//
//	(YᵀY + λI + Σ (c_k − 1)·y_k·y_kᵀ)·x = Σ c_k·y_k
//
// where base is YᵀY + λI, and k goes over the chosen rows of fixed, whose weights
// are c − 1. Of weights there are more than rows, to fill whole vectors.
func (s *implicitRow) solve(base []float32, fixed sideFactors, rows []int32, weights []float32, x []float32) {
	if !s.p.isExact() {
		s.conjugateGradients(base, fixed, rows, weights, x)
		return
	}
	for i := range s.stride {
		copy(s.gram[i*s.width+i:][:s.stride-i], base[i*s.stride+i:])
	}
	clear(s.right)
	for len(rows) > 0 {
		n := min(implicitChunk, len(rows))
		s.add(fixed, rows[:n], weights)
		rows, weights = rows[n:], weights[n:]
	}
	for i, value := range s.right {
		s.gram[i*s.width+s.stride] = value
	}
	kernel.Cholesky(s.gram, s.width, s.stride, float32(s.p.Lambda))
	for i := range x {
		x[i] = s.gram[i*s.width+s.stride]
	}
	kernel.SolveUpper(s.gram, s.width, s.stride, x)
}

// add adds to both sides of the equations what at most implicitChunk ratings
// contribute: the Gram matrix of the rows times the roots of their weights, and
// c·y as (c/√(c−1))·(√(c−1)·y).
func (s *implicitRow) add(fixed sideFactors, rows []int32, weights []float32) {
	n := len(rows)
	whole := 2 * kernel.Stride((n+1)/2)
	scale, coefficient := s.scale[:whole], s.coefficient[:whole]
	kernel.Weights(scale, coefficient, weights[:whole])
	clear(coefficient[n:])
	if fixed.halves == nil {
		kernel.GatherScaled(s.packed, fixed.factors, s.stride, rows, scale)
		kernel.AddGram(s.gram, s.width, s.packed, s.stride, n)
		kernel.AddCombination(s.right, s.packed, s.stride, coefficient[:n])
		return
	}
	pairs := (n + 1) / 2
	kernel.PairsScaled(s.pairs, fixed.factors, s.stride, rows, scale)
	kernel.AddGramPairs(s.gram, s.width, s.pairs, s.stride, pairs)
	kernel.SplitPairs(s.high, s.low, coefficient)
	kernel.AddSumsPairs(s.sum, s.right, s.pairs, s.stride, s.high[:pairs], s.low)
}

// conjugateGradients takes p.CG steps from x. Where the fixed side is in
// bfloat16, x and the steps are rounded to that too: products with these are
// then as exact as in float32, and steps are only slightly less conjugate.
func (s *implicitRow) conjugateGradients(base []float32, fixed sideFactors, rows []int32, weights []float32, x []float32) {
	whole := len(rows) <= implicitPacked // then rows are gathered once for all steps
	if whole {
		s.pack(fixed, rows)
	}
	multiply := func(out, v []float32, gradient bool) {
		if fixed.halves != nil {
			s.round(v)
		}
		clear(out)
		kernel.AddCombination(out, base, s.stride, v) // which is symmetric
		if whole {
			s.addRatings(out, fixed, len(rows), weights, v, gradient)
			return
		}
		for from := 0; from < len(rows); from += implicitPacked {
			n := min(implicitPacked, len(rows)-from)
			s.pack(fixed, rows[from:from+n])
			s.addRatings(out, fixed, n, weights[from:], v, gradient)
		}
	}
	gradient, step := s.directions[:s.stride], s.directions[s.stride:]
	multiply(gradient, x, true)
	clear(step)
	square := kernel.Dot(gradient, gradient)
	toward := [2]float32{-1, 0} // the next step: back along the gradient, and so much of the last
	for range s.p.CG {
		if square < 1e-20 {
			return
		}
		clear(s.product)
		kernel.AddCombination(s.product, s.directions, s.stride, toward[:])
		copy(step, s.product)
		multiply(s.product, step, false)
		by := [1]float32{-kernel.Dot(step, gradient) / kernel.Dot(step, s.product)}
		kernel.AddCombination(x, step, s.stride, by[:])
		kernel.AddCombination(gradient, s.product, s.stride, by[:])
		now := kernel.Dot(gradient, gradient)
		toward[1], square = now/square, now
	}
}

// round rounds v [stride] to bfloat16, which it leaves in s.half too.
func (s *implicitRow) round(v []float32) {
	kernel.Halve(s.half, v)
	for c, half := range s.half {
		v[c] = math.Float32frombits(uint32(half) << 16)
	}
}

// pack gathers the factors of rows.
func (s *implicitRow) pack(fixed sideFactors, rows []int32) {
	if fixed.halves != nil {
		kernel.GatherHalves(s.halves, fixed.halves, s.stride, rows)
		return
	}
	kernel.Gather(s.packed, fixed.factors, s.stride, rows)
}

// addRatings adds Σ (c_k − 1)·(y_k·v)·y_k over the n packed rows of these weights to
// out; for the gradient it subtracts Σ c_k·y_k.
func (s *implicitRow) addRatings(out []float32, fixed sideFactors, n int, weights, v []float32, gradient bool) {
	// Whole vectors: what stands behind the rows is of no meaning.
	products := s.scale[:kernel.Stride(n)]
	if fixed.halves != nil {
		kernel.ProductsHalves(products, s.halves, s.stride, s.half, weights)
	} else {
		kernel.Products(products, s.packed, s.stride, v)
		for k, weight := range weights[:n] {
			products[k] *= weight
		}
	}
	products = products[:n]
	if gradient {
		for k, weight := range weights[:n] {
			products[k] -= 1 + weight
		}
	}
	if fixed.halves != nil {
		kernel.AddCombinationHalves(out, s.halves, s.stride, products)
	} else {
		kernel.AddCombination(out, s.packed, s.stride, products)
	}
}
