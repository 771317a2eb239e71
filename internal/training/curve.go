package training

import (
	"context"
	"math"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Curve is how the training of the twin went, or without a holdout that of the
// version itself. Measuring it costs time after each iteration, and changes nothing
// of what is learnt.
type Curve struct {
	Algorithm string
	Ratings   int // that were trained on
	Held      int // that were held out and measured on, 0 without a holdout
	Listeners int // users with something relevant held out, whose rankings are measured

	Rating     []RatingPoint     // of the head that rates, after each iteration
	Preference []PreferencePoint // of the head that ranks

	RMSE, BiasRMSE float64 // as in the version's metrics: of the twin as it would be served, and of biases alone
}

// RatingPoint is after one iteration of the head that rates. Errors are in stars,
// of predictions that are not clamped.
type RatingPoint struct {
	Iteration int
	Trained   float64 // RMSE over what is trained on; of als_vb the expected one
	Held      float64 // over what is held out, NaN without
}

// PreferencePoint is after one iteration of the head that ranks.
type PreferencePoint struct {
	Iteration int
	Loss      float64 // what training minimizes, see als.Preference, for each choice
	NDCG10    float64 // of what is held out, by this head alone; NaN without
}

// recorder measures a task of training while it goes on.
type recorder struct {
	ctx     context.Context
	curve   *Curve
	choices *ratings.Matrix
	test    eval.PreferenceTest
	err     error
}

// record has the task measured. What it returns tells of what went wrong in that.
func (c *Curve) record(ctx context.Context, task *als.Task, held []ratings.Rating) (failed func() error) {
	choices := task.Choices
	if choices == nil {
		choices = task.Ratings
	}
	r := &recorder{ctx: ctx, curve: c, choices: choices, test: eval.NewPreferenceTest(task.Ratings, held, task.Parameters.Threads)}
	*c = Curve{Algorithm: task.Parameters.Algorithm, Ratings: task.Ratings.Len(), Held: len(held), Listeners: r.test.Users()}
	task.Validation = held
	told := task.Progress
	task.Progress = func(at als.Progress) bool {
		if r.err == nil {
			r.err = r.add(at)
		}
		return r.err != nil || told != nil && told(at)
	}
	return func() error { return r.err }
}

func (r *recorder) add(at als.Progress) error {
	if at.Head == als.RatingHead {
		r.curve.Rating = append(r.curve.Rating, RatingPoint{at.Iteration, at.RMSE, at.Validation})
		return nil
	}
	head := at.Learnt()
	point := PreferencePoint{Iteration: at.Iteration, Loss: head.Loss(r.choices) / float64(r.choices.Len()), NDCG10: math.NaN()}
	if r.curve.Listeners > 0 {
		var err error
		if point.NDCG10, err = r.test.NDCG10(r.ctx, head); err != nil {
			return err
		}
	}
	r.curve.Preference = append(r.curve.Preference, point)
	return nil
}
