package cassandra

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// The statements of Apply. Event time is the time of writing, so that any order
// of arrival leads to the same content.
const (
	insertRating  = "INSERT INTO ratings (user_id, movie_id, rating, timestamp) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
	insertTag     = "INSERT INTO tags (user_id, movie_id, tag, timestamp) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
	insertView    = "INSERT INTO views (user_id, movie_id, timestamp) VALUES (?, ?, ?) USING TIMESTAMP ?"
	insertForget  = "INSERT INTO forgotten (user_id, timestamp) VALUES (?, ?) USING TIMESTAMP ?"
	deleteRating  = "DELETE FROM ratings USING TIMESTAMP ? WHERE user_id = ? AND movie_id = ?"
	deleteRatings = "DELETE FROM ratings USING TIMESTAMP ? WHERE user_id = ?"
	deleteTags    = "DELETE FROM tags USING TIMESTAMP ? WHERE user_id = ?"
	deleteViews   = "DELETE FROM views USING TIMESTAMP ? WHERE user_id = ?"
	insertProfile = "INSERT INTO users (user_id, profile) VALUES (?, ?) USING TIMESTAMP ?"
	deleteProfile = "DELETE FROM users USING TIMESTAMP ? WHERE user_id = ?"
	insertOffset  = "INSERT INTO event_offsets (topic, partition, next) VALUES (?, ?, ?) USING TIMESTAMP ?"
	countRatings  = "UPDATE counters SET value = value + ? WHERE name = 'ratings' AND shard = ?"
)

const (
	// groupRows bounds the rows of one batch. They are of one partition, so the
	// server writes them as one mutation, far below its limit of half a segment
	// of the commit log.
	groupRows = 100

	// shards spread the increments of the revision: increments of one row wait
	// for each other.
	shards = 16

	// applyAttempts is how often a group is written before Apply says that the
	// store is unavailable.
	applyAttempts = 4
)

// StoreOptions bound what a Store does at the same time. The zero value means
// the defaults.
type StoreOptions struct {
	MaxInFlight     int // writes under way; 256
	ScanSplits      int // token ranges of a scan; 32
	ScanConcurrency int // ranges read at the same time; 4
	PageSize        int // rows of a page; 10000
}

func (o StoreOptions) withDefaults() StoreOptions {
	for _, d := range []struct {
		field *int
		value int
	}{{&o.MaxInFlight, 256}, {&o.ScanSplits, 32}, {&o.ScanConcurrency, 4}, {&o.PageSize, 10_000}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return o
}

// Store is a rating store in a keyspace with the tables of config/schema.cql.
// It is safe for concurrent use, by many processes.
type Store struct {
	settings  Settings
	options   StoreOptions
	connector *connector
	outage    outage
	slots     chan struct{} // one for each write under way

	mu     sync.Mutex
	closed bool
}

var _ ratings.Store = (*Store)(nil)

// NewStore returns a store that connects in the background, and is unavailable
// until then. The caller closes it.
func NewStore(s Settings, o StoreOptions, log *service.Logger) *Store {
	store := newStore(s, o, log)
	store.connector = newConnector(s, log, func(ctx context.Context, session *gocql.Session) error {
		return prepareStore(ctx, session, s.Keyspace)
	})
	return store
}

func newStore(s Settings, o StoreOptions, log *service.Logger) *Store {
	o = o.withDefaults()
	return &Store{settings: s, options: o, outage: outage{log: log}, slots: make(chan struct{}, o.MaxInFlight)}
}

// OpenStore returns a store that is connected, or why it cannot be.
func OpenStore(ctx context.Context, s Settings, o StoreOptions, log *service.Logger) (*Store, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	store := NewStore(s, o, log)
	if _, err := store.connector.now(ctx); err != nil {
		return nil, errors.Join(err, store.Close(ctx))
	}
	return store, nil
}

func prepareStore(ctx context.Context, session *gocql.Session, keyspace string) error {
	ranges, err := hasTokenRanges(ctx, session)
	switch {
	case err != nil:
		return err
	case !ranges:
		return errors.New("the cluster does not use Murmur3Partitioner, whose token ranges a rating store is read by; use such a cluster")
	}
	return checkSchema(ctx, session, keyspace)
}

// Apply writes the changes of each user together, and of many users at the same
// time. Every one is acknowledged by the server when Apply returns nil.
func (s *Store) Apply(ctx context.Context, changes ratings.Changes) error {
	if err := s.apply(ctx, changes); err != nil {
		return s.fail(ctx, "writing ratings to", err)
	}
	return nil
}

func (s *Store) apply(ctx context.Context, changes ratings.Changes) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	groups, err := groupChanges(changes)
	if err != nil {
		return err
	}
	err = s.parallel(ctx, len(groups), applyAttempts, func(session *gocql.Session, i int) error {
		return s.writeGroup(ctx, session, groups[i])
	})
	if err != nil {
		return err
	}
	if err := s.writeOffsets(ctx, changes.Offsets); err != nil {
		return err
	}
	written := int64(len(changes.Ratings) + len(changes.Unrated) + len(changes.Forgotten))
	if written == 0 {
		return nil
	}
	return s.parallel(ctx, 1, applyAttempts, func(session *gocql.Session, _ int) error {
		return session.Query(countRatings, written, rand.IntN(shards)).Idempotent(false).ExecContext(ctx)
	})
}

// writeOffsets writes the offsets of events whose changes are stored. The time of
// writing is the offset, so that the greatest stays, whoever writes last.
func (s *Store) writeOffsets(ctx context.Context, offsets ratings.Offsets) error {
	var entries []gocql.BatchEntry
	for topic, partitions := range offsets {
		for partition, next := range partitions {
			entries = append(entries, gocql.BatchEntry{Stmt: insertOffset, Args: []any{topic, partition, next, next}, Idempotent: true})
		}
	}
	return s.parallel(ctx, len(entries), applyAttempts, func(session *gocql.Session, i int) error {
		return s.settings.query(session, entries[i].Stmt, entries[i].Args...).ExecContext(ctx)
	})
}

func (s *Store) writeGroup(ctx context.Context, session *gocql.Session, entries []gocql.BatchEntry) error {
	if len(entries) == 1 {
		return s.settings.query(session, entries[0].Stmt, entries[0].Args...).ExecContext(ctx)
	}
	batch := s.settings.batch(session, gocql.UnloggedBatch)
	batch.Entries = entries
	return batch.ExecContext(ctx)
}

// parallel calls do for 0 … n−1, as many at the same time as there are slots,
// and again while an outage passes, up to so many attempts; 0 is until the
// context ends.
func (s *Store) parallel(ctx context.Context, n, attempts int, do func(session *gocql.Session, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for i := range n {
		if !acquire(ctx, s.slots) {
			break
		}
		run := func() {
			defer func() { <-s.slots }()
			if err := s.try(ctx, attempts, func(session *gocql.Session) error { return do(session, i) }); err != nil {
				cancel(err)
			}
		}
		if n == 1 {
			run()
		} else {
			group.Go(run)
		}
	}
	group.Wait()
	return context.Cause(ctx)
}

// acquire takes a slot, and says false if the context ended.
func acquire(ctx context.Context, slots chan struct{}) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Store) try(ctx context.Context, attempts int, do func(session *gocql.Session) error) error {
	for attempt := 1; ; attempt++ {
		session, err := s.connector.now(ctx)
		if err != nil {
			return err
		}
		if err = do(session); err == nil {
			s.outage.over("Cassandra at %s answers again", s.settings.where())
			return nil
		}
		s.connector.report(err)
		if ctx.Err() != nil || !isPassing(err) || attempt == attempts {
			return err
		}
		s.outage.note("Cassandra at %s: %v; trying again", s.settings.where(), tooFew(err))
		if !wait(ctx, s.settings.backOff(attempt-1)) {
			return err
		}
	}
}

// microseconds gives an event time as a time of writing.
func microseconds(milliseconds int64) (int64, error) {
	if milliseconds > math.MaxInt64/1000 || milliseconds <= math.MinInt64/1000 {
		return 0, fmt.Errorf("event time %d ms is beyond what Cassandra can hold; correct the event", milliseconds)
	}
	return milliseconds * 1000, nil
}

// changeGroups collects statements by user, which is the partition of all
// tables that have users.
type changeGroups struct {
	cells  *cellWriter
	open   map[int64]int // user → the group that has room
	groups [][]gocql.BatchEntry
}

// groupChanges gives groups of at most groupRows statements, each of one user.
func groupChanges(c ratings.Changes) ([][]gocql.BatchEntry, error) {
	statements := len(c.Ratings) + len(c.Tags) + len(c.Views) + len(c.Unrated) + len(c.Profiles) + 5*len(c.Forgotten)
	g := &changeGroups{cells: newCellWriter(5 * statements), open: make(map[int64]int, min(statements, 1024))}
	for _, r := range c.Ratings {
		if err := g.add(r.User, r.Time, insertRating, func(w *cellWriter, at int64) int {
			w.long(r.User)
			w.long(r.Movie)
			w.float(r.Value)
			w.long(r.Time)
			w.long(at)
			return 5
		}); err != nil {
			return nil, err
		}
	}
	for _, t := range c.Tags {
		if err := g.add(t.User, t.Time, insertTag, func(w *cellWriter, at int64) int {
			w.long(t.User)
			w.long(t.Movie)
			w.text(t.Tag)
			w.long(t.Time)
			w.long(at)
			return 5
		}); err != nil {
			return nil, err
		}
	}
	for _, v := range c.Views {
		if err := g.add(v.User, v.Time, insertView, func(w *cellWriter, at int64) int {
			w.long(v.User)
			w.long(v.Movie)
			w.long(v.Time)
			w.long(at)
			return 4
		}); err != nil {
			return nil, err
		}
	}
	for _, u := range c.Unrated {
		if err := g.add(u.User, u.Time, deleteRating, func(w *cellWriter, at int64) int {
			w.long(at)
			w.long(u.User)
			w.long(u.Movie)
			return 3
		}); err != nil {
			return nil, err
		}
	}
	for _, p := range c.Profiles {
		if err := g.add(p.User, p.Time, insertProfile, func(w *cellWriter, at int64) int {
			w.long(p.User)
			w.text(p.State())
			w.long(at)
			return 3
		}); err != nil {
			return nil, err
		}
	}
	for _, f := range c.Forgotten {
		if err := g.forget(f); err != nil {
			return nil, err
		}
	}
	return appendItems(g.groups, c.Items)
}

func (g *changeGroups) forget(f ratings.Forgotten) error {
	for _, statement := range []string{deleteRatings, deleteTags, deleteViews, deleteProfile} {
		if err := g.add(f.User, f.Time, statement, func(w *cellWriter, at int64) int {
			w.long(at)
			w.long(f.User)
			return 2
		}); err != nil {
			return err
		}
	}
	return g.add(f.User, f.Time, insertForget, func(w *cellWriter, at int64) int {
		w.long(f.User)
		w.long(f.Time)
		w.long(at)
		return 3
	})
}

func (g *changeGroups) add(user, time int64, statement string, write func(w *cellWriter, at int64) int) error {
	at, err := microseconds(time)
	if err != nil {
		return fmt.Errorf("user %d: %w", user, err)
	}
	n := write(g.cells, at)
	i, ok := g.open[user]
	if !ok || len(g.groups[i]) == groupRows {
		i = len(g.groups)
		g.groups = append(g.groups, nil)
		g.open[user] = i
	}
	g.groups[i] = append(g.groups[i], gocql.BatchEntry{Stmt: statement, Args: g.cells.take(n), Idempotent: true})
	return nil
}

// fail says what could not be done. Only what a change itself makes impossible
// is definite; all else, a wrong schema and missing rights too, is mended while
// the changes wait.
func (s *Store) fail(ctx context.Context, doing string, err error) error {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	where := s.settings.Keyspace + " at " + s.settings.where()
	var server gocql.RequestError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s %s: %w", doing, where, ctx.Err())
	case closed, errors.Is(err, errClosed):
		return fmt.Errorf("%s %s: %w", doing, where, ratings.ErrClosed)
	case isUnauthorized(err):
		return fmt.Errorf("%w: %s %s: %w; GRANT SELECT and MODIFY ON KEYSPACE %s TO the role %q",
			ratings.ErrUnavailable, doing, where, err, cqlName(s.settings.Keyspace), s.settings.Username)
	case errors.As(err, &server) && !isPassing(err):
		return fmt.Errorf("%s %s: %w; correct the event", doing, where, err)
	case isPassing(err):
		return fmt.Errorf("%w: %s %s: %w", ratings.ErrUnavailable, doing, where, tooFew(err))
	}
	return fmt.Errorf("%s %s: %w", doing, where, err)
}

// Close ends all connections. Closing again does nothing.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return s.connector.close(ctx)
}
