package als

import (
	"context"
	"fmt"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// PreferenceFolder folds users into the head that ranks: each FoldIn is the
// training's own last user half-step, solved exactly. It owns scratch memory and
// is not safe for concurrent use; clones may be used each by one goroutine. The
// head must not change.
type PreferenceFolder struct {
	head    *Preference
	movies  sideFactors
	gram    []float32 // YᵀY + λI [stride × stride]
	solver  *implicitRow
	weights []float32
	factors []float32 // of the user [stride]
}

// NewPreferenceFolder returns a PreferenceFolder for a head. It sums the Gram
// matrix of all movies with the given number of threads, on which no bit depends,
// and fails only if ctx ends. Unless the rank is a multiple of kernel.Width it
// copies the movies' factors.
func NewPreferenceFolder(ctx context.Context, head *Preference, threads int) (*PreferenceFolder, error) {
	f := &PreferenceFolder{head: head, movies: sideFactors{factors: padded(head.MovieFactors, head.Rank)}}
	t := &implicitTrainer{p: headParameters(head), stride: kernel.Stride(head.Rank), rows: make([]*implicitRow, threadCount(threads))}
	var err error
	if f.gram, err = t.gramOfAll(ctx, f.movies.factors); err != nil {
		return nil, fmt.Errorf("summing the movies of the head that ranks: %w", err)
	}
	return f.Clone(), nil
}

func headParameters(head *Preference) PreferenceParameters {
	return PreferenceParameters{Rank: head.Rank, Alpha: head.Alpha, Lambda: head.Lambda}
}

// Clone returns a PreferenceFolder for another goroutine, which shares the movies.
func (f *PreferenceFolder) Clone() *PreferenceFolder {
	stride := kernel.Stride(f.head.Rank)
	return &PreferenceFolder{
		head: f.head, movies: f.movies, gram: f.gram,
		solver: newImplicitRow(headParameters(f.head), stride), factors: kernel.Aligned(stride),
	}
}

// FoldIn writes the factors of a user who chose the movies in the given rows into
// x [rank], with the movies held fixed:
//
//	argmin over x of Σ_i c_i·(p_i − x·y_i)² + λ·‖x‖²        (Hu, Koren & Volinsky 2008)
//
// over all movies, with p = 1 and c = 1 + α·strength of the chosen ones, and p = 0
// and c = 1 of all others. rows and strengths, in stars, negative ones counting as
// 0, have equal length. With none it returns ErrNoKnownMovies, and x is left as it
// was.
func (f *PreferenceFolder) FoldIn(rows []int32, strengths []float32, x []float32) error {
	if len(rows) == 0 {
		return ErrNoKnownMovies
	}
	f.weights = f.weights[:0]
	for _, strength := range strengths {
		f.weights = append(f.weights, float32(f.head.Alpha)*max(strength, 0))
	}
	for range 2 * kernel.Width { // whole vectors are read
		f.weights = append(f.weights, 0)
	}
	f.solver.solve(f.gram, f.movies, rows, f.weights, f.factors)
	copy(x[:f.head.Rank], f.factors)
	return nil
}
