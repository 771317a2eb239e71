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

// solver learns factors from ratings that are not empty, with parameters that are
// valid, as Task.Run says.
type solver func(ctx context.Context, r *run) (*Factors, error)

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

// Train runs the task of m and p alone. progress may be nil.
func Train(ctx context.Context, m *ratings.Matrix, p Parameters, progress func(Progress)) (*Factors, error) {
	return Task{Ratings: m, Parameters: p, Progress: neverStop(progress)}.Run(ctx)
}

func neverStop(progress func(Progress)) func(Progress) bool {
	if progress == nil {
		return nil
	}
	return func(p Progress) bool {
		progress(p)
		return false
	}
}
