package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// The newer state of a movie or user holds, and the greater one at equal time, as
// in every store; state has all of it, the columns before it are for people.
const (
	upsertItem = `
INSERT INTO movies (movie_id, title, genres, hidden, timestamp, state) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (movie_id) DO UPDATE SET title = excluded.title, genres = excluded.genres, hidden = excluded.hidden,
  timestamp = excluded.timestamp, state = excluded.state
WHERE (excluded.timestamp, excluded.state) > (timestamp, state)`

	upsertProfile = `
INSERT INTO users (user_id, timestamp, state)
SELECT column1, column2, column3 FROM (VALUES (?, ?, ?))
WHERE NOT EXISTS (SELECT 1 FROM forgotten f WHERE f.user_id = column1 AND f.timestamp >= column2)
ON CONFLICT (user_id) DO UPDATE SET timestamp = excluded.timestamp, state = excluded.state
WHERE (excluded.timestamp, excluded.state) > (timestamp, state)`
)

var _ ratings.Directory = (*Store)(nil)

func describe(ctx context.Context, tx *sql.Tx, items []ratings.Item, profiles []ratings.Profile) error {
	for _, i := range items {
		if _, err := tx.ExecContext(ctx, upsertItem, i.ID, i.Title, strings.Join(i.Genres, "|"), i.Hidden, i.Time, i.State()); err != nil {
			return err
		}
	}
	for _, p := range profiles {
		if _, err := tx.ExecContext(ctx, upsertProfile, p.User, p.Time, p.State()); err != nil {
			return err
		}
	}
	return nil
}

// Items returns what was entered of movies, in the order of ids.
func (s *Store) Items(ctx context.Context) ([]ratings.Item, error) {
	return readAll(ctx, s, "reading the movies of", func(rows *sql.Rows) (ratings.Item, error) {
		var id int64
		var state string
		if err := rows.Scan(&id, &state); err != nil {
			return ratings.Item{}, err
		}
		return ratings.ParseItem(id, state)
	}, "SELECT movie_id, state FROM movies ORDER BY movie_id")
}

// Choices returns one user's tags and views, by movies.
func (s *Store) Choices(ctx context.Context, user int64) ([]ratings.Tag, []ratings.View, error) {
	const what = "reading a user's tags and views of"
	tags, err := readAll(ctx, s, what, func(rows *sql.Rows) (t ratings.Tag, err error) {
		return t, rows.Scan(&t.User, &t.Movie, &t.Tag, &t.Time)
	}, "SELECT user_id, movie_id, tag, timestamp FROM tags WHERE user_id = ? ORDER BY movie_id, tag", user)
	if err != nil {
		return nil, nil, err
	}
	views, err := readAll(ctx, s, what, func(rows *sql.Rows) (v ratings.View, err error) {
		return v, rows.Scan(&v.User, &v.Movie, &v.Time)
	}, "SELECT user_id, movie_id, timestamp FROM views WHERE user_id = ? ORDER BY movie_id, timestamp", user)
	return tags, views, err
}

// Profile returns what was entered of a user.
func (s *Store) Profile(ctx context.Context, user int64) (ratings.Profile, bool, error) {
	const what = "reading a user of"
	var state string
	err := s.reader.QueryRowContext(ctx, "SELECT state FROM users WHERE user_id = ?", user).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return ratings.Profile{}, false, nil
	}
	if err != nil {
		return ratings.Profile{}, false, s.fail(ctx, what, err)
	}
	profile, err := ratings.ParseProfile(user, state)
	return profile, err == nil, s.fail(ctx, what, err)
}

// nextUsers skips from user to user by the primary key, so that a page costs its
// users and not their ratings.
const nextUsers = `
WITH RECURSIVE rated(id) AS (
  SELECT min(user_id) FROM ratings WHERE user_id > ?1
  UNION ALL SELECT (SELECT min(user_id) FROM ratings WHERE user_id > id) FROM rated WHERE id IS NOT NULL LIMIT ?2 + 1)
SELECT id FROM rated WHERE id IS NOT NULL
UNION SELECT user_id FROM (SELECT user_id FROM users WHERE user_id > ?1 ORDER BY user_id LIMIT ?2)
ORDER BY 1 LIMIT ?2`

// Users returns users in the order of their ids.
func (s *Store) Users(ctx context.Context, after *int64, n int) ([]int64, error) {
	from := int64(-1)
	if after != nil {
		from = *after
	}
	return readAll(ctx, s, "reading the users of", func(rows *sql.Rows) (user int64, err error) {
		return user, rows.Scan(&user)
	}, nextUsers, from, n)
}

// readAll reads all rows of a query.
func readAll[T any](ctx context.Context, s *Store, what string, read func(*sql.Rows) (T, error), text string, args ...any) ([]T, error) {
	rows, err := s.reader.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, s.fail(ctx, what, err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		row, err := read(rows)
		if err != nil {
			return nil, s.fail(ctx, what, err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		return nil, s.fail(ctx, what, err)
	}
	return all, nil
}
