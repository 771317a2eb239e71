package cassandra

import (
	"context"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const (
	selectRatings  = "SELECT user_id, movie_id, rating, timestamp FROM ratings"
	selectHistory  = selectRatings + " WHERE user_id = ?"
	selectRevision = "SELECT value FROM counters WHERE name = 'ratings'"
)

// historyPatience bounds the wait for one user's ratings during an outage.
const historyPatience = 10 * time.Second

func (s *Store) reader(patience time.Duration) pageReader {
	return pageReader{connector: s.connector, settings: s.settings, size: s.options.PageSize, patience: patience, outage: &s.outage}
}

// ratingRows decodes rows of selectRatings. A row without a rating, as other
// programs may write it, is none.
type ratingRows struct {
	user, movie, time longCell
	value             floatCell
	dest              []any
	page              []ratings.Rating
}

func newRatingRows() *ratingRows {
	r := &ratingRows{}
	r.dest = []any{&r.user, &r.movie, &r.value, &r.time}
	return r
}

func (r *ratingRows) decode(iter *gocql.Iter, rows int) error {
	if r.page = r.page[:0]; cap(r.page) < rows {
		r.page = make([]ratings.Rating, 0, rows)
	}
	for range rows {
		if !iter.Scan(r.dest...) {
			return errCut
		}
		if !r.value.null {
			r.page = append(r.page, ratings.Rating{User: r.user.value, Movie: r.movie.value, Value: r.value.value, Time: r.time.value})
		}
	}
	return nil
}

// Scan reads the token ranges of the ring in parallel and gives each page that
// was read as a whole. It is no snapshot: of what is written meanwhile some is
// seen and some is not. A range whose node dies is read on from the same place.
func (s *Store) Scan(ctx context.Context, fn func([]ratings.Rating) error) error {
	session, err := s.connector.now(ctx)
	if err != nil {
		return s.fail(ctx, "scanning ratings of", err)
	}
	ranges := splitRing(ringOf(session, s.settings.LocalDC), s.options.ScanSplits)
	statement := rangeStatement(selectRatings, []string{"user_id"})
	reader := s.reader(scanPatience)

	scanning, cancel := context.WithCancel(ctx)
	defer cancel()
	pages := make(chan []ratings.Rating)
	free := make(chan []ratings.Rating, s.options.ScanConcurrency+1)
	result := make(chan error, 1)
	go func() {
		defer close(pages)
		result <- scanRanges(scanning, ranges, s.options.ScanConcurrency, func(ctx context.Context, r tokenRange) error {
			rows := newRatingRows()
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
	return s.fail(ctx, "scanning ratings of", <-result)
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
