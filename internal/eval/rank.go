package eval

import (
	"cmp"
	"context"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const (
	relevantStars = 4  // a test rating of at least so many stars is a hit
	ndcgDepth     = 10 // of NDCG@10
	recallDepth   = 20 // of recall@20
)

// Ranking is the quality of rankings, averaged over users.
type Ranking struct {
	NDCG10   float64 // normalized discounted cumulative gain of the first 10, binary relevance
	Recall20 float64 // share of the relevant movies among the first 20
	Users    int     // users with relevant test ratings; the others are left out
}

// audience is the users whose rankings are measured.
type audience struct {
	users []rankedUser // ascending by id
	f     *als.Factors
}

type rankedUser struct {
	row      int     // in the model, or -1
	seen     []int32 // movie rows rated in training, ascending
	relevant []int32 // movie rows among the candidates, ascending
	count    int     // relevant movies in all, also those the model does not know
}

// newAudience finds the users with relevant test ratings. Candidates are all
// movies of f but those the user rated in training, train, whose rows of movies
// are f's.
func newAudience(f *als.Factors, train *ratings.Matrix, test []ratings.Rating) *audience {
	relevant := map[int64]map[int64]bool{}
	for _, r := range test {
		if r.Value < relevantStars {
			continue
		}
		if relevant[r.User] == nil {
			relevant[r.User] = map[int64]bool{}
		}
		relevant[r.User][r.Movie] = true
	}
	a := &audience{f: f}
	for _, id := range sortedKeys(relevant) {
		user := rankedUser{row: -1}
		if row, known := train.UserRow(id); known {
			user.row = row
			user.seen, _ = train.User(row)
		}
		for _, movie := range sortedKeys(relevant[id]) {
			row, known := train.MovieRow(movie)
			if _, seen := slices.BinarySearch(user.seen, int32(row)); known && seen {
				continue // cannot be recommended again
			}
			if known {
				user.relevant = append(user.relevant, int32(row))
			}
			user.count++
		}
		if user.count > 0 {
			a.users = append(a.users, user)
		}
	}
	return a
}

func sortedKeys[V any](of map[int64]V) []int64 {
	keys := make([]int64, 0, len(of))
	for key := range of {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// byPrediction measures rankings by predicted rating.
func (a *audience) byPrediction(ctx context.Context, threads int) (Ranking, error) {
	return a.measure(ctx, threads, func() func(rankedUser) []int32 {
		top := newTopMovies(recallDepth)
		scores := make([]float32, len(a.f.Movies))
		return func(user rankedUser) []int32 {
			scoreMovies(a.f, user.row, scores)
			seen := user.seen
			top.reset()
			for i, score := range scores {
				if len(seen) > 0 && int(seen[0]) == i {
					seen = seen[1:]
					continue
				}
				top.offer(int32(i), score)
			}
			return top.rows()
		}
	})
}

// byPopularity measures one ranking for all, by number of training ratings.
func (a *audience) byPopularity(ctx context.Context, threads int) (Ranking, error) {
	counts := a.f.MovieCounts
	order := make([]int32, len(counts))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(i, j int32) int {
		return cmp.Or(cmp.Compare(counts[j], counts[i]), cmp.Compare(i, j))
	})
	return a.measure(ctx, threads, func() func(rankedUser) []int32 {
		var list []int32
		return func(user rankedUser) []int32 {
			list = list[:0]
			for _, i := range order {
				if _, seen := slices.BinarySearch(user.seen, i); !seen {
					list = append(list, i)
				}
				if len(list) == recallDepth {
					break
				}
			}
			return list
		}
	})
}

// measure averages over users the quality of the lists that rankers make; each
// goroutine makes one ranker for itself. Averages are taken in the order of
// users, so they do not depend on threads.
func (a *audience) measure(ctx context.Context, threads int, newRanker func() func(rankedUser) []int32) (Ranking, error) {
	ndcg, recall := make([]float64, len(a.users)), make([]float64, len(a.users))
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(threadCount(threads), len(a.users)) {
		group.Go(func() {
			ranker := newRanker()
			for ctx.Err() == nil {
				k := int(next.Add(1)) - 1
				if k >= len(a.users) {
					return
				}
				ndcg[k], recall[k] = quality(ranker(a.users[k]), a.users[k].relevant, a.users[k].count)
			}
		})
	}
	group.Wait()
	return Ranking{NDCG10: mean(ndcg), Recall20: mean(recall), Users: len(a.users)}, ctx.Err()
}

// quality returns NDCG@10 and recall@20 of a list of movies, best first:
//
//	DCG = Σ rel_k / log2(k + 1), k from 1;   NDCG = DCG / (DCG of the best possible list)
//
// relevant are the movies that count, ascending, of count in all.
func quality(list, relevant []int32, count int) (ndcg, recall float64) {
	gain, best, hits := 0.0, 0.0, 0
	for k := range ndcgDepth {
		if k < count {
			best += 1 / math.Log2(float64(k+2))
		}
	}
	for k, movie := range list[:min(len(list), recallDepth)] {
		if _, hit := slices.BinarySearch(relevant, movie); !hit {
			continue
		}
		hits++
		if k < ndcgDepth {
			gain += 1 / math.Log2(float64(k+2))
		}
	}
	return gain / best, float64(hits) / float64(count)
}

// scoreMovies writes b_i + x_u·y_i of every movie: what orders one user's
// movies as the prediction does. User -1, whom the model does not know, has no
// factors.
func scoreMovies(f *als.Factors, user int, scores []float32) {
	copy(scores, f.MovieBias)
	if user < 0 || f.Rank == 0 {
		return
	}
	x := f.UserFactors[user*f.Rank:][:f.Rank]
	for i := range scores {
		y := f.MovieFactors[i*f.Rank:][:len(x)]
		var s0, s1, s2, s3 float32
		k := 0
		for ; k+4 <= len(x); k += 4 {
			a, b := x[k:k+4:k+4], y[k:k+4:k+4]
			s0 += a[0] * b[0]
			s1 += a[1] * b[1]
			s2 += a[2] * b[2]
			s3 += a[3] * b[3]
		}
		for ; k < len(x); k++ {
			s0 += x[k] * y[k]
		}
		scores[i] += (s0 + s1) + (s2 + s3)
	}
}

// topMovies keeps the best of the movies that are offered in ascending order of
// rows: the highest scores, and of equal scores the lowest rows, which are the
// lowest ids.
type topMovies struct {
	depth  int
	movies []int32 // best first
	scores []float32
}

func newTopMovies(depth int) *topMovies {
	return &topMovies{depth: depth, movies: make([]int32, 0, depth+1), scores: make([]float32, 0, depth+1)}
}

func (t *topMovies) reset() { t.movies, t.scores = t.movies[:0], t.scores[:0] }

func (t *topMovies) rows() []int32 { return t.movies }

func (t *topMovies) offer(movie int32, score float32) {
	if len(t.scores) == t.depth && score <= t.scores[t.depth-1] {
		return
	}
	at := len(t.scores)
	for at > 0 && t.scores[at-1] < score {
		at--
	}
	t.movies = slices.Insert(t.movies, at, movie)
	t.scores = slices.Insert(t.scores, at, score)
	if len(t.scores) > t.depth {
		t.movies, t.scores = t.movies[:t.depth], t.scores[:t.depth]
	}
}

func mean(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sum := 0.0
	for _, value := range values {
		sum += value
	}
	return sum / float64(len(values))
}

func threadCount(threads int) int {
	if threads == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return threads
}
