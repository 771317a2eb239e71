// Package training makes model versions: it reads ratings, trains on a part of
// them, judges the result on the rest beside the present champion, and
// publishes and promotes it.
package training

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
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
	Holdout    float64 // share of the pairs held out, 0 to 1
	Tolerance  float64 // RMSE by which a new champion may be worse, in stars
	Source     string  // where the ratings come from, for people
	Simulated  bool
	Tool       string
	Revision   int64        // of the store the ratings were read from, 0 if none
	Start      *als.Factors // an earlier model to start from, see als.Task; nil for none
	StartedBy  string       // its version, for the manifest
	EarlyStop  EarlyStop
	Progress   func(als.Progress)
	Now        func() time.Time // nil is time.Now
}

// Outcome is what a training run led to.
type Outcome struct {
	Manifest  registry.Manifest
	Promotion registry.Promotion // if Promoted
	Promoted  bool
}

// Candidate is a trained model with what is known about it.
type Candidate struct {
	Model    *model.Model
	Manifest registry.Manifest // without what only publishing knows
	Holdout  []ratings.Rating
}

// holdoutSeed is the same for all versions, whatever the seed of their starting
// factors: what is held out once is held out for ever.
const holdoutSeed = 42

// Train trains and evaluates. Whether a pair is held out depends on a hash of
// (seed, user, movie) alone, and what is held out is never trained on by any
// version: that makes versions comparable on it. The pairs of a smaller holdout
// are among those of a larger one.
func (j Job) Train(ctx context.Context, log ratings.Log) (*Candidate, error) {
	all := log.Ratings
	if len(all) < minRatings {
		return nil, fmt.Errorf("%w: %d; at least %d are needed", ErrTooFewRatings, len(all), minRatings)
	}
	started := time.Now()
	train, holdout := eval.RandomSplit(all, j.Holdout, holdoutSeed)
	part := eval.TrainingPart(ratings.Log{Ratings: train, Choices: log.Choices}, holdoutSeed, j.Holdout)
	var err error
	if j.Parameters, err = j.choose(ctx, part); err != nil {
		return nil, err
	}
	matrix, factors, err := j.fit(ctx, part)
	if err != nil {
		return nil, err
	}
	m, err := model.New(factors, model.MovieLensScale)
	if err != nil {
		return nil, fmt.Errorf("checking the trained model: %w", err)
	}
	biases, err := als.BiasOnly(ctx, matrix, j.Parameters.Lambda, j.Parameters.Nu, biasIterations)
	if err != nil {
		return nil, err
	}
	baseline, err := model.New(biases, model.MovieLensScale)
	if err != nil {
		return nil, err
	}
	now := time.Now
	if j.Now != nil {
		now = j.Now
	}
	parameters, err := json.Marshal(j.Parameters)
	if err != nil {
		return nil, err
	}
	return &Candidate{Model: m, Holdout: holdout, Manifest: registry.Manifest{
		CreatedAt: now().UTC(), Algorithm: j.Parameters.Algorithm, Parameters: parameters, StartedFrom: j.StartedBy, Tool: j.Tool,
		Data: j.describe(log, matrix), Holdout: registry.Holdout{Seed: holdoutSeed, Share: j.Holdout},
		Metrics: message.Metrics{
			RMSE: rmse(m, holdout), BiasRMSE: rmse(baseline, holdout),
			Ratings: int64(len(train)), Holdout: int64(len(holdout)),
		},
		Seconds: math.Round(time.Since(started).Seconds()*1000) / 1000,
	}}, nil
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
		if head.Beta, err = eval.ChooseBeta(ctx, part, p); err != nil {
			return p, err
		}
		p.Preference = &head
	}
	return p, nil
}

// fit trains on all of the training part.
func (j Job) fit(ctx context.Context, part ratings.Log) (*ratings.Matrix, *als.Factors, error) {
	var weights ratings.Weights
	if j.Parameters.Preference != nil {
		weights = j.Parameters.Preference.Weights()
	}
	rated, chosen, err := part.Matrices(weights)
	if err != nil {
		return nil, nil, err
	}
	task := als.Task{Ratings: rated, Choices: chosen, Start: j.Start, Parameters: j.Parameters}
	if j.Progress != nil {
		task.Progress = func(p als.Progress) bool {
			j.Progress(p)
			return false
		}
	}
	factors, err := task.Run(ctx)
	return rated, factors, err
}

const biasIterations = 10

// rmse returns the root mean squared error of m on test, 0 if that is empty.
func rmse(m *model.Model, test []ratings.Rating) float64 {
	var errors eval.RMSE
	for _, r := range test {
		errors.Add(float64(m.Predict(r.User, r.Movie).Value), float64(r.Value))
	}
	if errors.Count() == 0 {
		return 0
	}
	return errors.Value()
}

func (j Job) describe(log ratings.Log, matrix *ratings.Matrix) registry.Data {
	all := log.Ratings
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b ratings.Rating) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Movie, b.Movie))
	})
	sum := sha256.New()
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	var record [28]byte
	for _, r := range sorted {
		first, last = min(first, r.Time), max(last, r.Time)
		binary.LittleEndian.PutUint64(record[0:], uint64(r.User))
		binary.LittleEndian.PutUint64(record[8:], uint64(r.Movie))
		binary.LittleEndian.PutUint64(record[16:], uint64(r.Time))
		binary.LittleEndian.PutUint32(record[24:], math.Float32bits(r.Value))
		sum.Write(record[:])
	}
	return registry.Data{
		Source: j.Source, Simulated: j.Simulated, Revision: j.Revision, Ratings: int64(len(all)), Choices: int64(len(log.Choices)),
		Users: len(matrix.Users), Movies: len(matrix.Movies),
		From: time.UnixMilli(first).UTC(), Until: time.UnixMilli(last).UTC(),
		Checksum: "sha256:" + hex.EncodeToString(sum.Sum(nil)),
	}
}

// Publish stores the candidate as a version and lets the gate decide whether it
// becomes the champion: it must not be worse than the present one on the
// holdout of today's ratings, which neither was trained on.
func (j Job) Publish(ctx context.Context, r *registry.Registry, c *Candidate) (Outcome, error) {
	champion, err := currentChampion(r)
	if err != nil {
		return Outcome{}, err
	}
	_, c.Manifest.Verdict, err = j.judge(r, c, champion)
	if err != nil {
		return Outcome{}, err
	}
	c.Manifest.Parent = champion
	manifest, err := r.Publish(ctx, c.Model, c.Manifest)
	if err != nil {
		return Outcome{}, err
	}
	outcome := Outcome{Manifest: manifest}
	outcome.Promotion, outcome.Promoted, _, err = r.Promote(ctx, manifest.Version, manifest.CreatedAt,
		func(champion string) (bool, string, error) { return j.judge(r, c, champion) })
	return outcome, err
}

func currentChampion(r *registry.Registry) (string, error) {
	latest, _, err := r.Latest()
	return latest.Roles[registry.Champion], err
}

// judge compares the candidate with the champion.
func (j Job) judge(r *registry.Registry, c *Candidate, champion string) (promote bool, verdict string, err error) {
	if champion == "" {
		return true, "the first version", nil
	}
	if len(c.Holdout) == 0 {
		return true, "promoted without comparison: no ratings were held out", nil
	}
	present, manifest, err := r.Model(champion)
	if errors.Is(err, registry.ErrDamaged) || errors.Is(err, registry.ErrNotFound) || errors.Is(err, model.ErrFormat) {
		return true, fmt.Sprintf("the champion %s cannot be read: %v", champion, err), nil
	}
	if err != nil {
		return false, "", err
	}
	common := heldOutByBoth(c, manifest.Holdout)
	if len(common) == 0 {
		return true, fmt.Sprintf("promoted without comparison: %s holds out nothing that this version does", champion), nil
	}
	theirs, ours := rmse(present, common), rmse(c.Model, common)
	verdict = fmt.Sprintf("RMSE %.4f against %.4f of %s on the same %d held-out ratings", ours, theirs, champion, len(common))
	if ours > theirs+j.Tolerance {
		return false, "not promoted: " + verdict, nil
	}
	return true, "promoted: " + verdict, nil
}

// heldOutByBoth returns the candidate's held-out ratings that a version with the
// given holdout was not trained on either.
func heldOutByBoth(c *Candidate, other registry.Holdout) []ratings.Rating {
	var common []ratings.Rating
	for _, r := range c.Holdout {
		if eval.InTest(other.Seed, other.Share, r.User, r.Movie) {
			common = append(common, r)
		}
	}
	return common
}
