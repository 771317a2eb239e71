package als

import (
	"context"

	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// Rater is a user who rated a movie, as a model has the user.
type Rater struct {
	Factors    []float32 // [rank]
	Bias       float32
	Preference []float32 // of the head that ranks [its rank], nil without one
	Covariance []float32 // with a posterior: of (x, b), a packed lower triangle
	Weight     float32   // with a posterior: of the user's noise
}

// FoldedMovie is a movie that was folded in.
type FoldedMovie struct {
	Factors    []float32 // [rank]
	Bias       float32
	Preference []float32 // nil without a head that ranks
	Covariance []float32 // of (y, b), nil without a posterior
}

// MovieFolder folds movies into trained factors: each FoldIn is the training's own
// movie half-step, with the users held fixed. It owns scratch memory and is not
// safe for concurrent use; clones may be used each by one goroutine. The factors
// must not change.
type MovieFolder struct {
	f       *Factors
	solver  *rowSolver // without a posterior
	joint   *jointRow  // with one
	prior   *gaussian
	gram    []float32 // XᵀX + λI of all users' preference factors [stride × stride]
	implied *implicitRow
}

// NewMovieFolder returns a MovieFolder for f. It sums the Gram matrix of all users
// with the given number of threads, and fails only if ctx ends.
func NewMovieFolder(ctx context.Context, f *Factors, threads int) (*MovieFolder, error) {
	folder := &MovieFolder{f: f}
	if p := f.Posterior; p != nil {
		dim := f.Rank + 1
		folder.prior = newGaussian(mat.NewVecDense(dim, nil), unpackSymmetric(p.MoviePrecision, dim))
	}
	if head := f.Preference; head != nil {
		t := &implicitTrainer{p: headParameters(head), stride: kernel.Stride(head.Rank), rows: make([]*implicitRow, threadCount(threads))}
		var err error
		if folder.gram, err = t.gramOfAll(ctx, padded(head.UserFactors, head.Rank)); err != nil {
			return nil, err
		}
	}
	return folder.Clone(), nil
}

// Clone returns a MovieFolder for another goroutine.
func (f *MovieFolder) Clone() *MovieFolder {
	c := &MovieFolder{f: f.f, prior: f.prior, gram: f.gram}
	if f.prior != nil {
		c.joint = newJointRow(f.f.Rank)
	} else {
		c.solver = newRowSolver(f.f.Rank, f.f.Unbiased)
	}
	if head := f.f.Preference; head != nil {
		c.implied = newImplicitRow(headParameters(head), kernel.Stride(head.Rank))
	}
	return c
}

// FoldIn returns the movie that raters, at least one, gave the values, in stars:
//
//	argmin over (b, y) of Σ (r − μ − b_u − b − x_u·y)² + λ·n^ν·(b² + ‖y‖²)
//
// and with a posterior the mean under the movies' prior, each rating having the
// precision α·w_u and users being as uncertain as they are. The head that ranks is
// solved as by a PreferenceFolder, over all users.
func (f *MovieFolder) FoldIn(raters []Rater, values []float32) FoldedMovie {
	rows := make([]int32, len(raters))
	for k := range rows {
		rows[k] = int32(k)
	}
	movie := FoldedMovie{Factors: make([]float32, f.f.Rank)}
	if f.prior != nil {
		f.solvePosterior(&movie, raters, rows, values)
	} else {
		users := sideFactors{bias: make([]float32, len(raters)), factors: kernel.Aligned(len(raters) * kernel.Stride(f.f.Rank))}
		for k, rater := range raters {
			users.bias[k] = rater.Bias
			copy(users.factors[k*kernel.Stride(f.f.Rank):], rater.Factors)
		}
		y := kernel.Aligned(kernel.Stride(f.f.Rank))
		movie.Bias, _ = f.solver.solve(users, float64(f.f.Mean), rows, values, regularization(f.f.Lambda, f.f.Nu, len(rows)), y)
		copy(movie.Factors, y)
	}
	if head := f.f.Preference; head != nil {
		movie.Preference = f.solvePreference(head, raters, rows, values)
	}
	return movie
}

func (f *MovieFolder) solvePosterior(movie *FoldedMovie, raters []Rater, rows []int32, values []float32) {
	dim := f.f.Rank + 1
	users := newJoint(len(raters), f.f.Rank)
	users.covariances = kernel.Aligned(len(raters) * users.stride * users.stride)
	users.weights = make([]float32, len(raters))
	for k, rater := range raters {
		v := users.vector(k)
		copy(v, rater.Factors)
		v[f.f.Rank] = rater.Bias
		unpackTriangle(users.covariance(k), rater.Covariance, dim, users.stride)
		users.weights[k] = rater.Weight
	}
	users.prepare(f.f.Posterior.Alpha)
	vector, covariance := kernel.Aligned(users.stride), kernel.Aligned(users.stride*users.stride)
	task := rowTask{other: users, prior: f.prior, mean: float64(f.f.Mean), weight: 1, rows: rows, values: values}
	f.joint.solve(task, nil, vector, covariance)
	copy(movie.Factors, vector)
	movie.Bias = vector[f.f.Rank]
	movie.Covariance = make([]float32, Triangle(dim))
	packTriangle(movie.Covariance, covariance, dim, users.stride)
}

func (f *MovieFolder) solvePreference(head *Preference, raters []Rater, rows []int32, values []float32) []float32 {
	stride := kernel.Stride(head.Rank)
	users := sideFactors{factors: kernel.Aligned(len(raters) * stride)}
	weights := make([]float32, 0, len(values)+2*kernel.Width) // whole vectors are read
	for k, rater := range raters {
		copy(users.factors[k*stride:], rater.Preference)
		weights = append(weights, float32(head.Alpha)*max(values[k], 0))
	}
	weights = weights[:cap(weights)]
	y := kernel.Aligned(stride)
	f.implied.solve(f.gram, users, rows, weights, y)
	return y[:head.Rank]
}
