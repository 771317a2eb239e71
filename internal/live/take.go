package live

import (
	"cmp"
	"slices"
	"time"
)

// Windows are the ranges of time that snapshots can be of, shortest first.
func (a *Aggregates) Windows() []time.Duration {
	all := make([]time.Duration, len(a.spans))
	for i, s := range a.spans {
		all[i] = s.window
	}
	return all
}

// Snapshot gives everything as of now, over the shortest window. It shares nothing
// that changes with the aggregates.
func (a *Aggregates) Snapshot() Snapshot { return a.SnapshotOver(0) }

// SnapshotOver is Snapshot over the window of this index of Windows.
func (a *Aggregates) SnapshotOver(window int) Snapshot {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now().UnixMilli()
	of := a.spans[window]
	s := Snapshot{
		Now:           now,
		WindowSeconds: int64(of.window.Seconds()),
		Totals:        a.totals,
		Throughput:    a.takeThroughput(now),
		Accuracy:      a.accuracy.take(),
		Series:        a.takeSeries(of, now),
		Genres:        a.takeGenres(of, now),
		Calibration:   takeCalibration(of, now),
		TopRated:      a.movies.top(topMinimum, byMean),
		MostRequested: a.movies.top(1, byCount),
		TopMinimum:    topMinimum,
		Latest:        append([]Prediction{}, a.latest...),
		Models:        append([]Model{}, a.models...),
		DeadLetters:   append([]DeadLetter{}, a.reasons...),
		Lags:          a.takeLags(now),
		ByModel:       []ModelResult{},
		Comparisons:   a.comparisons.Results(),
	}
	s.Totals.DistinctMovies = int64(len(a.movies))
	for _, of := range a.spans {
		s.Windows = append(s.Windows, int64(of.window.Seconds()))
	}
	for i, m := range s.Models {
		if m.Role == "champion" {
			s.Model = &s.Models[i]
			break
		}
	}
	for _, use := range a.versions {
		s.ByModel = append(s.ByModel, ModelResult{use.version, use.predictions, use.errors.accuracy()})
	}
	return s
}

func (a *Aggregates) takeThroughput(now int64) Throughput {
	var minute delays
	a.throughput.each(now, func(s second) { minute.merge(&s.delays) })
	return Throughput{
		Last10: a.rate(now, 10), Last60: a.rate(now, 60),
		DelayP50: minute.quantile(.5), DelayP99: minute.quantile(.99),
	}
}

// rate gives predictions per second over the latest whole seconds, or over the
// fewer ones since the first prediction.
func (a *Aggregates) rate(now, seconds int64) Number {
	if a.firstAt == 0 {
		return 0
	}
	seconds = min(seconds, max(now/1000-a.firstAt/1000, 1))
	var counts []int64
	a.throughput.each(now, func(s second) { counts = append(counts, s.predictions) })
	counts = counts[:len(counts)-1] // the second that is not over
	var sum int64
	for _, n := range counts[int64(len(counts))-seconds:] {
		sum += n
	}
	return Number(float64(sum) / float64(seconds))
}

func (a *Aggregates) takeSeries(of *span, now int64) Series {
	s := Series{Start: of.series.start(now), StepMillis: of.series.step, Versions: []VersionSeries{}}
	var errors, baseline errorSum
	versions := map[uint32]*VersionSeries{}
	sums := map[uint32]*errorSum{}
	of.series.each(now, func(p point) {
		step := len(s.Count)
		s.Count = append(s.Count, p.predicted.n)
		s.Mean = append(s.Mean, p.predicted.value())
		s.RMSE = append(s.RMSE, p.errors.accuracy().RMSE)
		s.Baseline = append(s.Baseline, p.baseline.accuracy().RMSE)
		errors.merge(p.errors)
		baseline.merge(p.baseline)
		for _, v := range p.byVersion {
			if v.version == 0 {
				break
			}
			line := versions[v.version]
			if line == nil {
				line = newVersionSeries(seriesSteps)
				versions[v.version], sums[v.version] = line, &errorSum{}
			}
			line.Predictions += v.predicted.n
			line.Mean[step], line.RMSE[step] = v.predicted.value(), v.errors.accuracy().RMSE
			sums[v.version].merge(v.errors)
		}
	})
	s.Accuracy, s.BaselineAccuracy = errors.accuracy(), baseline.accuracy()
	for _, use := range a.versions {
		if line := versions[use.id]; line != nil {
			line.Version, line.Accuracy = use.version, sums[use.id].accuracy()
			s.Versions = append(s.Versions, *line)
		}
	}
	slices.SortStableFunc(s.Versions, func(x, y VersionSeries) int {
		return cmp.Or(cmp.Compare(y.Predictions, x.Predictions), cmp.Compare(y.Accuracy.Count, x.Accuracy.Count))
	})
	s.Versions = s.Versions[:min(len(s.Versions), keptVersions)]
	return s
}

func newVersionSeries(steps int) *VersionSeries {
	line := &VersionSeries{Mean: make([]Number, steps), RMSE: make([]Number, steps)}
	for i := range steps {
		line.Mean[i], line.RMSE[i] = none, none
	}
	return line
}

func takeCalibration(of *span, now int64) Calibration {
	var bins [halfStars]calibrationBin
	of.coarse.each(now, func(p coarsePoint) {
		for i := range bins {
			bins[i].merge(&p.calibration[i])
		}
	})
	c := Calibration{Bins: []CalibrationBin{}, Within: none}
	var all calibrationBin
	for i := range bins {
		b := &bins[i]
		all.merge(b)
		if b.n > 0 {
			c.Bins = append(c.Bins, CalibrationBin{Predicted: Number(float64(i) / 2), Count: b.n, MeanError: Number(b.deviation / float64(b.n))})
		}
	}
	if c.Stated = all.stated; all.stated > 0 {
		c.Within = Number(float64(all.within) / float64(all.stated))
	}
	return c
}

func (a *Aggregates) takeGenres(of *span, now int64) Genres {
	total := make([]int64, len(a.genreNames))
	means := make([][]Number, len(a.genreNames))
	counts := make([][]int64, len(a.genreNames))
	of.coarse.each(now, func(p coarsePoint) {
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
		Start: of.coarse.start(now), StepMillis: of.coarse.step,
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
