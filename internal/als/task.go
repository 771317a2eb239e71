package als

import (
	"context"
	"math"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Task is one training: what to learn from, and how.
type Task struct {
	Ratings *ratings.Matrix
	// Choices is what the head that ranks learns from: rows are those of Ratings,
	// and values how much speaks for each choice. Nil is Ratings themselves.
	Choices *ratings.Matrix
	// Start is an earlier model, whose users this one starts from, by their ids; those
	// whom it does not know start as without it. A head of another rank starts from
	// scratch, and so does that of ratings of als_vb and als_bayes. Nil is none.
	Start *Factors
	// Validation is what is measured after each iteration, see Progress.
	Validation []ratings.Rating
	Parameters Parameters
	// Progress, if it is not nil, is called after each iteration by the goroutine
	// that called Run. If it returns true for the head that rates, training ends there, with
	// a last user half-step.
	Progress func(Progress) (stop bool)
}

// Heads of a model.
const (
	RatingHead     = "rating"
	PreferenceHead = "preference"
)

// Progress tells how far training is, after each iteration.
type Progress struct {
	Head       string        // RatingHead or PreferenceHead
	Iteration  int           // done, 1 to Total
	Total      int           // iterations in all
	RMSE       float64       // over the training ratings, in stars, unclamped; NaN of the head that ranks
	Validation float64       // the same over Task.Validation, NaN without one; of als_bayes after its burn-in that of predictions averaged over samples
	Elapsed    time.Duration // since training of this head began

	// Learnt copies what the head that ranks has learnt; nil of the other. It is to be
	// called before Progress returns.
	Learnt func() *Preference
}

// Remaining is how long the head's other iterations will take, if they are as the
// ones before.
func (p Progress) Remaining() time.Duration {
	if p.Iteration == 0 {
		return 0
	}
	return time.Duration(float64(p.Elapsed) / float64(p.Iteration) * float64(p.Total-p.Iteration))
}

// Run learns the biases and factors of all users and movies by the algorithm, and
// the head that ranks if Parameters.Preference asks for one. It ends with a user
// half-step: stored user factors are exactly what folding in a user's ratings
// gives. Rows without ratings get zeros.
//
// The same input, parameters and seed give the same bits with any number of
// threads, for one kernel and architecture. All results are finite.
//
// It returns ratings.ErrNoRatings for an empty matrix, an error that wraps
// ErrBadParameters, or ctx's error soon after ctx ends. Matrices are only read:
// several tasks may share them.
func (t Task) Run(ctx context.Context) (*Factors, error) {
	if err := t.Parameters.Validate(); err != nil {
		return nil, err
	}
	if t.Ratings.Len() == 0 {
		return nil, ratings.ErrNoRatings
	}
	if t.Choices == nil {
		t.Choices = t.Ratings
	}
	f, err := solvers[t.Parameters.Algorithm](ctx, newRun(t))
	if err != nil || t.Parameters.Preference == nil || f.Preference != nil {
		return f, err
	}
	f.Preference, err = trainPreference(ctx, newRun(t), *t.Parameters.Preference)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// run is a task at work on one head.
type run struct {
	Task
	began      time.Time
	validation []validated
	averaged   int // predictions in the sums of validation
}

type validated struct {
	user, movie int // rows, −1 if unknown
	value       float64
	sum         float64 // of predictions that are averaged
}

func newRun(t Task) *run {
	r := &run{Task: t, began: time.Now()}
	for _, rating := range t.Validation {
		v := validated{user: -1, movie: -1, value: float64(rating.Value)}
		if row, known := t.Ratings.UserRow(rating.User); known {
			v.user = row
		}
		if row, known := t.Ratings.MovieRow(rating.Movie); known {
			v.movie = row
		}
		r.validation = append(r.validation, v)
	}
	return r
}

// report tells Progress of an iteration of the head that rates, which predicts as
// predict does, and returns whether to stop.
func (r *run) report(iteration int, rmse float64, predict func(user, movie int) float64) (stop bool) {
	if r.Progress == nil {
		return false
	}
	sum := 0.0
	for _, v := range r.validation {
		e := v.value - predict(v.user, v.movie)
		if r.averaged > 0 {
			e = v.value - v.sum/float64(r.averaged)
		}
		sum += e * e
	}
	return r.Progress(Progress{
		Head: RatingHead, Iteration: iteration + 1, Total: r.Parameters.Iterations,
		RMSE: rmse, Validation: math.Sqrt(sum / float64(len(r.validation))), Elapsed: time.Since(r.began),
	})
}

// average makes report measure the mean of this prediction and of those that were
// averaged before.
func (r *run) average(predict func(user, movie int) float64) {
	r.averaged++
	for k := range r.validation {
		v := &r.validation[k]
		v.sum += predict(v.user, v.movie)
	}
}

// inherited calls take for every id that both lists, which are ascending, have.
func inherited(ids, from []int64, take func(row, earlier int)) {
	earlier := 0
	for row, id := range ids {
		for earlier < len(from) && from[earlier] < id {
			earlier++
		}
		if earlier < len(from) && from[earlier] == id {
			take(row, earlier)
		}
	}
}
