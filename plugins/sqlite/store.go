package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// scanBatch is the number of ratings that Scan gives at a time.
const scanBatch = 4096

// readers bounds the connections that read while the writer writes.
const readers = 4

// The statements of Apply. Each leads to the same content whatever the order
// of arrival: the newest rating stays, the greater value at equal time, and
// nothing that is not newer than a tombstone comes back.
const (
	upsertRatings = `
INSERT INTO ratings (user_id, movie_id, rating, timestamp)
SELECT column1, column2, column3, column4 FROM (VALUES %s)
WHERE NOT EXISTS (SELECT 1 FROM unrated u WHERE u.user_id = column1 AND u.movie_id = column2 AND u.timestamp >= column4)
  AND NOT EXISTS (SELECT 1 FROM forgotten f WHERE f.user_id = column1 AND f.timestamp >= column4)
ON CONFLICT (user_id, movie_id) DO UPDATE SET rating = excluded.rating, timestamp = excluded.timestamp
WHERE excluded.timestamp > timestamp OR (excluded.timestamp = timestamp AND excluded.rating > rating)`

	upsertTags = `
INSERT INTO tags (user_id, movie_id, tag, timestamp)
SELECT column1, column2, column3, column4 FROM (VALUES %s)
WHERE NOT EXISTS (SELECT 1 FROM forgotten f WHERE f.user_id = column1 AND f.timestamp >= column4)
ON CONFLICT (user_id, movie_id, tag) DO UPDATE SET timestamp = excluded.timestamp
WHERE excluded.timestamp > timestamp`

	insertViews = `
INSERT INTO views (user_id, movie_id, timestamp)
SELECT column1, column2, column3 FROM (VALUES %s)
WHERE NOT EXISTS (SELECT 1 FROM forgotten f WHERE f.user_id = column1 AND f.timestamp >= column3)
ON CONFLICT DO NOTHING`

	upsertUnrated = `
INSERT INTO unrated (user_id, movie_id, timestamp)
SELECT column1, column2, column3 FROM (VALUES %s)
WHERE NOT EXISTS (SELECT 1 FROM forgotten f WHERE f.user_id = column1 AND f.timestamp >= column3)
ON CONFLICT (user_id, movie_id) DO UPDATE SET timestamp = excluded.timestamp
WHERE excluded.timestamp > timestamp`

	upsertForgotten = `
INSERT INTO forgotten (user_id, timestamp) VALUES (?, ?)
ON CONFLICT (user_id) DO UPDATE SET timestamp = excluded.timestamp
WHERE excluded.timestamp > timestamp`

	upsertOffset = `
INSERT INTO event_offsets (topic, partition, next) VALUES (?, ?, ?)
ON CONFLICT (topic, partition) DO UPDATE SET next = excluded.next
WHERE excluded.next > next`
)

// Store is a rating store in one SQLite file. It is safe for concurrent use,
// and several stores, in one process or many, may use the same file.
type Store struct {
	path   string
	writer *sql.DB // one connection: SQLite has one writer
	reader *sql.DB

	ratings, tags, views, unrated *bulk

	closed    atomic.Bool
	closeOnce sync.Once
	closeErr  error
}

var _ ratings.Store = (*Store)(nil)

// OpenStore opens the rating store in a file, and creates folder, file and
// tables where they are missing. An error that wraps ErrNotDatabase is about
// the file itself; the caller closes the store.
func OpenStore(ctx context.Context, path string) (*Store, error) {
	writer, err := openWriter(ctx, path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, writer: writer}
	if err := s.prepare(ctx); err != nil {
		_ = writer.Close()
		return nil, openError(path, err)
	}
	if s.reader, err = openReader(path, readers); err != nil {
		_ = writer.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context) error {
	if err := retryBusy(ctx, func() error { return prepareSchema(ctx, s.writer) }); err != nil {
		return err
	}
	for _, p := range []struct {
		to        **bulk
		width     int
		statement string
	}{
		{&s.ratings, 4, upsertRatings},
		{&s.tags, 4, upsertTags},
		{&s.views, 3, insertViews},
		{&s.unrated, 3, upsertUnrated},
	} {
		b, err := prepareBulk(ctx, s.writer, p.width, p.statement)
		if err != nil {
			return err
		}
		*p.to = b
	}
	return nil
}

// Apply makes the changes in one transaction, which is on disk when it returns
// nil. Tombstones go first, so that changes have no order among themselves.
func (s *Store) Apply(ctx context.Context, changes ratings.Changes) error {
	if err := s.apply(ctx, changes); err != nil {
		return s.fail(ctx, "writing ratings to", err)
	}
	return nil
}

func (s *Store) apply(ctx context.Context, c ratings.Changes) error {
	if len(c.Ratings)+len(c.Tags)+len(c.Views)+len(c.Unrated)+len(c.Forgotten)+len(c.Items)+len(c.Profiles)+len(c.Offsets) == 0 {
		return nil
	}
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing

	forgotten, err := forget(ctx, tx, c.Forgotten)
	if err != nil {
		return err
	}
	unrated, err := s.unrate(ctx, tx, c.Unrated)
	if err != nil {
		return err
	}
	rated, err := s.ratings.exec(ctx, tx, ratingRows(c.Ratings))
	if err != nil {
		return err
	}
	if _, err := s.tags.exec(ctx, tx, tagRows(c.Tags)); err != nil {
		return err
	}
	if _, err := s.views.exec(ctx, tx, viewRows(c.Views)); err != nil {
		return err
	}
	if err := describe(ctx, tx, c.Items, c.Profiles); err != nil {
		return err
	}
	if changed := forgotten + unrated + rated; changed > 0 {
		_, err := tx.ExecContext(ctx, "UPDATE meta SET value = value + ? WHERE key = 'revision'", changed)
		if err != nil {
			return err
		}
	}
	for topic, partitions := range c.Offsets {
		for partition, next := range partitions {
			if _, err := tx.ExecContext(ctx, upsertOffset, topic, partition, next); err != nil {
				return err
			}
		}
	}
	return tx.Commit()
}

// forget writes the tombstones of users and erases what they cover. It gives
// the number of ratings erased.
func forget(ctx context.Context, tx *sql.Tx, users []ratings.Forgotten) (erased int64, err error) {
	for _, f := range users {
		if _, err := tx.ExecContext(ctx, upsertForgotten, f.User, f.Time); err != nil {
			return erased, err
		}
		for _, table := range []string{"ratings", "tags", "views", "unrated", "users"} {
			result, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE user_id = ? AND timestamp <= ?", f.User, f.Time)
			if err != nil {
				return erased, err
			}
			if n, err := result.RowsAffected(); err != nil {
				return erased, err
			} else if table == "ratings" {
				erased += n
			}
		}
	}
	return erased, nil
}

// unrate writes the tombstones of ratings and erases what they cover. It gives
// the number of ratings erased.
func (s *Store) unrate(ctx context.Context, tx *sql.Tx, pairs []ratings.Unrated) (erased int64, err error) {
	rows := make([]any, 0, 3*len(pairs))
	for _, u := range pairs {
		rows = append(rows, u.User, u.Movie, u.Time)
	}
	if _, err := s.unrated.exec(ctx, tx, rows); err != nil {
		return 0, err
	}
	for _, u := range pairs {
		result, err := tx.ExecContext(ctx, "DELETE FROM ratings WHERE user_id = ? AND movie_id = ? AND timestamp <= ?",
			u.User, u.Movie, u.Time)
		if err != nil {
			return erased, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return erased, err
		}
		erased += n
	}
	return erased, nil
}

// ratingRows gives the newest rating of each pair, in the order of the table,
// which is the fastest to write: a pair rated twice counts as one change.
func ratingRows(all []ratings.Rating) []any {
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b ratings.Rating) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Movie, b.Movie),
			cmp.Compare(a.Time, b.Time), cmp.Compare(a.Value, b.Value))
	})
	rows := make([]any, 0, 4*len(sorted))
	for i, r := range sorted {
		if i+1 < len(sorted) && sorted[i+1].User == r.User && sorted[i+1].Movie == r.Movie {
			continue
		}
		rows = append(rows, r.User, r.Movie, float64(r.Value), r.Time)
	}
	return rows
}

func tagRows(all []ratings.Tag) []any {
	rows := make([]any, 0, 4*len(all))
	for _, t := range all {
		rows = append(rows, t.User, t.Movie, t.Tag, t.Time)
	}
	return rows
}

func viewRows(all []ratings.View) []any {
	rows := make([]any, 0, 3*len(all))
	for _, v := range all {
		rows = append(rows, v.User, v.Movie, v.Time)
	}
	return rows
}

// fail says what could not be done. All but a change that breaks the table's
// constraints is the database's trouble, not the change's, and is unavailable.
func (s *Store) fail(ctx context.Context, doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s %s: %w", doing, s.path, ctx.Err())
	case s.closed.Load():
		return fmt.Errorf("%s %s: %w", doing, s.path, ratings.ErrClosed)
	case isRowError(err), errors.Is(err, ratings.ErrUnavailable):
		return fmt.Errorf("%s %s: %w", doing, s.path, err)
	}
	return fmt.Errorf("%w: %s %s: %w", ratings.ErrUnavailable, doing, s.path, err)
}

// Close ends all connections; what was applied is in the file. Closing again
// does nothing.
func (s *Store) Close() error {
	s.closed.Store(true)
	s.closeOnce.Do(func() {
		if err := errors.Join(s.reader.Close(), s.writer.Close()); err != nil {
			s.closeErr = fmt.Errorf("closing %s: %w", s.path, err)
		}
	})
	return s.closeErr
}
