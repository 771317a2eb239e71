package training

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// EarlyStop finds out how many iterations are best: it trains on a part of the
// training ratings first, and measures on the rest of them after each iteration.
// All are trained on after that, for so many iterations. It begins from scratch: the
// champion would know what is measured on.
type EarlyStop struct {
	Share    float64 // of the training ratings to measure on, 0 to 1; 0 for no such thing
	Patience int     // iterations without gain after which it stops, at least 1
}

// leastGain is what RMSE has to fall by to count as a gain, in stars.
const leastGain = 1e-4

// ErrNoEarlyStop says that a solver's iterations cannot be chosen that way.
var ErrNoEarlyStop = errors.New("early stop is not for this algorithm")

// Validate returns an error that says what is wrong, for use with an algorithm.
func (e EarlyStop) Validate(algorithm string) error {
	switch {
	case !(e.Share >= 0 && e.Share < 1):
		return fmt.Errorf("early stop: share is %v, want 0 (off) to 1, 1 excluded: %w", e.Share, als.ErrBadParameters)
	case e.Share == 0:
		return nil
	case e.Patience < 1:
		return fmt.Errorf("early stop: patience is %d, want at least 1: %w", e.Patience, als.ErrBadParameters)
	case algorithm == als.Bayes || algorithm == als.Implicit:
		return fmt.Errorf("%w: %s, whose iterations do not each predict ratings better; set its iterations", ErrNoEarlyStop, algorithm)
	}
	return nil
}

// earlyStopSeed keeps what is measured on apart from what is held out.
const earlyStopSeed = holdoutSeed + 1

// iterations returns how many are best.
func (j Job) iterations(ctx context.Context, part ratings.Log) (int, error) {
	if err := j.EarlyStop.Validate(j.Parameters.Algorithm); err != nil {
		return 0, err
	}
	train, validation := eval.RandomSplit(part.Ratings, j.EarlyStop.Share, earlyStopSeed)
	matrix, err := ratings.NewMatrix(train)
	if err != nil {
		return 0, err
	}
	if len(validation) == 0 {
		return j.Parameters.Iterations, nil
	}
	p := j.Parameters
	p.Preference = nil
	best, least, since := 1, math.Inf(1), 0
	_, err = als.Task{Ratings: matrix, Validation: validation, Parameters: p, Progress: func(p als.Progress) bool {
		if j.Progress != nil {
			j.Progress(p)
		}
		since++
		if p.Validation < least-leastGain {
			best, least, since = p.Iteration, p.Validation, 0
		}
		return since >= j.EarlyStop.Patience
	}}.Run(ctx)
	return best, err
}
