package model

import (
	"math"
	"runtime"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// TestAUserWhomTheModelDoesNotKnowIsFoldedIn: by hand, with z = (y, 1) and λ = 1.
func TestAUserWhomTheModelDoesNotKnowIsFoldedIn(t *testing.T) {
	m, users := mustNew(t, small()), NewUsers()
	expect := func(what string, movie int64, want float64) {
		t.Helper()
		got := users.Predict(m, 2, movie)
		if math.Abs(float64(got.Value)-want) > 1e-6 || !got.ColdUser { // float32 rounding
			t.Errorf("%s: movie %d is %+v, want %v of a user whom the model does not know", what, movie, got, want)
		}
	}
	users.Learn(ratings.Rating{User: 2, Movie: 99, Value: 5, Time: 1})
	expect("a rating of a movie that the model does not know", 10, 3.25+2./2)
	users.Unrate(ratings.Unrated{User: 2, Movie: 99, Time: 1})
	expect("nothing is left", 10, 3.25)
	users.Learn(ratings.Rating{User: 2, Movie: 20, Value: 4.5, Time: 1}) // residual 2, bias 2/(1+1+0.5²)
	expect("one rating", 11, 3+2/2.25)
	users.Learn(ratings.Rating{User: 2, Movie: 10, Value: 3.75, Time: 2}) // residual 0.5
	expect("two ratings", 11, 3+2/2.6)
	expect("a rated movie, from the other", 20, 2.5+0.5/2.25)
	expect("a rated movie, from the other", 10, 3.25+2/2.25)
}

// TestFactorsOfAFoldedInUserAreThoseOfTraining: the user's own half-step, for every
// solver.
func TestFactorsOfAFoldedInUserAreThoseOfTraining(t *testing.T) {
	all := recsystest.Ratings(60, 80, 0.3, 3)
	matrix, err := ratings.NewMatrix(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []string{als.ALS, als.VB, als.Bayes} {
		p := als.DefaultParameters(algorithm)
		p.Preference = nil
		f, err := als.Train(t.Context(), matrix, p, nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := New(f, Scale{Min: -100, Max: 100})
		if err != nil {
			t.Fatal(err)
		}
		const stranger = 1 << 40 // rates as user does
		folder, x := als.NewFolder(f), make([]float32, f.Rank)
		for _, user := range f.Users[:10] {
			users, rows, values := NewUsers(), []int32(nil), []float32(nil)
			for _, r := range all {
				if r.User == user {
					r.User = stranger
					users.Learn(r)
				}
			}
			history := users.AppendHistory(nil, stranger)
			for _, r := range history {
				rows, values = append(rows, int32(m.row(m.movies, r.Movie))), append(values, r.Value)
			}
			bias, err := folder.FoldIn(rows, values, x)
			if err != nil {
				t.Fatal(err)
			}
			for i, movie := range f.Movies {
				if users.shard(stranger).users[stranger].has(movie) {
					continue
				}
				want := float64(f.Mean + bias + f.MovieBias[i])
				for c := range x {
					want += float64(x[c]) * float64(m.movieFactors(i)[c])
				}
				if got := users.Predict(m, stranger, movie).Value; math.Abs(float64(got)-want) > 1e-5 {
					t.Fatalf("%s, as user %d, movie %d: %v, want %v", algorithm, user, movie, got, want)
				}
			}
		}
	}
}

func (s *userState) has(movie int64) bool {
	for _, m := range s.movies {
		if m == movie {
			return true
		}
	}
	return false
}

// TestListsOfManyRatingsPredictAsPredictionsDo: of more ratings than are folded in.
func TestListsOfManyRatingsPredictAsPredictionsDo(t *testing.T) {
	f := random(3, maxFolded+500, 8, 1)
	m, users := mustNew(t, f), NewUsers()
	for k, movie := range f.Movies[:maxFolded+100] {
		users.Learn(ratings.Rating{User: 8, Movie: movie, Value: float32(1 + k%5), Time: int64(k)})
	}
	of := Recommender{&Version{Model: m}, users}
	for _, item := range of.Recommend(&Query{User: 8, N: 300, Popularity: 0}).Items {
		want := m.scale.Clamp(item.Score) // of a model of ratings alone the same sum
		if got := users.Predict(m, 8, item.Movie).Value; math.Abs(float64(got-want)) > 1e-5 || got != item.Prediction {
			t.Fatalf("movie %d: %v, the list says %v with a score of %v", item.Movie, got, item.Prediction, item.Score)
		}
	}
	if got := users.Predict(m, 8, f.Movies[0]).Value; got == 0 {
		t.Errorf("a movie that is rated and not folded in: %v", got)
	}
}

// TestAFoldedInUserTakesLittleMemory: beside the history no more than 400 bytes at
// rank 64.
func TestAFoldedInUserTakesLittleMemory(t *testing.T) {
	if UnderRace {
		t.Skip("the race detector takes memory of its own")
	}
	const count, rated = 100_000, 8
	m := mustNew(t, random(1, 100, 64, 1))
	users := NewUsers()
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	m.Predict(1, 1)
	_ = m.folding()
	before := heap()
	for user := range int64(count) {
		for k := range int64(rated) {
			users.Learn(ratings.Rating{User: 1000 + user, Movie: m.factors.Movies[k*7], Value: 4, Time: k})
		}
		users.Predict(m, 1000+user, m.factors.Movies[1])
	}
	bytes := float64(heap()-before) / count
	history := 0
	for k := range users.shards {
		for _, s := range users.shards[k].users {
			history += 8*cap(s.movies) + 16*cap(s.rated)
		}
	}
	beside := bytes - float64(history)/count
	t.Logf("%.0f bytes a user, %.0f of them beside the history", bytes, beside)
	if beside > 400 {
		t.Errorf("%.0f bytes a user beside the history, want 400 at most", beside)
	}
	runtime.KeepAlive(users)
}

// rotated returns a version whose factors are those of f, of users and movies alike,
// turned by a random orthogonal matrix: every product is the same but for rounding.
func rotated(f *als.Factors, seed uint64) *als.Factors {
	turned := *f
	turned.UserFactors, turned.MovieFactors = recsystest.Turned(f.Rank, seed, f.UserFactors, f.MovieFactors)
	if p := f.Preference; p != nil {
		head := *p
		head.UserFactors, head.MovieFactors = recsystest.Turned(p.Rank, seed+1, p.UserFactors, p.MovieFactors)
		turned.Preference = &head
	}
	return &turned
}

// BenchmarkPredictAndLearnFoldedIn is a rating event of a user whom the model does
// not know, and who is solved again for each.
func BenchmarkPredictAndLearnFoldedIn(b *testing.B) {
	m, users := mustNew(b, random(600, 9000, 64, 1)), NewUsers()
	for k := range 100 {
		users.Learn(ratings.Rating{User: 5, Movie: m.factors.Movies[k*20], Value: 4})
	}
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		n++
		users.PredictAndLearn(m, ratings.Rating{User: 5, Movie: m.factors.Movies[n*7%100*20], Value: 3, Time: n})
	}
}
