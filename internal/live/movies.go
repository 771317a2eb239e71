package live

import (
	"cmp"
	"slices"
)

// movies is the predictions of each movie, at most keptMovies of them.
type movies map[int64]*movieUse

type movieUse struct {
	given     string   // the title as it came, if that is what title was made of
	title     string   // as it is shown
	genres    []string // never changed, since rows share it
	predicted mean
}

// add counts a prediction of a movie, and returns how the movie is shown.
func (m movies) add(p *prediction) *movieUse {
	use := m[p.movie]
	if use == nil {
		if len(m) >= keptMovies {
			m.prune()
		}
		use = &movieUse{}
		m[p.movie] = use
	}
	if p.title != "" && p.title != use.given {
		use.title = cut(p.title, maxTitle)
		if use.given = use.title; len(p.title) > maxTitle {
			use.given = ""
		}
	}
	if !slices.Equal(p.genres, use.genres) {
		use.genres = make([]string, 0, len(p.genres))
		for _, genre := range p.genres {
			use.genres = append(use.genres, cut(genre, maxGenre))
		}
	}
	use.predicted.add(p.value)
	return use
}

// prune makes room by letting go of the half with the fewest predictions, which
// is in no list.
func (m movies) prune() {
	counts := make([]int64, 0, len(m))
	for _, use := range m {
		counts = append(counts, use.predicted.n)
	}
	slices.Sort(counts)
	median, goal := counts[len(counts)/2], len(m)/2
	for id, use := range m {
		if use.predicted.n <= median && len(m) > goal {
			delete(m, id)
		}
	}
}

// top gives the first movies in the order of compare, of those with at least
// minimum predictions.
func (m movies) top(minimum int64, compare func(a, b Movie) int) []Movie {
	best := make([]Movie, 0, topRows+1)
	for id, use := range m {
		if use.predicted.n < minimum {
			continue
		}
		movie := Movie{ID: id, Title: use.title, Mean: use.predicted.value(), Count: use.predicted.n}
		if len(best) == topRows && compare(movie, best[topRows-1]) >= 0 {
			continue
		}
		i, _ := slices.BinarySearchFunc(best, movie, compare)
		best = slices.Insert(best, i, movie)
		best = best[:min(len(best), topRows)]
	}
	return best
}

func byMean(a, b Movie) int {
	return cmp.Or(cmp.Compare(b.Mean, a.Mean), cmp.Compare(b.Count, a.Count), cmp.Compare(a.ID, b.ID))
}

func byCount(a, b Movie) int {
	return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(b.Mean, a.Mean), cmp.Compare(a.ID, b.ID))
}
