package eval_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

func anyone(int64) bool { return true }

func trained(t *testing.T, of []ratings.Rating, p als.Parameters) *als.Factors {
	t.Helper()
	m, err := ratings.NewMatrix(of)
	if err != nil {
		t.Fatal(err)
	}
	f, err := als.Train(t.Context(), m, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func served(t *testing.T, f *als.Factors) *eval.Served {
	t.Helper()
	s, err := eval.NewServed(f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestServedPredictsAsAReplayDoes, whose slow reference is its own test's: one rating
// after the other, each learned after it was predicted.
func TestServedPredictsAsAReplayDoes(t *testing.T) {
	all := overTime(t)
	ratings.SortByTime(all)
	for _, algorithm := range []string{als.ALS, als.VB, als.Implicit, als.Spark} {
		p := replayParameters
		p.Algorithm = algorithm
		want, err := eval.Replay{Parameters: p, Share: 0.4}.Run(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		first := len(all) - want.TestRatings
		for _, threads := range []int{1, 3} {
			before := eval.NewHistories(all[:first], anyone, nil)
			predicted, err := served(t, trained(t, all[:first], p)).Predict(t.Context(), threads, before, eval.Steps{Ratings: all[first:]})
			if err != nil {
				t.Fatal(err)
			}
			var got eval.RMSE
			counts := map[int64]int32{}
			for _, r := range all[:first] {
				counts[r.User]++
			}
			for k, r := range all[first:] {
				got.Add(float64(predicted[k].Stars), float64(r.Value))
				if predicted[k].Known != counts[r.User] {
					t.Fatalf("rating %d was predicted from %d ratings of the user, who had %d", k, predicted[k].Known, counts[r.User])
				}
				counts[r.User]++
			}
			if before.Count(1) != eval.NewHistories(all[:first], anyone, nil).Count(1) {
				t.Error("the histories were changed")
			}
			if got.Value() != want.RMSE {
				t.Errorf("%s: RMSE %v, a replay has %v", algorithm, got.Value(), want.RMSE)
			}
		}
	}
}

// TestServedPredictsAndLearnsWhatItIsTold: without learning the order does not
// matter, and what is only learned is not predicted.
func TestServedPredictsAndLearnsWhatItIsTold(t *testing.T) {
	all := overTime(t)
	ratings.SortByTime(all)
	p := replayParameters
	s := served(t, trained(t, all[:200], p))
	test := all[200:]
	reversed := slices.Clone(test)
	slices.Reverse(reversed)
	before := eval.NewHistories(all[:200], anyone, nil)
	never := func(int) bool { return false }
	forward, err := s.Predict(t.Context(), 2, before, eval.Steps{Ratings: test, Learn: never})
	if err != nil {
		t.Fatal(err)
	}
	backward, err := s.Predict(t.Context(), 2, before, eval.Steps{Ratings: reversed, Learn: never})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(backward)
	if !slices.Equal(forward, backward) {
		t.Error("without learning the order matters")
	}
	isEven := func(k int) bool { return k%2 == 0 }
	some, err := s.Predict(t.Context(), 2, before, eval.Steps{Ratings: test, Predict: isEven, Learn: func(k int) bool { return !isEven(k) }})
	if err != nil {
		t.Fatal(err)
	}
	// The reference looks the learned ones up anew each time.
	for k := range test {
		if !isEven(k) {
			if some[k] != (eval.Predicted{}) {
				t.Fatalf("rating %d was predicted", k)
			}
			continue
		}
		h := slices.Clone(all[:200])
		for l := range k {
			if !isEven(l) {
				h = append(h, test[l])
			}
		}
		one, err := s.Predict(t.Context(), 1, eval.NewHistories(h, func(user int64) bool { return user == test[k].User }, nil), eval.Steps{Ratings: test[k : k+1]})
		if err != nil {
			t.Fatal(err)
		}
		if one[0] != some[k] {
			t.Fatalf("rating %d: %+v, from the same ratings %+v", k, some[k], one[0])
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Predict(ended, 1, before, eval.Steps{Ratings: test}); !errors.Is(err, context.Canceled) {
		t.Errorf("after ctx ended: %v", err)
	}
}

// TestServedListsAreThoseOfTheModel for users who have rated nothing since it was
// trained: folding them in is training's last half-step.
func TestServedListsAreThoseOfTheModel(t *testing.T) {
	all := recsystest.Ratings(40, 50, 0.4, 5)
	head := als.DefaultPreference()
	head.Rank = 5
	for _, algorithm := range []string{als.ALS, als.VB, als.Implicit} {
		p := als.Parameters{Algorithm: algorithm, Rank: 3, Lambda: 0.8, Nu: 0.5, Iterations: 5, Seed: 1, Preference: &head}
		train, test := eval.RandomSplit(all, 0.2, 1)
		f := trained(t, train, p)
		m, err := model.New(f, model.MovieLensScale)
		if err != nil {
			t.Fatal(err)
		}
		before := eval.NewHistories(train, anyone, nil)
		listeners := eval.Listeners(before, test)
		if len(listeners) < 20 {
			t.Fatalf("%d listeners", len(listeners))
		}
		lists, err := served(t, f).Lists(t.Context(), 2, before, listeners)
		if err != nil {
			t.Fatal(err)
		}
		for k, listener := range listeners {
			rated := map[int64]bool{}
			for _, r := range train {
				rated[r.Movie] = rated[r.Movie] || r.User == listener.User
			}
			var want []int64
			gain := 0.0
			for place, scored := range m.TopN(listener.User, 10, func(movie int64) bool { return rated[movie] }) {
				want = append(want, scored.Movie)
				if slices.Contains(listener.Relevant, scored.Movie) {
					gain += 1 / math.Log2(float64(place+2))
				}
			}
			if !slices.Equal(lists[k].Movies, want) {
				t.Errorf("%s: user %d is recommended %v, by the model %v", algorithm, listener.User, lists[k].Movies, want)
			}
			best := 0.0
			for place := range min(10, len(listener.Relevant)) {
				best += 1 / math.Log2(float64(place+2))
			}
			if math.Abs(lists[k].NDCG10-gain/best) > 1e-12 {
				t.Errorf("%s: user %d has NDCG@10 %v, want %v", algorithm, listener.User, lists[k].NDCG10, gain/best)
			}
		}
	}
}

func TestListeners(t *testing.T) {
	history := []ratings.Rating{{User: 1, Movie: 10, Value: 5}, {User: 2, Movie: 10, Value: 3}, {User: 4, Movie: 20, Value: 3}}
	got := eval.Listeners(eval.NewHistories(history, anyone, func(r ratings.Rating) bool { return r.User == 4 }), []ratings.Rating{
		{User: 2, Movie: 40, Value: 4},
		{User: 1, Movie: 30, Value: 4},
		{User: 1, Movie: 20, Value: 5},
		{User: 1, Movie: 20, Value: 4.5},
		{User: 1, Movie: 50, Value: 3.5}, // not relevant
		{User: 1, Movie: 10, Value: 5},   // rated before
		{User: 3, Movie: 10, Value: 5},   // no history
		{User: 4, Movie: 10, Value: 5},   // whose history is skipped
	})
	if len(got) != 2 || got[0].User != 1 || !slices.Equal(got[0].Relevant, []int64{20, 30}) || got[1].User != 2 || !slices.Equal(got[1].Relevant, []int64{40}) {
		t.Errorf("got %+v", got)
	}
}
