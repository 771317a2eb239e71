package model

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// Head is one of the two of a model that can rank.
type Head string

// Heads.
const (
	PreferenceHead Head = "preference" // what users choose
	RatingHead     Head = "rating"     // what they rate high
)

// Basis is what a list was made from.
type Basis string

// Bases.
const (
	ByUser       Basis = "user"    // the user's ratings
	ByLiked      Basis = "liked"   // the movies that the query says are liked
	ByPopularity Basis = "popular" // what is popular with everybody
)

// Query asks for movies or users. Its zero value asks for nothing.
type Query struct {
	User      int64
	Users     []int64 // of Recommend, in place of User: one list for all of them, without Reasons
	Anonymous bool    // nobody known: Liked is all there is
	Liked     []int64 // movies, of an anonymous user
	Movie     int64   // of Similar and Explain

	N      int // how many, at least 1
	Offset int // how many to leave out at the head of the list: the pages before

	Exclude    []int64                // movies, or users, that are left out
	Candidates []int64                // the only movies to choose from; nil for all
	WithSeen   bool                   // also movies that the user rated or likes
	MinCount   int                    // ratings that a movie has at least in training
	Keep       func(movie int64) bool // more that a movie has to fulfil; nil for nothing

	Popularity float64 // share of popularity in the score, 0 to 1; below 0 for DefaultPopularity
	Diversity  float64 // 1 − λ of maximal marginal relevance, 0 to 1
	Reasons    bool    // say what speaks for each movie
	Brief      bool    // leave predictions out
}

// Recommender answers queries by one version of a model, from what is known of the
// users now. Its methods are safe for concurrent use.
type Recommender struct {
	Version *Version
	Users   *Users // nil for what the version knows alone
}

// answering is what a model needs for queries, made when the first comes.
type answering struct {
	folders    sync.Pool // of *folders
	tastes     tastes    // of users who were folded in
	popularity []float32 // ln(1+n)/ln(1+max n) of each movie, in the order of the ranker
	norms      []float32 // of movies in the head that ranks, the same
	row        []int32   // of movies, the same
	gram       func() *gram
}

func newAnswering(m *Model, r *ranker) *answering {
	f := m.factors
	a := &answering{
		popularity: make([]float32, len(r.ids)), norms: make([]float32, len(r.ids)), row: make([]int32, len(r.ids)),
		gram: sync.OnceValue(func() *gram { return newGram(f.Preference) }),
	}
	for at, movie := range r.ids {
		i := m.row(m.movies, movie)
		y := m.headFactors(i)
		a.row[at], a.popularity[at] = int32(i), m.popularity(i)
		a.norms[at] = float32(math.Sqrt(float64(kernel.Dot(y, y))))
	}
	rating := m.folding().base
	var preference *als.PreferenceFolder
	if f.Preference != nil {
		preference = m.preferenceFolder()
	}
	a.folders.New = func() any {
		own := &folders{rating: rating.Clone(), x: make([]float32, f.Rank)}
		if preference != nil {
			own.preference, own.p = preference.Clone(), make([]float32, f.Preference.Rank)
		}
		return own
	}
	return a
}

// head is the one that ranks.
func (m *Model) head() Head {
	if m.factors.Preference != nil {
		return PreferenceHead
	}
	return RatingHead
}

// popularity is ln(1+n)/ln(1+max n) of the movie in row i, with n its number of
// ratings in training.
func (m *Model) popularity(i int) float32 {
	if m.mostRated == 0 {
		return 0
	}
	return float32(math.Log1p(float64(min(m.movieCount(i), int(m.mostRated)))) / math.Log1p(float64(m.mostRated)))
}

// score is what the movie in row i is ranked by, and what blend takes:
//
//	x·y + β·(x_r·y_r + b_i)        of the head that ranks
//	μ + b_u + b_i + x_r·y_r        of ratings alone, in stars and unclamped
func (m *Model) score(t *taste, i int) float32 {
	f := m.factors
	sum := m.movieBias(i)
	if t.factors != nil {
		sum += kernel.Dot(t.factors, m.movieFactors(i))
	}
	if f.Preference == nil {
		return f.Mean + t.bias + sum
	}
	sum *= float32(f.Preference.Beta)
	if t.preference != nil {
		sum += kernel.Dot(t.preference, m.headFactors(i))
	}
	return sum
}

// stars is the predicted rating of the movie in row i, -1 for an unknown one, clamped.
func (m *Model) stars(t *taste, i int) float32 {
	x, y := t.factors, m.average.movie
	if x == nil {
		x = m.average.user
	}
	value := m.factors.Mean + t.bias
	if i >= 0 {
		value += m.movieBias(i)
		y = m.movieFactors(i)
	}
	return m.scale.Clamp(value + product(x, y))
}

// blend mixes popularity, 0 to 1, into a score with the given share. That of the
// head of ratings is in stars, so popularity is laid over the scale.
func (m *Model) blend(score, popularity, share float32) float32 {
	if m.factors.Preference == nil {
		popularity = m.scale.Min + (m.scale.Max-m.scale.Min)*popularity
	}
	return (1-share)*score + share*popularity
}

// setTaste makes the query, what the rows of movies are multiplied with.
func (s *rankScratch) setTaste(f *als.Factors, t *taste) {
	clear(s.query)
	head := 0
	if f.Preference != nil {
		head = f.Preference.Rank
		copy(s.query, t.preference)
	}
	for c, x := range t.factors {
		s.query[head+c] = s.ranker.beta * x
	}
}

// open begins an answer. Done gives back what it took.
func (r Recommender) open() *answer {
	m := r.Version.Model
	a := m.answering()
	return &answer{Recommender: r, m: m, a: a, folders: a.folders.Get().(*folders)}
}

// answer is what one query needs.
type answer struct {
	Recommender
	m       *Model
	a       *answering
	folders *folders

	taste   taste
	unknown []int64 // movies that the query names and the model does not know
	seen    idSet   // movies
	members []int64 // of a group, of whom something is known
}

func (a *answer) done() { a.a.folders.Put(a.folders) }

// who finds out what is known of the user.
func (a *answer) who(q *Query) {
	if len(q.Users) > 0 {
		a.group(q)
		return
	}
	if q.Anonymous {
		a.taste, a.unknown = a.folders.liked(a.m, q.Liked)
		a.seen.set(sortedIDs(q.Liked))
		return
	}
	history, revision := a.folders.history[:0], uint32(0)
	if a.Users != nil {
		history, revision = a.Users.historyAt(history, q.User)
	}
	a.folders.history = history
	var kept bool
	if a.taste, kept = a.a.tastes.find(q.User, revision); !kept {
		a.taste = a.folders.user(a.Version, a.known(q.User), history)
		if a.taste.folded != nil {
			a.a.tastes.keep(q.User, revision, a.taste)
		}
	}
	seen := a.folders.seen[:0]
	for _, r := range history {
		seen = append(seen, r.Movie)
	}
	a.folders.seen = seen
	a.seen.set(seen)
}

// idSet is a set of ids that tells of most others at once that they are not in it.
type idSet struct {
	ids  []int64    // ascending
	bits [64]uint64 // by a hash
}

func (s *idSet) set(ids []int64) {
	s.ids = ids
	clear(s.bits[:])
	for _, id := range ids {
		h := uint64(id) * 0x9e3779b97f4a7c15 >> 52
		s.bits[h/64] |= 1 << (h % 64)
	}
}

func (s *idSet) has(id int64) bool {
	h := uint64(id) * 0x9e3779b97f4a7c15 >> 52
	return s.bits[h/64]>>(h%64)&1 == 1 && contains(s.ids, id)
}

// contains reports whether id is in the ascending ids.
func contains(ids []int64, id int64) bool {
	_, found := slices.BinarySearch(ids, id)
	return found
}

// page cuts a list to what the query asks for.
func page[T any](list []T, q *Query) []T {
	return list[min(q.Offset, len(list)):min(q.Offset+q.N, len(list))]
}

// check panics on a query that nobody can mean: a caller checks what it was sent.
func (q *Query) check() {
	if q.N < 1 || q.Offset < 0 || !(q.Diversity >= 0 && q.Diversity <= 1) || !(q.Popularity <= 1) {
		panic(fmt.Sprintf("model: query for %d after %d, diversity %v, popularity %v", q.N, q.Offset, q.Diversity, q.Popularity))
	}
}
