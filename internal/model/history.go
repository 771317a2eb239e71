package model

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// maxFolded is how many ratings of a user, the newest, are folded in.
const maxFolded = 2000

// refreshAge is how old what is remembered of a user may be for Refresh, in
// milliseconds.
const refreshAge = 10_000

// Refresh learns a user's ratings from where they are stored, unless it did so a
// moment before; now is in Unix milliseconds. What was taken back or erased does not
// come back by a read that began before; that a rating is not there any more is no
// news, as what took it back is. An error is read's; what is remembered stays.
func (u *Users) Refresh(user, now int64, read func() ([]ratings.Rating, error)) error {
	shard := u.shard(user)
	shard.mu.Lock()
	state := shard.users[user]
	fresh := state != nil && now-1000*int64(state.refreshed) < refreshAge
	shard.mu.Unlock()
	if fresh {
		return nil
	}
	stored, err := read()
	if err != nil {
		return err
	}
	for _, r := range stored {
		u.Learn(r)
	}
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if state := shard.users[user]; state != nil {
		state.refreshed = seconds(now)
	}
	return nil
}

// seconds rounds milliseconds up.
func seconds(milliseconds int64) uint32 { return uint32((milliseconds + 999) / 1000) }

// newest returns the newest ratings, at most maxFolded, in ascending order of
// movies. On equal time a lower movie id is newer.
func newest(history []ratings.Rating) []ratings.Rating {
	if len(history) <= maxFolded {
		return history
	}
	byTime := slices.Clone(history)
	slices.SortStableFunc(byTime, func(a, b ratings.Rating) int { return cmp.Compare(b.Time, a.Time) })
	byTime = byTime[:maxFolded]
	slices.SortFunc(byTime, func(a, b ratings.Rating) int { return cmp.Compare(a.Movie, b.Movie) })
	return byTime
}

const (
	// popularityHalfLife is after how long a rating counts half for popularity: a
	// season of the cinema.
	popularityHalfLife = 90 * 24 * time.Hour
	// popularityAge is how old popularity may be before it is counted again.
	popularityAge = 5 * time.Minute
	// popularityRatings is how many ratings it is counted from, of users who are as
	// good as drawn by lot.
	popularityRatings = 4_000_000
)

// popularity is how often movies were rated, of all ratings that Users remember.
type popularity struct {
	counted time.Time
	weights map[int64]float64 // Σ 2^(−age/half-life) by movie, the age being against the newest rating
	list    atomic.Pointer[popularList]
}

// popularList are the movies of one model, the most popular first.
type popularList struct {
	model  uint64
	movies []Scored
}

// popular is a popularity that is counted when it is asked for.
type popular struct {
	now     func() time.Time // the clock; nil is time.Now
	current atomic.Pointer[popularity]
	mu      sync.Mutex // held while it is counted
}

// popularity returns one that is at most popularityAge old, or an older one while
// another goroutine counts.
func (u *Users) popularity() *popularity {
	p := &u.popular
	now := time.Now
	if p.now != nil {
		now = p.now
	}
	fresh := func(of *popularity) bool { return of != nil && now().Sub(of.counted) < popularityAge }
	current := p.current.Load()
	switch {
	case fresh(current):
		return current
	case current == nil:
		p.mu.Lock()
	case !p.mu.TryLock():
		return current
	}
	defer p.mu.Unlock()
	if current = p.current.Load(); fresh(current) {
		return current
	}
	current = &popularity{counted: now(), weights: u.countRatings(popularityRatings)}
	p.current.Store(current)
	return current
}

// countRatings sums 2^(−age/half-life) for each movie. It looks at no more than
// about limit ratings: users are in shards by a hash, so that some shards are as
// good as a sample.
func (u *Users) countRatings(limit int) map[int64]float64 {
	newest, shards, left := int64(math.MinInt64), 0, limit
	for ; shards < len(u.shards) && left > 0; shards++ {
		u.shards[shards].each(func(state *userState) {
			left -= len(state.rated)
			for _, r := range state.rated {
				newest = max(newest, r.time)
			}
		})
	}
	weights := map[int64]float64{}
	for k := range shards {
		u.shards[k].each(func(state *userState) {
			for at, r := range state.rated {
				age := max(newest-r.time, 0) // some may have come since
				weights[state.movies[at]] += math.Exp2(-float64(age) / float64(popularityHalfLife.Milliseconds()))
			}
		})
	}
	return weights
}

func (s *userShard) each(fn func(*userState)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, state := range s.users {
		fn(state)
	}
}

// of returns the movies that m knows or that ratings are remembered of, the most
// popular first. If no ratings are remembered they are counted as in training, which
// knows no times.
func (p *popularity) of(m *Model) []Scored {
	if list := p.list.Load(); list != nil && list.model == m.number {
		return list.movies
	}
	movies := make([]Scored, len(m.factors.Movies), len(m.factors.Movies)+64)
	for i, movie := range m.factors.Movies {
		movies[i] = Scored{Movie: movie, Score: float32(m.factors.MovieCounts[i])}
		if len(p.weights) > 0 {
			movies[i].Score = float32(p.weights[movie])
		}
	}
	for movie, weight := range p.weights {
		if m.row(m.movies, movie) < 0 {
			movies = append(movies, Scored{Movie: movie, Score: float32(weight)})
		}
	}
	slices.SortFunc(movies, compareScored)
	p.list.Store(&popularList{m.number, movies})
	return movies
}

// taste is what lists are made from: a user as the heads of one model see them.
type taste struct {
	basis      Basis
	preference []float32 // of the head that ranks; nil if it has no part
	factors    []float32 // of the head of ratings; nil for zeros
	bias       float32
	folded     []ratings.Rating // ratings that it was folded in from, ascending by movie; nil if training did it
}

// folders fold users into the heads of a model. They belong to one goroutine.
type folders struct {
	rating     *als.Folder
	preference *als.PreferenceFolder // nil without that head
	history    []ratings.Rating
	seen       []int64
	rows       []int32
	values     []float32
	x, p       []float32
}

// likedStars is what a movie that somebody likes counts as.
const likedStars = 5

// liked returns the taste of somebody of whom only liked movies are known. The
// head of ratings learns nothing from them, as nobody knows what they were liked
// better than; where it is alone, they count as five stars each, and it takes the
// factors without the bias.
func (f *folders) liked(m *Model, movies []int64) (t taste, unknown []int64) {
	t.basis = ByPopularity
	var history []ratings.Rating
	for _, movie := range sortedIDs(movies) {
		if m.row(m.movies, movie) < 0 {
			unknown = append(unknown, movie)
			continue
		}
		history = append(history, ratings.Rating{Movie: movie, Value: likedStars})
	}
	if len(history) == 0 {
		return t, unknown
	}
	history = newest(history)
	t.basis, t.folded = ByLiked, history
	f.take(m, history)
	if f.preference != nil {
		t.preference = f.foldPreference()
	} else {
		t.factors, _ = f.foldRating(m)
	}
	return t, unknown
}

// sortedIDs returns the distinct ids, ascending.
func sortedIDs(ids []int64) []int64 {
	sorted := slices.Clone(ids)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// user returns the taste of the user in row u, -1 for an unknown one, with a
// history. What training found is taken if the history is that of training;
// otherwise the history is folded in.
func (f *folders) user(v *Version, u int, history []ratings.Rating) taste {
	m := v.Model
	if u >= 0 && (len(history) == 0 || v.knows(u, history)) {
		return m.trained(u)
	}
	history = newest(history)
	f.take(m, history)
	if len(f.rows) == 0 {
		if u >= 0 {
			return m.trained(u)
		}
		return taste{basis: ByPopularity}
	}
	t := taste{basis: ByUser, folded: history}
	t.factors, t.bias = f.foldRating(m)
	if f.preference != nil {
		t.preference = f.foldPreference()
	}
	return t
}

// knows reports whether the version was trained on this very history, as far as
// its number of ratings and the newest one tell.
func (v *Version) knows(u int, history []ratings.Rating) bool {
	if int(v.Model.factors.UserCounts[u]) != len(history) {
		return false
	}
	return !slices.ContainsFunc(history, func(r ratings.Rating) bool { return r.Time > v.Until })
}

// trained returns the taste of the user in a row.
func (m *Model) trained(u int) taste {
	t := taste{basis: ByUser, factors: m.userFactors(u), bias: m.factors.UserBias[u]}
	if p := m.factors.Preference; p != nil {
		t.preference = p.UserFactors[u*p.Rank:][:p.Rank]
	}
	return t
}

// take sets the rows and values to those ratings whose movies the model knows.
func (f *folders) take(m *Model, history []ratings.Rating) {
	f.rows, f.values = f.rows[:0], f.values[:0]
	for _, r := range history {
		if row := m.row(m.movies, r.Movie); row >= 0 {
			f.rows, f.values = append(f.rows, int32(row)), append(f.values, r.Value)
		}
	}
}

// foldRating folds in what was taken, at least one rating.
func (f *folders) foldRating(m *Model) (factors []float32, bias float32) {
	bias, _ = f.rating.FoldIn(f.rows, f.values, f.x) // fails only without ratings
	return f.x[:m.factors.Rank], bias
}

func (f *folders) foldPreference() []float32 {
	_ = f.preference.FoldIn(f.rows, f.values, f.p) // fails only without ratings
	return f.p
}

// AllUsers returns the users, ascending, whom the version was trained on and who were
// not erased since, or of whom ratings are remembered.
func (r Recommender) AllUsers() []int64 {
	all := slices.Clone(r.Version.Model.factors.Users)
	if r.Users == nil {
		return sortedIDs(all)
	}
	if erased := sortedIDs(r.Users.appendErased(nil)); len(erased) > 0 {
		all = slices.DeleteFunc(all, func(user int64) bool { return contains(erased, user) })
	}
	for k := range r.Users.shards {
		shard := &r.Users.shards[k]
		shard.mu.Lock()
		for user, state := range shard.users {
			if len(state.movies) > 0 {
				all = append(all, user)
			}
		}
		shard.mu.Unlock()
	}
	return sortedIDs(all)
}
