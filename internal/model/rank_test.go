package model_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

// catalogue is a model of random factors with that many movies.
func catalogue(t testing.TB, users, movies, rank int, head bool) *model.Model {
	t.Helper()
	random := rand.New(rand.NewPCG(4, uint64(movies)))
	normals := func(n int) []float32 {
		values := make([]float32, n)
		for k := range values {
			values[k] = float32(random.NormFloat64()) / 4
		}
		return values
	}
	ids := func(n int) []int64 {
		ids := make([]int64, n)
		for k := range ids {
			ids[k] = int64(2*k + 1)
		}
		return ids
	}
	f := &als.Factors{
		Rank: rank, Mean: 3, Users: ids(users), Movies: ids(movies), UserBias: normals(users), MovieBias: normals(movies),
		UserFactors: normals(users * rank), MovieFactors: normals(movies * rank), UserCounts: make([]int32, users), MovieCounts: make([]int32, movies), Lambda: 1,
	}
	if head {
		f.Preference = &als.Preference{Rank: 16, UserFactors: normals(users * 16), MovieFactors: normals(movies * 16), Alpha: 1, Lambda: 1, Beta: 0.3}
	}
	m, err := model.New(f, model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestTopNIsTheReference sorts float64 scores of all movies: the order is the
// same but for scores within 1e-4.
func TestTopNIsTheReference(t *testing.T) {
	before := kernel.Name()
	defer func() { _ = kernel.Use(before) }()
	for _, name := range kernel.Names() {
		if err := kernel.Use(name); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			movies, rank int
			head         bool
		}{{1, 3, false}, {63, 10, false}, {3000, 64, false}, {3000, 20, true}} {
			m := catalogue(t, 20, c.movies, c.rank, c.head)
			f := m.Factors()
			for _, n := range []int{1, 10, 100} {
				for u, user := range append(f.Users, 999) { // the last is unknown
					score := map[int64]float64{}
					var order []int64
					for i, movie := range f.Movies {
						if movie%7 == 0 {
							continue
						}
						s := float64(f.MovieBias[i])
						for c := range f.Rank {
							if user != 999 {
								s += float64(f.UserFactors[u*f.Rank+c]) * float64(f.MovieFactors[i*f.Rank+c])
							}
						}
						if p := f.Preference; p != nil {
							s *= p.Beta
							for c := range p.Rank {
								if user != 999 {
									s += float64(p.UserFactors[u*p.Rank+c]) * float64(p.MovieFactors[i*p.Rank+c])
								}
							}
						}
						score[movie] = s
						order = append(order, movie)
					}
					slices.SortStableFunc(order, func(a, b int64) int {
						if score[a] > score[b] {
							return -1
						}
						if score[a] < score[b] {
							return 1
						}
						return 0
					})
					got := m.TopN(user, n, func(movie int64) bool { return movie%7 == 0 })
					if len(got) != min(n, len(order)) {
						t.Fatalf("%s: %d movies, want %d", name, len(got), min(n, len(order)))
					}
					for k, scored := range got {
						if want := order[k]; scored.Movie != want && score[want]-score[scored.Movie] > 1e-4 {
							t.Fatalf("%s, %+v, user %d, place %d: movie %d with %v, want %d with %v",
								name, c, user, k, scored.Movie, score[scored.Movie], want, score[want])
						}
					}
				}
			}
		}
	}
}

func TestAppendTopN(t *testing.T) {
	m := catalogue(t, 20, 3000, 20, true)
	first := model.Scored{Movie: -1}
	list := append(make([]model.Scored, 0, 20), first)
	got := m.AppendTopN(list, 5, 10, nil)
	if got[0] != first || !slices.Equal(got[1:], m.TopN(5, 10, nil)) {
		t.Errorf("got %v, want %v and then %v", got, first, m.TopN(5, 10, nil))
	}
	if n := testing.AllocsPerRun(20, func() { m.AppendTopN(list, 5, 10, nil) }); n > 0.5 && !model.UnderRace { // whose pools forget
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkTopN(b *testing.B) {
	m := catalogue(b, 1000, 60_000, 64, false)
	seen := map[int64]bool{}
	for k := range int64(50) {
		seen[2*k*k+1] = true
	}
	m.TopN(1, 10, nil)
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		user := int64(0)
		for b.Loop() {
			m.TopN(2*(user%1000)+1, 10, func(movie int64) bool { return seen[movie] })
			user++
		}
	})
	b.Run("all", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for user := int64(0); pb.Next(); user++ {
				m.TopN(2*(user%1000)+1, 10, func(movie int64) bool { return seen[movie] })
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "users/s")
	})
}
