package model

import (
	"math"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// Similar is the answer to Similar and SimilarUsers.
type Similar struct {
	Items []ScoredID // most similar first
	Head  Head       // whose factors were compared
	Cold  bool       // nothing is known of what was asked for, so that nothing is similar
}

// ScoredID is a movie or a user with its cosine to another, −1 to 1.
type ScoredID struct {
	ID     int64
	Cosine float32
}

// Similar returns the movies whose factors have the greatest cosine with those of
// q.Movie, exactly and without itself: of the head that ranks, and where there is
// none of that of ratings. Ties go to the lower id. Movies without factors are
// similar to none.
func (r Recommender) Similar(q *Query) Similar {
	q.check()
	m := r.Version.Model
	answer := Similar{Head: m.head()}
	i := m.movieRow(q.Movie)
	if i < 0 {
		answer.Cold = true
		return answer
	}
	y := m.headFactors(i)
	norm := math.Sqrt(float64(kernel.Dot(y, y)))
	if norm == 0 {
		answer.Cold = true
		return answer
	}
	ranker, a := m.ranker(), m.answering()
	query := kernel.Aligned(ranker.stride)
	for c, value := range y {
		query[c] = float32(float64(value) / norm)
	}
	excluded := sortedIDs(append([]int64{q.Movie}, q.Exclude...))
	best := topList{n: q.Offset + q.N, exclude: func(movie int64) bool {
		return contains(excluded, movie) || q.MinCount > 0 && m.movieCount(m.movieRow(movie)) < q.MinCount ||
			q.Keep != nil && !q.Keep(movie)
	}}
	query = query[:kernel.Stride(len(y))]
	scores := make([]float32, rankedAtOnce)
	for from := 0; from < len(ranker.ids); from += rankedAtOnce {
		movies := ranker.ids[from:min(from+rankedAtOnce, len(ranker.ids))]
		kernel.Products(scores[:len(movies)], ranker.movies[from*ranker.stride:], ranker.stride, query)
		for k, movie := range movies {
			if length := a.norms[from+k]; length > 0 {
				best.offer(Scored{Movie: movie, Score: scores[k] / length})
			}
		}
	}
	m.eachAdded(func(i int, movie int64) {
		other := m.headFactors(i)
		if length := math.Sqrt(float64(kernel.Dot(other, other))); length > 0 {
			best.offer(Scored{Movie: movie, Score: float32(float64(kernel.Dot(y, other)) / norm / length)})
		}
	})
	answer.set(best.best, q)
	return answer
}

func (s *Similar) set(list []Scored, q *Query) {
	for _, scored := range page(list, q) {
		s.Items = append(s.Items, ScoredID{scored.Movie, min(max(scored.Score, -1), 1)})
	}
}

// SimilarUsers is Similar of users: those whom the version was trained on, compared
// with q.User as the user is now.
func (r Recommender) SimilarUsers(q *Query) Similar {
	q.check()
	a := r.open()
	defer a.done()
	a.who(q)
	x, users, rank := a.taste.factors, a.m.factors.UserFactors, a.m.factors.Rank
	if p := a.m.factors.Preference; p != nil {
		x, users, rank = a.taste.preference, p.UserFactors, p.Rank
	}
	answer := Similar{Head: a.m.head()}
	norm := math.Sqrt(float64(kernel.Dot(x, x)))
	if norm == 0 {
		answer.Cold = true
		return answer
	}
	others := append([]int64{q.User}, q.Exclude...)
	if r.Users != nil {
		others = r.Users.appendErased(others)
	}
	excluded := sortedIDs(others)
	best := topList{n: q.Offset + q.N, exclude: func(user int64) bool { return contains(excluded, user) }}
	for u, user := range a.m.factors.Users {
		other := users[u*rank:][:rank]
		if length := math.Sqrt(float64(kernel.Dot(other, other))); length > 0 {
			best.offer(Scored{Movie: user, Score: float32(float64(kernel.Dot(x, other)) / norm / length)})
		}
	}
	answer.set(best.best, q)
	return answer
}
