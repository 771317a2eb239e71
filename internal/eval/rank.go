package eval

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync/atomic"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const (
	relevantStars = 4   // a test rating of at least so many stars is a hit
	topDepth      = 10  // of NDCG@10, precision@10, coverage and novelty
	recallDepth   = 20  // of recall@20
	listDepth     = 100 // of NDCG@100 and MAP@100
	curveDepth    = 50  // of the curves of precision@k and recall@k
)

// Ranking is the quality of rankings, averaged over users.
type Ranking struct {
	NDCG10      float64 `json:"ndcg10"`      // normalized discounted cumulative gain of the first 10, binary relevance
	NDCG100     float64 `json:"ndcg100"`     // the same of the first 100
	Precision10 float64 `json:"precision10"` // share of relevant movies among the first 10
	Recall20    float64 `json:"recall20"`    // share of the relevant movies that is among the first 20
	MAP100      float64 `json:"map100"`      // mean average precision of the first 100, see quality
	Coverage10  float64 `json:"coverage10"`  // share of all movies that is among some user's first 10
	Novelty10   float64 `json:"novelty10"`   // mean of −log2(share of users who rated it) over the first 10, in bits
	Users       int     `json:"users"`       // users with relevant test ratings; the others are left out

	PrecisionAt []float64 `json:"precision_at,omitempty"` // precision@k of k = 1 to 50
	RecallAt    []float64 `json:"recall_at,omitempty"`    // recall@k of k = 1 to 50
}

// audience is the users whose rankings are measured.
type audience struct {
	users  []rankedUser // ascending by id
	f      *als.Factors
	ranked func(done, total int) // told of each user, by several goroutines; nil for none
}

type rankedUser struct {
	id       int64
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
		user := rankedUser{id: id}
		if row, known := train.UserRow(id); known {
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

// byModel measures the rankings that m serves, see model.TopN, of so many movies:
// figures that look deeper are of no meaning then. It also returns NDCG@10 of every
// user.
func (a *audience) byModel(ctx context.Context, m *model.Model, depth, threads int) (Ranking, []float64, error) {
	return a.measure(ctx, threads, func() func(rankedUser) []int32 {
		var list []int32
		return func(user rankedUser) []int32 {
			list = list[:0]
			for _, scored := range m.TopN(user.id, depth, func(movie int64) bool {
				_, seen := slices.BinarySearch(user.seen, a.row(movie))
				return seen
			}) {
				list = append(list, a.row(scored.Movie))
			}
			return list
		}
	})
}

// row is that of a movie which the model knows.
func (a *audience) row(movie int64) int32 {
	row, _ := slices.BinarySearch(a.f.Movies, movie)
	return int32(row)
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
	ranking, _, err := a.measure(ctx, threads, func() func(rankedUser) []int32 {
		var list []int32
		return func(user rankedUser) []int32 {
			list = list[:0]
			for _, i := range order {
				if _, seen := slices.BinarySearch(user.seen, i); !seen {
					list = append(list, i)
				}
				if len(list) == listDepth {
					break
				}
			}
			return list
		}
	})
	return ranking, err
}

// measure averages over users the quality of the lists that rankers make, and
// returns NDCG@10 of every user too; each goroutine makes one ranker for itself.
// Averages are taken in the order of users, so they do not depend on threads.
func (a *audience) measure(ctx context.Context, threads int, newRanker func() func(rankedUser) []int32) (Ranking, []float64, error) {
	of := make([]listQuality, len(a.users))
	information := a.selfInformation()
	listed := make([]atomic.Bool, len(a.f.Movies))
	var done atomic.Int64
	err := inParallel(ctx, threads, len(a.users), func() func(int) {
		ranker := newRanker()
		return func(k int) {
			list := ranker(a.users[k])
			of[k] = quality(list, a.users[k].relevant, a.users[k].count)
			top := list[:min(len(list), topDepth)]
			for _, movie := range top {
				of[k].novelty += information[movie] / float64(len(top))
				listed[movie].Store(true)
			}
			if a.ranked != nil {
				a.ranked(int(done.Add(1)), len(a.users))
			}
		}
	})
	if err != nil {
		return Ranking{}, nil, err
	}
	ndcg := make([]float64, len(of))
	for k := range of {
		ndcg[k] = of[k].ndcg10
	}
	return a.average(of, listed), ndcg, nil
}

// selfInformation is −log2 of the share of the users who rated each movie in
// training, in bits (Zhou et al. 2010, "Solving the apparent diversity-accuracy
// dilemma of recommender systems").
func (a *audience) selfInformation() []float64 {
	information := make([]float64, len(a.f.Movies))
	for i, count := range a.f.MovieCounts {
		information[i] = math.Log2(float64(len(a.f.Users)) / float64(max(count, 1)))
	}
	return information
}

func (a *audience) average(of []listQuality, listed []atomic.Bool) Ranking {
	r := Ranking{Users: len(of)}
	if len(of) == 0 {
		return r
	}
	for k := range of {
		r.NDCG10 += of[k].ndcg10
		r.NDCG100 += of[k].ndcg100
		r.Precision10 += of[k].precision10
		r.Recall20 += of[k].recall20
		r.MAP100 += of[k].averagePrecision
		r.Novelty10 += of[k].novelty
	}
	for _, sum := range []*float64{&r.NDCG10, &r.NDCG100, &r.Precision10, &r.Recall20, &r.MAP100, &r.Novelty10} {
		*sum /= float64(len(of))
	}
	r.PrecisionAt, r.RecallAt = a.curves(of)
	for i := range listed {
		if listed[i].Load() {
			r.Coverage10 += 1 / float64(len(listed))
		}
	}
	return r
}

// curves are the means over users of precision@k and recall@k, of k = 1 to
// curveDepth.
func (a *audience) curves(of []listQuality) (precision, recall []float64) {
	precision, recall = make([]float64, curveDepth), make([]float64, curveDepth)
	for user := range of {
		for k, hits := range of[user].hits {
			precision[k] += float64(hits) / float64(k+1)
			recall[k] += float64(hits) / float64(a.users[user].count)
		}
	}
	for k := range curveDepth {
		precision[k] /= float64(len(of))
		recall[k] /= float64(len(of))
	}
	return precision, recall
}

// listQuality is the quality of one user's list.
type listQuality struct {
	ndcg10, ndcg100, precision10, recall20, averagePrecision, novelty float64

	hits [curveDepth]uint8 // relevant movies in the first k+1 places
}

// quality measures a list of movies, best first, all but its novelty. With rel_k
// 1 where the movie in place k, from 1, is relevant and 0 elsewhere,
//
//	DCG@n = Σ_k≤n rel_k / log2(k + 1)           NDCG@n = DCG@n / (DCG@n of the best possible list)
//	precision@n = Σ_k≤n rel_k / n               recall@n = Σ_k≤n rel_k / count
//	average precision = Σ_k≤100 rel_k·precision@k / min(count, 100)
//
// relevant are the movies that count, ascending, of count ≥ 1 in all.
func quality[movie int32 | int64](list, relevant []movie, count int) (q listQuality) {
	hits, gain, best := 0.0, 0.0, 0.0
	for k := range listDepth {
		discount := 1 / math.Log2(float64(k+2))
		if k < count {
			best += discount
		}
		if k < len(list) {
			if _, hit := slices.BinarySearch(relevant, list[k]); hit {
				hits++
				gain += discount
				q.averagePrecision += hits / float64(k+1) / float64(min(count, listDepth))
			}
		}
		if k < curveDepth {
			q.hits[k] = uint8(hits)
		}
		switch k + 1 {
		case topDepth:
			q.ndcg10, q.precision10 = gain/best, hits/topDepth
		case recallDepth:
			q.recall20 = hits / float64(count)
		case listDepth:
			q.ndcg100 = gain / best
		}
	}
	return q
}
