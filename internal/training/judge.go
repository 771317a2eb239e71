package training

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/gate"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// leastTwinShare is the share of the pairs that twins are compared on, if the holdout
// is not larger: then the holdout's twin serves.
const leastTwinShare = 0.1

// judge compares the candidate with the champion, "" for none.
func (j Job) judge(ctx context.Context, r *registry.Registry, c *Candidate, champion string) (message.Verdict, error) {
	found, err := j.compare(ctx, r, c, champion)
	if err != nil {
		return found.Verdict, err
	}
	v := found.Verdict
	if found.Twin != nil && c.imported == nil { // whose twin is itself
		if v.Refit, err = c.refit(found.Twin); err != nil {
			return v, err
		}
	}
	if v.Refit != nil && v.Refit.Difference > v.Refit.Limit {
		off := fmt.Sprintf("what was trained on everything predicts by %.3f stars (RMS) off its twin, which was evaluated, where at most %.3f is likely",
			v.Refit.Difference, v.Refit.Limit)
		if v.Rule == message.RuleFirst {
			v.Warnings = append(v.Warnings, off) // something has to serve
		} else {
			v.Outcome, v.Reason = message.OutcomeRejected, "not promoted: "+off
		}
	}
	if j.Force {
		v.Outcome, v.Rule, v.Reason = message.OutcomePromoted, message.RuleForced, "forced; the gate said: "+v.Reason
	}
	return v, nil
}

func (j Job) compare(ctx context.Context, r *registry.Registry, c *Candidate, champion string) (gate.Judgement, error) {
	first := gate.Judgement{Twin: c.twin, Verdict: message.Verdict{Outcome: message.OutcomePromoted, Rule: message.RuleFirst, Reason: "the first version"}}
	if c.imported != nil && c.imported.mayKnow {
		first.Warnings = append(first.Warnings, mayKnow)
	}
	if champion == "" {
		return first, nil
	}
	present, manifest, err := r.Model(champion)
	if unreadable(err) {
		first.Against, first.Reason = champion, fmt.Sprintf("the champion %s cannot be read: %v", champion, err)
		return first, nil
	}
	if err != nil {
		return gate.Judgement{}, err
	}
	share := max(j.Holdout, leastTwinShare)
	change, since := j.change(manifest), manifest.Data.Until.UnixMilli()
	if c.imported != nil {
		// Nobody knows its recipe, and newer is what neither knows.
		change, since = gate.RatingHead, max(since, c.imported.Until.UnixMilli())
	}
	found, err := gate.Case{
		Champion: present.Factors(), Version: champion, Until: since, Expected: manifest.Metrics.RMSE,
		Change: change, Margin: j.Tolerance, Ratings: c.log.Ratings, Threads: j.Parameters.Threads, Seed: holdoutSeed, Share: share,
		Before: func(ctx context.Context, n int) (*als.Factors, error) {
			if c.imported != nil {
				return c.twin, nil
			}
			// Also from the champion, who does not know what comes after.
			if j.Engine != nil {
				return j.fitElsewhere(ctx, Fit{Parameters: c.chosen, Start: j.Start, Before: ratingAt(c.log, n)})
			}
			_, f, err := j.fit(ctx, firstRatings(c.log, n), warmed(c.chosen, j.Start), j.Start)
			return f, err
		},
		Twins: func(ctx context.Context) (champion, challenger *als.Factors, err error) {
			if champion, err = j.championTwin(ctx, c, manifest, change, share); err != nil || champion == nil {
				return champion, c.twin, err
			}
			if c.imported == nil && (c.twin == nil || share != c.Manifest.Holdout.Share) {
				if c.twin, err = j.challengerTwin(ctx, c, share); err != nil {
					return nil, nil, err
				}
				c.Manifest.Holdout.Share = share
			}
			return champion, c.twin, nil
		},
	}.Judge(ctx)
	if c.imported != nil {
		found = doubted(found)
	}
	return found, err
}

// challengerTwin is trained from scratch without the hashed pairs.
func (j Job) challengerTwin(ctx context.Context, c *Candidate, share float64) (*als.Factors, error) {
	if j.Engine != nil {
		return j.fitElsewhere(ctx, Fit{Parameters: c.chosen, Without: share})
	}
	part, _ := withoutHashed(c.log, share)
	_, twin, err := j.fit(ctx, part, c.chosen, nil)
	return twin, err
}

// championTwin is trained from scratch on what the champion knew, without the hashed
// pairs; nil if that is nothing, or nobody can tell how the champion was made. One
// that was made in the same way is trained with the candidate's parameters and seed,
// so that nothing but the ratings and β is different.
func (j Job) championTwin(ctx context.Context, c *Candidate, manifest registry.Manifest, change gate.Change, share float64) (*als.Factors, error) {
	var p als.Parameters
	err := json.Unmarshal(manifest.Parameters, &p)
	if change == gate.Nothing {
		theirs := p
		p = c.chosen
		if err == nil && p.Preference != nil && theirs.Preference != nil {
			head := *p.Preference
			head.Beta = theirs.Preference.Beta
			p.Preference = &head
		}
	} else {
		if manifest.StartedFrom != "" {
			p = cold(p)
		}
		p.Threads = j.Parameters.Threads
		if err != nil || p.Validate() != nil {
			return nil, nil
		}
	}
	if j.Engine != nil {
		if p.Algorithm != als.ALS || p.Preference != nil {
			return nil, nil // the engine does not train such
		}
		return j.fitElsewhere(ctx, Fit{Parameters: p, Before: after(manifest.Data.Until.UnixMilli()), Without: share})
	}
	part, _ := withoutHashed(until(c.log, manifest.Data.Until.UnixMilli()), share)
	if len(part.Ratings) == 0 {
		return nil, nil
	}
	_, f, err := j.fit(ctx, part, p, nil)
	return f, err
}

const (
	refitPairs = 20_000
	// What is trained on everything may differ from its twin by this share of the RMSE of
	// a twin, or by so many stars if that is more. On ml-latest-small it is .08 stars
	// for als, .11 for als_vb, .09 for als_bayes and .23 for als_spark, of .81 to 1.01;
	// what was trained on permuted values is .58 to .89 off.
	refitShare = 0.5
	refitLimit = 0.4
)

// refit compares the version with the twin that was evaluated on pairs of users and
// movies whom the twin knows, drawn from the users and from the ratings. They are not
// the held-out pairs: those the version was trained on and the twin was not, so that
// what it learnt from them would hide whether it is else the same.
func (c *Candidate) refit(twin *als.Factors) (*message.Refit, error) {
	m, err := model.New(twin, model.MovieLensScale)
	if err != nil {
		return nil, fmt.Errorf("checking the twin: %w", err)
	}
	sum := sha256.New()
	if _, err := m.WriteTo(sum); err != nil {
		return nil, fmt.Errorf("writing the twin: %w", err)
	}
	refit := message.Refit{Twin: hex.EncodeToString(sum.Sum(nil)), Limit: max(refitLimit, refitShare*c.Manifest.Metrics.RMSE)}
	random, squares := rand.New(rand.NewPCG(holdoutSeed, 0)), 0.0
	for range refitPairs {
		user, movie := twin.Users[random.IntN(len(twin.Users))], c.log.Ratings[random.IntN(len(c.log.Ratings))].Movie
		theirs := m.Predict(user, movie)
		if theirs.ColdUser || theirs.ColdMovie {
			continue
		}
		difference := float64(theirs.Value - c.Model.Predict(user, movie).Value)
		squares += difference * difference
		refit.Pairs++
	}
	if refit.Pairs > 0 {
		refit.Difference = math.Sqrt(squares / float64(refit.Pairs))
	}
	return &refit, nil
}
