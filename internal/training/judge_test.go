package training

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/gate"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// known is how many ratings factors were learnt from.
func known(f *als.Factors) (n int) {
	for _, count := range f.UserCounts {
		n += int(count)
	}
	return n
}

// TestTheChampionsTwin knows what the champion did but the hashed pairs, has its β,
// and is else made as the candidate if the recipe is the same.
func TestTheChampionsTwin(t *testing.T) {
	head := als.DefaultPreference()
	head.Rank, head.ChooseBeta, head.Beta = 4, false, 0.2
	j := job(4)
	j.Parameters.Preference = &head
	old, all := days(2000), days(2500)
	champion := train(t, j, old).Manifest
	theirs := als.Parameters{Algorithm: als.ALS, Rank: 2, Lambda: 3, Nu: 0.5, Iterations: 4, Seed: 9, Preference: &als.PreferenceParameters{}}
	*theirs.Preference = head
	theirs.Preference.Beta = 0.7
	text, err := json.Marshal(theirs)
	if err != nil {
		t.Fatal(err)
	}
	champion.Parameters = text
	c := train(t, j, all)
	part, _ := eval.RandomSplit(old, 0.2, holdoutSeed)
	var total int
	j.Progress = func(p als.Progress) {
		if p.Head == als.RatingHead {
			total = p.Total
		}
	}
	for _, s := range []struct {
		name        string
		change      gate.Change
		startedFrom string
		rank, total int
	}{
		{"the same recipe", gate.Nothing, "", 4, 5},
		{"the same recipe, from a warm start", gate.Nothing, "v0", 4, 5},
		{"another recipe", gate.RatingHead, "", 2, 4},
		{"another recipe, from a warm start", gate.RatingHead, "v0", 2, 8},
	} {
		champion.StartedFrom = s.startedFrom
		twin, err := j.championTwin(t.Context(), c, champion, s.change, 0.2)
		if err != nil {
			t.Fatal(err)
		}
		if known(twin) != len(part) || twin.Rank != s.rank || total != s.total || twin.Preference.Beta != 0.7 {
			t.Errorf("%s: knows %d ratings, want %d; rank %d after %d iterations with β %v", s.name, known(twin), len(part), twin.Rank, total, twin.Preference.Beta)
		}
	}
	champion.Data.Until = champion.Data.From.AddDate(-1, 0, 0)
	if twin, err := j.championTwin(t.Context(), c, champion, gate.Nothing, 0.2); twin != nil || err != nil {
		t.Errorf("of nothing: %v, %v", twin, err)
	}
}

// TestTheTwinThatIsEvaluatedDoesNotKnowTheHashedPairs, also with another holdout.
func TestTheTwinThatIsEvaluatedDoesNotKnowTheHashedPairs(t *testing.T) {
	for _, share := range []float64{0, 0.02, 0.1, 0.3} {
		r, j := newRegistry(t), job(4)
		j.Holdout = share
		publish(t, j, r, train(t, j, days(2000)))
		c := train(t, j, days(2010))
		publish(t, j, r, c)
		part, _ := eval.RandomSplit(days(2010), max(share, 0.1), holdoutSeed)
		if known(c.twin) != len(part) {
			t.Errorf("%v: the twin knows %d ratings, want %d", share, known(c.twin), len(part))
		}
	}
}

func TestARecipeChangesHeadByHead(t *testing.T) {
	j := Job{Parameters: als.DefaultParameters(als.VB)}
	champion := registry.Manifest{Recipe: j.recipe()}
	if got := j.change(champion); got != gate.Nothing {
		t.Errorf("nothing: %v", got)
	}
	j.Parameters.Preference.Alpha = 7
	if got := j.change(champion); got != gate.PreferenceHead {
		t.Errorf("α: %v", got)
	}
	j.Parameters.Rank++
	if got := j.change(champion); got != gate.RatingHead {
		t.Errorf("α and rank: %v", got)
	}
}

// TestPartsOfALog: the first of the ratings with what was chosen before the next, and
// all up to a time.
func TestPartsOfALog(t *testing.T) {
	log := ratings.Log{
		Ratings: []ratings.Rating{{User: 1, Time: 10}, {User: 2, Time: 20}, {User: 3, Time: 20}, {User: 4, Time: 30}},
		Choices: []ratings.Choice{{User: 5, Time: 30}, {User: 6, Time: 20}, {User: 7, Time: 9}},
	}
	users := func(of ratings.Log) (ids []int64) {
		for _, r := range of.Ratings {
			ids = append(ids, r.User)
		}
		for _, c := range of.Choices {
			ids = append(ids, c.User)
		}
		return ids
	}
	for _, c := range []struct {
		name string
		got  ratings.Log
		want []int64
	}{
		{"the first three", firstRatings(log, 3), []int64{1, 2, 3, 6, 7}},
		{"the first two", firstRatings(log, 2), []int64{1, 2, 7}},
		{"all", firstRatings(log, 4), []int64{1, 2, 3, 4, 5, 6, 7}},
		{"until 20", until(log, 20), []int64{1, 2, 3, 6, 7}},
		{"until 9", until(log, 9), []int64{7}},
		{"until 30", until(log, 30), []int64{1, 2, 3, 4, 5, 6, 7}},
	} {
		if got := users(c.got); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
