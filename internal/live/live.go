package live

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// The bounds of what is kept.
const (
	LatestCount = 1000 // predictions with an actual rating in Accuracy.Latest

	throughputSec = 61
	latestRows    = 50
	keptRecent    = 10_000
	keptModels    = 50
	keptReasons   = 20
	keptGenres    = 40
	keptMovies    = 100_000
	keptIDs       = 1 << 16
	topRows       = 40
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
	now         func() time.Time
	seed        maphash.Seed
	comparisons *experiment.Comparisons

	mu         sync.Mutex
	reading    prediction // room for one
	totals     Totals
	ids        *recentIDs
	firstAt    int64 // time of the earliest prediction in the throughput ring
	throughput *ring[second]
	spans      [len(wider)]*span
	genreIndex map[string]int
	genreNames []string
	movies     movies
	latest     []Prediction // newest first
	recent     recent
	accuracy   accuracy
	versions   []*versionUse // latest in use first
	lastUse    uint32
	models     []Model // greatest sequence first
	reasons    []DeadLetter
	lags       []GroupLag      // by group and topic
	forgotten  map[int64]int64 // users, with the moment until which
}

// second is one step of the throughput.
type second struct {
	predictions int64
	delays      delays
}

// versionUse is what is known of a version since the start.
type versionUse struct {
	id          uint32 // from 1, in points
	version     string
	predictions int64    // in service
	errors      errorSum // in any role
}

// New returns empty aggregates.
func New(c Config) *Aggregates {
	if c.Window == 0 {
		c.Window = 15 * time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	a := &Aggregates{
		now:  c.Now,
		seed: maphash.MakeSeed(),

		comparisons: experiment.NewComparisons(c.Compare),

		ids:        newRecentIDs(keptIDs),
		throughput: newRing[second](1000, throughputSec),
		genreIndex: map[string]int{},
		movies:     movies{},
		forgotten:  map[int64]int64{},
	}
	for i := range a.spans {
		a.spans[i] = newSpan(wider[i] * c.Window)
	}
	return a
}

// Prediction adds a message of a partition of topic predictions. An error is about
// the message, which then changes nothing.
func (a *Aggregates) Prediction(partition int32, data []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := &a.reading
	if err := p.decode(data); err != nil {
		return err
	}
	if !a.ids.add(maphash.String(a.seed, p.requestID)) {
		a.totals.Duplicates++
		return nil
	}
	now := a.now().UnixMilli()
	at := min(p.madeAt.UnixMilli(), now)
	a.totals.Predictions++
	if p.coldUser || p.coldMovie {
		a.totals.Cold++
	}
	a.addThroughput(p, at, now)
	for _, s := range p.Shadows {
		a.addShadow(p, &s, at, now)
	}
	use := a.use(p.ModelVersion) // the version in service stands before its shadows
	use.predictions++
	rated := p.Actual != nil && !p.Late
	if rated {
		a.accuracy.add(p)
		use.errors.add(p.value - p.actual)
	}
	for _, s := range a.spans {
		if step := s.series.at(at, now); step != nil {
			step.add(p, use.id, rated)
		}
		if step := s.coarse.at(at, now); step != nil {
			a.addGenres(p, step)
			if rated {
				step.calibration[binOf(p.value)].add(p.value, p.actual, p.stddev)
			}
		}
	}
	p.ModelVersion, p.Role = use.version, strings.Clone(p.Role) // comparisons keep them
	if rating, ok := p.Rating(); ok {
		rating.Partition = partition
		a.comparisons.Add(rating)
	}
	a.addRow(p, use, a.movies.add(p), at)
	return nil
}

func (a *Aggregates) addThroughput(p *prediction, at, now int64) {
	step := a.throughput.at(at, now)
	if step == nil {
		return
	}
	step.predictions++
	if p.RequestedAt != nil {
		step.delays.add(at - p.requestedAt.UnixMilli())
	}
	if a.firstAt == 0 || at < a.firstAt {
		a.firstAt = at
	}
}

// addShadow counts the error of a version that did not serve the user.
func (a *Aggregates) addShadow(p *prediction, s *experiment.Shadow, at, now int64) {
	if p.Actual == nil || s.Value == nil || s.Late {
		return
	}
	use := a.use(s.ModelVersion)
	use.errors.add(*s.Value - p.actual)
	for _, of := range a.spans {
		if step := of.series.at(at, now); step != nil {
			step.of(use.id).errors.add(*s.Value - p.actual)
		}
	}
}

func (step *point) add(p *prediction, version uint32, rated bool) {
	step.predicted.add(p.value)
	v := step.of(version)
	v.predicted.add(p.value)
	if !rated {
		return
	}
	step.errors.add(p.value - p.actual)
	v.errors.add(p.value - p.actual)
	if !math.IsNaN(p.baseline) {
		step.baseline.add(p.baseline - p.actual)
	}
}

func (a *Aggregates) addGenres(p *prediction, step *coarsePoint) {
	for _, name := range p.genres {
		index, ok := a.genreIndex[name]
		if !ok {
			name = cut(name, maxGenre)
			if index, ok = a.genreIndex[name]; !ok && len(a.genreNames) >= keptGenres-1 {
				name = otherGenre
				index, ok = a.genreIndex[name]
			}
			if !ok {
				index = len(a.genreNames)
				a.genreIndex[name] = index
				a.genreNames = append(a.genreNames, name)
			}
		}
		if step.genres == nil {
			step.genres = make([]mean, keptGenres)
		}
		step.genres[index].add(p.value)
	}
}

// addRow keeps the predictions made last, in whatever order they arrive.
func (a *Aggregates) addRow(p *prediction, version *versionUse, movie *movieUse, at int64) {
	if a.isForgotten(p.user, at) {
		return
	}
	row := Prediction{
		At: at, User: p.user, Movie: p.movie, Title: movie.title, Genres: movie.genres, Value: Number(p.value),
		ColdUser: p.coldUser, ColdMovie: p.coldMovie, ModelVersion: version.version,
	}
	if p.Actual != nil {
		actual := Number(p.actual)
		row.Actual = &actual
	}
	a.recent.add(row)
	i := 0
	for i < len(a.latest) && a.latest[i].At > at {
		i++
	}
	if i >= latestRows {
		return
	}
	a.latest = slices.Insert(a.latest, i, row)
	a.latest = a.latest[:min(len(a.latest), latestRows)]
}

// use gives the statistics of a version and makes it the latest in use; the
// version that was not in use for longest makes room for a new one.
func (a *Aggregates) use(version string) *versionUse {
	if len(version) > maxVersion {
		version = cut(version, maxVersion)
	}
	i := slices.IndexFunc(a.versions, func(u *versionUse) bool { return u.version == version })
	if i == 0 {
		return a.versions[0]
	}
	var use *versionUse
	if i > 0 {
		use = a.versions[i]
		a.versions = slices.Delete(a.versions, i, i+1)
	} else {
		a.lastUse++
		use = &versionUse{id: a.lastUse, version: cut(version, maxVersion)}
	}
	a.versions = slices.Insert(a.versions, 0, use)
	a.versions = a.versions[:min(len(a.versions), keptModels)]
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
