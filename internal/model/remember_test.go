package model

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

func randomChange(r *rand.Rand) ratings.Changes {
	user, movie, time := r.Int64N(4), r.Int64N(5), r.Int64N(8)
	switch r.IntN(10) {
	case 0:
		return ratings.Changes{Forgotten: []ratings.Forgotten{{User: user, Time: time / 2}}}
	case 1, 2:
		return ratings.Changes{Unrated: []ratings.Unrated{{User: user, Movie: movie, Time: time}}}
	}
	return ratings.Changes{Ratings: []ratings.Rating{{User: user, Movie: movie, Value: float32(1+r.IntN(10)) / 2, Time: time}}}
}

// TestWhatIsRememberedIsWhatAStoreHolds in any order, with repetitions, and by way
// of what others remember.
func TestWhatIsRememberedIsWhatAStoreHolds(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for round := range 300 {
		store := recsystest.NewMemoryStore()
		var changes []ratings.Changes
		for range 60 {
			c := randomChange(r)
			changes = append(changes, c)
			if err := store.Apply(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		changes = append(changes, changes[:20]...)
		r.Shuffle(len(changes), func(a, b int) { changes[a], changes[b] = changes[b], changes[a] })
		all, part, merged := NewUsers(), NewUsers(), NewUsers()
		for k, c := range changes {
			all.Apply(c)
			if part.Apply(c); r.IntN(4) > 0 && k < len(changes)-1 {
				continue
			}
			for user := range int64(4) { // others are told
				merged.Merge(part.Remember(user), 0)
			}
			if r.IntN(3) == 0 { // and it starts afresh from what they know
				part = NewUsers()
				for user := range int64(4) {
					part.Merge(merged.Remember(user), 0)
				}
			}
		}
		for user := range int64(4) {
			want, _ := store.History(t.Context(), user)
			if got := all.AppendHistory(nil, user); !slices.Equal(got, want) {
				t.Fatalf("round %d, user %d: %+v is remembered, the store holds %+v", round, user, got, want)
			}
			if got, want := merged.Remember(user), all.Remember(user); !reflect.DeepEqual(got, want) {
				t.Fatalf("round %d, user %d: %+v by what others remember, want %+v", round, user, got, want)
			}
		}
	}
}

// TestAnOlderReadBringsNothingBack: the store was read before the rating was taken
// back, or the user erased, and the answer comes after.
func TestAnOlderReadBringsNothingBack(t *testing.T) {
	users := NewUsers()
	read := func() ([]ratings.Rating, error) {
		old := []ratings.Rating{{User: 1, Movie: 10, Value: 4, Time: 5}, {User: 1, Movie: 20, Value: 4, Time: 7}}
		users.Unrate(ratings.Unrated{User: 1, Movie: 10, Time: 6})
		return old, nil
	}
	if err := users.Refresh(1, 20_000, read); err != nil {
		t.Fatal(err)
	}
	if got := users.AppendHistory(nil, 1); len(got) != 1 || got[0].Movie != 20 {
		t.Errorf("after a rating was taken back: %+v", got)
	}
	if err := users.Refresh(1, 40_000, func() ([]ratings.Rating, error) {
		users.Forget(ratings.Forgotten{User: 1, Time: 8})
		return []ratings.Rating{{User: 1, Movie: 10, Value: 4, Time: 5}, {User: 1, Movie: 20, Value: 4, Time: 7}, {User: 1, Movie: 30, Value: 1, Time: 9}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := users.AppendHistory(nil, 1); len(got) != 1 || got[0].Movie != 30 {
		t.Errorf("after the user was erased: %+v", got)
	}
	users.Merge(Remembered{User: 1, Ratings: []ratings.Rating{{User: 1, Movie: 20, Value: 4, Time: 8}}}, 0) // an older record
	if got := users.AppendHistory(nil, 1); len(got) != 1 || got[0].Movie != 30 {
		t.Errorf("after an older record: %+v", got)
	}
}

// TestAnErasedUserIsUnknown to a model that knew the user, in every answer, and
// folded in from what came after.
func TestAnErasedUserIsUnknown(t *testing.T) {
	f := withCounts(random(20, 50, 4, 1), 8, 1)
	m := mustNew(t, f)
	version := &Version{Model: m, Until: 1 << 50}
	users, erased, movie := NewUsers(), f.Users[3], f.Movies[7]
	of := Recommender{version, users}
	for k := range 5 {
		users.Learn(ratings.Rating{User: erased, Movie: f.Movies[k], Value: 4, Time: int64(k)})
	}
	users.Forget(ratings.Forgotten{User: erased, Time: 100})

	stranger := func(what string, of Recommender) {
		t.Helper()
		want := Recommender{version, NewUsers()}
		if got, want := of.Users.Predict(m, erased, movie), m.Predict(-5, movie); got != want {
			t.Errorf("%s: predicted %+v, want %+v", what, got, want)
		}
		if got, want := of.Recommend(&Query{User: erased, N: 10, Popularity: -1}), want.Recommend(&Query{User: -5, N: 10, Popularity: -1}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: recommended %+v, want %+v", what, got, want)
		}
		if got, want := of.Explain(&Query{User: erased, Movie: movie}), want.Explain(&Query{User: -5, Movie: movie}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: explained by %+v, want %+v", what, got, want)
		}
		if got := of.SimilarUsers(&Query{User: erased, N: 10}); !got.Cold {
			t.Errorf("%s: others are similar: %+v", what, got)
		}
		if got := of.SimilarUsers(&Query{User: f.Users[0], N: 100}); len(got.Items) != len(f.Users)-2 {
			t.Errorf("%s: %d users are similar to another, want %d", what, len(got.Items), len(f.Users)-2)
		}
		if slices.Contains(of.AllUsers(), erased) || len(of.AllUsers()) != len(f.Users)-1 {
			t.Errorf("%s: the users are %v", what, of.AllUsers())
		}
	}
	stranger("erased", of)
	predicted := make([]Prediction, 2)
	users.PredictEach([]*Version{version, {Model: mustNew(t, random(20, 50, 4, 2))}}, ratings.Rating{User: erased, Movie: movie, Value: 5, Time: 100}, true, predicted)
	if predicted[0] != m.Predict(-5, movie) || !predicted[1].ColdUser {
		t.Errorf("by each of two versions: %+v", predicted)
	}
	if got := users.PredictAndLearn(m, ratings.Rating{User: erased, Movie: movie, Value: 5, Time: 99}); got != m.Predict(-5, movie) {
		t.Errorf("predicted before an older rating is learned: %+v", got)
	}
	stranger("older ratings came", of)
	told := NewUsers() // a process that starts afresh
	told.Merge(users.Remember(erased), 0)
	stranger("another process was told", Recommender{version, told})

	users.Learn(ratings.Rating{User: erased, Movie: movie, Value: 5, Time: 101})
	same := NewUsers()
	same.Learn(ratings.Rating{User: -5, Movie: movie, Value: 5, Time: 101})
	if got, want := users.Predict(m, erased, f.Movies[9]), same.Predict(m, -5, f.Movies[9]); got != want {
		t.Errorf("a new start: %+v, want %+v", got, want)
	}
	if !slices.Contains(of.AllUsers(), erased) {
		t.Error("after a new start the user is none")
	}
}

// TestAUserOfWhomNothingIsRememberedIsAsTrained: the store was asked and had nothing.
func TestAUserOfWhomNothingIsRememberedIsAsTrained(t *testing.T) {
	m, users := mustNew(t, small()), NewUsers()
	users.Merge(Remembered{User: 1}, 1)
	if got, want := users.Predict(m, 1, 20), m.Predict(1, 20); got != want || !users.Known(1) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	users.Learn(ratings.Rating{User: 1, Movie: 10, Value: 4, Time: 1})
	users.Unrate(ratings.Unrated{User: 1, Movie: 10, Time: 1})
	r := ratings.Rating{User: 1, Movie: 20, Value: 4, Time: 2}
	if got, want := users.PredictAndLearn(m, r), m.Predict(1, 20); got != want {
		t.Errorf("with a rating taken back: %+v, want %+v", got, want)
	}
	fresh := NewUsers()
	fresh.Learn(r)
	if got, want := users.Predict(m, 1, 30), fresh.Predict(m, 1, 30); got != want {
		t.Errorf("with another one: %+v, want %+v", got, want)
	}
}

// TestSwapsToATurnedModelMoveNothing: v2 is v1 turned by an orthogonal matrix. Users
// rate, and lists and predictions are asked for, while one takes the other's place;
// factors of one version with movies of the other would show at once.
func TestSwapsToATurnedModelMoveNothing(t *testing.T) {
	userCount, swaps := 1000, 100
	if UnderRace || testing.Short() {
		userCount, swaps = 100, 30
	}
	f := withCounts(random(50, 400, 16, 1), 8, 1)
	live := NewLive()
	versions := []*Version{{Model: mustNew(t, f), Name: "v1"}, {Model: mustNew(t, rotated(f, 7)), Name: "v2"}}
	live.Swap(NewLineUp(1, versions[0], nil))
	user := func(k int) int64 { return int64(100_000 + k) }
	rating := func(k, n int) ratings.Rating {
		return ratings.Rating{User: user(k), Movie: f.Movies[(k*13+n*29)%len(f.Movies)], Value: float32(1 + (k+n)%5), Time: int64(n)}
	}
	var group sync.WaitGroup
	stop := make(chan struct{})
	const writers = 2
	failures := make(chan error, writers)
	for w := range writers {
		group.Go(func() {
			reference := NewUsers() // asked by v1 alone
			for n := 0; ; n++ {
				for k := w; k < userCount; k += writers {
					if err := compareFolded(live, reference, versions[0], rating(k, n), k%37 == n%37); err != nil {
						failures <- err
						return
					}
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for n := range swaps {
		live.Swap(NewLineUp(int64(n+2), versions[(n+1)%2], nil))
		for k := n; k < userCount; k += 10 { // readers beside the one who rates
			live.Users.Predict(live.Current().Model, user(k), f.Movies[n])
		}
	}
	close(stop)
	group.Wait()
	select {
	case err := <-failures:
		t.Fatal(err)
	default:
	}
}

// compareFolded predicts and learns a rating by what serves, and by v1 alone, and
// now and then makes lists of both.
func compareFolded(live *Live, reference *Users, v1 *Version, r ratings.Rating, list bool) error {
	serving := live.Current()
	got, want := live.Users.PredictAndLearn(serving.Model, r).Value, reference.PredictAndLearn(v1.Model, r).Value
	if d := got - want; d > 1e-5 || d < -1e-5 {
		return fmt.Errorf("user %d, movie %d: %s says %v, v1 alone %v", r.User, r.Movie, serving.Name, got, want)
	}
	if !list {
		return nil
	}
	q := &Query{User: r.User, N: 10}
	a, b := Recommender{serving, live.Users}.Recommend(q), Recommender{v1, reference}.Recommend(q)
	for k := range b.Items {
		x, y := a.Items[k], b.Items[k]
		moved := k > 0 && b.Items[k-1].Score-y.Score > 2e-5 && k+1 < len(b.Items) && y.Score-b.Items[k+1].Score > 2e-5 && x.Movie != y.Movie
		if d := x.Score - y.Score; moved || d > 1e-5 || d < -1e-5 {
			return fmt.Errorf("user %d, place %d: %s has %+v, v1 alone %+v", r.User, k, serving.Name, x.Scored, y.Scored)
		}
		if p := x.Prediction - y.Prediction; x.Movie == y.Movie && (p > 1e-5 || p < -1e-5) {
			return fmt.Errorf("user %d, movie %d in a list: %v, v1 alone %v", r.User, x.Movie, x.Prediction, y.Prediction)
		}
	}
	return nil
}
