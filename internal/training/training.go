// Package training makes model versions: it reads ratings, trains a version on all
// of them and a twin on a part to measure it by, lets the gate compare it with the
// present champion, and publishes and promotes it.
package training

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// ErrTooFewRatings says that there is nothing to learn from yet.
var ErrTooFewRatings = errors.New("too few ratings to train on")

// minRatings is the least a model is trained on.
const minRatings = 20

// Job is one training run.
type Job struct {
	Parameters als.Parameters
	Holdout    float64 // share of the pairs that a twin does not know, to measure by, 0 to 1
	Tolerance  float64 // RMSE in stars by which a champion made in the same way may be worse; gate.Margin is sensible
	Force      bool    // promote whatever the gate finds, and record that
	Source     string  // where the ratings come from, for people
	Simulated  bool
	Tool       string
	Revision   int64        // of the store the ratings were read from, 0 if none
	Start      *als.Factors // an earlier model to start from, see als.Task and WarmStart; nil for none
	StartedBy  string       // its version, for the manifest
	EarlyStop  EarlyStop
	Engine     Engine             // nil to train in this process
	Progress   func(als.Progress) // of each training on the way to the version, one after the other
	Curve      *Curve             // to fill in; nil, which costs nothing, for none
	Now        func() time.Time   // nil is time.Now
}

// Candidate is a trained model with what is known about it.
type Candidate struct {
	Model    *model.Model      // trained on everything
	Manifest registry.Manifest // without what only the gate and publishing know

	log    ratings.Log    // in the order of time
	chosen als.Parameters // with what the data chose, from scratch
	twin   *als.Factors   // without the pairs of Job.Holdout, nil if that is 0

	imported *Imported // nil for what was trained here
}

// holdoutSeed is the same for all versions, whatever the seed of their starting
// factors, so that what is measured on is the same. The pairs of a smaller holdout
// are among those of a larger one.
const holdoutSeed = 42

// Train trains the version, on all ratings, and before that a twin without the
// holdout, whose errors on it are the version's Metrics. Whether a pair is held out
// depends on a hash of (seed, user, movie) alone. It puts log.Ratings in the order of
// time.
func (j Job) Train(ctx context.Context, log ratings.Log) (*Candidate, error) {
	if len(log.Ratings) < minRatings {
		return nil, fmt.Errorf("%w: %d; at least %d are needed", ErrTooFewRatings, len(log.Ratings), minRatings)
	}
	started := time.Now()
	ratings.SortByTime(log.Ratings)
	if j.Engine != nil {
		return j.trainByEngine(ctx, log, started)
	}
	part, holdout := withoutHashed(log, j.Holdout)
	c := &Candidate{log: log}
	var err error
	if c.chosen, err = j.choose(ctx, part); err != nil {
		return nil, err
	}
	metrics := message.Metrics{Ratings: int64(len(log.Ratings)), Holdout: int64(len(holdout))}
	if len(holdout) > 0 {
		if c.twin, err = j.measure(ctx, part, holdout, c.chosen, &metrics); err != nil {
			return nil, fmt.Errorf("training without the holdout: %w", err)
		}
	}
	parameters := warmed(c.chosen, j.Start)
	whole := j
	if len(holdout) > 0 {
		whole.Curve = nil // it is the twin's
	}
	matrix, factors, err := whole.fitMeasured(ctx, log, nil, parameters, j.Start)
	if err != nil {
		return nil, err
	}
	if c.Model, err = model.New(factors, model.MovieLensScale); err != nil {
		return nil, fmt.Errorf("checking the trained model: %w", err)
	}
	now := time.Now
	if j.Now != nil {
		now = j.Now
	}
	text, err := json.Marshal(parameters)
	if err != nil {
		return nil, err
	}
	c.Manifest = registry.Manifest{
		CreatedAt: now().UTC(), Algorithm: parameters.Algorithm, Parameters: text, StartedFrom: j.StartedBy, Tool: j.Tool,
		Data: j.describe(log, matrix), Holdout: registry.Holdout{Seed: holdoutSeed, Share: j.Holdout},
		Recipe: j.recipe(), Metrics: metrics, Seconds: secondsSince(started),
	}
	return c, nil
}

// secondsSince are rounded to milliseconds.
func secondsSince(started time.Time) float64 {
	return math.Round(time.Since(started).Seconds()*1000) / 1000
}

// measure trains a twin on the training part, and fills in its errors and those of
// biases alone on what is held out.
func (j Job) measure(ctx context.Context, part ratings.Log, holdout []ratings.Rating, p als.Parameters, metrics *message.Metrics) (*als.Factors, error) {
	matrix, twin, err := j.fitMeasured(ctx, part, holdout, p, nil)
	if err != nil {
		return nil, err
	}
	biases, err := als.BiasOnly(ctx, matrix, p.Lambda, p.Nu, biasIterations)
	if err != nil {
		return nil, err
	}
	if metrics.RMSE, err = rmse(twin, holdout); err != nil {
		return nil, err
	}
	metrics.BiasRMSE, err = rmse(biases, holdout)
	if j.Curve != nil {
		j.Curve.RMSE, j.Curve.BiasRMSE = metrics.RMSE, metrics.BiasRMSE
	}
	return twin, err
}

// choose returns the parameters with those that are left to the training part: the
// number of iterations after which training stops early, and β.
func (j Job) choose(ctx context.Context, part ratings.Log) (als.Parameters, error) {
	p := j.Parameters
	if j.EarlyStop.Share > 0 {
		iterations, err := j.iterations(ctx, part)
		if err != nil {
			return p, fmt.Errorf("finding the iteration to stop at: %w", err)
		}
		p.Iterations = iterations
	}
	if p.Preference != nil && p.Preference.ChooseBeta {
		head := *p.Preference
		var err error
		if head.Beta, err = eval.ChooseBeta(ctx, part, p, j.Progress); err != nil {
			return p, err
		}
		p.Preference = &head
	}
	return p, nil
}

// fit trains on all of a log.
func (j Job) fit(ctx context.Context, log ratings.Log, p als.Parameters, start *als.Factors) (*ratings.Matrix, *als.Factors, error) {
	j.Curve = nil
	return j.fitMeasured(ctx, log, nil, p, start)
}

// fitMeasured is fit with the learning curve, if there is to be one.
func (j Job) fitMeasured(ctx context.Context, log ratings.Log, held []ratings.Rating, p als.Parameters, start *als.Factors) (*ratings.Matrix, *als.Factors, error) {
	var weights ratings.Weights
	if p.Preference != nil {
		weights = p.Preference.Weights()
	}
	rated, chosen, err := log.Matrices(weights)
	if err != nil {
		return nil, nil, err
	}
	task := als.Task{Ratings: rated, Choices: chosen, Start: start, Parameters: p}
	if j.Progress != nil {
		task.Progress = func(p als.Progress) bool {
			j.Progress(p)
			return false
		}
	}
	if j.Curve == nil {
		factors, err := task.Run(ctx)
		return rated, factors, err
	}
	failed := j.Curve.record(ctx, &task, held)
	factors, err := task.Run(ctx)
	return rated, factors, errors.Join(err, failed())
}

const biasIterations = 10

// rmse returns the root mean squared error of f on test, as it predicts without
// folding anyone in.
func rmse(f *als.Factors, test []ratings.Rating) (float64, error) {
	m, err := model.New(f, model.MovieLensScale)
	if err != nil {
		return 0, fmt.Errorf("checking a trained model: %w", err)
	}
	var errors eval.RMSE
	for _, r := range test {
		errors.Add(float64(m.Predict(r.User, r.Movie).Value), float64(r.Value))
	}
	return errors.Value(), nil
}
