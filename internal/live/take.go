package live

import (
	"cmp"
	"slices"
)

// Snapshot gives everything as of now. It shares nothing with the aggregates.
func (a *Aggregates) Snapshot() Snapshot {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now().UnixMilli()
	s := Snapshot{
		Now:           now,
		WindowSeconds: int64(a.window.Seconds()),
		Totals:        a.totals,
		Throughput:    Throughput{Last10: a.rate(now, 10), Last60: a.rate(now, 60)},
		Accuracy:      AccuracyAll{Overall: a.overall.accuracy(), Latest: a.recent.accuracy()},
		Series:        a.takeSeries(now),
		Genres:        a.takeGenres(now),
		TopRated:      a.movies.top(topMinimum, byMean),
		MostRequested: a.movies.top(1, byCount),
		TopMinimum:    topMinimum,
		Latest:        append([]Prediction{}, a.latest...),
		Models:        append([]Model{}, a.models...),
		DeadLetters:   append([]DeadLetter{}, a.reasons...),
		ByModel:       []ModelResult{},
		Comparisons:   a.comparisons.Results(),
	}
	s.Totals.DistinctMovies = int64(len(a.movies))
	for i, m := range s.Models {
		if m.Role == "champion" {
			s.Model = &s.Models[i]
			break
		}
	}
	for _, use := range a.byModel {
		s.ByModel = append(s.ByModel, ModelResult{use.version, use.predictions, use.errors.accuracy()})
	}
	return s
}

// rate gives predictions per second over the latest whole seconds, or over the
// fewer ones since the first prediction.
func (a *Aggregates) rate(now, seconds int64) Number {
	if a.firstAt == 0 {
		return 0
	}
	seconds = min(seconds, max(now/1000-a.firstAt/1000, 1))
	var counts []int64
	a.throughput.each(now, func(n int64) { counts = append(counts, n) })
	counts = counts[:len(counts)-1] // the second that is not over
	var sum int64
	for _, n := range counts[int64(len(counts))-seconds:] {
		sum += n
	}
	return Number(float64(sum) / float64(seconds))
}

func (a *Aggregates) takeSeries(now int64) Series {
	s := Series{Start: a.series.start(now), StepMillis: a.series.step}
	a.series.each(now, func(p point) {
		s.Count = append(s.Count, p.predicted.n)
		s.Mean = append(s.Mean, p.predicted.value())
		s.RMSE = append(s.RMSE, p.errors.accuracy().RMSE)
	})
	return s
}

func (a *Aggregates) takeGenres(now int64) Genres {
	total := make([]int64, len(a.genreNames))
	means := make([][]Number, len(a.genreNames))
	counts := make([][]int64, len(a.genreNames))
	a.genres.each(now, func(p genrePoint) {
		for g := range total {
			var m mean
			if p.genres != nil {
				m = p.genres[g]
			}
			total[g] += m.n
			means[g] = append(means[g], m.value())
			counts[g] = append(counts[g], m.n)
		}
	})
	order := make([]int, 0, len(total))
	for g, n := range total {
		if n > 0 {
			order = append(order, g)
		}
	}
	slices.SortFunc(order, func(x, y int) int {
		return cmp.Or(cmp.Compare(total[y], total[x]), cmp.Compare(a.genreNames[x], a.genreNames[y]))
	})
	out := Genres{
		Start: a.genres.start(now), StepMillis: a.genres.step,
		Names: []string{}, Total: []int64{}, Mean: [][]Number{}, Count: [][]int64{},
	}
	for _, g := range order {
		out.Names = append(out.Names, a.genreNames[g])
		out.Total = append(out.Total, total[g])
		out.Mean = append(out.Mean, means[g])
		out.Count = append(out.Count, counts[g])
	}
	return out
}
