package cassandra

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// nextNode sends a request that failed on one node to others at once, without
// waiting: who waits is the caller, who knows how long.
type nextNode struct{ retries int }

func (p nextNode) Attempt(q gocql.RetryableQuery) bool { return q.Attempts() <= p.retries }

func (p nextNode) GetRetryType(err error) gocql.RetryType {
	if !isPassing(err) {
		return gocql.Rethrow
	}
	return gocql.RetryNextHost
}

// healthPolicy puts nodes that lately did not answer behind those that did. The
// driver itself notices a frozen node only after half a minute, and until then
// sends it its share of all requests.
type healthPolicy struct {
	gocql.HostSelectionPolicy
	rest time.Duration // how long a silent node comes last

	up     atomic.Bool
	mu     sync.RWMutex
	silent map[string]time.Time // by host id, when it did not answer
}

func newHealthPolicy(inner gocql.HostSelectionPolicy, rest time.Duration) *healthPolicy {
	return &healthPolicy{HostSelectionPolicy: inner, rest: rest, silent: map[string]time.Time{}}
}

func (p *healthPolicy) HostUp(host *gocql.HostInfo) {
	p.HostSelectionPolicy.HostUp(host)
	p.up.Store(true)
}

// Ready says that a session may begin: one node is up. The driver would wait
// for all others, and so for the time-out of each that is frozen.
func (p *healthPolicy) Ready() bool { return p.up.Load() }

func (p *healthPolicy) Pick(statement gocql.ExecutableStatement) gocql.NextHost {
	next := p.HostSelectionPolicy.Pick(statement)
	var later []gocql.SelectedHost
	return func() gocql.SelectedHost {
		for host := next(); host != nil; host = next() {
			if !p.isSilent(host.Info()) {
				return markedHost{host, p}
			}
			later = append(later, host)
		}
		if len(later) == 0 {
			return nil
		}
		host := later[0]
		later = later[1:]
		return markedHost{host, p}
	}
}

func (p *healthPolicy) isSilent(host *gocql.HostInfo) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if len(p.silent) == 0 || host == nil {
		return false
	}
	since, ok := p.silent[host.HostID()]
	return ok && time.Since(since) < p.rest
}

func (p *healthPolicy) mark(host *gocql.HostInfo, silent bool) {
	p.mu.RLock()
	_, known := p.silent[host.HostID()]
	p.mu.RUnlock()
	if known == silent && !silent {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if silent {
		p.silent[host.HostID()] = time.Now()
	} else {
		delete(p.silent, host.HostID())
	}
}

// markedHost tells the policy how a request went.
type markedHost struct {
	gocql.SelectedHost
	policy *healthPolicy
}

func (h markedHost) Mark(err error) {
	h.SelectedHost.Mark(err)
	if host := h.Info(); host != nil {
		h.policy.mark(host, errors.Is(err, gocql.ErrTimeoutNoResponse))
	}
}
