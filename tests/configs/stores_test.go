package configs

import (
	"fmt"
	"testing"
)

// outages are the ways in which an outage goes on: it ends, or the pipeline is
// stopped meanwhile and started when it has ended.
var outages = map[string]bool{"and comes back": false, "and the pipeline is stopped meanwhile": true}

// outageOf runs one pipeline, takes away the file it writes, gives it more to
// do, and returns once the pipeline has noticed and the outage is over.
func (m *machine) outageOf(file, pipeline, notice string, stopped bool, more func()) {
	m.Helper()
	all := m.start(pipeline)
	m.until("the file "+file, func() bool { return m.count(file, "sqlite_schema") > 0 })
	release := m.lock(file)
	defer release()
	more()
	m.until("the pipeline's notice", func() bool { return m.log.contains(notice) })
	if stopped {
		all.stop()
	}
	release()
	if stopped {
		m.start(pipeline)
	}
}

func TestTheRatingStoreGoesAway(t *testing.T) {
	t.Parallel()
	for name, stopped := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.produce("events", event(1, 296, "4.5"))
			m.outageOf("ratings.db", "ingest", "is away, trying again in", stopped, func() {
				for user := range 200 {
					m.produce("events", event(user, 318, "3.5"), event(user, 593, "1.0"))
				}
			})
			m.until("all ratings", func() bool { return m.count("ratings.db", "ratings") == 401 })
			m.expectNoDeadLetters()
		})
	}
}

func TestThePredictionIndexGoesAway(t *testing.T) {
	t.Parallel()
	for name, stopped := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.produce("predictions", predicted(0))
			m.outageOf("predictions.db", "index", "trying again until it succeeds", stopped, func() {
				for n := range 200 {
					m.produce("predictions", predicted(n))
				}
			})
			m.until("all predictions", func() bool { return m.count("predictions.db", "predictions") == 200 })
			m.expectNoDeadLetters()
		})
	}
}

func event(user, movie int, value string) string {
	return fmt.Sprintf(`{"event_type":"rate","user_id":"%d","movie_id":"%d","value":"%s","timestamp":"1533873124"}`, user, movie, value)
}

func predicted(n int) string {
	return fmt.Sprintf(`{"request_id":"r%d","user_id":%d,"movie_id":296,"prediction":4.75,"model_version":"fixture-1",`+
		`"requested_at":"2026-01-02T15:04:05.000Z","predicted_at":"2026-01-02T15:04:05.000Z","cold":[],"title":"Pulp Fiction (1994)","genres":["Crime"]}`, n, n)
}
