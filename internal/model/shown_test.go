package model

import (
	"fmt"
	"slices"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// rotated asks for lists one after the other.
func listOf(s *Shown, of Recommender, q *Query, requests ...string) (lists [][]int64) {
	for _, request := range requests {
		var movies []int64
		for _, item := range s.Recommend(of, q, request).Items {
			movies = append(movies, item.Movie)
		}
		lists = append(lists, movies)
	}
	return lists
}

func best(of Recommender, q *Query, n int) (movies []int64) {
	all := *q
	all.N = n
	for _, item := range of.Recommend(&all).Items {
		movies = append(movies, item.Movie)
	}
	return movies
}

// TestRotatedListsShowTheNextMovies: none of the last three lists, then the first
// ones again.
func TestRotatedListsShowTheNextMovies(t *testing.T) {
	of := Recommender{&Version{Model: mustNew(t, random(3, 100, 4, 1))}, NewUsers()}
	q := &Query{User: 1, N: 5, Popularity: -1}
	all := best(of, q, 20)
	var s Shown
	got := listOf(&s, of, q, "a", "b", "c", "d", "e")
	want := [][]int64{all[:5], all[5:10], all[10:15], all[15:20], all[:5]}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("lists %v, want %v", got, want)
	}
	if again := listOf(&s, of, q, "d"); !slices.Equal(again[0], all[15:20]) {
		t.Errorf("the same request again: %v, want %v", again[0], all[15:20])
	}
	if other := listOf(&s, of, &Query{User: 4, N: 5, Popularity: -1}, "f"); !slices.Equal(other[0], best(of, &Query{User: 4, Popularity: -1}, 5)) {
		t.Errorf("another user is shown %v", other[0])
	}
}

// TestARotatedListIsNotShorter: what was shown comes at its end, and neither what is
// excluded nor what was rated meanwhile.
func TestARotatedListIsNotShorter(t *testing.T) {
	of := Recommender{&Version{Model: mustNew(t, random(3, 8, 4, 1))}, NewUsers()}
	q := &Query{User: 1, N: 5, Popularity: -1, Exclude: []int64{5}}
	all := best(of, q, 8)
	var s Shown
	got := listOf(&s, of, q, "a", "b")
	if want := append(slices.Clone(all[5:]), all[:3]...); len(all) != 7 || !slices.Equal(got[1], want) {
		t.Errorf("the second list is %v, want %v", got[1], want)
	}
	of.Users.Learn(ratings.Rating{User: 1, Movie: all[0], Value: 4, Time: 1})
	if got := listOf(&s, of, q, "c"); len(got[0]) != 5 || slices.Contains(got[0], all[0]) || slices.Contains(got[0], 5) {
		t.Errorf("the third list is %v", got[0])
	}
	q.Candidates = all[1:4]
	if got := listOf(&s, of, q, "d"); len(got[0]) != 3 {
		t.Errorf("of three candidates %v are shown", got[0])
	}
}

func TestWhatIsRememberedOfListsIsBounded(t *testing.T) {
	var s Shown
	for user := range int64(shownUsers + 10) {
		for n := range 10 {
			s.remember(user%(shownUsers+5), fmt.Sprint(user, n), []Item{{Scored: Scored{Movie: 1}}})
		}
	}
	if len(s.users) != shownUsers || len(s.order) != shownUsers || len(s.users[shownUsers]) != keptLists {
		t.Errorf("%d users, %d in order, %d lists", len(s.users), len(s.order), len(s.users[shownUsers]))
	}
}
