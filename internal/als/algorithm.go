package als

import (
	"context"
	"maps"
	"slices"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Algorithms by name.
const (
	ALS      = "als"          // explicit ratings with biases
	Bayes    = "als_bayes"    // the same model by Gibbs sampling
	VB       = "als_vb"       // the same model by variational Bayes
	Implicit = "als_implicit" // what users choose; ratings by biases alone
	Spark    = "als_spark"    // what Spark's ALS computes, without biases, for comparison
)

// Default is the algorithm for who does not choose: as fast as ALS or nearly so,
// more accurate, and it knows how sure it is.
const Default = VB

// solver learns factors from a matrix that is not empty, with parameters that
// are valid, as Train says.
type solver func(ctx context.Context, m *ratings.Matrix, p Parameters, progress func(Progress)) (*Factors, error)

var solvers map[string]solver

func init() {
	solvers = map[string]solver{
		ALS:      trainExplicit,
		Bayes:    trainBayes,
		VB:       trainVB,
		Implicit: trainImplicit,
		Spark:    trainExplicit,
	}
}

// Algorithms are the names of the solvers, in alphabetical order.
func Algorithms() []string { return slices.Sorted(maps.Keys(solvers)) }

// Train learns the biases and factors of all users and movies of m by
// p.Algorithm, and the head that ranks if p.Preference asks for one. It ends with a user half-step: stored user factors are exactly
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
	f, err := solvers[p.Algorithm](ctx, m, p, progress)
	if err != nil || p.Preference == nil || f.Preference != nil {
		return f, err
	}
	f.Preference, err = TrainPreference(ctx, m, *p.Preference, p.Seed, p.Threads, progress)
	if err != nil {
		return nil, err
	}
	return f, nil
}
