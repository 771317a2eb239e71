package cassandra

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/redpanda-data/benthos/v4/public/service"
)

// errClosed says that a component was closed.
var errClosed = errors.New("connection is closed")

const (
	// reportEvery bounds how often an outage that lasts is told.
	reportEvery = time.Minute

	// reopenedAfter bounds how often an outage that seems to be another one is.
	reopenedAfter = 10 * time.Second

	// rebuildAfter is how long no node of a session may be in reach before the
	// addresses are resolved anew: a cluster may come back with other ones.
	rebuildAfter = 30 * time.Second
)

// connector connects in the background and keeps trying. It is safe for
// concurrent use.
type connector struct {
	settings Settings
	log      *service.Logger
	prepare  func(context.Context, *gocql.Session) error // checks a new session; may be nil
	outage   outage

	stop   context.CancelFunc
	ended  chan struct{} // closed when the background work is over
	first  chan struct{} // closed when the first attempt is over
	resume chan struct{} // asks for a new session

	mu      sync.Mutex
	session *gocql.Session
	ready   chan struct{} // closed while there is a session
	lastErr error         // why there is none
	lostAt  time.Time     // since when no node was in reach
	closed  bool
}

func newConnector(s Settings, log *service.Logger, prepare func(context.Context, *gocql.Session) error) *connector {
	ctx, stop := context.WithCancel(context.Background())
	c := &connector{
		settings: s, log: log, prepare: prepare, outage: outage{log: log}, stop: stop,
		ended: make(chan struct{}), first: make(chan struct{}), resume: make(chan struct{}, 1), ready: make(chan struct{}),
	}
	go c.run(ctx)
	return c
}

// run connects, and connects anew when it is asked to.
func (c *connector) run(ctx context.Context) {
	defer close(c.ended)
	for attempts := 0; ctx.Err() == nil; attempts++ {
		session, err := c.connect(ctx)
		if err != nil {
			c.failed(err)
		} else {
			c.connected(session)
		}
		if attempts == 0 {
			close(c.first)
		}
		if err != nil {
			wait(ctx, c.settings.backOff(attempts))
			continue
		}
		attempts = 0
		select {
		case <-ctx.Done():
		case <-c.resume:
		}
	}
}

func (c *connector) connect(ctx context.Context) (*gocql.Session, error) {
	session, err := c.settings.connect(ctx)
	if err != nil || c.prepare == nil {
		return session, err
	}
	if err := c.prepare(ctx, session); err != nil {
		session.Close()
		return nil, err
	}
	return session, nil
}

func (c *connector) failed(err error) {
	c.mu.Lock()
	c.lastErr = err
	c.mu.Unlock()
	c.outage.note("Connecting to Cassandra: %v; trying again until it succeeds", err)
}

func (c *connector) connected(session *gocql.Session) {
	c.mu.Lock()
	old := c.session
	c.session, c.lastErr, c.lostAt = session, nil, time.Time{}
	if c.closed {
		c.session = nil
		old = session
	} else if old == nil {
		close(c.ready)
	}
	c.mu.Unlock()
	if old != nil {
		old.Close()
	}
	c.outage.over("Connected to Cassandra at %s", c.settings.where())
}

// wait returns the session as soon as there is one.
func (c *connector) wait(ctx context.Context) (*gocql.Session, error) {
	select {
	case <-c.ready:
	case <-c.ended:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return c.now(ctx)
}

// now returns the session, or why there is none yet. It waits for the first
// attempt only.
func (c *connector) now(ctx context.Context) (*gocql.Session, error) {
	select {
	case <-c.first:
	case <-c.ended:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, errClosed
	case c.session == nil:
		return nil, c.lastErr
	}
	return c.session, nil
}

// report tells how a request went, so that a session which reaches no node for
// long is replaced.
func (c *connector) report(err error) {
	if !errors.Is(err, gocql.ErrNoConnections) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.lostAt.IsZero() || now.Sub(c.lostAt) > 2*rebuildAfter {
		c.lostAt = now
	}
	if now.Sub(c.lostAt) < rebuildAfter {
		return
	}
	c.lostAt = now
	select {
	case c.resume <- struct{}{}:
	default:
	}
}

// close ends the session and the background work. Closing again does nothing.
func (c *connector) close(ctx context.Context) error {
	c.stop()
	c.mu.Lock()
	session := c.session
	c.session, c.closed = nil, true
	c.mu.Unlock()
	if session != nil {
		session.Close()
	}
	select {
	case <-c.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("closing the connection to Cassandra: %w", ctx.Err())
	}
}

// outage tells of trouble, while it lasts once a minute, and of its end. Where
// some nodes answer and some do not it seems to end and begin all the time; that
// is told every ten seconds. It is safe for concurrent use.
type outage struct {
	log *service.Logger

	mu   sync.Mutex
	open bool      // told, and not yet over
	told time.Time // when it was told last
}

func (o *outage) note(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	every := reportEvery
	if !o.open {
		every = reopenedAfter
	}
	if time.Since(o.told) < every {
		return
	}
	o.open, o.told = true, time.Now()
	o.log.Errorf(format, args...)
}

func (o *outage) over(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.open {
		return
	}
	o.open = false
	o.log.Infof(format, args...)
}

// wait waits, and says false if the context ended first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
