package cassandra

import (
	"context"
	"fmt"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// item has all of a movie in one cell: of two with one time the greater is whole.
const (
	insertItem     = "INSERT INTO movies (movie_id, title, genres, item) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
	insertItemLink = "INSERT INTO links (movie_id, imdb_id, tmdb_id) VALUES (?, ?, ?) USING TIMESTAMP ?"
	selectItems    = "SELECT movie_id, item FROM movies"
	selectTags     = "SELECT user_id, movie_id, tag, timestamp FROM tags WHERE user_id = ?"
	selectViews    = selectViewed + " WHERE user_id = ?"
	selectProfile  = "SELECT profile FROM users WHERE user_id = ?"
)

var _ ratings.Directory = (*Store)(nil)

// appendItems adds a group for each movie's row and for its link's.
func appendItems(groups [][]gocql.BatchEntry, items []ratings.Item) ([][]gocql.BatchEntry, error) {
	for _, i := range items {
		at, err := microseconds(i.Time)
		if err != nil {
			return nil, fmt.Errorf("movie %d: %w", i.ID, err)
		}
		groups = append(groups,
			[]gocql.BatchEntry{{Stmt: insertItem, Args: []any{i.ID, i.Title, i.Genres, i.State(), at}, Idempotent: true}},
			[]gocql.BatchEntry{{Stmt: insertItemLink, Args: []any{i.ID, i.IMDb, i.TMDb, at}, Idempotent: true}})
	}
	return groups, nil
}

// Items returns what was entered of movies by events; the others have none.
func (s *Store) Items(ctx context.Context) ([]ratings.Item, error) {
	type row struct {
		id    int64
		state string
	}
	rows, err := readAll(ctx, s, selectItems, func(iter *gocql.Iter) (r row, ok bool) {
		return r, iter.Scan(&r.id, &r.state)
	})
	if err != nil {
		return nil, s.fail(ctx, "reading the movies of", err)
	}
	var items []ratings.Item
	for _, r := range rows {
		if r.state == "" {
			continue
		}
		item, err := ratings.ParseItem(r.id, r.state)
		if err != nil {
			return nil, s.fail(ctx, "reading the movies of", err)
		}
		items = append(items, item)
	}
	return items, nil
}

// Choices returns one user's tags and views, by movies.
func (s *Store) Choices(ctx context.Context, user int64) (tags []ratings.Tag, views []ratings.View, err error) {
	const what = "reading a user's tags and views of"
	var who, movie, at longCell
	var tag string
	tags, err = readRows(ctx, s, selectTags, user, []any{&who, &movie, &tag, &at}, func() ratings.Tag {
		return ratings.Tag{User: who.value, Movie: movie.value, Tag: tag, Time: at.value}
	})
	if err != nil {
		return nil, nil, s.fail(ctx, what, err)
	}
	views, err = readRows(ctx, s, selectViews, user, []any{&who, &movie, &at}, func() ratings.View {
		return ratings.View{User: who.value, Movie: movie.value, Time: at.value}
	})
	return tags, views, s.fail(ctx, what, err)
}

// readRows reads all rows of one user.
func readRows[T any](ctx context.Context, s *Store, statement string, user int64, dest []any, row func() T) (all []T, err error) {
	rows := &rowsOf[T]{dest: dest, row: func() (T, bool) { return row(), true }}
	err = s.reader(historyPatience).read(ctx, "", statement, []any{user}, rows.decode, func() error {
		all = append(all, rows.page...)
		return nil
	})
	return all, err
}

// Profile returns what was entered of a user.
func (s *Store) Profile(ctx context.Context, user int64) (profile ratings.Profile, ok bool, err error) {
	const what = "reading a user of"
	var state string
	states, err := readRows(ctx, s, selectProfile, user, []any{&state}, func() string { return state })
	if err != nil || len(states) == 0 || states[0] == "" {
		return profile, false, s.fail(ctx, what, err)
	}
	profile, err = ratings.ParseProfile(user, states[0])
	return profile, err == nil, s.fail(ctx, what, err)
}

// Users returns users in the order of their tokens: those who have a rating and
// those who have a profile, merged.
func (s *Store) Users(ctx context.Context, after *int64, n int) ([]int64, error) {
	type placed struct{ token, user int64 }
	var tables [2][]placed
	for k, table := range []string{"ratings", "users"} {
		statement := "SELECT token(user_id), user_id FROM " + table
		if table == "ratings" {
			statement = "SELECT DISTINCT token(user_id), user_id FROM " + table
		}
		args := []any{n}
		if after != nil {
			statement += " WHERE token(user_id) > token(?)"
			args = []any{*after, n}
		}
		var token, user longCell
		rows := &rowsOf[placed]{dest: []any{&token, &user}, row: func() (placed, bool) { return placed{token.value, user.value}, true }}
		err := s.reader(historyPatience).read(ctx, "", statement+" LIMIT ?", args, rows.decode, func() error {
			tables[k] = append(tables[k], rows.page...)
			return nil
		})
		if err != nil {
			return nil, s.fail(ctx, "reading the users of", err)
		}
	}
	var users []int64
	for a, b := tables[0], tables[1]; len(users) < n && len(a)+len(b) > 0; {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].token < b[0].token:
			users, a = append(users, a[0].user), a[1:]
		case len(a) == 0 || b[0].token < a[0].token:
			users, b = append(users, b[0].user), b[1:]
		default: // the same user; two users of one token do not occur among ids
			users, a, b = append(users, a[0].user), a[1:], b[1:]
		}
	}
	return users, nil
}
