//go:build cluster

package cluster

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// headers is the headers of a record by name.
func headers(r *kgo.Record) map[string]string {
	found := map[string]string{}
	for _, h := range r.Headers {
		found[h.Key] = string(h.Value)
	}
	return found
}

func TestFlow(t *testing.T) {
	s := sharedSystem(t, 1)
	traffic := s.newTraffic(5000)
	account := s.open(t, traffic)
	pipelines := s.startFleet(t, 1)
	began := time.Now()
	traffic.send(s.broker, time.Second)
	account.arrive(t, time.Minute)
	t.Logf("%d events and %d requests arrived within %.1f s of the start of the pipelines", len(traffic.events), traffic.requests, time.Since(began).Seconds())
	if n := account.check(t); n != 0 {
		t.Errorf("%d predictions were written twice without any fault", n)
	}

	pipelines.kill()
	rows, documents := s.everyRow(t), s.everyDocument(t)
	s.broker.rewind(t, "ingest", "events")
	s.broker.rewind(t, "predict", "requests")
	predictions := total(s.broker.mustEnds(t, "predictions"))
	s.startFleet(t, 1)
	t.Run("a replay changes nothing", func(t *testing.T) {
		s.replayed(t, predictions+int64(traffic.requests))
		s.sameContent(t, rows, documents)
		if letters := account.letters(t); len(letters) > 0 {
			t.Errorf("dead letters: %v", letters)
		}
	})
	t.Run("malformed messages become dead letters", func(t *testing.T) { malformed(t, s) })
}

// replayed waits until all requests and events that there are have been read
// again, and demands so many predictions.
func (s *system) replayed(t *testing.T, predictions int64) {
	t.Helper()
	s.idle(t)
	if n := total(s.broker.mustEnds(t, "predictions")); n < predictions {
		t.Errorf("after the replay there are %d predictions, want %d", n, predictions)
	}
}

// sameContent compares tables and indices with what was there before.
func (s *system) sameContent(t *testing.T, rows map[[2]int64]string, documents map[string]int64) {
	t.Helper()
	if now := s.everyRow(t); !maps.Equal(rows, now) {
		t.Errorf("the replay changed the table ratings: %d rows before, %d now", len(rows), len(now))
	}
	if now := s.everyDocument(t); !maps.Equal(documents, now) {
		t.Errorf("the replay changed the index: documents before %v, now %v", documents, now)
	}
	t.Logf("%d rows and the documents %v are as they were", len(rows), documents)
}

// everyRow is the table ratings with the times of writing.
func (s *system) everyRow(t testing.TB) map[[2]int64]string {
	t.Helper()
	iter := s.session.Query("SELECT user_id, movie_id, rating, timestamp, WRITETIME(rating), WRITETIME(timestamp) FROM ratings").PageSize(5000).Idempotent(true).Iter()
	found := map[[2]int64]string{}
	var user, movie, ratingWritten, timeWritten int64
	var rating float32
	var at time.Time
	for iter.Scan(&user, &movie, &rating, &at, &ratingWritten, &timeWritten) {
		found[[2]int64{user, movie}] = fmt.Sprint(rating, at.UnixMilli(), ratingWritten, timeWritten)
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	return found
}

// everyDocument is how many documents each index has.
func (s *system) everyDocument(t testing.TB) map[string]int64 {
	t.Helper()
	s.index.mustAsk(t, "POST", "/predictions-*/_refresh", nil)
	found := map[string]int64{}
	for name := range s.index.mustAsk(t, "GET", "/predictions-*", nil).Map() {
		found[name] = s.index.mustAsk(t, "GET", "/"+name+"/_count", nil).Get("count").Int()
	}
	return found
}

// malformed sends what cannot be handled among what can.
func malformed(t *testing.T, s *system) {
	traffic := s.newTraffic(100)
	account := s.open(t, traffic)
	future := fmt.Sprint(time.Now().Add(24 * time.Hour).Unix())
	bad := []struct{ topic, value, reason string }{
		{"events", `{"event_type":"rate","user_id":"1"`, "malformed JSON"},
		{"events", `{"event_type":"rate","user_id":"abc","movie_id":"296","value":"4.5","timestamp":"1"}`, `field "user_id"`},
		{"events", `{"event_type":"rate","user_id":"1","movie_id":"296","value":"11","timestamp":"1"}`, "rating 11 is outside 0.5 to 5"},
		{"events", `{"event_type":"rate","user_id":"1","movie_id":"296","value":"4.5","timestamp":"` + future + `"}`, "lies in the future"},
		{"requests", "predict something\x00\xff", "malformed JSON"},
		{"requests", `{"user_id":1}`, `field "movie_id": is missing`},
		{"requests", `{"user_id":1,"movie_id":296,"kind":"dance"}`, `"dance" is unknown`},
	}
	for _, b := range bad {
		s.broker.produce(t, &kgo.Record{Topic: b.topic, Key: []byte("1"), Value: []byte(b.value)})
	}
	traffic.send(s.broker, 0)
	account.arrive(t, time.Minute)
	letters := map[string]*kgo.Record{}
	for _, record := range s.broker.records(t, "dead_letters", account.deadLetters) {
		letters[string(record.Value)] = record
	}
	if len(letters) != len(bad) {
		t.Errorf("%d dead letters, want %d: %v", len(letters), len(bad), account.letters(t))
	}
	for _, b := range bad {
		letter, ok := letters[b.value]
		if !ok {
			t.Errorf("no dead letter has the bytes %q", b.value)
			continue
		}
		said := headers(letter)
		expectParts(t, said["error"], b.reason)
		if said["topic"] != b.topic || said["partition"] == "" || said["offset"] == "" || said["time"] == "" || string(letter.Key) != "1" {
			t.Errorf("the dead letter of %q does not say where it comes from: key %q, %v", b.value, letter.Key, said)
		}
	}
}
