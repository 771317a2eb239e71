package model

import (
	"slices"
	"sync"
)

// keptTastes is how many users' tastes a model keeps: those of who asks again, be it
// for the next page.
const keptTastes = 4096

// tastes are those of users who were folded in, by the revision of what was known of
// them. Which ones are dropped when there are too many is left to chance. Safe for
// concurrent use.
type tastes struct {
	mu   sync.Mutex
	kept map[int64]keptTaste
}

type keptTaste struct {
	revision uint32
	taste    taste
}

// find returns the taste of a user at a revision, which must not be changed.
func (t *tastes) find(user int64, revision uint32) (taste, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept, ok := t.kept[user]
	return kept.taste, ok && kept.revision == revision
}

// keep keeps a copy, without the history that the taste was made from.
func (t *tastes) keep(user int64, revision uint32, of taste) {
	of.factors, of.preference, of.folded = slices.Clone(of.factors), slices.Clone(of.preference), nil
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept == nil {
		t.kept = map[int64]keptTaste{}
	}
	if _, ok := t.kept[user]; !ok && len(t.kept) >= keptTastes {
		for other := range t.kept {
			delete(t.kept, other)
			break
		}
	}
	t.kept[user] = keptTaste{revision, of}
}
