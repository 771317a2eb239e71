package training

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// ErrEngine says that an engine cannot train what is asked for.
var ErrEngine = errors.New("not for this engine")

// Engine trains elsewhere than in this process, on ratings that it reads by itself.
// What the gate asks for is trained there too; the gate itself judges here, by the
// ratings that Train is given, which may be those of some of the users (see Sample).
type Engine func(ctx context.Context, fit Fit) (*Fitted, error)

// Fit is one training by an Engine.
type Fit struct {
	Parameters als.Parameters  // of als, without a head that ranks
	Start      *als.Factors    // whose users to start from, with half the iterations; nil for none. A twin never does
	Before     *ratings.Rating // take the ratings before it in the order of time, see ratings.SortByTime; nil for all
	Without    float64         // share of the pairs that are not to be known, by eval.InTest and the seed of all holdouts
	Holdout    float64         // share of the pairs that a twin is not to know, and is measured on; 0 for no twin
	Progress   func(als.Progress)
}

// Fitted is what an Engine made of it.
type Fitted struct {
	Factors *als.Factors
	Twin    *als.Factors // nil without Fit.Holdout
	Metrics message.Metrics
	Data    registry.Data // as the engine read it
	Tool    string
}

// CheckEngine returns an error that wraps ErrEngine if the job's Engine could not
// train what the job asks for.
func (j Job) CheckEngine() error {
	switch {
	case j.Parameters.Algorithm != als.ALS:
		return fmt.Errorf("the engine trains %s, not %s: set algorithm: %s: %w", als.ALS, j.Parameters.Algorithm, als.ALS, ErrEngine)
	case j.Parameters.Preference != nil:
		return fmt.Errorf("the engine trains no head that ranks: set the rank of preference to 0: %w", ErrEngine)
	case j.EarlyStop.Share > 0:
		return fmt.Errorf("the engine takes all iterations: set the share of early_stop to 0: %w", ErrEngine)
	}
	return nil
}

// trainByEngine is Train on ratings that the engine reads.
func (j Job) trainByEngine(ctx context.Context, log ratings.Log, started time.Time) (*Candidate, error) {
	if err := j.CheckEngine(); err != nil {
		return nil, err
	}
	fitted, err := j.Engine(ctx, Fit{Parameters: j.Parameters, Start: j.Start, Holdout: j.Holdout, Progress: j.Progress})
	if err != nil {
		return nil, err
	}
	c := &Candidate{log: log, chosen: j.Parameters, twin: fitted.Twin}
	if c.Model, err = model.New(fitted.Factors, model.MovieLensScale); err != nil {
		return nil, fmt.Errorf("checking the trained model: %w", err)
	}
	parameters := warmed(c.chosen, j.Start)
	text, err := json.Marshal(parameters)
	if err != nil {
		return nil, err
	}
	data := fitted.Data
	data.Simulated, data.Revision = j.Simulated, j.Revision
	if j.Source != "" {
		data.Source = j.Source
	}
	now := time.Now
	if j.Now != nil {
		now = j.Now
	}
	c.Manifest = registry.Manifest{
		CreatedAt: now().UTC(), Algorithm: parameters.Algorithm, Parameters: text, StartedFrom: j.StartedBy, Tool: j.Tool + ", " + fitted.Tool,
		Data: data, Holdout: registry.Holdout{Seed: holdoutSeed, Share: j.Holdout},
		Recipe: j.recipe(), Metrics: fitted.Metrics, Seconds: secondsSince(started),
	}
	return c, nil
}

// fitElsewhere has the engine train what the gate asks for, from the job's Start only
// if that is said.
func (j Job) fitElsewhere(ctx context.Context, fit Fit) (*als.Factors, error) {
	fit.Progress = j.Progress
	fitted, err := j.Engine(ctx, fit)
	if err != nil {
		return nil, err
	}
	return fitted.Factors, nil
}

// ratingAt is the log's rating n, nil at its end.
func ratingAt(log ratings.Log, n int) *ratings.Rating {
	if n == len(log.Ratings) {
		return nil
	}
	return &log.Ratings[n]
}

// after is before every rating that is newer than last, and after all others.
func after(last int64) *ratings.Rating {
	return &ratings.Rating{Time: last + 1, User: math.MinInt64, Movie: math.MinInt64}
}
