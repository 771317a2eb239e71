package model

import (
	"slices"
)

// DefaultPopularity is the share of popularity in the scores of a model without a
// head that ranks: predicted ratings alone put movies first that few have seen. See
// docs/decisions/018-lists.md.
const DefaultPopularity = 0.4

// Item is a recommended movie.
type Item struct {
	Scored
	Reason *Reason // nil if none was asked for or is known
}

// Reason is the movie that speaks most for a recommended one.
type Reason struct {
	Movie  int64
	Rating float32 // the user's, in stars; 0 of a movie that is only liked
	Score  float64 // its part of the recommended movie's score, see Explanation
}

// Recommended is the answer to Recommend.
type Recommended struct {
	Items    []Item // best first; with diversity, as they are to be shown
	Head     Head   // that ranked; "" for popularity
	Basis    Basis
	ColdUser bool    // a user of whom neither the model nor Users know anything
	Unknown  []int64 // movies of Liked and Candidates, ascending, that the model does not know and that were left out
}

// Recommend returns the movies with the greatest scores, exactly, without those
// that the query leaves out. Ties go to the lower movie id, so that pages neither
// overlap nor leave a gap while the version and what is known of the user stay.
//
// The score is that of the head that ranks, as with Model.TopN, or the predicted
// rating in stars, unclamped, mixed with popularity, see Query.Popularity. A user
// who has rated since training is folded in from the newest 2,000 ratings that are
// remembered. For somebody of whom nothing is known the score is how often a movie
// was rated, newer ratings counting more; without ratings that are remembered, and
// so without times, how often in training.
func (r Recommender) Recommend(q *Query) Recommended {
	q.check()
	a := r.open()
	defer a.done()
	a.who(q)
	list := a.list(q)
	if q.Diversity > 0 {
		a.m.diversify(list, q)
	}
	list = page(list, q)
	answer := Recommended{
		Items: make([]Item, len(list)), Basis: a.taste.basis, Head: a.m.head(), ColdUser: a.taste.basis == ByPopularity && !q.Anonymous,
		Unknown: sortedIDs(a.unknown),
	}
	if a.taste.basis == ByPopularity {
		answer.Head = ""
	}
	for k, scored := range list {
		if !q.Brief {
			scored.Prediction = a.predict(q, scored.Movie)
		}
		answer.Items[k].Scored = scored
	}
	if q.Reasons {
		a.reason(answer.Items)
	}
	return answer
}

// deepest is the length of lists that are kept in order while they are made; longer
// ones are sorted.
const deepest = 1000

// list returns the list down to the end of the page, or of what diversify needs.
func (a *answer) list(q *Query) []Scored {
	excluded := sortedIDs(q.Exclude)
	leftOut := func(movie int64) bool {
		return contains(excluded, movie) || !q.WithSeen && a.seen.has(movie) ||
			q.MinCount > 0 && a.m.movieCount(a.m.movieRow(movie)) < q.MinCount ||
			q.Keep != nil && !q.Keep(movie)
	}
	depth := q.Offset + q.N
	if q.Diversity > 0 {
		depth = max(depth, q.pool())
	}
	best := topList{best: make([]Scored, 0, min(depth, deepest)+1), n: depth, exclude: leftOut}
	share := a.m.share(q)
	switch {
	case q.Candidates != nil:
		a.choose(&best, q.Candidates, share)
	case a.taste.basis == ByPopularity:
		a.walk(&best)
	case share == 0 && depth <= deepest:
		a.rank(&best)
		a.scoreAdded(&best, share)
	default:
		a.scan(&best, share)
	}
	return best.best
}

// choose scores candidates one by one.
func (a *answer) choose(best *topList, candidates []int64, share float32) {
	m := a.m
	var popular map[int64]float32
	if a.taste.basis == ByPopularity {
		popular = map[int64]float32{}
		for _, scored := range a.popular() {
			popular[scored.Movie] = scored.Score
		}
	}
	var chosen []Scored
	for _, movie := range sortedIDs(candidates) {
		i := m.movieRow(movie)
		switch {
		case i < 0:
			a.unknown = append(a.unknown, movie)
		case best.exclude(movie):
		case popular != nil:
			chosen = append(chosen, Scored{Movie: movie, Score: popular[movie]})
		default:
			chosen = append(chosen, Scored{Movie: movie, Score: m.blend(m.score(&a.taste, i), m.popularity(i), share)})
		}
	}
	slices.SortFunc(chosen, compareScored)
	best.best = chosen[:min(len(chosen), best.n)]
}

// popular are all movies, the most popular first.
func (a *answer) popular() []Scored {
	if a.Users == nil {
		return (&popularity{}).of(a.m)
	}
	return a.Users.popularity().of(a.m)
}

// walk takes what is popular.
func (a *answer) walk(best *topList) {
	for _, scored := range a.popular() {
		if len(best.best) == best.n {
			return
		}
		if !best.exclude(scored.Movie) {
			best.best = append(best.best, scored)
		}
	}
}

// rank finds the best as Model.TopN does.
func (a *answer) rank(best *topList) {
	ranker := a.m.ranker()
	scratch := ranker.scratch.Get().(*rankScratch)
	defer ranker.scratch.Put(scratch)
	scratch.setTaste(a.m.factors, &a.taste)
	if ranker.quantized != nil {
		a.m.rankByBounds(best, ranker, scratch)
	} else {
		a.m.rankAll(best, ranker, scratch, ranker.stride > 0)
	}
	if a.m.head() == RatingHead {
		for k := range best.best {
			best.best[k].Score += a.m.factors.Mean + a.taste.bias
		}
	}
}

// scoreAdded scores movies that were rated since training, one by one.
func (a *answer) scoreAdded(best *topList, share float32) {
	a.m.eachAdded(func(i int, movie int64) {
		scored := Scored{Movie: movie, Score: a.m.blend(a.m.score(&a.taste, i), a.m.popularity(i), share)}
		switch {
		case best.n <= deepest:
			best.offer(scored)
		case !best.exclude(movie):
			best.best = append(best.best, scored)
		}
	})
}

// scan scores all movies.
func (a *answer) scan(best *topList, share float32) {
	ranker := a.m.ranker()
	scratch := ranker.scratch.Get().(*rankScratch)
	defer ranker.scratch.Put(scratch)
	scratch.setTaste(a.m.factors, &a.taste)
	constant := float32(0)
	if a.m.head() == RatingHead {
		constant = a.m.factors.Mean + a.taste.bias
	}
	for from := 0; from < len(ranker.ids); from += rankedAtOnce {
		movies := ranker.ids[from:min(from+rankedAtOnce, len(ranker.ids))]
		scores := scratch.scores[:len(movies)]
		ranker.score(scores, from, scratch, ranker.stride > 0)
		least := best.least()
		for k, movie := range movies {
			scored := Scored{Movie: movie, Score: a.m.blend(scores[k]+constant, a.a.popularity[from+k], share)}
			switch {
			case best.n > deepest:
				if !best.exclude(movie) {
					best.best = append(best.best, scored)
				}
			case scored.Score >= least:
				best.offer(scored)
				least = best.least()
			}
		}
	}
	a.scoreAdded(best, share)
	if best.n > deepest {
		slices.SortFunc(best.best, compareScored)
		best.best = best.best[:min(len(best.best), best.n)]
	}
}
