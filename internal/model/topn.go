package model

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"sync"

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
	scratch := ranker.scratch.Get().(*rankScratch)
	defer ranker.scratch.Put(scratch)
	known := scratch.set(m.factors, u)
	best := topList{best: make([]Scored, 0, min(n, len(m.factors.Movies))+1), n: n, exclude: exclude}
	if known && ranker.quantized != nil {
		m.rankByBounds(&best, ranker, scratch)
	} else {
		m.rankAll(&best, ranker, scratch, known)
	}
	for k := range best.best {
		scored := &best.best[k]
		scored.Prediction = m.Predict(user, scored.Movie).Value
		if m.factors.Preference == nil {
			scored.Score = scored.Prediction
		}
	}
	return best.best
}

const (
	rankedAtOnce   = 1024 // movies that are scored before any is looked at
	gatheredAtOnce = 64   // movies that are scored out of their order
)

// rankAll scores every movie.
func (m *Model) rankAll(best *topList, r *ranker, s *rankScratch, known bool) {
	for from := 0; from < len(m.factors.Movies); from += rankedAtOnce {
		movies := m.factors.Movies[from:min(from+rankedAtOnce, len(m.factors.Movies))]
		scores := s.scores[:len(movies)]
		r.score(scores, from, s, known)
		for k, movie := range movies {
			best.offer(Scored{Movie: movie, Score: scores[k]})
		}
	}
}

// rankByBounds scores only the movies whose eight-bit products come near the
// best so far. It begins with few, to have something to compare with.
func (m *Model) rankByBounds(best *topList, r *ranker, s *rankScratch) {
	s.quantized.Set(s.query)
	count := kernel.QuantizedRows
	for from := 0; from < len(m.factors.Movies); {
		masks := s.masks[:count/16]
		clear(masks)
		r.quantized.Reaching(masks, from, &s.quantized, best.least())
		s.rows = s.rows[:0]
		for block, mask := range masks {
			for ; mask != 0; mask &= mask - 1 {
				s.rows = append(s.rows, int32(from+16*block+bits.TrailingZeros16(mask)))
			}
		}
		for rows := range slices.Chunk(s.rows, gatheredAtOnce) {
			kernel.Gather(s.packed, r.movies, r.stride, rows)
			// Whole vectors: what stands behind the rows is of no meaning.
			scores := s.scores[:(len(rows)+kernel.Width-1)/kernel.Width*kernel.Width]
			kernel.Products(scores, s.packed, r.stride, s.query)
			for k, i := range rows {
				best.offer(Scored{Movie: m.factors.Movies[i], Score: scores[k] + r.bias[i]})
			}
		}
		from += count
		count = min(2*count, rankedAtOnce)
	}
}

// topList keeps the best n of what is offered, best first.
type topList struct {
	best    []Scored
	n       int
	exclude func(movie int64) bool // nil for nothing
}

// least is the score below which nothing enters.
func (t *topList) least() float32 {
	if len(t.best) < t.n {
		return -math.MaxFloat32 / 2
	}
	return t.best[t.n-1].Score
}

func (t *topList) offer(candidate Scored) {
	if len(t.best) == t.n && compareScored(candidate, t.best[t.n-1]) >= 0 || t.exclude != nil && t.exclude(candidate.Movie) {
		return
	}
	at, _ := slices.BinarySearchFunc(t.best, candidate, compareScored)
	t.best = slices.Insert(t.best, at, candidate)
	t.best = t.best[:min(len(t.best), t.n)]
}

// ranker holds movies as they are ranked: the factors of both heads side by
// side, so that a score is one inner product and a bias.
type ranker struct {
	stride int
	movies []float32 // [movies × stride], aligned
	bias   []float32 // [movies]
	beta   float32   // share of the rating head, 1 where it is alone

	quantized *kernel.Quantized // movies and bias, nil if the kernel in use scores all as fast
	scratch   sync.Pool         // of *rankScratch
}

// rankScratch is what one ranking needs.
type rankScratch struct {
	ranker    *ranker
	query     []float32 // [stride]
	quantized kernel.Query
	scores    []float32 // [rankedAtOnce]
	masks     []uint16
	rows      []int32   // that may be among the best
	packed    []float32 // [gatheredAtOnce × stride]
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
	r.quantized = kernel.Quantize(r.movies, r.stride, r.bias)
	r.scratch.New = func() any {
		return &rankScratch{
			ranker: r, query: kernel.Aligned(r.stride), scores: make([]float32, rankedAtOnce),
			masks: make([]uint16, rankedAtOnce/16), rows: make([]int32, 0, rankedAtOnce), packed: kernel.Aligned(gatheredAtOnce * r.stride),
		}
	}
	return r
}

// set makes the query, what the rows of movies are multiplied with, for the user
// in row u. It tells whether there is one: not for u = -1, an unknown user.
func (s *rankScratch) set(f *als.Factors, u int) bool {
	if u < 0 || s.ranker.stride == 0 {
		return false
	}
	head := 0
	if f.Preference != nil {
		head = f.Preference.Rank
		copy(s.query, f.Preference.UserFactors[u*head:][:head])
	}
	for c, x := range f.UserFactors[u*f.Rank:][:f.Rank] {
		s.query[head+c] = s.ranker.beta * x
	}
	return true
}

// score writes the scores of the movies from row from on, by the query in s or by
// bias alone.
func (r *ranker) score(scores []float32, from int, s *rankScratch, known bool) {
	if !known {
		copy(scores, r.bias[from:])
		return
	}
	kernel.Products(scores, r.movies[from*r.stride:], r.stride, s.query)
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
