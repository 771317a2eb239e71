//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// movie is what the data say of a movie.
type movie struct {
	title  string
	genres []string
}

func readCatalog(data string) (map[int64]movie, error) {
	all, err := ratings.ReadMovies(data)
	if err != nil {
		return nil, err
	}
	found := map[int64]movie{}
	for _, m := range all {
		found[m.ID] = movie{m.Title, m.Genres}
	}
	return found, nil
}

// event is a rating as it is sent.
type event struct {
	user, movie, time int64
	value             float32
}

// json is the event as the original system writes it: every value is a string.
func (e event) json() []byte {
	return fmt.Appendf(nil, `{"event_type":"rate","user_id":"%d","movie_id":"%d","value":"%.1f","timestamp":"%d"}`, e.user, e.movie, e.value, e.time)
}

// traffic is events and requests of users of its own, so that many of them can
// be told apart in the same tables and topics.
type traffic struct {
	name     string // what its request ids begin with
	users    []int64
	events   []event
	expected map[[2]int64]event // the newest of each pair
	requests int
	movies   []int64

	malformed []*kgo.Record // sent along, for the dead letters

	failed *atomic.Int64 // records that could not be produced
}

const (
	firstUser = 1_000_000 // above all users of the data
	runUsers  = 200
	epoch     = 1_600_000_000
)

// newTraffic makes n events and n requests. A fifth of the events rate a pair
// again, some with an older time than the one before.
func (s *system) newTraffic(n int) *traffic {
	s.runs++
	first := int64(firstUser + s.runs*10_000)
	f := &traffic{
		name: fmt.Sprintf("run%d-", s.runs), requests: n, expected: map[[2]int64]event{}, failed: &atomic.Int64{},
		movies: slices.Sorted(maps.Keys(s.catalog)),
	}
	for i := range int64(runUsers) {
		f.users = append(f.users, first+i)
	}
	for i := range n {
		e := event{
			user: f.users[i%runUsers], movie: f.movies[i/runUsers%len(f.movies)],
			value: float32(i%10+1) / 2, time: epoch + int64(i),
		}
		if i%5 == 4 && i > 2*runUsers {
			earlier := f.events[i-runUsers]
			e.movie, e.value = earlier.movie, float32((i+3)%10+1)/2
			if i%10 == 4 {
				e.time = earlier.time - 1 - int64(i%1000) // it comes late, and changes nothing
			}
		}
		f.events = append(f.events, e)
		pair := [2]int64{e.user, e.movie}
		if old, ok := f.expected[pair]; !ok || e.time > old.time || e.time == old.time && e.value > old.value {
			f.expected[pair] = e
		}
	}
	return f
}

// spoil adds so many malformed messages, half of them events.
func (f *traffic) spoil(n int) {
	for i := range n {
		record := &kgo.Record{Topic: "events", Key: []byte("nobody"), Value: fmt.Appendf(nil, `{"event_type":"rate","user_id":"nobody-%s%d","movie_id":"1","value":"3","timestamp":"1"}`, f.name, i)}
		if i%2 == 1 {
			record.Topic, record.Value = "requests", fmt.Appendf(nil, `{"request_id":"bad-%s%d","user_id":%d}`, f.name, i, f.requestUser(i))
		}
		f.malformed = append(f.malformed, record)
	}
}

func (f *traffic) requestID(i int) string { return fmt.Sprintf("%s%d", f.name, i) }

// request is the i-th request; those of movies that nobody has rated are among them.
func (f *traffic) request(i int) []byte {
	return fmt.Appendf(nil, `{"request_id":"%s","user_id":%d,"movie_id":%d}`, f.requestID(i), f.requestUser(i), f.requestMovie(i))
}

func (f *traffic) requestUser(i int) int64  { return int64(1 + i%610) }
func (f *traffic) requestMovie(i int) int64 { return f.movies[(i*31+i/610)%len(f.movies)] }

// send writes everything, evenly over so long, and returns when the broker has
// it all; records of a moment when it has not the broker wait in the client.
func (f *traffic) send(b *broker, over time.Duration) {
	var sent sync.WaitGroup
	defer sent.Wait()
	began, n := time.Now(), max(len(f.events), f.requests)
	for i := range n {
		if i%50 == 0 {
			time.Sleep(time.Until(began.Add(over * time.Duration(i) / time.Duration(n))))
		}
		if bad := len(f.malformed); i*bad/n < (i+1)*bad/n {
			f.produce(b, &sent, f.malformed[i*bad/n])
		}
		if i < f.requests {
			f.produce(b, &sent, &kgo.Record{Topic: "requests", Key: fmt.Append(nil, f.requestUser(i)), Value: f.request(i)})
		}
		if i < len(f.events) {
			f.produce(b, &sent, &kgo.Record{Topic: "events", Key: fmt.Append(nil, f.events[i].user), Value: f.events[i].json()})
		}
	}
}

func (f *traffic) produce(b *broker, sent *sync.WaitGroup, record *kgo.Record) {
	sent.Add(1)
	b.client.Produce(context.Background(), record, func(_ *kgo.Record, err error) {
		if err != nil {
			f.failed.Add(1)
		}
		sent.Done()
	})
}

// differences collects what is wrong, and tells the first few.
type differences struct {
	examples []string
	count    int
}

func (d *differences) add(format string, args ...any) {
	if d.count++; d.count <= 5 {
		d.examples = append(d.examples, fmt.Sprintf(format, args...))
	}
}

func (d *differences) err(what string) error {
	if d.count == 0 {
		return nil
	}
	return fmt.Errorf("%s: %d differences, such as\n  %s", what, d.count, strings.Join(d.examples, "\n  "))
}

// stored reads the rows of the traffic's users with plain CQL.
func (s *system) stored(f *traffic) (map[[2]int64]event, error) {
	found := map[[2]int64]event{}
	for _, user := range f.users {
		iter := s.session.Query("SELECT user_id, movie_id, rating, timestamp FROM ratings WHERE user_id = ?", user).Idempotent(true).Iter()
		var e event
		var at time.Time
		for iter.Scan(&e.user, &e.movie, &e.value, &at) {
			e.time = at.Unix()
			found[[2]int64{e.user, e.movie}] = e
		}
		if err := iter.Close(); err != nil {
			return nil, fmt.Errorf("reading the ratings of user %d: %w", user, err)
		}
	}
	return found, nil
}

// checkStore demands every pair exactly once, with the newest rating.
func (s *system) checkStore(f *traffic) error {
	found, err := s.stored(f)
	if err != nil {
		return err
	}
	var d differences
	for pair, want := range f.expected {
		if got, ok := found[pair]; !ok {
			d.add("user %d, movie %d: no row, want %v", pair[0], pair[1], want)
		} else if got != want {
			d.add("user %d, movie %d: %v, want %v", pair[0], pair[1], got, want)
		}
	}
	for pair := range found {
		if _, ok := f.expected[pair]; !ok {
			d.add("user %d, movie %d: a row that nobody sent", pair[0], pair[1])
		}
	}
	return d.err("table ratings")
}

// checkIndex demands exactly one document for each request, in the index of the
// day of the request, with what the data say of the movie.
func (s *system) checkIndex(t testing.TB, f *traffic) error {
	t.Helper()
	var d differences
	seen := map[string]int{}
	for _, doc := range s.index.documents(t, f.name) {
		seen[doc.id]++
		if id := doc.source.Get("request_id").Str; id != doc.id {
			d.add("document %s has request_id %s", doc.id, id)
		}
		at, err := time.Parse(time.RFC3339, doc.source.Get("requested_at").Str)
		if want := "predictions-" + at.UTC().Format("2006.01.02"); err != nil || doc.index != want {
			d.add("document %s is in index %s, requested_at is %s", doc.id, doc.index, doc.source.Get("requested_at"))
		}
		want, known := s.catalog[doc.source.Get("movie_id").Int()]
		var genres []string
		for _, genre := range doc.source.Get("genres").Array() {
			genres = append(genres, genre.Str)
		}
		slices.Sort(genres)
		sorted := slices.Sorted(slices.Values(want.genres))
		if !known || doc.source.Get("title").Str != want.title || !slices.Equal(genres, sorted) {
			d.add("document %s: %s, want title and genres of %+v", doc.id, doc.source.Raw, want)
		}
	}
	for i := range f.requests {
		if n := seen[f.requestID(i)]; n != 1 {
			d.add("request %s has %d documents", f.requestID(i), n)
		}
	}
	if len(seen) != f.requests {
		d.add("%d documents, want %d", len(seen), f.requests)
	}
	return d.err("Elasticsearch")
}
