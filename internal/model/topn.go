package model

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// Scored is a movie with what speaks for it.
type Scored struct {
	Movie      int64
	Score      float32 // what movies are ranked by; of a model of ratings alone the prediction
	Prediction float32 // predicted rating in stars, clamped to the scale
}

// TopN returns the n movies with the highest scores for user, best first,
// without those that exclude reports; exclude may be nil. The score is that of
// the preference head, x·y + β·r̂, and where the model has none the predicted
// rating. Ties go to the lower movie id. A user whom the model does not know is
// ranked by movie biases.
func (m *Model) TopN(user int64, n int, exclude func(movie int64) bool) []Scored {
	if n <= 0 {
		return nil
	}
	u := m.row(m.users, user)
	ranker := m.ranker()
	query := ranker.query(m.factors, u)
	best := make(worstFirst, 0, min(n, len(m.factors.Movies))+1)
	scores := make([]float32, rankedAtOnce)
	for from := 0; from < len(m.factors.Movies); from += rankedAtOnce {
		movies := m.factors.Movies[from:min(from+rankedAtOnce, len(m.factors.Movies))]
		ranker.score(scores[:len(movies)], from, query)
		for k, movie := range movies {
			candidate := Scored{Movie: movie, Score: scores[k]}
			if len(best) == n && compareScored(candidate, best[0]) >= 0 || exclude != nil && exclude(movie) {
				continue
			}
			if len(best) == n {
				heap.Pop(&best)
			}
			heap.Push(&best, candidate)
		}
	}
	slices.SortFunc(best, compareScored)
	for k := range best {
		best[k].Prediction = m.Predict(user, best[k].Movie).Value
		if m.factors.Preference == nil {
			best[k].Score = best[k].Prediction
		}
	}
	return best
}

// RankingScores writes the scores by which TopN ranks the movies, up to what is
// the same for all movies of the user, into scores [movies], in the order of
// Factors().Movies. It panics if the length is another.
func (m *Model) RankingScores(user int64, scores []float32) {
	if len(scores) != len(m.factors.Movies) {
		panic("model: RankingScores: one score a movie is needed")
	}
	ranker := m.ranker()
	ranker.score(scores, 0, ranker.query(m.factors, m.row(m.users, user)))
}

// rankedAtOnce is how many movies are scored before any is looked at.
const rankedAtOnce = 256

// ranker holds movies as they are ranked: the factors of both heads side by
// side, so that a score is one inner product and a bias.
type ranker struct {
	stride int
	movies []float32 // [movies × stride], aligned
	bias   []float32 // [movies]
	beta   float32   // share of the rating head, 1 where it is alone
}

func newRanker(f *als.Factors) *ranker {
	r := &ranker{beta: 1, bias: make([]float32, len(f.Movies))}
	head := 0
	if f.Preference != nil {
		head, r.beta = f.Preference.Rank, float32(f.Preference.Beta)
	}
	r.stride = kernel.Stride(head + f.Rank)
	r.movies = kernel.Aligned(len(f.Movies) * r.stride)
	for i, bias := range f.MovieBias {
		r.bias[i] = r.beta * bias
		row := r.movies[i*r.stride:][:r.stride]
		if f.Preference != nil {
			copy(row, f.Preference.MovieFactors[i*head:][:head])
		}
		copy(row[head:], f.MovieFactors[i*f.Rank:][:f.Rank])
	}
	return r
}

// query returns what the rows of movies are multiplied with for the user in row
// u, and nil for u = -1, an unknown one.
func (r *ranker) query(f *als.Factors, u int) []float32 {
	if u < 0 || r.stride == 0 {
		return nil
	}
	query, head := kernel.Aligned(r.stride), 0
	if f.Preference != nil {
		head = f.Preference.Rank
		copy(query, f.Preference.UserFactors[u*head:][:head])
	}
	for c, x := range f.UserFactors[u*f.Rank:][:f.Rank] {
		query[head+c] = r.beta * x
	}
	return query
}

// score writes the scores of the movies from row from on.
func (r *ranker) score(scores []float32, from int, query []float32) {
	if query == nil {
		copy(scores, r.bias[from:])
		return
	}
	kernel.Products(scores, r.movies[from*r.stride:], r.stride, query)
	for k, bias := range r.bias[from:][:len(scores)] {
		scores[k] += bias
	}
}

// compareScored orders by descending score, then by ascending movie id.
func compareScored(a, b Scored) int {
	if c := cmp.Compare(b.Score, a.Score); c != 0 {
		return c
	}
	return cmp.Compare(a.Movie, b.Movie)
}

// worstFirst is a heap whose root is the worst of the best so far.
type worstFirst []Scored

func (h worstFirst) Len() int           { return len(h) }
func (h worstFirst) Less(i, j int) bool { return compareScored(h[i], h[j]) > 0 }
func (h worstFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *worstFirst) Push(x any)        { *h = append(*h, x.(Scored)) }
func (h *worstFirst) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}
