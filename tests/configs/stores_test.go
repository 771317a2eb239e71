package configs

import (
	"fmt"
	"testing"
)

// outage takes away the file that a pipeline writes, gives the pipeline more to
// do, has it be noticed, and perhaps more, and ends.
func (m *machine) outage(file, notice string, more, meanwhile func()) {
	m.Helper()
	m.until("the file "+file, func() bool { return m.count(file, "sqlite_schema") > 0 })
	release := m.lock(file)
	defer release()
	more()
	m.until("the pipeline's notice", func() bool { return m.log.contains(notice) })
	meanwhile()
}

// stores are the files of the state folder, with what writes them.
var stores = map[string]struct {
	pipeline, topic, file, table, notice string
	message                              func(n int) string
}{
	"the rating store": {
		"ingest", "events", "ratings.db", "ratings", "is away, trying again in",
		func(n int) string { return event(n, 318, "3.5") },
	},
	"the prediction index": {
		"index", "predictions", "predictions.db", "predictions", "trying again until it succeeds",
		predicted,
	},
}

func TestAStoreThatGoesAwayUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.produce(store.topic, store.message(0))
			all := m.start(store.pipeline)
			m.outage(store.file, store.notice, func() { m.produceMany(store.topic, store.message) }, func() {})
			m.until("all rows", func() bool { return m.count(store.file, store.table) == many })
			all.stop()
			m.expectNoDeadLetters()
		})
	}
}

func TestAStopWhileAStoreIsAwayLosesNothing(t *testing.T) {
	t.Parallel()
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.produce(store.topic, store.message(0))
			first := m.startProcess(store.pipeline)
			m.outage(store.file, store.notice, func() { m.produceMany(store.topic, store.message) }, first.terminate)
			second := m.startProcess(store.pipeline)
			m.until("all rows", func() bool { return m.count(store.file, store.table) == many })
			second.terminate()
			m.expectNoDeadLetters()
		})
	}
}

const many = 300

// produceMany writes messages 0 to many to a topic, in batches that a pipeline
// reads one by one.
func (m *machine) produceMany(topic string, message func(n int) string) {
	m.Helper()
	for from := 0; from < many; from += many / 10 {
		var values []string
		for n := from; n < from+many/10; n++ {
			values = append(values, message(n))
		}
		m.produce(topic, values...)
	}
}

func event(user, movie int, value string) string {
	return fmt.Sprintf(`{"event_type":"rate","user_id":"%d","movie_id":"%d","value":"%s","timestamp":"1533873124"}`, user, movie, value)
}

func predicted(n int) string {
	return fmt.Sprintf(`{"request_id":"r%d","user_id":%d,"movie_id":296,"prediction":4.75,"model_version":"fixture-1",`+
		`"requested_at":"2026-01-02T15:04:05.000Z","predicted_at":"2026-01-02T15:04:05.000Z","cold":[],"title":"Pulp Fiction (1994)","genres":["Crime"]}`, n, n)
}
