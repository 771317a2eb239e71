package api

import (
	"sync"
	"time"
)

// maxClients bounds the clients that a Limiter knows at one time.
const maxClients = 10_000

// Limiter bounds the requests per second of each client, by the generic cell
// rate algorithm (ITU-T I.371): a client has a time at which the next request
// would be due, and may be ahead of it by the burst. Safe for concurrent use.
type Limiter struct {
	interval, ahead time.Duration // between two requests; of a whole burst

	mu  sync.Mutex
	due map[string]time.Time
}

// NewLimiter allows perSecond > 0 requests a second of each client, and burst ≥ 1
// of them at once.
func NewLimiter(perSecond float64, burst int) *Limiter {
	interval := time.Duration(float64(time.Second) / perSecond)
	return &Limiter{interval: interval, ahead: interval * time.Duration(burst-1), due: map[string]time.Time{}}
}

// Take counts a request, or says how long to wait before the next one.
func (l *Limiter) Take(client string, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	due, known := l.due[client]
	if !known && len(l.due) >= maxClients {
		l.forget(now)
	}
	if due.Before(now) {
		due = now
	}
	if early := due.Sub(now); early > l.ahead {
		return early - l.ahead
	}
	l.due[client] = due.Add(l.interval)
	return 0
}

// forget leaves out the clients that owe nothing, or all where all do: so many
// clients at once are not told apart.
func (l *Limiter) forget(now time.Time) {
	for client, due := range l.due {
		if due.Before(now) {
			delete(l.due, client)
		}
	}
	if len(l.due) >= maxClients {
		clear(l.due)
	}
}
