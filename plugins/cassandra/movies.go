package cassandra

import (
	"context"
	"slices"
	"sync"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const (
	insertMovie  = "INSERT INTO movies (movie_id, title, genres) VALUES (?, ?, ?)"
	insertLink   = "INSERT INTO links (movie_id, imdb_id, tmdb_id) VALUES (?, ?, ?)"
	selectMovies = "SELECT movie_id, title, genres FROM movies"
	selectLinks  = "SELECT movie_id, imdb_id, tmdb_id FROM links"
)

// Movies returns all movies in the order of their ids; genres are in
// alphabetical order.
func (s *Store) Movies(ctx context.Context) ([]ratings.Movie, error) {
	movies, err := readAll(ctx, s, selectMovies, func(iter *gocql.Iter) (m ratings.Movie, ok bool) {
		return m, iter.Scan(&m.ID, &m.Title, &m.Genres)
	})
	if err != nil {
		return nil, s.fail(ctx, "reading the movies of", err)
	}
	slices.SortFunc(movies, func(a, b ratings.Movie) int { return compareIDs(a.ID, b.ID) })
	return movies, nil
}

// Links returns the ids of all movies in other catalogues, in the order of ids.
func (s *Store) Links(ctx context.Context) ([]ratings.Link, error) {
	links, err := readAll(ctx, s, selectLinks, func(iter *gocql.Iter) (l ratings.Link, ok bool) {
		return l, iter.Scan(&l.Movie, &l.IMDb, &l.TMDb)
	})
	if err != nil {
		return nil, s.fail(ctx, "reading the links of", err)
	}
	slices.SortFunc(links, func(a, b ratings.Link) int { return compareIDs(a.Movie, b.Movie) })
	return links, nil
}

func compareIDs(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// readAll reads a table by movie_id, in parallel.
func readAll[T any](ctx context.Context, s *Store, statement string, scan func(*gocql.Iter) (T, bool)) ([]T, error) {
	session, err := s.connector.now(ctx)
	if err != nil {
		return nil, err
	}
	statement = rangeStatement(statement, []string{"movie_id"})
	ranges := splitRing(ringOf(session, s.settings.LocalDC), s.options.ScanConcurrency)
	var mu sync.Mutex
	var all []T
	err = scanRanges(ctx, ranges, s.options.ScanConcurrency, func(ctx context.Context, r tokenRange) error {
		var page []T
		return s.reader(scanPatience).read(ctx, r.owner, statement, []any{r.from, r.to}, func(iter *gocql.Iter, rows int) error {
			page = page[:0]
			for range rows {
				row, ok := scan(iter)
				if !ok {
					return errCut
				}
				page = append(page, row)
			}
			return nil
		}, func() error {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, page...)
			return nil
		})
	})
	return all, err
}

// PutMovies writes movies, many at the same time, and waits out outages until
// the context ends. done, which may be nil, is called with the number written
// since its last call, by one goroutine at a time.
func (s *Store) PutMovies(ctx context.Context, movies []ratings.Movie, done func(n int)) error {
	err := s.put(ctx, len(movies), done, func(i int) (string, []any) {
		m := movies[i]
		return insertMovie, []any{m.ID, m.Title, m.Genres}
	})
	return s.fail(ctx, "writing movies to", err)
}

// PutLinks writes links as PutMovies writes movies.
func (s *Store) PutLinks(ctx context.Context, links []ratings.Link, done func(n int)) error {
	err := s.put(ctx, len(links), done, func(i int) (string, []any) {
		l := links[i]
		return insertLink, []any{l.Movie, l.IMDb, l.TMDb}
	})
	return s.fail(ctx, "writing links to", err)
}

func (s *Store) put(ctx context.Context, n int, done func(n int), row func(i int) (string, []any)) error {
	var mu sync.Mutex
	return s.parallel(ctx, n, 0, func(session *gocql.Session, i int) error {
		statement, args := row(i)
		if err := s.settings.query(session, statement, args...).ExecContext(ctx); err != nil {
			return err
		}
		if done != nil {
			mu.Lock()
			defer mu.Unlock()
			done(1)
		}
		return nil
	})
}
