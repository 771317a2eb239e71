package recsystest

import (
	"slices"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

func TestMemoryStoreFulfilsTheContractOfStores(t *testing.T) {
	StoreContract(t, func(*testing.T) ratings.Store { return NewMemoryStore() })
}

func TestForgottenUsersLoseTheirTagsAndViews(t *testing.T) {
	store := NewMemoryStore()
	apply(t, store, ratings.Changes{
		Tags:  []ratings.Tag{{User: 1, Movie: 2, Tag: "old", Time: 1000}, {User: 1, Movie: 2, Tag: "new", Time: 3000}},
		Views: []ratings.View{{User: 1, Movie: 2, Time: 1000}, {User: 2, Movie: 2, Time: 1000}},
	})
	apply(t, store, forget(1, 2000))
	if got, want := store.Tags(), []ratings.Tag{{User: 1, Movie: 2, Tag: "new", Time: 3000}}; !slices.Equal(got, want) {
		t.Errorf("tags are %+v, want %+v", got, want)
	}
	if got, want := store.Views(), []ratings.View{{User: 2, Movie: 2, Time: 1000}}; !slices.Equal(got, want) {
		t.Errorf("views are %+v, want %+v", got, want)
	}
}

func TestRatingsAreWellFormed(t *testing.T) {
	all := Ratings(40, 25, 0.2, 3)
	users, movies, pairs := map[int64]bool{}, map[int64]bool{}, map[pair]bool{}
	for k, r := range all {
		users[r.User], movies[r.Movie], pairs[pair{r.User, r.Movie}] = true, true, true
		if r.Value < 0.5 || r.Value > 5 || r.Value*2 != float32(int(r.Value*2)) {
			t.Errorf("value %v is not half stars from 0.5 to 5", r.Value)
		}
		if k > 0 && r.Time <= all[k-1].Time {
			t.Errorf("rating %d is not later than the one before", k)
		}
	}
	if len(users) != 40 || len(movies) != 25 || len(pairs) != len(all) {
		t.Errorf("%d users, %d movies, %d pairs of %d ratings; want 40, 25, all different", len(users), len(movies), len(pairs), len(all))
	}
	if !slices.Equal(all, Ratings(40, 25, 0.2, 3)) {
		t.Error("the same seed gave other ratings")
	}
	if slices.Equal(all, Ratings(40, 25, 0.2, 4)) {
		t.Error("another seed gave the same ratings")
	}
}
