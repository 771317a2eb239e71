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
	return m.AppendTopN(make([]Scored, 0, min(n, len(m.factors.Movies))+1), user, n, exclude)
}

// AppendTopN is TopN that appends to list. It allocates nothing if that has room
// for n+1 more.
func (m *Model) AppendTopN(list []Scored, user int64, n int, exclude func(movie int64) bool) []Scored {
	if n <= 0 {
		return list
	}
	u := m.row(m.users, user)
	ranker := m.ranker()
	scratch := ranker.scratch.Get().(*rankScratch)
	defer ranker.scratch.Put(scratch)
	known := scratch.set(m.factors, u)
	best := &scratch.best
	*best = topList{best: list[len(list):], n: n, exclude: exclude}
	if known && ranker.quantized != nil {
		m.rankByBounds(best, ranker, scratch)
	} else {
		m.rankAll(best, ranker, scratch, known)
	}
	found := best.best
	*best = topList{}
	for k := range found {
		scored := &found[k]
		scored.Prediction = m.scale.Clamp(float32(m.mean(u, m.row(m.movies, scored.Movie))))
		if m.factors.Preference == nil {
			scored.Score = scored.Prediction
		}
	}
	return append(list, found...)
}

const (
	rankedAtOnce   = 1024 // movies that are scored before any is looked at
	gatheredAtOnce = 64   // movies that are scored out of their order
	slack          = 1.0001
)

// rankAll scores every movie.
func (m *Model) rankAll(best *topList, r *ranker, s *rankScratch, known bool) {
	for from := 0; from < len(r.ids); from += rankedAtOnce {
		movies := r.ids[from:min(from+rankedAtOnce, len(r.ids))]
		scores := s.scores[:len(movies)]
		r.score(scores, from, s, known)
		least := best.least()
		for k, movie := range movies {
			if scores[k] < least { // as nearly all are
				continue
			}
			best.offer(Scored{Movie: movie, Score: scores[k]})
			least = best.least()
		}
	}
}

// rankByBounds scores only the movies whose four-bit products come near the best
// so far. It begins with few, to have something to compare with, and ends where
// norms are too small for what is left to be among the best.
func (m *Model) rankByBounds(best *topList, r *ranker, s *rankScratch) {
	s.quantized.Set(s.query)
	s.rows = s.rows[:0]
	count := kernel.QuantizedRows
	for from := 0; from < len(r.ids); {
		rest := r.limits[from/rankedAtOnce]
		if rest.bias+rest.norm*s.quantized.Norm()*slack < best.least() {
			break
		}
		masks := s.masks[:count/16]
		clear(masks)
		r.quantized.Reaching(masks, from, &s.quantized, best.least())
		for block, mask := range masks {
			for ; mask != 0; mask &= mask - 1 {
				s.rows = append(s.rows, int32(from+16*block+bits.TrailingZeros16(mask)))
			}
		}
		if len(s.rows) >= gatheredAtOnce/2 || from < rankedAtOnce { // else more are looked at together
			m.rankSome(best, r, s)
		}
		from += count
		count = min(2*count, rankedAtOnce)
	}
	m.rankSome(best, r, s)
}

// rankSome scores the movies in s.rows, and forgets them.
func (m *Model) rankSome(best *topList, r *ranker, s *rankScratch) {
	for rows := range slices.Chunk(s.rows, gatheredAtOnce) {
		kernel.Gather(s.packed, r.movies, r.stride, rows)
		// Whole vectors: what stands behind the rows is of no meaning.
		scores := s.scores[:(len(rows)+kernel.Width-1)/kernel.Width*kernel.Width]
		kernel.Products(scores, s.packed, r.stride, s.query)
		for k, i := range rows {
			if score := scores[k] + r.bias[i]; score >= best.least() {
				best.offer(Scored{Movie: r.ids[i], Score: score})
			}
		}
	}
	s.rows = s.rows[:0]
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
// side, so that a score is one inner product and a bias. Movies of great norms,
// who may have great scores, come first.
type ranker struct {
	stride int
	ids    []int64   // [movies]
	movies []float32 // [movies × stride], aligned
	bias   []float32 // [movies]
	beta   float32   // share of the rating head, 1 where it is alone
	limits []limit   // of the movies from each rankedAtOnce on

	quantized *kernel.Quantized // movies and bias, nil if the kernel in use scores all as fast
	scratch   sync.Pool         // of *rankScratch
}

// limit is what no movie from some place on exceeds.
type limit struct{ norm, bias float32 }

// rankScratch is what one ranking needs.
type rankScratch struct {
	ranker    *ranker
	query     []float32 // [stride]
	quantized kernel.Query
	scores    []float32 // [rankedAtOnce]
	masks     []uint16
	rows      []int32   // that may be among the best
	packed    []float32 // [gatheredAtOnce × stride]
	best      topList
}

func newRanker(f *als.Factors) *ranker {
	r := &ranker{beta: 1, ids: make([]int64, len(f.Movies)), bias: make([]float32, len(f.Movies))}
	head := 0
	if f.Preference != nil {
		head, r.beta = f.Preference.Rank, float32(f.Preference.Beta)
	}
	r.stride = kernel.Stride(head + f.Rank)
	rows, norms := kernel.Aligned(len(f.Movies)*r.stride), make([]float32, len(f.Movies))
	order := make([]int32, len(f.Movies))
	for i := range order {
		row := rows[i*r.stride:][:r.stride]
		if f.Preference != nil {
			copy(row, f.Preference.MovieFactors[i*head:][:head])
		}
		copy(row[head:], f.MovieFactors[i*f.Rank:][:f.Rank])
		order[i], norms[i] = int32(i), float32(math.Sqrt(float64(kernel.Dot(row, row))))
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(norms[b], norms[a]) })
	r.movies = kernel.Aligned(len(rows))
	kernel.Gather(r.movies, rows, r.stride, order)
	r.limits = make([]limit, (len(order)+rankedAtOnce-1)/rankedAtOnce+1)
	r.limits[len(r.limits)-1].bias = -math.MaxFloat32
	for at, i := range slices.Backward(order) {
		r.ids[at], r.bias[at] = f.Movies[i], r.beta*f.MovieBias[i]
		end := &r.limits[at/rankedAtOnce]
		if at%rankedAtOnce == rankedAtOnce-1 || at == len(order)-1 {
			*end = r.limits[at/rankedAtOnce+1]
		}
		end.norm, end.bias = max(end.norm, norms[i]), max(end.bias, r.bias[at])
	}
	r.quantized = kernel.Quantize(r.movies, r.stride, r.bias)
	r.scratch.New = func() any {
		return &rankScratch{
			ranker: r, query: kernel.Aligned(r.stride), scores: make([]float32, rankedAtOnce),
			masks: make([]uint16, rankedAtOnce/16), rows: make([]int32, 0, rankedAtOnce+gatheredAtOnce), packed: kernel.Aligned(gatheredAtOnce * r.stride),
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
