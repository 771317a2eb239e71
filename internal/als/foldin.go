package als

import "errors"

// ErrNoKnownMovies says that a user rated no movie that the model knows.
var ErrNoKnownMovies = errors.New("none of the movies is known to the model")

// Folder folds users into trained factors: each FoldIn is the training's own
// user half-step. It owns scratch memory and is not safe for concurrent use;
// several may share the factors, which must not change.
type Folder struct {
	f      *Factors
	solver *rowSolver
}

// NewFolder returns a Folder for f.
func NewFolder(f *Factors) *Folder {
	return &Folder{f: f, solver: newRowSolver(f.Rank)}
}

// FoldIn writes the factors of a user who rated the movies in the given rows
// into x [rank] and returns the bias, with the movies held fixed:
//
//	argmin over (b, x) of Σ (r − μ − b_i − b − x·y_i)² + λ·n^ν·(b² + ‖x‖²)        (after Zhou et al. 2008, ALS-WR)
//
// rows, each at least 0 and less than the number of movies, and values, in
// stars, have equal length n. With none it returns ErrNoKnownMovies, and x is
// left as it was.
func (f *Folder) FoldIn(rows []int32, values []float32, x []float32) (bias float32, err error) {
	if len(rows) == 0 {
		return 0, ErrNoKnownMovies
	}
	movies := fixedSide{mean: float64(f.f.Mean), bias: f.f.MovieBias, factors: f.f.MovieFactors}
	bias, _ = f.solver.solve(movies, rows, values, regularization(f.f.Lambda, f.f.Nu, len(rows)), x)
	return bias, nil
}
