package dashboard

import (
	"context"
	"errors"
	"sync"
	"time"
)

// maxViewers bounds the pages that are open at one time.
const maxViewers = 256

var errTooManyViewers = errors.New("too many pages are open")

// hub gives every viewer the state at most once per refresh. A state is encoded
// once for all of them, and not at all while nobody looks.
type hub struct {
	encode  func() ([]byte, error)
	refresh time.Duration

	mu      sync.Mutex
	latest  []byte
	at      time.Time // when latest was encoded
	viewers map[chan []byte]struct{}
}

func newHub(encode func() ([]byte, error), refresh time.Duration) *hub {
	return &hub{encode: encode, refresh: refresh, viewers: map[chan []byte]struct{}{}}
}

// run sends states until ctx ends.
func (h *hub) run(ctx context.Context) {
	ticker := time.NewTicker(h.refresh)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			h.send()
		}
	}
}

// send gives all viewers a new state. One that has not taken the last state
// yet misses it and gets this one.
func (h *hub) send() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.viewers) == 0 {
		return
	}
	if err := h.renew(); err != nil {
		return // a viewer that asks for the state itself is told
	}
	for viewer := range h.viewers {
		select {
		case <-viewer:
		default:
		}
		viewer <- h.latest // has room: this is the only sender
	}
}

func (h *hub) renew() error {
	data, err := h.encode()
	if err != nil {
		return err
	}
	h.latest, h.at = data, time.Now()
	return nil
}

// state gives a state that is no older than a refresh. Callers only read it.
func (h *hub) state() ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.at) >= h.refresh {
		if err := h.renew(); err != nil {
			return nil, err
		}
	}
	return h.latest, nil
}

// join adds a viewer, whose channel then holds the newest state that it has
// not taken.
func (h *hub) join() (chan []byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.viewers) >= maxViewers {
		return nil, errTooManyViewers
	}
	viewer := make(chan []byte, 1)
	h.viewers[viewer] = struct{}{}
	return viewer, nil
}

func (h *hub) leave(viewer chan []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.viewers, viewer)
}

func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.viewers)
}
