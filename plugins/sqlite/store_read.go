package sqlite

import (
	"context"
	"database/sql"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Scan gives the ratings of one moment in the order of users and movies, 4096
// at a time. Writers go on meanwhile, but the write-ahead log grows until the
// scan is over.
func (s *Store) Scan(ctx context.Context, fn func([]ratings.Rating) error) error {
	return scan(ctx, s, "scanning ratings of", "SELECT user_id, movie_id, rating, timestamp FROM ratings",
		func(rows *sql.Rows, r *ratings.Rating) error { return rows.Scan(&r.User, &r.Movie, &r.Value, &r.Time) }, fn)
}

// ScanChoices is Scan of tags and then of views.
func (s *Store) ScanChoices(ctx context.Context, fn func([]ratings.Choice) error) error {
	for _, of := range []struct {
		kind  ratings.ChoiceKind
		query string
	}{
		{ratings.Tagged, "SELECT user_id, movie_id, timestamp FROM tags"},
		{ratings.Viewed, "SELECT user_id, movie_id, timestamp FROM views"},
	} {
		if err := scan(ctx, s, "scanning choices of", of.query, func(rows *sql.Rows, c *ratings.Choice) error {
			c.Kind = of.kind
			return rows.Scan(&c.User, &c.Movie, &c.Time)
		}, fn); err != nil {
			return err
		}
	}
	return nil
}

// scan gives the rows of a query, scanBatch at a time.
func scan[T any](ctx context.Context, s *Store, what, query string, read func(*sql.Rows, *T) error, fn func([]T) error) error {
	rows, err := s.reader.QueryContext(ctx, query)
	if err != nil {
		return s.fail(ctx, what, err)
	}
	defer rows.Close()
	batch := make([]T, 0, scanBatch)
	flush := func() error {
		// The driver learns of the end of ctx later, on a goroutine of its own.
		if err := ctx.Err(); err != nil {
			return s.fail(ctx, what, err)
		}
		err := fn(batch)
		batch = batch[:0]
		return err
	}
	for rows.Next() {
		var row T
		if err := read(rows, &row); err != nil {
			return s.fail(ctx, what, err)
		}
		if batch = append(batch, row); len(batch) < scanBatch {
			continue
		}
		if err := flush(); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return s.fail(ctx, what, err)
	}
	if len(batch) == 0 {
		return nil
	}
	return flush()
}

// History returns one user's ratings in the order of movies.
func (s *Store) History(ctx context.Context, user int64) ([]ratings.Rating, error) {
	rows, err := s.reader.QueryContext(ctx,
		"SELECT user_id, movie_id, rating, timestamp FROM ratings WHERE user_id = ? ORDER BY movie_id", user)
	if err != nil {
		return nil, s.fail(ctx, "reading a user's ratings of", err)
	}
	defer rows.Close()
	var history []ratings.Rating
	for rows.Next() {
		var r ratings.Rating
		if err := rows.Scan(&r.User, &r.Movie, &r.Value, &r.Time); err != nil {
			return nil, s.fail(ctx, "reading a user's ratings of", err)
		}
		history = append(history, r)
	}
	if err := rows.Err(); err != nil {
		return nil, s.fail(ctx, "reading a user's ratings of", err)
	}
	return history, nil
}

// Forgotten returns who was forgotten.
func (s *Store) Forgotten(ctx context.Context) ([]ratings.Forgotten, error) {
	var all []ratings.Forgotten
	err := scan(ctx, s, "reading who was forgotten of", "SELECT user_id, timestamp FROM forgotten",
		func(rows *sql.Rows, f *ratings.Forgotten) error { return rows.Scan(&f.User, &f.Time) },
		func(batch []ratings.Forgotten) error {
			all = append(all, batch...)
			return nil
		})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Revision returns the number of ratings written or taken back so far.
func (s *Store) Revision(ctx context.Context) (int64, error) {
	return s.number(ctx, "SELECT value FROM meta WHERE key = 'revision'")
}

// Offsets returns up to where topics of events were taken in.
func (s *Store) Offsets(ctx context.Context) (ratings.Offsets, error) {
	const what = "reading the offsets of events of"
	rows, err := s.reader.QueryContext(ctx, "SELECT topic, partition, next FROM event_offsets")
	if err != nil {
		return nil, s.fail(ctx, what, err)
	}
	defer rows.Close()
	var offsets ratings.Offsets
	for rows.Next() {
		var topic string
		var partition int32
		var next int64
		if err := rows.Scan(&topic, &partition, &next); err != nil {
			return nil, s.fail(ctx, what, err)
		}
		offsets = offsets.Advance(topic, partition, next)
	}
	if err := rows.Err(); err != nil {
		return nil, s.fail(ctx, what, err)
	}
	return offsets, nil
}

// Count returns the number of current "ratings", of "users" who have one, or of
// "movies" that have one; ok is false for other names.
func (s *Store) Count(ctx context.Context, what string) (n int64, ok bool, err error) {
	query, ok := map[string]string{
		"ratings": "SELECT count(*) FROM ratings",
		"users":   "SELECT count(DISTINCT user_id) FROM ratings",
		"movies":  "SELECT count(DISTINCT movie_id) FROM ratings",
	}[what]
	if !ok {
		return 0, false, nil
	}
	n, err = s.number(ctx, query)
	return n, true, err
}

func (s *Store) number(ctx context.Context, query string) (int64, error) {
	var n int64
	if err := s.reader.QueryRowContext(ctx, query).Scan(&n); err != nil {
		return 0, s.fail(ctx, "counting in", err)
	}
	return n, nil
}
