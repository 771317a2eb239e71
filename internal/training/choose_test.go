package training

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

func recorded(t *testing.T, c *Candidate) (p als.Parameters) {
	t.Helper()
	if err := json.Unmarshal(c.Manifest.Parameters, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestEarlyStopTakesTheBestIterations: what the manifest records is where errors
// on what is left out were least, and all training ratings are trained on.
func TestEarlyStopTakesTheBestIterations(t *testing.T) {
	all := recsystest.Ratings(60, 40, 0.5, 1)
	j := job(12)
	j.Parameters.Lambda, j.Parameters.Iterations = 0.05, 40 // which overfits soon
	j.EarlyStop = EarlyStop{Share: 0.2, Patience: 3}
	var validated []float64
	total := 0
	j.Progress = func(p als.Progress) {
		if p.Validation == p.Validation {
			validated = append(validated, p.Validation)
		} else {
			total = p.Total // of the twin and then of the version
		}
	}
	c := train(t, j, all)
	best := 0
	for k, v := range validated {
		if v < validated[best]-leastGain {
			best = k
		}
	}
	if got := recorded(t, c).Iterations; got != best+1 || got != total || len(validated) != best+1+3 {
		t.Errorf("trained for %d iterations of %d, want %d, after errors %.4f", got, total, best+1, validated)
	}
	if c.Manifest.Metrics.Ratings != int64(len(all)) {
		t.Errorf("trained on %d ratings of %d", c.Manifest.Metrics.Ratings, len(all))
	}
}

func TestEarlyStopIsRefusedWhereItMeansNothing(t *testing.T) {
	for _, c := range []struct {
		stop      EarlyStop
		algorithm string
		want      error
	}{
		{EarlyStop{}, als.Bayes, nil},
		{EarlyStop{Share: 0.1, Patience: 2}, als.VB, nil},
		{EarlyStop{Share: 0.1, Patience: 2}, als.Bayes, ErrNoEarlyStop},
		{EarlyStop{Share: 0.1, Patience: 2}, als.Implicit, ErrNoEarlyStop},
		{EarlyStop{Share: 1, Patience: 2}, als.ALS, als.ErrBadParameters},
		{EarlyStop{Share: -0.1, Patience: 2}, als.ALS, als.ErrBadParameters},
		{EarlyStop{Share: 0.1}, als.ALS, als.ErrBadParameters},
	} {
		if err := c.stop.Validate(c.algorithm); !errors.Is(err, c.want) {
			t.Errorf("%+v with %s: got %v, want %v", c.stop, c.algorithm, err, c.want)
		}
	}
}

// TestWarmStartIsRecorded, and done only from a champion that fits.
func TestWarmStartIsRecorded(t *testing.T) {
	all, r := recsystest.Ratings(60, 40, 0.5, 1), newRegistry(t)
	j := job(4)
	same, why, err := j.WarmStart(r)
	if err != nil || why != "there is no champion yet" || same.Start != nil {
		t.Fatalf("an empty registry: %q, %v", why, err)
	}
	first := publish(t, j, r, train(t, j, all))
	warm, why, err := j.WarmStart(r)
	if err != nil || why != "" || warm.Start == nil {
		t.Fatalf("got %q, %v", why, err)
	}
	c := train(t, warm, all)
	if p := recorded(t, c); p.Iterations != 3 {
		t.Errorf("took %d iterations, want 3 of 5", p.Iterations)
	}
	if c.Manifest.StartedFrom != first.Manifest.Version {
		t.Errorf("started from %q, want %q", c.Manifest.StartedFrom, first.Manifest.Version)
	}
	again := train(t, warm, all)
	if string(again.Manifest.Parameters) != string(c.Manifest.Parameters) || again.Manifest.Metrics.RMSE != c.Manifest.Metrics.RMSE {
		t.Error("the same start, seed and data lead to another model")
	}
	if _, why, err = job(5).WarmStart(r); err != nil || !strings.Contains(why, "als of rank 4, not als of rank 5") {
		t.Errorf("another rank: %q, %v", why, err)
	}
	other := job(4)
	other.Parameters.Algorithm = als.Bayes
	if _, why, err = other.WarmStart(r); err != nil || why == "" {
		t.Errorf("another algorithm: %q, %v", why, err)
	}
	j.Parameters.Algorithm = als.VB
	own := newRegistry(t)
	publish(t, j, own, train(t, j, all))
	if warm, _, err = j.WarmStart(own); err != nil || warm.Start == nil {
		t.Fatal(err)
	}
	if p := recorded(t, train(t, warm, all)); p.Iterations != 5 {
		t.Errorf("als_vb: %d iterations, want all 5: its ratings are learnt from scratch", p.Iterations)
	}
}

// TestWarmingAndWhatItHalves: of als_vb the head that ranks alone, and of a head of
// another rank nothing.
func TestWarmingAndWhatItHalves(t *testing.T) {
	head := als.DefaultPreference()
	p := als.Parameters{Algorithm: als.ALS, Iterations: 9, Preference: &head}
	start := &als.Factors{Preference: &als.Preference{Rank: head.Rank}}
	if got := warmed(p, nil); got.Iterations != 9 || got.Preference != &head {
		t.Errorf("from scratch: %+v", got)
	}
	if got := warmed(p, start); got.Iterations != 5 || got.Preference.Iterations != 5 || head.Iterations != 10 {
		t.Errorf("from a champion: %+v, %+v", got, got.Preference)
	}
	if got := cold(warmed(p, start)); got.Iterations != 10 || got.Preference.Iterations != 10 {
		t.Errorf("and from scratch again: %+v, %+v", got, got.Preference)
	}
	start.Preference.Rank++
	if got := warmed(p, start); got.Preference.Iterations != 10 {
		t.Errorf("from a head of another rank: %+v", got.Preference)
	}
	p.Algorithm = als.VB
	if got := warmed(p, start); got.Iterations != 9 || cold(p).Iterations != 9 {
		t.Errorf("als_vb: %+v", got)
	}
}

// TestATwinDoesNotStartFromWhoKnowsItsHoldout: the champion was trained on the pairs
// that the twin is measured on.
func TestATwinDoesNotStartFromWhoKnowsItsHoldout(t *testing.T) {
	all, r := recsystest.Ratings(60, 40, 0.5, 1), newRegistry(t)
	j := job(4)
	j.EarlyStop = EarlyStop{Share: 0.2, Patience: 3}
	scratch := train(t, j, all)
	publish(t, j, r, scratch)
	warm, _, err := j.WarmStart(r)
	if err != nil {
		t.Fatal(err)
	}
	c := train(t, warm, all)
	if c.Manifest.Metrics.RMSE != scratch.Manifest.Metrics.RMSE || c.chosen.Iterations != scratch.chosen.Iterations {
		t.Errorf("RMSE %v after %d iterations, from scratch %v after %d", c.Manifest.Metrics.RMSE, c.chosen.Iterations,
			scratch.Manifest.Metrics.RMSE, scratch.chosen.Iterations)
	}
}

// TestChoicesOfHeldOutPairsAreNotTrainedOn: what is held out would be no test of a
// model that was told of it by a tag.
func TestChoicesOfHeldOutPairsAreNotTrainedOn(t *testing.T) {
	all := recsystest.Ratings(60, 40, 0.5, 1)
	j := job(4)
	head := als.DefaultPreference()
	head.Rank, head.ChooseBeta = 4, false
	j.Parameters.Preference = &head
	plain := train(t, j, all)
	log := ratings.Log{Ratings: all}
	for _, r := range all {
		if !eval.InTest(holdoutSeed, j.Holdout, r.User, r.Movie) {
			continue
		}
		log.Choices = append(log.Choices, ratings.Choice{User: r.User, Movie: r.Movie, Kind: ratings.Tagged, Time: r.Time})
	}
	told, err := j.Train(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	a, b := plain.twin.Preference.UserFactors, told.twin.Preference.UserFactors
	for k := range a {
		if a[k] != b[k] {
			t.Fatal("a tag of a held-out pair changed what was learnt")
		}
	}
	log.Choices = append(log.Choices, ratings.Choice{User: 4321, Movie: all[0].Movie, Kind: ratings.Viewed})
	if told, err = j.Train(t.Context(), log); err != nil {
		t.Fatal(err)
	}
	if top := told.Model.TopN(4321, 3, nil); len(top) != 3 {
		t.Errorf("who only viewed is recommended %v", top)
	}
	if p := told.Model.Predict(4321, all[0].Movie); !p.ColdUser {
		t.Error("who only viewed is predicted as a user with ratings")
	}
}
