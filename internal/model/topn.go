package model

import (
	"cmp"
	"container/heap"
	"slices"
)

// Scored is a movie with its predicted rating.
type Scored struct {
	Movie int64
	Score float32 // stars, clamped to the scale
}

// TopN returns the n movies with the highest predictions for user, best first,
// without those that exclude reports; exclude may be nil. Ties go to the lower
// movie id. A user whom the model does not know is ranked by movie biases.
func (m *Model) TopN(user int64, n int, exclude func(movie int64) bool) []Scored {
	if n <= 0 {
		return nil
	}
	u := m.row(m.users, user)
	best := make(worstFirst, 0, min(n, len(m.factors.Movies))+1)
	for i, movie := range m.factors.Movies {
		if exclude != nil && exclude(movie) {
			continue
		}
		candidate := Scored{movie, float32(m.fixed(u, i))}
		if len(best) == n {
			if compareScored(candidate, best[0]) >= 0 {
				continue
			}
			heap.Pop(&best)
		}
		heap.Push(&best, candidate)
	}
	slices.SortFunc(best, compareScored)
	for k := range best {
		if u >= 0 {
			best[k].Score += m.factors.UserBias[u]
		}
		best[k].Score = m.scale.Clamp(best[k].Score)
	}
	return best
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
