package recsystest

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// MemoryStore is a ratings.Store in memory: the plainest that fulfils
// StoreContract. Use NewMemoryStore.
type MemoryStore struct {
	mu        sync.Mutex
	cells     map[pair]cell
	tags      map[ratings.Tag]bool
	views     map[ratings.View]bool
	forgotten map[int64]int64 // erased up to and including, by user
	revision  int64
	offsets   ratings.Offsets
	items     map[int64]ratings.Item
	profiles  map[int64]ratings.Profile
}

var _ ratings.Store = (*MemoryStore)(nil)

type pair struct{ user, movie int64 }

// cell is the newest that is known of a pair: a rating, or that it was taken back.
type cell struct {
	time    int64
	unrated bool
	value   float32
}

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{
		cells: map[pair]cell{}, forgotten: map[int64]int64{},
		tags: map[ratings.Tag]bool{}, views: map[ratings.View]bool{},
		items: map[int64]ratings.Item{}, profiles: map[int64]ratings.Profile{},
	}
}

// Apply implements ratings.Store.
func (s *MemoryStore) Apply(ctx context.Context, changes ratings.Changes) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, partitions := range changes.Offsets {
		for partition, next := range partitions {
			s.offsets = s.offsets.Advance(topic, partition, next)
		}
	}
	for _, f := range changes.Forgotten {
		s.forget(f)
	}
	for _, r := range changes.Ratings {
		s.write(pair{r.User, r.Movie}, cell{time: r.Time, value: r.Value})
	}
	for _, u := range changes.Unrated {
		s.write(pair{u.User, u.Movie}, cell{time: u.Time, unrated: true})
	}
	for _, tag := range changes.Tags {
		if !s.isForgotten(tag.User, tag.Time) {
			s.tags[tag] = true
		}
	}
	for _, view := range changes.Views {
		if !s.isForgotten(view.User, view.Time) {
			s.views[view] = true
		}
	}
	s.describe(changes.Items, changes.Profiles)
	return nil
}

// write keeps the greater of two cells: the newer one; of equally new ones the
// one that takes back; of two ratings the greater value. That order is total,
// so the order of writes does not matter.
func (s *MemoryStore) write(at pair, c cell) {
	if s.isForgotten(at.user, c.time) {
		return
	}
	old, known := s.cells[at]
	if known && compareCells(c, old) <= 0 {
		return
	}
	s.cells[at] = c
	if !c.unrated || known && !old.unrated {
		s.revision++ // new, newer or taken back
	}
}

func compareCells(a, b cell) int {
	switch {
	case a.time != b.time:
		return cmp.Compare(a.time, b.time)
	case a.unrated != b.unrated:
		if a.unrated {
			return 1
		}
		return -1
	case a.unrated:
		return 0
	}
	return cmp.Compare(a.value, b.value)
}

func (s *MemoryStore) isForgotten(user, time int64) bool {
	until, known := s.forgotten[user]
	return known && time <= until
}

func (s *MemoryStore) forget(f ratings.Forgotten) {
	if s.isForgotten(f.User, f.Time) {
		return
	}
	s.forgotten[f.User] = f.Time
	for at, c := range s.cells {
		if at.user == f.User && c.time <= f.Time {
			delete(s.cells, at)
			if !c.unrated {
				s.revision++
			}
		}
	}
	for tag := range s.tags {
		if s.isForgotten(tag.User, tag.Time) {
			delete(s.tags, tag)
		}
	}
	for view := range s.views {
		if s.isForgotten(view.User, view.Time) {
			delete(s.views, view)
		}
	}
	if p, known := s.profiles[f.User]; known && p.Time <= f.Time {
		delete(s.profiles, f.User)
	}
}

// Scan implements ratings.Store. It reads what was there when it began.
func (s *MemoryStore) Scan(ctx context.Context, fn func([]ratings.Rating) error) error {
	const batch = 1000
	for part := range slices.Chunk(s.ratings(func(pair) bool { return true }), batch) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(part); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// ScanChoices implements ratings.Store.
func (s *MemoryStore) ScanChoices(ctx context.Context, fn func([]ratings.Choice) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var all []ratings.Choice
	for _, tag := range s.Tags() {
		all = append(all, ratings.Choice{User: tag.User, Movie: tag.Movie, Kind: ratings.Tagged, Time: tag.Time})
	}
	for _, view := range s.Views() {
		all = append(all, ratings.Choice{User: view.User, Movie: view.Movie, Kind: ratings.Viewed, Time: view.Time})
	}
	if len(all) == 0 {
		return nil
	}
	return fn(all)
}

// History implements ratings.Store.
func (s *MemoryStore) History(ctx context.Context, user int64) ([]ratings.Rating, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.ratings(func(at pair) bool { return at.user == user }), nil
}

// Forgotten implements ratings.Store.
func (s *MemoryStore) Forgotten(ctx context.Context) ([]ratings.Forgotten, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []ratings.Forgotten
	for user, time := range s.forgotten {
		all = append(all, ratings.Forgotten{User: user, Time: time})
	}
	return all, ctx.Err()
}

// Revision implements ratings.Store.
func (s *MemoryStore) Revision(ctx context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision, ctx.Err()
}

// Offsets implements ratings.Store.
func (s *MemoryStore) Offsets(ctx context.Context) (ratings.Offsets, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all ratings.Offsets
	for topic, partitions := range s.offsets {
		for partition, next := range partitions {
			all = all.Advance(topic, partition, next)
		}
	}
	return all, ctx.Err()
}

// Tags returns the tags in the store, by user, movie, time and text.
func (s *MemoryStore) Tags() []ratings.Tag {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []ratings.Tag
	for tag := range s.tags {
		all = append(all, tag)
	}
	slices.SortFunc(all, func(a, b ratings.Tag) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Movie, b.Movie), cmp.Compare(a.Time, b.Time), cmp.Compare(a.Tag, b.Tag))
	})
	return all
}

// Views returns the views in the store, by user, movie and time.
func (s *MemoryStore) Views() []ratings.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []ratings.View
	for view := range s.views {
		all = append(all, view)
	}
	slices.SortFunc(all, func(a, b ratings.View) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Movie, b.Movie), cmp.Compare(a.Time, b.Time))
	})
	return all
}

// ratings returns the current ratings of some pairs, by user and movie.
func (s *MemoryStore) ratings(wanted func(pair) bool) []ratings.Rating {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []ratings.Rating
	for at, c := range s.cells {
		if !c.unrated && wanted(at) {
			all = append(all, ratings.Rating{User: at.user, Movie: at.movie, Value: c.value, Time: c.time})
		}
	}
	sortByPair(all)
	return all
}

func sortByPair(all []ratings.Rating) {
	slices.SortFunc(all, func(a, b ratings.Rating) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Movie, b.Movie))
	})
}
