package als

import (
	"context"
	"maps"
	"slices"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// ALS is the algorithm of explicit ratings with biases.
const ALS = "als"

// solver learns factors from a matrix that is not empty, with parameters that
// are valid, as Train says.
type solver func(ctx context.Context, m *ratings.Matrix, p Parameters, progress func(Progress)) (*Factors, error)

var solvers map[string]solver

func init() {
	solvers = map[string]solver{
		ALS: trainExplicit,
	}
}

// Algorithms are the names of the solvers, in alphabetical order.
func Algorithms() []string { return slices.Sorted(maps.Keys(solvers)) }

// Train learns the biases and factors of all users and movies of m by
// p.Algorithm. It ends with a user half-step: stored user factors are exactly
// what folding in a user's ratings gives.
//
// progress, which may be nil, is called after each iteration by Train's own
// goroutine. The same matrix, parameters and seed give the same bits with any
// number of threads, for one kernel and architecture. All results are finite.
//
// It returns ratings.ErrNoRatings for an empty matrix, an error that wraps
// ErrBadParameters, or ctx's error soon after ctx ends. m is only read: several
// calls may share it.
func Train(ctx context.Context, m *ratings.Matrix, p Parameters, progress func(Progress)) (*Factors, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if m.Len() == 0 {
		return nil, ratings.ErrNoRatings
	}
	return solvers[p.Algorithm](ctx, m, p, progress)
}
