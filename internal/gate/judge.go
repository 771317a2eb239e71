package gate

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Names of trials.
const (
	nameNewest = "newest ratings"
	nameLonger = "newest ratings, longer"
	nameTwins  = "twins"
)

// mostOfAll is the share of the ratings that a window may have.
const mostOfAll = 0.2

// Case is a challenger for the champion's place.
type Case struct {
	Champion *als.Factors
	Version  string  // the champion's
	Until    int64   // the newest event time of its training data, Unix milliseconds
	Expected float64 // its RMSE on ratings that it was not trained on, in stars; 0 if not known
	Change   Change
	Margin   float64 // stars; see the constant

	// Ratings are all there are, in the order of time (ratings.SortByTime).
	Ratings []ratings.Rating
	Threads int // 0 means one per CPU; no result depends on it

	// Before makes a challenger from the first n ratings alone.
	Before func(ctx context.Context, n int) (*als.Factors, error)
	// Twins makes both versions from scratch from what they are to know, without the
	// pairs that eval.InTest tells by Seed and Share. The champion's is nil if it cannot
	// be made again.
	Twins func(ctx context.Context) (champion, challenger *als.Factors, err error)
	Seed  uint64
	Share float64
}

// Judgement is the verdict and what it was found on.
type Judgement struct {
	message.Verdict
	Twin *als.Factors // the challenger that was evaluated, nil if none was
	Knew int          // if above 0, Twin was made from so many of Ratings, else from those that are not hashed
}

// Judge compares the two on the newest half of the ratings that are newer than the
// champion's, then, if it takes more to decide, on more of these, and then by twins.
// Trainings that the decision does not need are not asked for.
func (c Case) Judge(ctx context.Context) (Judgement, error) {
	j := Judgement{Verdict: message.Verdict{Against: c.Version, Rule: c.Change.Rule()}}
	doubt, err := c.witness()
	if err != nil {
		return j, err
	}
	if doubt.rejects {
		j.Verdict = rejected(j.Verdict, doubt.text)
		return j, nil
	}
	if doubt.text != "" {
		j.Warnings = append(j.Warnings, doubt.text)
	}
	for _, stage := range []func(context.Context, *Judgement) (stageResult, error){c.newest, c.longer, c.twins} {
		result, err := stage(ctx, &j)
		if err != nil {
			return j, err
		}
		if result.settles {
			j.Verdict = c.Change.conclude(j.Verdict, result.tests, result.guards)
			return j, nil
		}
	}
	return j, errors.New("gate: the last stage did not settle the case")
}

// stageResult is what a trial led to.
type stageResult struct {
	tests   []message.Test
	guards  []message.Guard
	settles bool
}

// newer is the place of the first rating that is newer than the champion's.
func (c Case) newer() int {
	return sort.Search(len(c.Ratings), func(k int) bool { return c.Ratings[k].Time > c.Until })
}

func (c Case) newest(ctx context.Context, j *Judgement) (stageResult, error) {
	from := c.newer()
	return c.window(ctx, j, nameNewest, from+(len(c.Ratings)-from)/2)
}

// longer looks at all newer ratings, but where they are all that is new at the newest
// three quarters: without any of them a version by the same recipe is the champion over
// again, and to compare the two says nothing.
func (c Case) longer(ctx context.Context, j *Judgement) (stageResult, error) {
	from := c.newer()
	if c.Change == Nothing {
		from += (len(c.Ratings) - from) / 4
	}
	return c.window(ctx, j, nameLonger, from)
}

// window compares by the ratings from place from on, or fewer: no more than a part of
// all, without which a twin would be another model than what is published. It costs no
// training where users are too few, or where the window is the one before.
func (c Case) window(ctx context.Context, j *Judgement, name string, from int) (stageResult, error) {
	from = max(from, len(c.Ratings)-mostPairs, len(c.Ratings)-int(mostOfAll*float64(len(c.Ratings))))
	if from == j.Knew || effectiveUsers(usersOf(c.Ratings[from:])) < leastEffective {
		return stageResult{}, nil
	}
	challenger, err := c.Before(ctx, from)
	if err != nil {
		return stageResult{}, fmt.Errorf("training without the %s: %w", name, err)
	}
	j.Twin, j.Knew = challenger, from
	return c.compare(ctx, j, window(name, c.Ratings, from), c.Champion, challenger, false)
}

// twins settles the case.
func (c Case) twins(ctx context.Context, j *Judgement) (stageResult, error) {
	champion, challenger, err := c.Twins(ctx)
	if err != nil {
		return stageResult{}, fmt.Errorf("training twins: %w", err)
	}
	j.Twin, j.Knew = challenger, 0
	t := hashed(c.Ratings, c.Seed, c.Share)
	if len(t.steps.Ratings) == 0 {
		return stageResult{settles: true}, nil
	}
	if champion == nil {
		champion = c.Champion // a challenger that beats it all the same is better
		j.Warnings = append(j.Warnings, c.Version+" could not be made again from what it knew, so it is compared as it is: it may know the ratings that it is compared on")
	}
	return c.compare(ctx, j, t, champion, challenger, true)
}

// compare tests on a trial. Guards are measured only where the challenger may become
// champion by it, and lists only for them or for a head that ranks and has changed.
func (c Case) compare(ctx context.Context, j *Judgement, t trial, champion, challenger *als.Factors, last bool) (stageResult, error) {
	v, err := newVersions(champion, challenger)
	if err != nil {
		return stageResult{}, err
	}
	rating, err := t.ratingTest(ctx, v, c.Threads)
	if err != nil {
		return stageResult{}, err
	}
	rating = decided(rating, c.Change.needed(rating, c.Margin))
	tests := []message.Test{rating}
	var l lists
	if rating.Decision == better || last && rating.Decision == undecided || c.Change == PreferenceHead {
		if l, err = t.lists(ctx, v, c.Threads); err != nil {
			return stageResult{}, err
		}
		preference := t.preferenceTest(l)
		tests = append(tests, decided(preference, c.Change.needed(preference, c.Margin)))
	}
	// The test that decided comes last.
	if !c.Change.decides(als.PreferenceHead) && len(tests) == 2 {
		tests[0], tests[1] = tests[1], tests[0]
	}
	j.Tests = append(j.Tests, tests...)
	stage := c.Change.stage(tests)
	result := stageResult{tests: tests, settles: last || stage != undecided}
	if stage == better || last && stage == undecided && c.Change == Nothing {
		result.guards, err = t.guards(ctx, v, l, c.Threads)
	}
	return result, err
}
