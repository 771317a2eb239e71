package sqlite

import (
	"context"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Scan gives the ratings of one moment in the order of users and movies, 4096
// at a time. Writers go on meanwhile, but the write-ahead log grows until the
// scan is over.
func (s *Store) Scan(ctx context.Context, fn func([]ratings.Rating) error) error {
	rows, err := s.reader.QueryContext(ctx, "SELECT user_id, movie_id, rating, timestamp FROM ratings")
	if err != nil {
		return s.fail(ctx, "scanning ratings of", err)
	}
	defer rows.Close()
	batch := make([]ratings.Rating, 0, scanBatch)
	flush := func() error {
		// The driver learns of the end of ctx later, on a goroutine of its own.
		if err := ctx.Err(); err != nil {
			return s.fail(ctx, "scanning ratings of", err)
		}
		err := fn(batch)
		batch = batch[:0]
		return err
	}
	for rows.Next() {
		var r ratings.Rating
		if err := rows.Scan(&r.User, &r.Movie, &r.Value, &r.Time); err != nil {
			return s.fail(ctx, "scanning ratings of", err)
		}
		if batch = append(batch, r); len(batch) < scanBatch {
			continue
		}
		if err := flush(); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return s.fail(ctx, "scanning ratings of", err)
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

// Revision returns the number of ratings written or taken back so far.
func (s *Store) Revision(ctx context.Context) (int64, error) {
	return s.number(ctx, "SELECT value FROM meta WHERE key = 'revision'")
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
