package live

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// The bounds of what is kept.
const (
	LatestCount = 1000 // predictions with an actual rating in Accuracy.Latest

	seriesSteps   = 180
	genreSteps    = 30
	throughputSec = 61
	latestRows    = 50
	keptModels    = 50
	keptReasons   = 20
	keptGenres    = 40
	keptMovies    = 100_000
	keptIDs       = 1 << 16
	topRows       = 15
	topMinimum    = 5
)

// otherGenre takes what comes after keptGenres different names.
const otherGenre = "(other)"

// Config of Aggregates. The zero value is a window of 15 minutes.
type Config struct {
	Window  time.Duration     // what series and genres reach back; at least 3 minutes
	Now     func() time.Time  // the clock; nil is time.Now
	Compare experiment.Config // how versions are compared
}

// Aggregates are the rolling statistics. They are safe for concurrent use.
type Aggregates struct {
	window      time.Duration
	now         func() time.Time
	seed        maphash.Seed
	comparisons *experiment.Comparisons

	mu         sync.Mutex
	totals     Totals
	ids        *recentIDs
	firstAt    int64 // time of the earliest prediction in the throughput ring
	throughput *ring[int64]
	series     *ring[point]
	genres     *ring[genrePoint]
	genreIndex map[string]int
	genreNames []string
	movies     movies
	latest     []Prediction // newest first
	overall    errorSum
	recent     errorSum
	recentErrs []float64 // a ring of the errors in recent
	recentNext int
	byModel    []*modelUse
	models     []Model // greatest sequence first
	reasons    []DeadLetter
}

// point is one step of Series.
type point struct {
	predicted mean
	errors    errorSum
}

// genrePoint is one step of Genres; nil until something is in it.
type genrePoint struct{ genres []mean }

type modelUse struct {
	version     string
	predictions int64
	errors      errorSum
}

// New returns empty aggregates.
func New(c Config) *Aggregates {
	if c.Window == 0 {
		c.Window = 15 * time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	step := max(c.Window.Milliseconds()/seriesSteps, 1000)
	return &Aggregates{
		window: time.Duration(step*seriesSteps) * time.Millisecond,
		now:    c.Now,
		seed:   maphash.MakeSeed(),

		comparisons: experiment.NewComparisons(c.Compare),

		ids:        newRecentIDs(keptIDs),
		throughput: newRing[int64](1000, throughputSec),
		series:     newRing[point](step, seriesSteps),
		genres:     newRing[genrePoint](step*seriesSteps/genreSteps, genreSteps),
		genreIndex: map[string]int{},
		movies:     movies{},
	}
}

// Prediction adds a message of a partition of topic predictions. An error is about
// the message, which then changes nothing.
func (a *Aggregates) Prediction(partition int32, data []byte) error {
	p, err := decodePrediction(data)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ids.add(maphash.String(a.seed, p.RequestID)) {
		a.totals.Duplicates++
		return nil
	}
	now := a.now().UnixMilli()
	at := min(p.PredictedAt.UnixMilli(), now)
	a.totals.Predictions++
	if len(p.Cold) > 0 {
		a.totals.Cold++
	}
	if n := a.throughput.at(at, now); n != nil {
		*n++
		if a.firstAt == 0 || at < a.firstAt {
			a.firstAt = at
		}
	}
	step := a.series.at(at, now)
	if step != nil {
		step.predicted.add(*p.Value)
	}
	use := a.modelUse(p.ModelVersion)
	use.predictions++
	if p.Actual != nil && !p.Late {
		a.addError(*p.Value-*p.Actual, use, step)
	}
	if rating, ok := p.Rating(); ok {
		rating.Partition = partition
		a.comparisons.Add(rating)
	}
	a.addGenres(p, a.genres.at(at, now))
	a.movies.add(*p.Movie, p.Title, *p.Value)
	a.addLatest(p, at)
	return nil
}

func (a *Aggregates) addError(err float64, use *modelUse, step *point) {
	a.overall.add(err)
	use.errors.add(err)
	if step != nil {
		step.errors.add(err)
	}
	a.recent.add(err)
	if len(a.recentErrs) < LatestCount {
		a.recentErrs = append(a.recentErrs, err)
		return
	}
	a.recent.remove(a.recentErrs[a.recentNext])
	a.recentErrs[a.recentNext] = err
	if a.recentNext = (a.recentNext + 1) % LatestCount; a.recentNext == 0 {
		a.recent = errorSum{} // anew from time to time, so that rounding does not add up
		for _, e := range a.recentErrs {
			a.recent.add(e)
		}
	}
}

func (a *Aggregates) addGenres(p *prediction, step *genrePoint) {
	if step == nil {
		return
	}
	for _, name := range p.Genres {
		index, ok := a.genreIndex[name]
		if !ok {
			if len(a.genreNames) >= keptGenres-1 {
				name = otherGenre
			}
			if index, ok = a.genreIndex[name]; !ok {
				index = len(a.genreNames)
				a.genreIndex[name] = index
				a.genreNames = append(a.genreNames, name)
			}
		}
		if step.genres == nil {
			step.genres = make([]mean, keptGenres)
		}
		step.genres[index].add(*p.Value)
	}
}

// addLatest keeps the predictions made last, in whatever order they arrive.
func (a *Aggregates) addLatest(p *prediction, at int64) {
	i := 0
	for i < len(a.latest) && a.latest[i].At > at {
		i++
	}
	if i >= latestRows {
		return
	}
	row := Prediction{
		At: at, User: *p.User, Movie: *p.Movie, Title: p.Title, Genres: slices.Clone(p.Genres),
		Value: Number(*p.Value), Actual: (*Number)(p.Actual),
		ColdUser: p.cold("user"), ColdMovie: p.cold("movie"), ModelVersion: p.ModelVersion,
	}
	a.latest = slices.Insert(a.latest, i, row)
	a.latest = a.latest[:min(len(a.latest), latestRows)]
}

// modelUse gives the statistics of a version and makes it the latest in use;
// the version that was not in use for longest makes room for a new one.
func (a *Aggregates) modelUse(version string) *modelUse {
	i := slices.IndexFunc(a.byModel, func(u *modelUse) bool { return u.version == version })
	if i == 0 {
		return a.byModel[0]
	}
	use := &modelUse{version: version}
	if i > 0 {
		use = a.byModel[i]
		a.byModel = slices.Delete(a.byModel, i, i+1)
	}
	a.byModel = slices.Insert(a.byModel, 0, use)
	a.byModel = a.byModel[:min(len(a.byModel), keptModels)]
	return use
}

// Announcement adds a message of topic models. An error is about the message,
// which then changes nothing.
func (a *Aggregates) Announcement(data []byte) error {
	var m message.Announcement
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("reading a model announcement: %w", err)
	}
	if m.Role == "" || m.Version == "" && m.Role == "champion" || m.Sequence < 1 {
		return fmt.Errorf("reading a model announcement: it must have role, version (of a champion), and a sequence from 1")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	same := func(other Model) bool { return other.Role == m.Role && other.Sequence == m.Sequence }
	if slices.ContainsFunc(a.models, same) {
		return nil
	}
	a.totals.Models++
	model := Model{
		Role: cut(m.Role, maxVersion), Version: cut(m.Version, maxVersion), Sequence: m.Sequence,
		RMSE: positive(m.Metrics.RMSE), BiasRMSE: positive(m.Metrics.BiasRMSE), Ratings: m.Metrics.Ratings,
		SeenAt: a.now().UnixMilli(), Simulated: m.Simulated, Share: Number(m.Share), Reason: cut(m.Reason, maxReason), Verdict: shortVerdict(m.Verdict),
	}
	if !m.PromotedAt.IsZero() {
		model.PromotedAt = m.PromotedAt.UnixMilli()
	}
	a.models = append(a.models, model)
	slices.SortStableFunc(a.models, func(x, y Model) int { return cmp.Compare(y.Sequence, x.Sequence) })
	a.models = a.models[:min(len(a.models), keptModels)]
	return nil
}

// positive reads a metric that is absent from JSON as none.
func positive(x float64) Number {
	if x <= 0 {
		return none
	}
	return Number(x)
}

// DeadLetter adds a message of topic dead_letters. id is where it stands in
// that topic, so that reading it again does not count; it may be empty.
func (a *Aggregates) DeadLetter(id string, d DeadLetter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if id != "" && !a.ids.add(maphash.String(a.seed, "dead letter "+id)) {
		return
	}
	a.totals.DeadLetters++
	for _, text := range []*string{&d.Reason, &d.Component, &d.Topic, &d.Partition, &d.Offset} {
		*text = cut(*text, maxReason)
	}
	if now := a.now().UnixMilli(); d.At == 0 || d.At > now {
		d.At = now
	}
	i := 0
	for i < len(a.reasons) && a.reasons[i].At > d.At {
		i++
	}
	a.reasons = slices.Insert(a.reasons, i, d)
	a.reasons = a.reasons[:min(len(a.reasons), keptReasons)]
}

// EndOfPartition counts a partition that was read to its end.
func (a *Aggregates) EndOfPartition() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.totals.EndsOfPartitions++
}
