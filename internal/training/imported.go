package training

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/gate"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// Imported is a model that was trained elsewhere, of which nobody can tell what it was
// trained on but that it is not newer than Until.
type Imported struct {
	Model      *model.Model
	Algorithm  string
	Parameters json.RawMessage // for people: the gate cannot make it again
	Until      time.Time       // it knows no rating that was given after this

	mayKnow bool // what it was measured on
}

const (
	unmeasured = "imported without ratings: nobody measured it here"
	mayKnow    = "it may have been trained on the ratings that it was measured and compared on"
)

// KnownTo returns the part of a log that a model may have been trained on which knows
// nothing newer than at. It puts log.Ratings in the order of time.
func KnownTo(log ratings.Log, at time.Time) ratings.Log {
	ratings.SortByTime(log.Ratings)
	return until(log, at.UnixMilli())
}

// Import publishes a model that was trained elsewhere as it is, and has the gate judge
// it by the ratings of log as Publish does: it becomes champion if there is none, or if
// it is better on ratings that are newer than what it may know. On others it can only
// lose: what is better there becomes a challenger in shadow. Without any ratings it is
// published and gets no role. isNew is false if a version with this model was there
// already, which is left as it is.
func (j Job) Import(ctx context.Context, r *registry.Registry, m Imported, log ratings.Log) (_ Outcome, isNew bool, err error) {
	if there, found, err := withModel(r, m.Model); found || err != nil {
		return Outcome{Manifest: there}, false, err
	}
	c, err := j.adopt(ctx, m, log)
	if err != nil {
		return Outcome{}, false, err
	}
	if len(log.Ratings) > 0 {
		outcome, err := j.Publish(ctx, r, c)
		return outcome, true, err
	}
	c.Manifest.Verdict = unmeasured
	c.Manifest.Gate = &message.Verdict{Outcome: message.OutcomeUndecided, Reason: unmeasured}
	manifest, err := r.Publish(ctx, c.Model, c.Manifest)
	return Outcome{Manifest: manifest}, true, err
}

// withModel looks for a version that has this very model. A manifest that cannot be
// read is not this one's: models verify tells of it.
func withModel(r *registry.Registry, m *model.Model) (registry.Manifest, bool, error) {
	sum := sha256.New()
	if _, err := m.WriteTo(sum); err != nil {
		return registry.Manifest{}, false, fmt.Errorf("writing the model: %w", err)
	}
	manifests, _ := r.List()
	for _, manifest := range manifests {
		if manifest.SHA256 == hex.EncodeToString(sum.Sum(nil)) {
			return manifest, true, nil
		}
	}
	return registry.Manifest{}, false, nil
}

// adopt makes a candidate of the model, and measures it where there are ratings.
func (j Job) adopt(ctx context.Context, m Imported, log ratings.Log) (*Candidate, error) {
	now := time.Now
	if j.Now != nil {
		now = j.Now
	}
	f := m.Model.Factors()
	known := KnownTo(log, m.Until)
	c := &Candidate{Model: m.Model, log: log, twin: f, imported: &m}
	c.Manifest = registry.Manifest{
		CreatedAt: now().UTC(), Algorithm: m.Algorithm, Parameters: m.Parameters, Tool: j.Tool,
		Data: registry.Data{Source: j.Source, Users: len(f.Users), Movies: len(f.Movies)},
	}
	if len(known.Ratings) > 0 {
		matrix, err := ratings.NewMatrix(known.Ratings)
		if err != nil {
			return nil, err
		}
		c.Manifest.Data = j.describe(known, matrix)
	}
	metrics := &c.Manifest.Metrics
	metrics.Ratings = int64(len(known.Ratings))
	part, test := c.holdout(known, j.Holdout)
	if metrics.Holdout = int64(len(test)); len(test) == 0 || len(part) == 0 {
		metrics.Holdout = 0
		return c, nil
	}
	matrix, err := ratings.NewMatrix(part)
	if err != nil {
		return nil, err
	}
	biases, err := als.BiasOnly(ctx, matrix, als.DefaultParameters(als.ALS).Lambda, als.DefaultParameters(als.ALS).Nu, biasIterations)
	if err != nil {
		return nil, err
	}
	if metrics.BiasRMSE, err = rmse(biases, test); err != nil {
		return nil, err
	}
	metrics.RMSE, err = rmse(f, test)
	return c, err
}

// holdout returns what an imported model is measured on: ratings that are newer than
// what it knows, or, if those are too few, a hashed share of the others, which it may
// know. Of users and movies that it does not know it says nothing, as in Spark. The
// rest is what biases are learned from, to compare with.
func (c *Candidate) holdout(known ratings.Log, share float64) (rest, test []ratings.Rating) {
	isKnown := func(r ratings.Rating) bool {
		p := c.Model.Predict(r.User, r.Movie)
		return !p.ColdUser && !p.ColdMovie
	}
	if test = filter(c.log.Ratings[len(known.Ratings):], isKnown); len(test) >= minRatings {
		return known.Ratings, test
	}
	part, hashed := withoutHashed(known, share)
	c.imported.mayKnow = true
	return part.Ratings, filter(hashed, isKnown)
}

func filter(all []ratings.Rating, keep func(ratings.Rating) bool) (kept []ratings.Rating) {
	for _, r := range all {
		if keep(r) {
			kept = append(kept, r)
		}
	}
	return kept
}

// doubted is what a judgement of an imported model is worth. What it lost it lost; but
// what it won on ratings that it may know, against a champion that does not, is no win.
func doubted(j gate.Judgement) gate.Judgement {
	if j.Knew > 0 || len(j.Tests) == 0 {
		return j
	}
	j.Warnings = append(j.Warnings, mayKnow)
	if j.Outcome == message.OutcomePromoted {
		j.Outcome = message.OutcomeUndecided
		j.Reason = "undecided, so it stays a challenger: " + mayKnow + "; " + strings.TrimPrefix(j.Reason, "promoted: ")
	}
	return j
}
