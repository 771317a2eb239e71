package als

import (
	"errors"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// ErrNoKnownMovies says that a user rated no movie that the model knows.
var ErrNoKnownMovies = errors.New("none of the movies is known to the model")

// Folder folds users into trained factors: each FoldIn is the training's own
// user half-step. It owns scratch memory and is not safe for concurrent use;
// clones may be used each by one goroutine. The factors must not change.
type Folder struct {
	f       *Factors
	movies  sideFactors
	solver  *rowSolver
	factors []float32 // of the user [stride]

	posterior *posteriorFolder // instead of all that if f has a posterior
}

// NewFolder returns a Folder for f. Unless the rank is a multiple of
// kernel.Width it copies the movies' factors.
func NewFolder(f *Factors) *Folder {
	if f.Posterior != nil {
		return &Folder{f: f, posterior: newPosteriorFolder(f)}
	}
	folder := &Folder{f: f, movies: sideFactors{bias: f.MovieBias, factors: padded(f.MovieFactors, f.Rank)}}
	return folder.Clone()
}

// Clone returns a Folder for another goroutine, which shares the movies.
func (f *Folder) Clone() *Folder {
	if f.posterior != nil {
		return &Folder{f: f.f, posterior: f.posterior.clone()}
	}
	return &Folder{f: f.f, movies: f.movies, solver: newRowSolver(f.f.Rank, f.f.Unbiased), factors: kernel.Aligned(kernel.Stride(f.f.Rank))}
}

// FoldIn writes the factors of a user who rated the movies in the given rows
// into x [rank] and returns the bias, with the movies held fixed:
//
//	argmin over (b, x) of Σ (r − μ − b_i − b − x·y_i)² + λ·n^ν·(b² + ‖x‖²)        (after Zhou et al. 2008, ALS-WR)
//
// With a posterior it is that of a posteriorFolder. rows, each at least 0 and less than the number of movies, and values, in
// stars, have equal length n. With none it returns ErrNoKnownMovies, and x is
// left as it was.
func (f *Folder) FoldIn(rows []int32, values []float32, x []float32) (bias float32, err error) {
	if len(rows) == 0 {
		return 0, ErrNoKnownMovies
	}
	if f.posterior != nil {
		bias, _ = f.posterior.foldIn(rows, values, x)
		return bias, nil
	}
	n := len(rows)
	bias, _ = f.solver.solve(f.movies, float64(f.f.Mean), rows, values, regularization(f.f.Lambda, f.f.Nu, n), f.factors)
	copy(x[:f.f.Rank], f.factors)
	return bias, nil
}

// Rater folds a user in as FoldIn does, at least one rating, for folding movies in.
// It has no preference.
func (f *Folder) Rater(rows []int32, values []float32) Rater {
	r := Rater{Factors: make([]float32, f.f.Rank), Weight: 1}
	if f.posterior == nil {
		r.Bias, _ = f.FoldIn(rows, values, r.Factors)
		return r
	}
	r.Bias, r.Weight = f.posterior.foldIn(rows, values, r.Factors)
	r.Covariance = make([]float32, Triangle(f.f.Rank+1))
	packTriangle(r.Covariance, f.posterior.covariance, f.f.Rank+1, f.posterior.movies.stride)
	return r
}
