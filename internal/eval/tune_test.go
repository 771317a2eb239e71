package eval_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// badParameters fit anything but what is to be learned: λ is 500 times too large
// for the ratings, and the head that ranks sees nothing but its regularization.
func badParameters() als.Parameters {
	return als.Parameters{
		Algorithm: als.ALS, Rank: 2, Lambda: 500, Nu: 0.5, Iterations: 2, Seed: 3,
		Preference: &als.PreferenceParameters{Rank: 2, Alpha: 0.001, Lambda: 1e6, Iterations: 2, Beta: 0},
	}
}

func TestTuningFindsBetterParametersThanBadOnes(t *testing.T) {
	train, test := eval.RandomSplit(recsystest.Ratings(80, 60, 0.4, 1), 0.2, 1)
	var steps []eval.TuneProgress
	tuner := eval.Tuner{Candidates: 9, Progress: func(p eval.TuneProgress) { steps = append(steps, p) }}
	bad := badParameters()
	chosen, how, err := tuner.Tune(t.Context(), train, bad)
	if err != nil {
		t.Fatal(err)
	}
	before, err := eval.Run(t.Context(), train, test, bad, nil)
	if err != nil {
		t.Fatal(err)
	}
	after, err := eval.Run(t.Context(), train, test, chosen, nil)
	if err != nil {
		t.Fatal(err)
	}
	if after.RMSE > before.RMSE-0.1 || after.NDCG10 < before.NDCG10+0.05 {
		t.Errorf("RMSE %.3f after %.3f, NDCG@10 %.3f after %.3f: want better", after.RMSE, before.RMSE, after.NDCG10, before.NDCG10)
	}
	if bad.Preference.Lambda != 1e6 || *bad.Preference != *badParameters().Preference {
		t.Error("the given parameters were changed")
	}
	if chosen.Preference == nil || !reflect.DeepEqual(how.Ranking[0].Parameters, chosen) || how.Ratings[0].Parameters.Lambda != chosen.Lambda {
		t.Errorf("chosen are %+v, the table says %+v", chosen, how)
	}
	// 9 candidates on one fold, 3 on one more, 1 on two more.
	last := steps[len(steps)-1]
	if len(steps) != 28 || last.Done != 14 || last.Total != 14 || last.Head != "ranking" || steps[0].Head != "ratings" || steps[0].Total != 14 {
		t.Errorf("%d steps, the last %+v", len(steps), last)
	}
	for _, trials := range [][]eval.Trial{how.Ratings, how.Ranking} {
		var folds []int
		for _, trial := range trials {
			folds = append(folds, trial.Folds)
		}
		if !reflect.DeepEqual(folds, []int{4, 2, 2, 1, 1, 1, 1, 1, 1}) {
			t.Errorf("folds are %v", folds)
		}
	}
	for k := 4; k < 9; k++ {
		if how.Ratings[k-1].RMSE > how.Ratings[k].RMSE || how.Ranking[k-1].NDCG10 < how.Ranking[k].NDCG10 {
			t.Errorf("trials are not in order: %+v", how)
		}
	}
}

func TestTuningDoesNotDependOnThreads(t *testing.T) {
	train := recsystest.Ratings(40, 30, 0.5, 2)
	var first eval.Tuning
	for _, threads := range []int{1, 3} {
		p := badParameters()
		p.Threads = threads
		_, how, err := eval.Tuner{Candidates: 4}.Tune(t.Context(), train, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, trials := range [][]eval.Trial{how.Ratings, how.Ranking} {
			for k := range trials {
				trials[k].Parameters.Threads = 0
			}
		}
		if threads == 1 {
			first = how
		} else if !reflect.DeepEqual(how, first) {
			t.Errorf("with %d threads %+v, with one %+v", threads, how, first)
		}
	}
}

func TestTuningKeepsGoodParameters(t *testing.T) {
	p := badParameters()
	got, how, err := eval.Tuner{Candidates: 1}.Tune(t.Context(), recsystest.Ratings(40, 30, 0.5, 2), p)
	if err != nil || len(how.Ratings) != 1 || len(how.Ranking) != 1 {
		t.Fatalf("%+v, %v", how, err)
	}
	beta := got.Preference.Beta
	if beta == 0 {
		t.Error("with a head that knows nothing the predicted rating has no share in the ranking")
	}
	if got.Preference.Beta = p.Preference.Beta; !reflect.DeepEqual(got, p) {
		t.Errorf("of one candidate got %+v with β %v", got, beta)
	}
	p.Preference = nil
	if got, how, err := (eval.Tuner{Candidates: 1}).Tune(t.Context(), recsystest.Ratings(40, 30, 0.5, 2), p); err != nil || got != p || how.Ranking != nil {
		t.Errorf("without a head that ranks got %+v, %+v, %v", got, how, err)
	}
	p = badParameters()
	p.Algorithm = als.Implicit
	if got, how, err := (eval.Tuner{Candidates: 6}).Tune(t.Context(), recsystest.Ratings(40, 30, 0.5, 2), p); err != nil || got.Lambda != p.Lambda || how.Ratings != nil || how.Ranking[0].NDCG10 <= 0 {
		t.Errorf("of %s got %+v, %+v, %v", p.Algorithm, got, how, err)
	}
}

func TestTuningRefusesWhatItCannotMeasure(t *testing.T) {
	all := recsystest.Ratings(20, 20, 0.5, 1)
	ended, end := context.WithCancel(t.Context())
	end()
	wrong := badParameters()
	wrong.Rank = 0
	for _, c := range []struct {
		name       string
		ctx        context.Context
		candidates int
		train      []ratings.Rating
		p          als.Parameters
		want       error
	}{
		{"no candidates", t.Context(), 0, all, badParameters(), eval.ErrNoCandidates},
		{"no ratings", t.Context(), 2, nil, badParameters(), ratings.ErrNoRatings},
		{"too few ratings for the folds", t.Context(), 2, all[:2], badParameters(), ratings.ErrNoRatings},
		{"wrong parameters", t.Context(), 2, all, wrong, als.ErrBadParameters},
		{"an ended context", ended, 2, all, badParameters(), context.Canceled},
	} {
		if _, _, err := (eval.Tuner{Candidates: c.candidates}).Tune(c.ctx, c.train, c.p); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}
