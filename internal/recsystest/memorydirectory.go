package recsystest

import (
	"context"
	"maps"
	"slices"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

var _ ratings.Directory = (*MemoryStore)(nil)

// describe keeps the newer of two items or profiles.
func (s *MemoryStore) describe(items []ratings.Item, profiles []ratings.Profile) {
	for _, i := range items {
		if old, known := s.items[i.ID]; !known || i.Newer(old) {
			s.items[i.ID] = i
		}
	}
	for _, p := range profiles {
		if old, known := s.profiles[p.User]; !s.isForgotten(p.User, p.Time) && (!known || p.Newer(old)) {
			s.profiles[p.User] = p
		}
	}
}

// Items implements ratings.Directory.
func (s *MemoryStore) Items(ctx context.Context) ([]ratings.Item, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.items)), ctx.Err()
}

// Choices implements ratings.Directory.
func (s *MemoryStore) Choices(ctx context.Context, user int64) ([]ratings.Tag, []ratings.View, error) {
	tags := slices.DeleteFunc(s.Tags(), func(t ratings.Tag) bool { return t.User != user })
	views := slices.DeleteFunc(s.Views(), func(v ratings.View) bool { return v.User != user })
	return tags, views, ctx.Err()
}

// Profile implements ratings.Directory.
func (s *MemoryStore) Profile(ctx context.Context, user int64) (ratings.Profile, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	profile, ok := s.profiles[user]
	return profile, ok, ctx.Err()
}

// Users implements ratings.Directory, in the order of ids.
func (s *MemoryStore) Users(ctx context.Context, after *int64, n int) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := map[int64]bool{}
	for at, c := range s.cells {
		if !c.unrated {
			known[at.user] = true
		}
	}
	for user := range s.profiles {
		known[user] = true
	}
	users := slices.Sorted(maps.Keys(known))
	if after != nil {
		users = slices.DeleteFunc(users, func(user int64) bool { return user <= *after })
	}
	return users[:min(n, len(users))], ctx.Err()
}
