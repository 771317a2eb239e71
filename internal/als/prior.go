package als

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distmat"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// The Normal–Wishart prior of a side's mean and precision (Salakhutdinov & Mnih
// 2008, section 3.1): mean 0 with the weight of priorWeight rows, precision
// Wishart with scale 1 and as many degrees of freedom as there are dimensions.
const priorWeight = 2

var errNotPositive = errors.New("the precision is not positive definite")

// sideMoments are sums over the rows of a side, in float64 over blocks in their
// order.
type sideMoments struct {
	rows    int
	sum     []float64     // Σ v [D]
	squares *mat.SymDense // Σ vvᵀ + V [D × D]
}

// moments sums over rows, in blocks of gramBlock on the given threads.
func (j *joint) moments(ctx context.Context, threads int) (sideMoments, error) {
	stride, dim := j.stride, j.rank+1
	rows := len(j.vectors) / stride
	blocks := (rows + gramBlock - 1) / gramBlock
	order, grams, sums := make([]int32, blocks), make([][]float32, blocks), make([][]float32, blocks)
	for k := range order {
		order[k] = int32(k)
	}
	ones := make([]float32, gramBlock)
	for k := range ones {
		ones[k] = 1
	}
	err := forRows(ctx, threads, order, func(_, k int) {
		gram, sum := kernel.Aligned(stride*stride), kernel.Aligned(stride)
		n := min(gramBlock, rows-k*gramBlock)
		block := j.vectors[k*gramBlock*stride:][:n*stride]
		kernel.AddGram(gram, stride, block, stride, n)
		kernel.AddCombination(sum, block, stride, ones[:n])
		if j.covariances != nil {
			kernel.AddCombination(gram, j.covariances[k*gramBlock*stride*stride:], stride*stride, ones[:n])
		}
		grams[k], sums[k] = gram, sum
	})
	m := sideMoments{rows, make([]float64, dim), mat.NewSymDense(dim, nil)}
	for a := range dim {
		for _, sum := range sums {
			if sum != nil {
				m.sum[a] += float64(sum[a])
			}
		}
		for b := a; b < dim; b++ {
			total := 0.0
			for _, gram := range grams {
				if gram != nil {
					total += float64(gram[a*stride+b])
				}
			}
			m.squares.SetSym(a, b, total)
		}
	}
	return m, err
}

// posterior is the Normal–Wishart posterior given the moments: mean [D] with the
// weight of rows+priorWeight rows, and the Wishart's inverse scale, with rows+D
// degrees of freedom.
func (m sideMoments) posterior() (mean *mat.VecDense, inverseScale *mat.SymDense) {
	dim, weight := len(m.sum), float64(m.rows+priorWeight)
	mean, inverseScale = mat.NewVecDense(dim, nil), mat.NewSymDense(dim, nil)
	for a, sum := range m.sum {
		mean.SetVec(a, sum/weight)
	}
	// W⁻¹ = 1 + Σ vvᵀ − (Σv)(Σv)ᵀ/(N + β₀)
	for a := range dim {
		for b := a; b < dim; b++ {
			value := m.squares.At(a, b) - m.sum[a]*m.sum[b]/weight
			if a == b {
				value++
			}
			inverseScale.SetSym(a, b, value)
		}
	}
	return mean, inverseScale
}

// factorize factors a matrix that is positive definite but for rounding: where
// that has spoilt it, more and more is added to its diagonal.
func factorize(decomposition *mat.Cholesky, a *mat.SymDense) bool {
	largest := 0.0
	for c := range a.SymmetricDim() {
		largest = max(largest, a.At(c, c))
	}
	for jitter := 1e-10; !decomposition.Factorize(a); jitter *= 10 {
		if jitter > 1e-2 || !(largest > 0) || math.IsInf(largest, 0) {
			return false
		}
		for c := range a.SymmetricDim() {
			a.SetSym(c, c, a.At(c, c)+jitter*largest)
		}
	}
	return true
}

// sample draws a mean and a precision.
func (m sideMoments) sample(src rand.Source) (mean *mat.VecDense, precision *mat.SymDense, err error) {
	center, inverseScale := m.posterior()
	dim := center.Len()
	var decomposition mat.Cholesky
	if !factorize(&decomposition, inverseScale) {
		return nil, nil, errNotPositive
	}
	var scale mat.SymDense
	if err := decomposition.InverseTo(&scale); err != nil {
		return nil, nil, fmt.Errorf("inverting the scale of a prior: %w", err)
	}
	wishart, ok := distmat.NewWishart(&scale, float64(m.rows+dim), src)
	if !ok {
		return nil, nil, errNotPositive
	}
	precision = mat.NewSymDense(dim, nil)
	wishart.RandSymTo(precision)
	if !factorize(&decomposition, precision) {
		return nil, nil, errNotPositive
	}
	random := rand.New(src)
	normals := mat.NewVecDense(dim, nil)
	for a := range dim {
		normals.SetVec(a, random.NormFloat64()/math.Sqrt(float64(m.rows+priorWeight)))
	}
	var upper mat.TriDense
	decomposition.UTo(&upper)
	mean = mat.NewVecDense(dim, nil)
	if err := mean.SolveVec(&upper, normals); err != nil {
		return nil, nil, fmt.Errorf("sampling the mean of a prior: %w", err)
	}
	mean.AddVec(mean, center)
	return mean, precision, nil
}

// expected is the mean of the posterior, with floor added to the variances.
func (m sideMoments) expected(floor float64) (mean *mat.VecDense, precision *mat.SymDense, err error) {
	mean, inverseScale := m.posterior()
	for a := range mean.Len() {
		inverseScale.SetSym(a, a, inverseScale.At(a, a)+floor*float64(m.rows+mean.Len()))
	}
	var decomposition mat.Cholesky
	if !factorize(&decomposition, inverseScale) {
		return nil, nil, errNotPositive
	}
	precision = mat.NewSymDense(mean.Len(), nil)
	if err := decomposition.InverseTo(precision); err != nil {
		return nil, nil, fmt.Errorf("inverting the scale of a prior: %w", err)
	}
	precision.ScaleSym(float64(m.rows+mean.Len()), precision)
	return mean, precision, nil
}

// newGaussian rounds a prior for the kernels.
func newGaussian(mean *mat.VecDense, precision *mat.SymDense) *gaussian {
	dim := mean.Len()
	stride := kernel.Stride(dim)
	g := &gaussian{precision: kernel.Aligned(stride * stride), shift: kernel.Aligned(stride)}
	var shift mat.VecDense
	shift.MulVec(precision, mean)
	least := math.Inf(1)
	for a := range stride {
		if a >= dim {
			g.precision[a*stride+a] = 1
			continue
		}
		g.shift[a] = float32(shift.AtVec(a))
		for b := range dim {
			g.precision[a*stride+b] = float32(precision.At(a, b))
		}
	}
	var eigen mat.EigenSym
	if eigen.Factorize(precision, false) {
		least = eigen.Values(nil)[0]
	}
	g.least = float32(min(max(least/2, 1e-6), 1))
	return g
}
