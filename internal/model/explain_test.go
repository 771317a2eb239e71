package model

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// trainedOn is a model of recsystest's ratings, its users as they would be later:
// everything is remembered.
func trainedOn(t testing.TB, algorithm string, head bool) (Recommender, []ratings.Rating) {
	t.Helper()
	all := recsystest.Ratings(60, 220, 0.3, 3)
	matrix, err := ratings.NewMatrix(all)
	if err != nil {
		t.Fatal(err)
	}
	p := als.DefaultParameters(algorithm)
	p.Rank, p.Iterations, p.Preference.Rank = 9, 4, 20
	if p.BurnIn > 0 {
		p.BurnIn = 1
	}
	if !head {
		p.Preference = nil
	}
	f, err := als.Train(t.Context(), matrix, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	users := NewUsers()
	for _, r := range all {
		users.Learn(r)
	}
	return Recommender{&Version{Model: mustNew(t, f)}, users}, all // Until is 0: nobody is as trained
}

// TestFoldingInIsTheHalfStepOfTraining: of the head of ratings what training found,
// of the head that ranks, whose training rounds, the same equations in float64.
func TestFoldingInIsTheHalfStepOfTraining(t *testing.T) {
	for _, algorithm := range []string{als.ALS, als.Spark} {
		of, _ := trainedOn(t, algorithm, true)
		f := of.Version.Model.factors
		for u, user := range f.Users {
			a := of.open()
			a.who(&Query{User: user})
			if a.taste.folded == nil {
				t.Fatal("not folded in")
			}
			if off := math.Abs(float64(a.taste.bias - f.UserBias[u])); off > 1e-5 {
				t.Fatalf("%s, user %d: bias is off by %.2g", algorithm, user, off)
			}
			for c, x := range a.taste.factors {
				if off := math.Abs(float64(x - f.UserFactors[u*f.Rank+c])); off > 1e-5 {
					t.Fatalf("%s, user %d: factor %d is off by %.2g", algorithm, user, c, off)
				}
			}
			ref := reference{f: f}
			ref.foldPreference(a.folders.history)
			for c, x := range a.taste.preference {
				if off := math.Abs(float64(x) - ref.p[c]); off > 1e-5 {
					t.Fatalf("%s, user %d: preference factor %d is off by %.2g", algorithm, user, c, off)
				}
			}
			a.done()
		}
	}
}

// TestContributionsSumUpToTheScore of every solver and head, and that score is the
// one that recommends.
func TestContributionsSumUpToTheScore(t *testing.T) {
	for _, c := range []struct {
		algorithm string
		head      bool
	}{{als.ALS, true}, {als.VB, true}, {als.Implicit, true}, {als.ALS, false}, {als.VB, false}, {als.Bayes, false}, {als.Spark, false}} {
		of, all := trainedOn(t, c.algorithm, c.head)
		f := of.Version.Model.factors
		for _, user := range []int64{1, 30, 60} {
			for _, q := range []Query{{User: user}, {Anonymous: true, Liked: []int64{10, 20, 30, 999}}} {
				q.N, q.Candidates, q.WithSeen = 500, f.Movies, true
				items := of.Recommend(&q).Items
				if len(items) != len(f.Movies) {
					t.Fatalf("%d items", len(items))
				}
				for _, item := range items {
					q.Movie = item.Movie
					e := of.Explain(&q)
					sum := e.Base
					for _, part := range e.Contributions {
						sum += part.Score
					}
					if c.head == (e.Head == RatingHead) || e.Prediction != item.Prediction || e.ColdUser {
						t.Fatalf("%+v of item %+v", e, item)
					}
					blended := of.Version.Model.blend(float32(e.Score), of.Version.Model.popularity(of.Version.Model.row(of.Version.Model.movies, item.Movie)), 0)
					if blended != item.Score || math.Abs(sum-e.Score) > 1e-4 || math.Abs(e.Rest) > 1e-4 {
						t.Fatalf("%+v, user %d, movie %d: contributions sum up to %v with a rest of %v, the score is %v", c, user, item.Movie, sum, e.Rest, item.Score)
					}
				}
				e := of.Explain(&q)
				rated := map[int64]float32{}
				for _, r := range all {
					if r.User == user {
						rated[r.Movie] = r.Value
					}
				}
				if q.Anonymous {
					rated = map[int64]float32{10: 0, 20: 0, 30: 0}
				}
				if len(e.Contributions) != len(rated) {
					t.Fatalf("%d contributions of %d ratings", len(e.Contributions), len(rated))
				}
				for k, part := range e.Contributions {
					if stars, ok := rated[part.Movie]; !ok || stars != part.Rating || k > 0 && part.Score > e.Contributions[k-1].Score {
						t.Fatalf("contribution %d is %+v; rated were %v", k, part, rated)
					}
				}
			}
		}
	}
}

// TestContributionsAreThoseOfThePaper: s_ij·c_uj by the inverse, entry by entry.
func TestContributionsAreThoseOfThePaper(t *testing.T) {
	of, all := trainedOn(t, als.ALS, true)
	f := of.Version.Model.factors
	p := f.Preference
	const user = 7
	a := mat.NewDense(p.Rank, p.Rank, nil)
	y := func(i int) *mat.VecDense { return mat.NewVecDense(p.Rank, wide(p.MovieFactors[i*p.Rank:][:p.Rank], 0)) }
	for c := range p.Rank {
		a.Set(c, c, p.Lambda)
	}
	confidence := map[int64]float64{}
	for _, r := range all {
		if r.User == user {
			confidence[r.Movie] = 1 + p.Alpha*float64(r.Value)
		}
	}
	for i, movie := range f.Movies {
		weight := 1.0
		if c, ok := confidence[movie]; ok {
			weight = c
		}
		a.RankOne(a, weight, y(i), y(i))
	}
	var inverse mat.Dense
	if err := inverse.Inverse(a); err != nil {
		t.Fatal(err)
	}
	for _, movie := range []int64{10, 500, 2200} {
		i, _ := slices.BinarySearch(f.Movies, movie)
		items := of.Recommend(&Query{User: user, N: 1, Candidates: []int64{movie}, WithSeen: true, Reasons: true}).Items
		var best Contribution
		for _, part := range of.Explain(&Query{User: user, Movie: movie}).Contributions {
			j, _ := slices.BinarySearch(f.Movies, part.Movie)
			if want := mat.Inner(y(i), &inverse, y(j)) * confidence[part.Movie]; math.Abs(part.Score-want) > 1e-9 {
				t.Fatalf("movie %d: contribution of %d is %v, want %v", movie, part.Movie, part.Score, want)
			}
			if part.Score > best.Score {
				best = part
			}
		}
		if got := items[0].Reason; got == nil || got.Movie != best.Movie || got.Rating != best.Rating || got.Score != best.Score {
			t.Errorf("reason %+v, want %+v", got, best)
		}
	}
}

// TestAnUnchangedUserIsExplainedToo: the score is that of training, and what other
// than ratings has made it so is the rest.
func TestAnUnchangedUserIsExplainedToo(t *testing.T) {
	of, all := trainedOn(t, als.ALS, true)
	of.Version.Until = all[len(all)-1].Time
	f := of.Version.Model.factors
	f.Preference.UserFactors[0] += 0.5 // as if by views
	u, user, movie := 0, f.Users[0], f.Movies[3]
	e := of.Explain(&Query{User: user, Movie: movie})
	ref := reference{f: f}
	ref.trained(u)
	sum := e.Base + e.Rest
	for _, part := range e.Contributions {
		sum += part.Score
	}
	off := 0.5 * float64(f.Preference.MovieFactors[3*f.Preference.Rank])
	if len(e.Contributions) != int(f.UserCounts[u]) || math.Abs(e.Score-ref.score(3, 0)) > 1e-5 || math.Abs(sum-e.Score) > 1e-9 || math.Abs(e.Rest-off) > 1e-3 {
		t.Errorf("%d contributions, score %v, want %v; rest %v, want %v", len(e.Contributions), e.Score, ref.score(3, 0), e.Rest, off)
	}
}

func TestWhatIsNotKnownIsExplainedByWhatIs(t *testing.T) {
	f := withCounts(random(3, 20, 4, 1), 6, 1)
	of := Recommender{&Version{Model: mustNew(t, f)}, NewUsers()}
	if e := of.Explain(&Query{User: f.Users[1], Movie: f.Movies[3]}); len(e.Contributions) != 0 || math.Abs(e.Base+e.Rest-e.Score) > 1e-12 || e.Rest == 0 || e.ColdUser || e.ColdMovie {
		t.Errorf("of a user whose ratings are not remembered: %+v", e)
	}
	if e := of.Explain(&Query{User: 999, Movie: f.Movies[3]}); !e.ColdUser || e.ColdMovie || math.Abs(e.Score-e.Base) > 1e-6 || e.Basis != ByPopularity {
		t.Errorf("of an unknown user: %+v", e)
	}
	if e := of.Explain(&Query{User: f.Users[1], Movie: 999}); e.ColdUser || !e.ColdMovie || e.Score != 0 || e.Prediction != f.Mean+f.UserBias[1] {
		t.Errorf("of an unknown movie: %+v", e)
	}
	f = withCounts(random(3, 20, 4, 1), 0, 1)
	of = Recommender{&Version{Model: mustNew(t, f)}, NewUsers()}
	if e := of.Explain(&Query{User: f.Users[1], Movie: 999}); math.Abs(e.Score-float64(f.Mean+f.UserBias[1])) > 1e-6 || e.Base != 3.5 || math.Abs(e.Base+e.Rest-e.Score) > 1e-12 {
		t.Errorf("of an unknown movie by ratings alone: %+v", e)
	}
	items := of.Recommend(&Query{User: f.Users[1], N: 5, Reasons: true}).Items
	for _, item := range items {
		if item.Reason != nil {
			t.Errorf("a reason though no ratings are remembered: %+v", item.Reason)
		}
	}
}

// TestSimilarIsTheReference sorts cosines in float64.
func TestSimilarIsTheReference(t *testing.T) {
	for seed := range uint64(8) {
		f := withCounts(random(150, 1300, []int{1, 5, 16, 17}[seed%4], seed), []int{0, 13}[seed/4], seed)
		f.Movies[1299] = 1 << 40
		clear(f.MovieFactors[1299*f.Rank:]) // similar to none
		if p := f.Preference; p != nil {
			clear(p.MovieFactors[1299*p.Rank:])
		}
		of := Recommender{&Version{Model: mustNew(t, f)}, NewUsers()}
		r := rand.New(rand.NewPCG(seed, 2))
		rank, movies, people := f.Rank, f.MovieFactors, f.UserFactors
		if p := f.Preference; p != nil {
			rank, movies, people = p.Rank, p.MovieFactors, p.UserFactors
		}
		for n := range int64(20) {
			q := &Query{N: 1 + r.IntN(20), Offset: r.IntN(10), MinCount: r.IntN(5), Exclude: someMovies(r, f, 20), Keep: func(movie int64) bool { return movie%3 > 0 }}
			i := r.IntN(1299)
			q.Movie = f.Movies[i]
			checkSimilar(t, of.Similar(q), q, f.Movies[:1299], movies, rank, wide(movies[i*rank:][:rank], 0), func(k int) bool {
				return k != i && int(f.MovieCounts[k]) >= q.MinCount && !slices.Contains(q.Exclude, f.Movies[k]) && f.Movies[k]%3 > 0
			})
			u := r.IntN(len(f.Users))
			q.User, q.Exclude = f.Users[u], []int64{f.Users[r.IntN(150)]}
			checkSimilar(t, of.SimilarUsers(q), q, f.Users, people, rank, wide(people[u*rank:][:rank], 0), func(k int) bool {
				return k != u && f.Users[k] != q.Exclude[0]
			})
			q.User = 999_000 + n
			history := someRatings(r, f, q.User, 30)
			for _, one := range append(history, ratings.Rating{User: q.User, Movie: f.Movies[0], Value: 5, Time: 1}) {
				of.Users.Learn(one)
			}
			ref := reference{f: f}
			ref.fold(of.Users.AppendHistory(nil, q.User))
			x := ref.p
			if f.Preference == nil {
				x = ref.x
			}
			checkSimilar(t, of.SimilarUsers(q), q, f.Users, people, rank, x, func(k int) bool { return f.Users[k] != q.Exclude[0] })
		}
		for _, cold := range []Similar{
			of.Similar(&Query{Movie: 4, N: 3}), of.Similar(&Query{Movie: 1 << 40, N: 3}), of.SimilarUsers(&Query{User: 999_999, N: 3}),
		} {
			if !cold.Cold || len(cold.Items) > 0 {
				t.Errorf("to what is not known: %+v", cold)
			}
		}
	}
}

func checkSimilar(t *testing.T, got Similar, q *Query, ids []int64, factors []float32, rank int, x []float64, allowed func(k int) bool) {
	t.Helper()
	of := map[int64]float64{}
	var all []float64
	for k, id := range ids {
		if allowed(k) {
			of[id] = cosine(x, wide(factors[k*rank:][:rank], 0))
			all = append(all, of[id])
		}
	}
	slices.Sort(all)
	slices.Reverse(all)
	all = all[min(q.Offset, len(all)):min(q.Offset+q.N, len(all))]
	if len(got.Items) != len(all) || got.Cold {
		t.Fatalf("%d items, want %d: %+v", len(got.Items), len(all), q)
	}
	for k, item := range got.Items {
		want, ok := of[item.ID]
		if !ok || math.Abs(want-all[k]) > 1e-5 || math.Abs(float64(item.Cosine)-want) > 1e-5 { // float32 rounding
			t.Fatalf("place %d: %d (allowed: %v) with %v, its cosine is %v, here belongs %v", k, item.ID, ok, item.Cosine, want, all[k])
		}
		delete(of, item.ID)
	}
}

// TestQueriesAreAnsweredWhileUsersRate, for the race detector, and so that no answer
// has a part of another.
func TestQueriesAreAnsweredWhileUsersRate(t *testing.T) {
	of, all := trainedOn(t, als.VB, true)
	want := of.Recommend(&Query{User: 1, N: 10, Reasons: true}).Items
	var group sync.WaitGroup
	for worker := range int64(4) {
		group.Go(func() {
			for n := range 30 {
				user := 1000 + worker*100 + int64(n)
				of.Users.Learn(ratings.Rating{User: user, Movie: all[n].Movie, Value: 4, Time: int64(n)})
				of.Recommend(&Query{User: user, N: 10, Diversity: 0.3})
				of.Recommend(&Query{User: 5000 + user, N: 3})
				of.Recommend(&Query{Anonymous: true, Liked: []int64{all[n].Movie}, N: 3, Reasons: true})
				of.Explain(&Query{User: user, Movie: all[n+1].Movie})
				of.SimilarUsers(&Query{User: user, N: 3})
				got := of.Recommend(&Query{User: 1, N: 10, Reasons: true}).Items
				for k := range want {
					if got[k].Scored != want[k].Scored || *got[k].Reason != *want[k].Reason {
						t.Errorf("place %d is %+v, alone %+v", k, got[k], want[k])
						return
					}
				}
			}
		})
	}
	group.Wait()
}
