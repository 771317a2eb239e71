package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// withCounts gives movies long-tailed counts, and a head that ranks of the given
// rank, 0 for none.
func withCounts(f *als.Factors, head int, seed uint64) *als.Factors {
	r := rand.New(rand.NewPCG(seed, 99))
	for i := range f.MovieCounts {
		f.MovieCounts[i] = int32(300 / (1 + r.IntN(100)))
	}
	if head > 0 {
		h := random(len(f.Users), len(f.Movies), head, seed+1000)
		f.Preference = &als.Preference{Rank: head, UserFactors: h.UserFactors, MovieFactors: h.MovieFactors, Alpha: 1, Lambda: 20, Beta: 0.3}
	}
	return f
}

// someMovies draws ids, of which some are unknown to the model.
func someMovies(r *rand.Rand, f *als.Factors, n int) []int64 {
	ids := make([]int64, n)
	for k := range ids {
		ids[k] = f.Movies[r.IntN(len(f.Movies))] + int64(r.IntN(6)/5)
	}
	return ids
}

func someRatings(r *rand.Rand, f *als.Factors, user int64, n int) []ratings.Rating {
	var all []ratings.Rating
	for _, movie := range sortedIDs(someMovies(r, f, n)) {
		all = append(all, ratings.Rating{User: user, Movie: movie, Value: float32(1+r.IntN(10)) / 2, Time: 1 + r.Int64N(1000)})
	}
	return all
}

// TestListsAreTheReference, of random models, users and queries.
func TestListsAreTheReference(t *testing.T) {
	for seed := range uint64(24) {
		r := rand.New(rand.NewPCG(seed, 1))
		f := withCounts(random(9, []int{1, 70, 1500}[seed%3], []int{1, 5, 16, 0}[seed%4], seed), []int{0, 7, 16}[seed/3%3], seed)
		users := NewUsers()
		of := Recommender{&Version{Model: mustNew(t, f)}, users}
		for step := range 40 {
			ref := reference{f: f}
			q := &Query{
				N: 1 + r.IntN(30), Offset: r.IntN(3) * r.IntN(30), Popularity: []float64{0, 0, 0.3, 1, -1}[r.IntN(5)],
				WithSeen: r.IntN(3) == 0, MinCount: r.IntN(3) * r.IntN(8),
			}
			var seen []int64
			switch step % 3 {
			case 0: // as trained
				u := r.IntN(len(f.Users))
				q.User = f.Users[u]
				ref.trained(u)
				delete(users.shard(q.User).users, q.User)
			case 1: // has rated since
				q.User = int64(10_000 + step)
				history := someRatings(r, f, q.User, 1+r.IntN(40))
				history = append(history, ratings.Rating{User: q.User, Movie: f.Movies[0], Value: 4, Time: 5})
				for _, one := range history {
					users.Learn(one)
				}
				history = users.AppendHistory(nil, q.User)
				for _, one := range history {
					seen = append(seen, one.Movie)
				}
				ref.fold(history)
			case 2: // somebody who likes movies
				q.Anonymous, q.Liked = true, append(someMovies(r, f, r.IntN(20)), f.Movies[0])
				var history []ratings.Rating
				for _, movie := range sortedIDs(q.Liked) {
					history = append(history, ratings.Rating{Movie: movie, Value: 5})
				}
				seen = sortedIDs(q.Liked)
				if ref.foldPreference(history); f.Preference == nil {
					ref.fold(history)
					ref.bias = 0
				}
			}
			if r.IntN(2) == 0 {
				q.Exclude = someMovies(r, f, 30)
			}
			if r.IntN(3) == 0 {
				q.Candidates = someMovies(r, f, r.IntN(60))
			}
			if r.IntN(3) == 0 {
				q.Keep = func(movie int64) bool { return movie%3 == 0 }
			}
			share := q.Popularity
			if share < 0 {
				share = 0
				if f.Preference == nil {
					share = 0.4
				}
			}
			answer := of.Recommend(q)
			ref.checkList(t, answer.Items, q, share, func(movie int64) bool {
				i, _ := slices.BinarySearch(f.Movies, movie)
				return (q.WithSeen || !slices.Contains(seen, movie)) && !slices.Contains(q.Exclude, movie) &&
					(q.Candidates == nil || slices.Contains(q.Candidates, movie)) &&
					(q.Keep == nil || q.Keep(movie)) && int(f.MovieCounts[i]) >= q.MinCount
			})
			if head := map[bool]Head{true: PreferenceHead, false: RatingHead}[f.Preference != nil]; answer.Head != head {
				t.Fatalf("head is %s, want %s", answer.Head, head)
			}
			if want := []Basis{ByUser, ByUser, ByLiked}[step%3]; answer.Basis != want || answer.ColdUser {
				t.Fatalf("basis is %s, want %s; cold %v", answer.Basis, want, answer.ColdUser)
			}
			for _, movie := range append(slices.Clone(q.Candidates), q.Liked...) {
				_, known := slices.BinarySearch(f.Movies, movie)
				if known == slices.Contains(answer.Unknown, movie) {
					t.Fatalf("movie %d: known %v, unknown are %v", movie, known, answer.Unknown)
				}
			}
			for _, item := range answer.Items {
				if !q.Anonymous && item.Prediction != users.Predict(of.Version.Model, q.User, item.Movie).Value {
					t.Fatalf("movie %d: the list says %v, a prediction %+v", item.Movie, item.Prediction, users.Predict(of.Version.Model, q.User, item.Movie))
				}
				if step%3 == 1 && slices.Contains(seen, item.Movie) {
					continue // is predicted from the other ratings
				}
				i, _ := slices.BinarySearch(f.Movies, item.Movie)
				want := float64(f.Mean) + ref.bias + float64(f.MovieBias[i])
				for c, x := range ref.x {
					want += x * float64(f.MovieFactors[i*f.Rank+c])
				}
				if want = min(max(want, 0.5), 5); math.Abs(float64(item.Prediction)-want) > 1e-4 {
					t.Fatalf("movie %d: predicted %v, want %v", item.Movie, item.Prediction, want)
				}
			}
		}
	}
}

// TestPagesNeitherOverlapNorLeaveAGap, whatever the order is by. The list is longer
// than what is kept in order while it is made.
func TestPagesNeitherOverlapNorLeaveAGap(t *testing.T) {
	f := withCounts(random(9, 1500, 8, 5), 16, 5)
	for i := range f.Movies { // ties
		f.MovieBias[i] = float32(i % 3)
		copy(f.MovieFactors[i*8:][:8], f.MovieFactors[i%40*8:][:8])
		copy(f.Preference.MovieFactors[i*16:][:16], f.Preference.MovieFactors[i%40*16:][:16])
	}
	of := Recommender{&Version{Model: mustNew(t, f)}, NewUsers()}
	for name, q := range map[string]Query{
		"by score":              {User: f.Users[1]},
		"with popularity":       {User: f.Users[1], Popularity: 0.4},
		"diverse":               {User: f.Users[1], Diversity: 0.5},
		"diverse and by liking": {Anonymous: true, Liked: f.Movies[:3], Diversity: 0.9},
		"popular":               {User: 999_999},
		"popular and diverse":   {User: 999_999, Diversity: 0.3},
		"of candidates":         {User: f.Users[1], Candidates: f.Movies[100:900]},
	} {
		t.Run(name, func(t *testing.T) {
			var all []int64
			q.N = 23
			q.MinCount = 3
			for {
				items := of.Recommend(&q).Items
				for _, item := range items {
					all = append(all, item.Movie)
				}
				if q.Offset += q.N; len(items) < q.N {
					break
				}
			}
			want := 0
			for i, count := range f.MovieCounts {
				if count >= 3 && !slices.Contains(q.Liked, f.Movies[i]) && (q.Candidates == nil || slices.Contains(q.Candidates, f.Movies[i])) {
					want++
				}
			}
			if distinct := len(sortedIDs(all)); distinct != len(all) || distinct != want {
				t.Errorf("%d items, %d of them distinct, want %d", len(all), distinct, want)
			}
			q.Offset, q.N = 0, len(all)
			if q.Diversity > 0 {
				return // whose order depends on the length of a page
			}
			for k, item := range of.Recommend(&q).Items {
				if item.Movie != all[k] {
					t.Fatalf("place %d has movie %d, in the pages %d", k, item.Movie, all[k])
				}
			}
		})
	}
}

// TestDiversityIsMaximalMarginalRelevance: each movie is, by the formula in
// float64, the best after those before it.
func TestDiversityIsMaximalMarginalRelevance(t *testing.T) {
	for seed := range uint64(12) {
		f := withCounts(random(5, 400, 6, seed), int(seed%2)*10, seed)
		of := Recommender{&Version{Model: mustNew(t, f)}, nil}
		factors := func(movie int64) []float64 {
			i, _ := slices.BinarySearch(f.Movies, movie)
			if p := f.Preference; p != nil {
				return wide(p.MovieFactors[i*p.Rank:][:p.Rank], 0)
			}
			return wide(f.MovieFactors[i*f.Rank:][:f.Rank], 0)
		}
		for _, diversity := range []float64{0.2, 0.7, 1} {
			q := &Query{User: f.Users[seed%5], N: 10, Diversity: diversity}
			pool := of.Recommend(&Query{User: q.User, N: 100}).Items
			value := func(movie int64, before []Item) float64 {
				at := slices.IndexFunc(pool, func(i Item) bool { return i.Movie == movie })
				v := (1 - diversity) * float64(pool[at].Score-pool[99].Score) / float64(pool[0].Score-pool[99].Score)
				nearest := math.Inf(-1)
				for _, other := range before {
					nearest = max(nearest, cosine(factors(movie), factors(other.Movie)))
				}
				if len(before) > 0 {
					v -= diversity * nearest
				}
				return v
			}
			list := of.Recommend(q).Items
			if len(list) != 10 {
				t.Fatalf("%d items", len(list))
			}
			for k, item := range list {
				for _, other := range pool {
					if slices.ContainsFunc(list[:k], func(i Item) bool { return i.Movie == other.Movie }) {
						continue
					}
					if own, better := value(item.Movie, list[:k]), value(other.Movie, list[:k]); better > own+1e-5 { // float32 rounding
						t.Fatalf("diversity %v, place %d: movie %d has %v, movie %d has %v", diversity, k, item.Movie, own, other.Movie, better)
					}
				}
			}
		}
	}
}

func cosine(a, b []float64) float64 {
	return mat.Dot(mat.NewVecDense(len(a), a), mat.NewVecDense(len(b), b)) / math.Sqrt(mat.Dot(mat.NewVecDense(len(a), a), mat.NewVecDense(len(a), a))*mat.Dot(mat.NewVecDense(len(b), b), mat.NewVecDense(len(b), b)))
}

// TestPopularityIsWeightedByTime: of two movies with as many ratings the one whose
// ratings are newer comes first, by half for each half-life.
func TestPopularityIsWeightedByTime(t *testing.T) {
	const day = 24 * 60 * 60 * 1000
	f := small()
	f.MovieCounts = []int32{5, 9, 7}
	users := NewUsers()
	clock := time.Unix(1000, 0)
	users.popular.now = func() time.Time { return clock }
	of := Recommender{&Version{Model: mustNew(t, f)}, users}
	popular := func() string {
		answer := of.Recommend(&Query{User: 999, N: 10})
		if answer.Basis != ByPopularity || answer.Head != "" || !answer.ColdUser {
			t.Errorf("answer is %+v", answer)
		}
		text := ""
		for _, item := range answer.Items {
			text += fmt.Sprintf("%d:%v ", item.Movie, item.Score)
		}
		return text
	}
	if got := popular(); got != "20:9 30:7 10:5 " {
		t.Errorf("by counts: %s", got)
	}
	for user, r := range []ratings.Rating{{Movie: 10, Time: 180 * day}, {Movie: 20, Time: 0}, {Movie: 20, Time: 90 * day}, {Movie: 77, Time: 180 * day}} {
		r.User, r.Value = int64(user+100), 3
		users.Learn(r)
	}
	if got := popular(); got != "20:9 30:7 10:5 " {
		t.Errorf("within %v: %s", popularityAge, got)
	}
	clock = clock.Add(popularityAge)
	if got := popular(); got != "10:1 77:1 20:0.75 30:0 " {
		t.Errorf("by time: %s", got)
	}
	if items := of.Recommend(&Query{Anonymous: true, N: 1, Candidates: []int64{20, 30, 31}}).Items; len(items) != 1 || items[0].Score != 0.75 {
		t.Errorf("of candidates: %+v", items)
	}
	other := Recommender{&Version{Model: mustNew(t, random(3, 5, 2, 1))}, users}
	if items := other.Recommend(&Query{User: 999, N: 9}).Items; len(items) != 8 || items[0].Movie != 10 || items[3].Movie != 5 {
		t.Errorf("of another model: %+v", items)
	}
}

// TestOnlySoManyRatingsAreCounted, those of whole shards.
func TestOnlySoManyRatingsAreCounted(t *testing.T) {
	users := NewUsers()
	for user := range int64(640) {
		users.Learn(ratings.Rating{User: user, Movie: 1, Value: 3})
	}
	if got := users.countRatings(100)[1]; got < 100 || got > 130 {
		t.Errorf("counted %v of 640", got)
	}
	if got := users.countRatings(1000)[1]; got != 640 {
		t.Errorf("counted %v of 640", got)
	}
}

// TestAnUnchangedUserIsAsTrained and one with another rating is not.
func TestAnUnchangedUserIsAsTrained(t *testing.T) {
	f := withCounts(random(3, 50, 4, 1), 8, 1)
	f.UserCounts[0] = 2
	users := NewUsers()
	of := Recommender{&Version{Model: mustNew(t, f), Until: 100}, users}
	want := Recommender{of.Version, nil}.Recommend(&Query{User: f.Users[0], N: 50, WithSeen: true}).Items
	equal := func() bool {
		return slices.EqualFunc(want, of.Recommend(&Query{User: f.Users[0], N: 50, WithSeen: true}).Items, func(a, b Item) bool {
			return a.Movie == b.Movie && a.Score == b.Score // predictions are from the current bias
		})
	}
	users.Learn(ratings.Rating{User: f.Users[0], Movie: 5, Value: 3, Time: 100})
	if equal() {
		t.Error("with fewer ratings than in training the user is as trained")
	}
	users.Learn(ratings.Rating{User: f.Users[0], Movie: 7, Value: 3, Time: 100})
	if !equal() {
		t.Error("with the ratings of training the user is not as trained")
	}
	users.Learn(ratings.Rating{User: f.Users[0], Movie: 7, Value: 4, Time: 101})
	if equal() {
		t.Error("with a newer rating the user is as trained")
	}
}

func TestTheNewestRatingsAreFoldedIn(t *testing.T) {
	var history []ratings.Rating
	for k := range int64(maxFolded + 10) {
		history = append(history, ratings.Rating{Movie: k, Time: (k * 7919) % (maxFolded + 10)})
	}
	got := newest(history)
	if len(got) != maxFolded || !slices.IsSortedFunc(got, func(a, b ratings.Rating) int { return int(a.Movie - b.Movie) }) {
		t.Fatalf("%d ratings", len(got))
	}
	for _, r := range got {
		if r.Time < 10 {
			t.Errorf("%+v is among the newest", r)
		}
	}
}

// TestAnEmptyModelAnswersAllTheSame: with nothing.
func TestAnEmptyModelAnswersAllTheSame(t *testing.T) {
	users := NewUsers()
	users.Learn(ratings.Rating{User: 1, Movie: 2, Value: 3})
	for _, f := range []*als.Factors{{Mean: 3, Lambda: 1}, {Mean: 3, Lambda: 1, Preference: &als.Preference{Rank: 3, Lambda: 1}}} {
		of := Recommender{&Version{Model: mustNew(t, f)}, users}
		for _, q := range []*Query{
			{User: 1, N: 5, Popularity: -1, Reasons: true},
			{User: 2, N: 5, Diversity: 0.5, Candidates: []int64{2}},
			{Anonymous: true, Liked: []int64{2}, N: 5, Offset: 2000},
		} {
			if answer := of.Recommend(q); len(answer.Items) > 0 || answer.Basis != ByPopularity {
				t.Errorf("%+v: %+v", q, answer)
			}
			q.Movie = 2
			if !of.Similar(q).Cold || !of.SimilarUsers(q).Cold || !of.Explain(q).ColdMovie {
				t.Errorf("%+v: something is similar or known", q)
			}
		}
		if all := of.AllUsers(); !slices.Equal(all, []int64{1}) {
			t.Errorf("users are %v", all)
		}
	}
}

// TestTiesGoToTheLowerID, though movies are ranked in the order of their norms.
func TestTiesGoToTheLowerID(t *testing.T) {
	f := random(3, 3000, 4, 1)
	clear(f.MovieBias)
	got := mustNew(t, f).TopN(999, 20, nil)
	for k, scored := range got {
		if scored.Movie != f.Movies[k] {
			t.Fatalf("place %d has movie %d, want %d", k, scored.Movie, f.Movies[k])
		}
	}
	clear(f.UserFactors)
	for k, item := range (Recommender{&Version{Model: mustNew(t, f)}, nil}).Recommend(&Query{User: f.Users[0], N: 20}).Items {
		if item.Movie != f.Movies[k] {
			t.Fatalf("recommended at place %d is movie %d, want %d", k, item.Movie, f.Movies[k])
		}
	}
}
