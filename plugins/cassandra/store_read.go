package cassandra

import (
	"context"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const (
	selectRatings   = "SELECT user_id, movie_id, rating, timestamp FROM ratings"
	selectTagged    = "SELECT user_id, movie_id, timestamp FROM tags"
	selectViewed    = "SELECT user_id, movie_id, timestamp FROM views"
	selectHistory   = selectRatings + " WHERE user_id = ?"
	selectOffsets   = "SELECT topic, partition, next FROM event_offsets"
	selectForgotten = "SELECT user_id, timestamp FROM forgotten"
	selectRevision  = "SELECT value FROM counters WHERE name = 'ratings'"
)

// historyPatience bounds the wait for one user's ratings during an outage.
const historyPatience = 10 * time.Second

func (s *Store) reader(patience time.Duration) pageReader {
	return pageReader{connector: s.connector, settings: s.settings, size: s.options.PageSize, patience: patience, outage: &s.outage}
}

// rowsOf decodes the rows of a page. A row that lacks what makes it one, as other
// programs may write it, is none.
type rowsOf[T any] struct {
	dest []any            // of iter.Scan
	row  func() (T, bool) // what was scanned, and whether it is one
	page []T
}

func newRatingRows() *rowsOf[ratings.Rating] {
	var user, movie, time longCell
	var value floatCell
	return &rowsOf[ratings.Rating]{
		dest: []any{&user, &movie, &value, &time},
		row: func() (ratings.Rating, bool) {
			return ratings.Rating{User: user.value, Movie: movie.value, Value: value.value, Time: time.value}, !value.null
		},
	}
}

func newChoiceRows(kind ratings.ChoiceKind) *rowsOf[ratings.Choice] {
	var user, movie, time longCell
	return &rowsOf[ratings.Choice]{
		dest: []any{&user, &movie, &time},
		row: func() (ratings.Choice, bool) {
			return ratings.Choice{User: user.value, Movie: movie.value, Kind: kind, Time: time.value}, !time.null
		},
	}
}

func (r *rowsOf[T]) decode(iter *gocql.Iter, rows int) error {
	if r.page = r.page[:0]; cap(r.page) < rows {
		r.page = make([]T, 0, rows)
	}
	for range rows {
		if !iter.Scan(r.dest...) {
			return errCut
		}
		if row, ok := r.row(); ok {
			r.page = append(r.page, row)
		}
	}
	return nil
}

// Scan reads the token ranges of the ring in parallel and gives each page that
// was read as a whole. It is no snapshot: of what is written meanwhile some is
// seen and some is not. A range whose node dies is read on from the same place.
func (s *Store) Scan(ctx context.Context, fn func([]ratings.Rating) error) error {
	return scan(ctx, s, "scanning ratings of", selectRatings, newRatingRows, fn)
}

// ScanChoices is Scan of tags and then of views.
func (s *Store) ScanChoices(ctx context.Context, fn func([]ratings.Choice) error) error {
	for _, of := range []struct {
		kind  ratings.ChoiceKind
		query string
	}{{ratings.Tagged, selectTagged}, {ratings.Viewed, selectViewed}} {
		rows := func() *rowsOf[ratings.Choice] { return newChoiceRows(of.kind) }
		if err := scan(ctx, s, "scanning choices of", of.query, rows, fn); err != nil {
			return err
		}
	}
	return nil
}

func scan[T any](ctx context.Context, s *Store, what, query string, newRows func() *rowsOf[T], fn func([]T) error) error {
	session, err := s.connector.now(ctx)
	if err != nil {
		return s.fail(ctx, what, err)
	}
	ranges := splitRing(ringOf(session, s.settings.LocalDC), s.options.ScanSplits)
	statement := rangeStatement(query, []string{"user_id"})
	reader := s.reader(scanPatience)

	scanning, cancel := context.WithCancel(ctx)
	defer cancel()
	pages := make(chan []T)
	free := make(chan []T, s.options.ScanConcurrency+1)
	result := make(chan error, 1)
	go func() {
		defer close(pages)
		result <- scanRanges(scanning, ranges, s.options.ScanConcurrency, func(ctx context.Context, r tokenRange) error {
			rows := newRows()
			return reader.read(ctx, r.owner, statement, []any{r.from, r.to}, rows.decode, func() error {
				if len(rows.page) == 0 {
					return nil
				}
				select {
				case pages <- rows.page:
				case <-ctx.Done():
					return ctx.Err()
				}
				select {
				case rows.page = <-free:
				default:
					rows.page = nil
				}
				return nil
			})
		})
	}()
	for page := range pages {
		if err := fn(page); err != nil {
			cancel()
			for range pages { //nolint:revive // the readers end before Scan does
			}
			return err
		}
		select {
		case free <- page:
		default:
		}
	}
	return s.fail(ctx, what, <-result)
}

// History returns one user's ratings in the order of movies.
func (s *Store) History(ctx context.Context, user int64) ([]ratings.Rating, error) {
	rows := newRatingRows()
	var history []ratings.Rating
	err := s.reader(historyPatience).read(ctx, "", selectHistory, []any{user}, rows.decode, func() error {
		history = append(history, rows.page...)
		return nil
	})
	if err != nil {
		return nil, s.fail(ctx, "reading a user's ratings of", err)
	}
	return history, nil
}

// Forgotten returns who was forgotten.
func (s *Store) Forgotten(ctx context.Context) ([]ratings.Forgotten, error) {
	var user, time longCell
	rows := &rowsOf[ratings.Forgotten]{
		dest: []any{&user, &time},
		row: func() (ratings.Forgotten, bool) {
			return ratings.Forgotten{User: user.value, Time: time.value}, !time.null
		},
	}
	var all []ratings.Forgotten
	err := s.reader(historyPatience).read(ctx, "", selectForgotten, nil, rows.decode, func() error {
		all = append(all, rows.page...)
		return nil
	})
	if err != nil {
		return nil, s.fail(ctx, "reading who was forgotten of", err)
	}
	return all, nil
}

// Offsets returns up to where topics of events were taken in.
func (s *Store) Offsets(ctx context.Context) (ratings.Offsets, error) {
	var offsets ratings.Offsets
	err := s.reader(historyPatience).read(ctx, "", selectOffsets, nil, func(iter *gocql.Iter, rows int) error {
		for range rows {
			var topic string
			var partition int32
			var next int64
			if !iter.Scan(&topic, &partition, &next) {
				return errCut
			}
			offsets = offsets.Advance(topic, partition, next)
		}
		return nil
	}, func() error { return nil })
	return offsets, s.fail(ctx, "reading the offsets of events of", err)
}

// Revision returns how many ratings were written, taken back, or written again,
// and how many users were forgotten, so far.
func (s *Store) Revision(ctx context.Context) (int64, error) {
	var value, sum longCell
	err := s.reader(historyPatience).read(ctx, "", selectRevision, nil, func(iter *gocql.Iter, rows int) error {
		sum.value = 0
		for range rows {
			if !iter.Scan(&value) {
				return errCut
			}
			sum.value += value.value
		}
		return nil
	}, func() error { return nil })
	if err != nil {
		return 0, s.fail(ctx, "reading the revision of", err)
	}
	return sum.value, nil
}

// Count returns the number of current "ratings", of "users" who have one, or of
// "movies" that have one; ok is false for other names. It scans all ratings.
func (s *Store) Count(ctx context.Context, what string) (n int64, ok bool, err error) {
	seen := map[int64]struct{}{}
	var add func(r ratings.Rating)
	switch what {
	case "ratings":
		add = func(ratings.Rating) { n++ }
	case "users":
		add = func(r ratings.Rating) { seen[r.User] = struct{}{} }
	case "movies":
		add = func(r ratings.Rating) { seen[r.Movie] = struct{}{} }
	default:
		return 0, false, nil
	}
	err = s.Scan(ctx, func(page []ratings.Rating) error {
		for _, r := range page {
			add(r)
		}
		return nil
	})
	return n + int64(len(seen)), true, err
}
