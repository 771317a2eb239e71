package model

import (
	"context"
	"sync"
	"sync/atomic"
)

// Version is a model in its role: what a Live model serves.
type Version struct {
	Model    *Model
	Name     string // the version's name in the registry
	Sequence int64  // number of the promotion that made it the champion
	Until    int64  // newest event time it was trained on, Unix milliseconds
}

// Live is the model that predicts now. It is swapped while traffic flows: a
// batch takes Current once and uses that to its end, so that each reply comes
// from exactly one version. Safe for concurrent use.
type Live struct {
	current atomic.Pointer[Version]
	mu      sync.Mutex    // guards Swap
	first   chan struct{} // closed at the first Swap

	// Users are the users' current biases; they outlive a swap.
	Users *Users
}

// NewLive returns a Live without a model.
func NewLive() *Live { return &Live{first: make(chan struct{}), Users: NewUsers()} }

// Current returns the version that serves, or nil before the first one.
func (l *Live) Current() *Version { return l.current.Load() }

// Wait returns the version that serves, and waits for the first one if there is
// none yet. It fails only when ctx ends.
func (l *Live) Wait(ctx context.Context) (*Version, error) {
	if v := l.current.Load(); v != nil {
		return v, nil
	}
	select {
	case <-l.first:
		return l.current.Load(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Swap makes v serve, unless a version with the same or a higher sequence
// already does, and reports whether it did.
func (l *Live) Swap(v *Version) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.current.Load()
	if old != nil && old.Sequence >= v.Sequence {
		return false
	}
	l.store(v)
	return true
}

// Replace makes v serve, whatever does now.
func (l *Live) Replace(v *Version) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.store(v)
}

func (l *Live) store(v *Version) {
	if l.current.Swap(v) == nil {
		close(l.first)
	}
}

// LiveKey is the key of a *Live among the generic values of a Benthos resource
// manager; Label is the label of the resource.
type LiveKey struct{ Label string }
