package als

import (
	"math"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

const (
	implicitChunk  = 128 // rated rows that are packed at once for a Gram matrix
	implicitPacked = 512 // and for conjugate gradients, within a second-level cache
)

// implicitRow solves one row of implicit ALS after another in scratch memory of
// its own. It is not safe for concurrent use.
type implicitRow struct {
	p              PreferenceParameters
	stride         int
	width          int
	gram           []float32 // [stride × width], the right side in the column after the matrix
	packed         []float32 // [implicitPacked × stride]
	scale, weights []float32 // [implicitPacked]
	right          []float32 // [stride]
	step, residual []float32 // of conjugate gradients [stride]
	product        []float32
}

func newImplicitRow(p PreferenceParameters, stride int) *implicitRow {
	width := stride + kernel.Width
	return &implicitRow{
		p: p, stride: stride, width: width,
		gram: kernel.Aligned(stride * width), packed: kernel.Aligned(implicitPacked * stride),
		scale: kernel.Aligned(implicitPacked), weights: kernel.Aligned(implicitPacked),
		right: kernel.Aligned(stride), step: kernel.Aligned(stride), residual: kernel.Aligned(stride), product: kernel.Aligned(stride),
	}
}

// weight is the confidence above 1 of a rating.
func (s *implicitRow) weight(value float32) float32 { return float32(s.p.Alpha) * max(value, 0) }

// solve replaces x [stride] by the solution of
//
//	(YᵀY + λI + Σ (c_k − 1)·y_k·y_kᵀ)·x = Σ c_k·y_k
//
// where base is YᵀY + λI, and k goes over the rated rows of factors.
func (s *implicitRow) solve(base, factors []float32, rows []int32, values []float32, x []float32) {
	if s.p.CG > 0 {
		s.conjugateGradients(base, factors, rows, values, x)
		return
	}
	for i := range s.stride {
		copy(s.gram[i*s.width:][:s.stride], base[i*s.stride:])
	}
	clear(s.right)
	for len(rows) > 0 {
		n := min(implicitChunk, len(rows))
		scale := s.scale[:n]
		for k, value := range values[:n] {
			scale[k] = float32(math.Sqrt(float64(s.weight(value))))
		}
		kernel.GatherScaled(s.packed, factors, s.stride, rows[:n], scale)
		kernel.AddGram(s.gram, s.width, s.packed, s.stride, n)
		for k, value := range values[:n] { // c·y = (c / √(c−1))·(√(c−1)·y)
			if scale[k] > 0 {
				scale[k] = (1 + s.weight(value)) / scale[k]
			}
		}
		kernel.AddCombination(s.right, s.packed, s.stride, scale)
		for k, row := range rows[:n] { // what a weight of 0 has scaled away
			if s.weight(values[k]) == 0 {
				addTo(s.right, factors[int(row)*s.stride:][:s.stride])
			}
		}
		rows, values = rows[n:], values[n:]
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

func addTo(to, from []float32) {
	for c, value := range from {
		to[c] += value
	}
}

// conjugateGradients takes p.CG steps from x.
func (s *implicitRow) conjugateGradients(base, factors []float32, rows []int32, values []float32, x []float32) {
	whole := len(rows) <= implicitPacked // then rows are gathered once for all steps
	if whole {
		s.pack(factors, rows, values)
	}
	multiply := func(out, v []float32, residual bool) {
		kernel.Products(out, base, s.stride, v)
		if residual {
			for c := range out {
				out[c] = -out[c]
			}
		}
		if whole {
			s.addRatings(out, len(rows), v, residual)
			return
		}
		for from := 0; from < len(rows); from += implicitPacked {
			n := min(implicitPacked, len(rows)-from)
			s.pack(factors, rows[from:from+n], values[from:])
			s.addRatings(out, n, v, residual)
		}
	}
	multiply(s.residual, x, true)
	copy(s.step, s.residual)
	old := kernel.Dot(s.residual, s.residual)
	for range s.p.CG {
		if old < 1e-20 {
			return
		}
		multiply(s.product, s.step, false)
		by := old / kernel.Dot(s.step, s.product)
		for c := range x {
			x[c] += by * s.step[c]
			s.residual[c] -= by * s.product[c]
		}
		now := kernel.Dot(s.residual, s.residual)
		for c := range s.step {
			s.step[c] = s.residual[c] + now/old*s.step[c]
		}
		old = now
	}
}

// pack gathers the factors and the weights of rows.
func (s *implicitRow) pack(factors []float32, rows []int32, values []float32) {
	kernel.Gather(s.packed, factors, s.stride, rows)
	alpha := float32(s.p.Alpha)
	weights := s.weights[:len(rows)]
	values = values[:len(weights)]
	for k, value := range values {
		if value < 0 {
			value = 0
		}
		weights[k] = alpha * value
	}
}

// addRatings adds Σ (c_k − 1)·(y_k·v)·y_k over the n packed rows to out; with
// residual it subtracts that, and adds Σ c_k·y_k.
func (s *implicitRow) addRatings(out []float32, n int, v []float32, residual bool) {
	// Whole vectors: what stands behind the rows is of no meaning.
	kernel.Products(s.scale[:(n+kernel.Width-1)/kernel.Width*kernel.Width], s.packed, s.stride, v)
	scale, weights := s.scale[:n], s.weights[:n]
	if residual {
		for k, weight := range weights {
			scale[k] = 1 + weight - scale[k]*weight
		}
	} else {
		for k, weight := range weights {
			scale[k] *= weight
		}
	}
	kernel.AddCombination(out, s.packed, s.stride, scale)
}
