package gate

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

const twinSeed, twinShare = 42, 0.1

// contest is a Case on generated ratings that counts what it trains.
type contest struct {
	t       *testing.T
	all     []ratings.Rating
	trained []string
}

func newContest(t *testing.T) *contest {
	all := recsystest.Ratings(150, 60, 0.4, 2)
	ratings.SortByTime(all)
	return &contest{t: t, all: all}
}

func parameters(lambda float64) als.Parameters {
	head := als.DefaultPreference()
	head.Rank = 4
	return als.Parameters{Algorithm: als.ALS, Rank: 3, Lambda: lambda, Nu: 0.5, Iterations: 5, Seed: 1, Preference: &head}
}

func (c *contest) fit(of []ratings.Rating, p als.Parameters) *als.Factors {
	c.t.Helper()
	m, err := ratings.NewMatrix(of)
	if err != nil {
		c.t.Fatal(err)
	}
	f, err := als.Train(c.t.Context(), m, p, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

func (c *contest) unhashed(of []ratings.Rating) []ratings.Rating {
	train, _ := eval.RandomSplit(of, twinShare, twinSeed)
	return train
}

// against is the case of a challenger with parameters p against a champion of the
// first n ratings.
func (c *contest) against(n int, change Change, p als.Parameters) Case {
	usual := parameters(1.25)
	return Case{
		Champion: c.fit(c.all[:n], usual), Version: "v1", Until: c.all[n-1].Time, Expected: 0.6, Change: change, Margin: Margin,
		Ratings: c.all, Seed: twinSeed, Share: twinShare,
		Before: func(_ context.Context, k int) (*als.Factors, error) {
			c.trained = append(c.trained, "before")
			return c.fit(c.all[:k], p), nil
		},
		Twins: func(context.Context) (champion, challenger *als.Factors, err error) {
			c.trained = append(c.trained, "twins")
			return c.fit(c.unhashed(c.all[:n]), usual), c.fit(c.unhashed(c.all), p), nil
		},
	}
}

func (c *contest) judge(of Case) Judgement {
	c.t.Helper()
	c.trained = nil
	j, err := of.Judge(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := json.Marshal(j.Verdict); err != nil { // no number is odd
		c.t.Fatal(err)
	}
	return j
}

func names(of []message.Test) (all []string) {
	for _, t := range of {
		all = append(all, t.Name+"/"+t.Head+"/"+t.Decision)
	}
	return all
}

// TestTrialsGoOnUntilOneDecides, and nothing is trained that none needs.
func TestTrialsGoOnUntilOneDecides(t *testing.T) {
	c := newContest(t)
	n := len(c.all)
	for _, s := range []struct {
		name    string
		of      Case
		outcome string
		trained []string
		tests   []string
	}{
		{
			"much newer data", c.against(n/2, Nothing, parameters(1.25)), message.OutcomePromoted,
			[]string{"before"},
			[]string{"newest ratings/preference/undecided", "newest ratings/rating/better"},
		},
		{
			"few new ratings", c.against(n-40, Nothing, parameters(1.25)), message.OutcomePromoted,
			[]string{"twins"},
			[]string{"twins/preference/better", "twins/rating/better"},
		},
		{
			"a recipe that predicts the mean", c.against(n/2, RatingHead, parameters(1e5)), message.OutcomeRejected,
			[]string{"before"},
			[]string{"newest ratings/rating/worse"},
		},
		{
			"the same, of few new ratings", c.against(n-30, RatingHead, parameters(1e5)), message.OutcomeRejected,
			[]string{"twins"},
			[]string{"twins/rating/worse"},
		},
	} {
		t.Run(s.name, func(t *testing.T) {
			j := c.judge(s.of)
			got := names(j.Tests)
			for k := range got { // whether lists decide is not of interest here
				if strings.Contains(got[k], "/preference/") && k < len(s.tests) {
					got[k] = s.tests[k]
				}
			}
			if j.Outcome != s.outcome || !slices.Equal(c.trained, s.trained) || !slices.Equal(got, s.tests) || j.Twin == nil || j.Against != "v1" {
				t.Errorf("%s after training %v: %v; %s", j.Outcome, c.trained, names(j.Tests), j.Reason)
			}
			if (j.Outcome == message.OutcomePromoted) != (len(j.Guards) == 3) {
				t.Errorf("guards %+v", j.Guards)
			}
		})
	}
}

// TestAnUndecidedWindowIsLengthened, and twins come after it: a recipe that differs by
// one iteration is neither better nor worse that shows.
func TestAnUndecidedWindowIsLengthened(t *testing.T) {
	c := newContest(t)
	p := parameters(1.25)
	p.Seed = 99
	for _, change := range []Change{RatingHead, PreferenceHead} {
		of := c.against(len(c.all)*9/10, change, p)
		of.Before = func(_ context.Context, k int) (*als.Factors, error) { // all but the same
			c.trained = append(c.trained, "before")
			f := *of.Champion
			f.MovieBias = slices.Clone(f.MovieBias)
			random := rand.New(rand.NewPCG(1, 1))
			for i := range f.MovieBias {
				f.MovieBias[i] += float32(0.02 * random.NormFloat64())
			}
			return &f, nil
		}
		j := c.judge(of)
		if !slices.Equal(c.trained, []string{"before", "before", "twins"}) {
			t.Fatalf("trained %v: %v; %s", c.trained, names(j.Tests), j.Reason)
		}
		newest, longer := j.Tests[0], j.Tests[len(j.Tests)/3]
		if newest.Name != nameNewest || longer.Name != nameLonger || longer.Ratings < 2*newest.Ratings-2 {
			t.Errorf("got %+v and %+v", newest, longer)
		}
	}
}

// TestDamagedRatingsAreRejected: all that is trained and tested on is damaged alike.
func TestDamagedRatingsAreRejected(t *testing.T) {
	for _, expected := range []float64{0.6, 0} {
		c := newContest(t)
		of := c.against(len(c.all)*3/4, Nothing, parameters(1.25))
		of.Expected = expected
		if doubt, err := of.witness(); err != nil || doubt.rejects || doubt.text != "" {
			t.Fatalf("expected %v, before any damage: %+v, %v", expected, doubt, err)
		}
		random := rand.New(rand.NewPCG(1, 1))
		random.Shuffle(len(c.all), func(a, b int) { c.all[a].Value, c.all[b].Value = c.all[b].Value, c.all[a].Value })
		j := c.judge(of)
		if j.Outcome != message.OutcomeRejected || !strings.Contains(j.Reason, "not those that v1 was trained on") || c.trained != nil {
			t.Errorf("expected %v: %s: %s", expected, j.Outcome, j.Reason)
		}
	}
}

// TestOtherRatingsAreNotDamaged: with none left of users as they were there is no
// telling.
func TestOtherRatingsAreNotDamaged(t *testing.T) {
	c := newContest(t)
	of := c.against(len(c.all)*3/4, Nothing, parameters(1.25))
	champion := *of.Champion
	champion.UserCounts = slices.Clone(champion.UserCounts)
	for u := range champion.UserCounts {
		champion.UserCounts[u]++
	}
	of.Champion = &champion
	if j := c.judge(of); len(j.Tests) == 0 || len(j.Warnings) == 0 || !strings.Contains(j.Warnings[0], "is not known: 0 effective users") {
		t.Errorf("%s: %s, %q", j.Outcome, j.Reason, j.Warnings)
	}
}

func TestTheSameCaseHasTheSameVerdictOnAnyThreads(t *testing.T) {
	c := newContest(t)
	var first Judgement
	for _, threads := range []int{1, 2, 5} {
		of := c.against(len(c.all)-40, Nothing, parameters(1.25))
		of.Threads = threads
		j := c.judge(of)
		if threads == 1 {
			first = j
		}
		if !reflect.DeepEqual(j.Verdict, first.Verdict) {
			t.Errorf("%d threads: %+v, with one %+v", threads, j.Verdict, first.Verdict)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.against(len(c.all)-40, Nothing, parameters(1.25)).Judge(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after ctx ended: %v", err)
	}
}

// TestAChampionThatCannotBeMadeAgainIsComparedAsItIs, though it may know the answers.
func TestAChampionThatCannotBeMadeAgainIsComparedAsItIs(t *testing.T) {
	c := newContest(t)
	of := c.against(len(c.all)-40, Nothing, parameters(1.25))
	twins := of.Twins
	of.Twins = func(ctx context.Context) (champion, challenger *als.Factors, err error) {
		_, challenger, err = twins(ctx)
		return nil, challenger, err
	}
	if j := c.judge(of); j.Outcome != message.OutcomeRejected || !strings.Contains(strings.Join(j.Warnings, "; "), "it is compared as it is") {
		t.Errorf("%s: %s, %q", j.Outcome, j.Reason, j.Warnings)
	}
	of.Share = 0 // no pairs
	if j := c.judge(of); j.Outcome != message.OutcomeUndecided || !strings.Contains(j.Reason, "nothing to compare") {
		t.Errorf("%s: %s", j.Outcome, j.Reason)
	}
}

// TestTheSameRecipeIsNotComparedWithoutNewerData: a longer window leaves it a quarter,
// and another recipe needs none.
func TestTheSameRecipeIsNotComparedWithoutNewerData(t *testing.T) {
	c := newContest(t)
	n := len(c.all) * 9 / 10
	for change, want := range map[Change]int{Nothing: n + (len(c.all)-n)/4, PreferenceHead: n, RatingHead: n} {
		of, from := c.against(n, change, parameters(1.25)), 0
		of.Before = func(_ context.Context, k int) (*als.Factors, error) {
			from = k
			return of.Champion, nil
		}
		if _, err := of.longer(t.Context(), &Judgement{}); err != nil || from != want {
			t.Errorf("%v: from rating %d, %v, want %d", change, from, err, want)
		}
	}
}

// TestAWindowIsNotMostOfTheRatings, nor looked at twice.
func TestAWindowIsNotMostOfTheRatings(t *testing.T) {
	c := newContest(t)
	of, from, j := c.against(len(c.all)/4, RatingHead, parameters(1.25)), 0, Judgement{}
	of.Before = func(_ context.Context, k int) (*als.Factors, error) {
		if from != 0 {
			t.Error("trained the same twin twice")
		}
		from = k
		return of.Champion, nil
	}
	for _, stage := range []func(context.Context, *Judgement) (stageResult, error){of.newest, of.longer} {
		if _, err := stage(t.Context(), &j); err != nil {
			t.Fatal(err)
		}
	}
	if want := len(c.all) - len(c.all)/5; from != want || len(j.Tests) != 1 {
		t.Errorf("from rating %d of %d, want %d; tests %v", from, len(c.all), want, names(j.Tests))
	}
}
