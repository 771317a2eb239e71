package model

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// everyScore is what Recommend gives one movie in the lists of all users.
func everyScore(of Recommender, q *Query) (all []ScoredUser) {
	for _, user := range of.AllUsers() {
		if slices.Contains(q.Exclude, user) {
			continue
		}
		own := *q
		own.User, own.N, own.Offset, own.Candidates, own.Exclude = user, 1, 0, []int64{q.Movie}, nil
		if answer := of.Recommend(&own); answer.Basis == ByUser && len(answer.Items) == 1 {
			all = append(all, ScoredUser{user, answer.Items[0].Score, answer.Items[0].Prediction})
		}
	}
	slices.SortStableFunc(all, func(a, b ScoredUser) int {
		return compareScored(Scored{Movie: a.User, Score: a.Score}, Scored{Movie: b.User, Score: b.Score})
	})
	return all[min(q.Offset, len(all)):min(q.Offset+q.N, len(all))]
}

// TestAnAudienceIsWhoHasTheMovieFirst in their lists: users as trained, users who
// have rated since, and new ones.
func TestAnAudienceIsWhoHasTheMovieFirst(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 2))
		f := withCounts(random(200, 90, []int{5, 16, 0}[seed%3], seed), []int{0, 7}[seed/3%2], seed)
		users := NewUsers()
		of := Recommender{&Version{Model: mustNew(t, f)}, users}
		for n := range 60 {
			user := f.Users[r.IntN(len(f.Users))]
			if n%3 == 0 {
				user = int64(10_000 + n)
			}
			for _, one := range someRatings(r, f, user, 1+r.IntN(30)) {
				users.Learn(one)
			}
		}
		users.Learn(ratings.Rating{User: 20_000, Movie: -1, Value: 4}) // of whom the model knows nothing
		crowd := of.Crowd()
		for range 40 {
			q := &Query{
				Movie: f.Movies[r.IntN(len(f.Movies))], N: 1 + r.IntN(40), Offset: r.IntN(2) * r.IntN(250),
				Popularity: []float64{-1, 0, 0.3, 1}[r.IntN(4)], WithSeen: r.IntN(2) == 0,
				Exclude: []int64{f.Users[r.IntN(len(f.Users))], 10_000, 7},
			}
			got, want := crowd.Audience(q), everyScore(of, q)
			if fmt.Sprint(got.Items) != fmt.Sprint(want) || got.Head != of.Version.Model.head() || got.Cold {
				t.Fatalf("%+v:\n%v, want\n%v", q, got, want)
			}
		}
	}
}

func TestNobodyIsTheAudienceOfAnUnknownMovie(t *testing.T) {
	of := Recommender{&Version{Model: mustNew(t, random(3, 5, 2, 1))}, nil}
	if got := of.Crowd().Audience(&Query{Movie: -1, N: 5}); !got.Cold || len(got.Items) > 0 {
		t.Errorf("got %+v", got)
	}
}

func TestACrowdIsKeptForAMomentAndOneVersion(t *testing.T) {
	users := NewUsers()
	one, two := Recommender{&Version{Model: mustNew(t, random(3, 5, 2, 1))}, users}, Recommender{&Version{Model: mustNew(t, random(3, 5, 2, 2))}, users}
	var crowds Crowds
	first := crowds.Of(one, 1000)
	if crowds.Of(one, 1000+crowdAge-1) != first {
		t.Error("a crowd was made again too soon")
	}
	if crowds.Of(two, 1000).Version != two.Version {
		t.Error("a crowd is of another version")
	}
	if again := crowds.Of(one, 1000); again == first || crowds.Of(one, 1000+crowdAge) == again {
		t.Error("an old crowd was kept")
	}
}

func BenchmarkAudience(b *testing.B) {
	f := withCounts(random(10_000, 2000, 64, 1), 64, 1)
	users := NewUsers()
	of := Recommender{&Version{Model: mustNew(b, f)}, users}
	r := rand.New(rand.NewPCG(1, 1))
	for n := range 1000 {
		for _, one := range someRatings(r, f, f.Users[n], 100) {
			users.Learn(one)
		}
	}
	crowd := of.Crowd()
	b.Run("crowd", func(b *testing.B) {
		for b.Loop() {
			of.Crowd()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/folded-user")
	})
	b.Run("movie", func(b *testing.B) {
		for b.Loop() {
			crowd.Audience(&Query{Movie: f.Movies[7], N: 10})
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(f.Users)), "ns/user")
	})
}
