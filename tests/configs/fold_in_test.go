package configs

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"
)

// did sends an event of a user, with the user's id as key.
func (m *machine) did(user int64, format string, args ...any) {
	m.Helper()
	value := fmt.Sprintf(format, args...)
	if err := m.client.ProduceSync(m.Context(), &kgo.Record{Topic: "events", Key: strconv.AppendInt(nil, user, 10), Value: []byte(value)}).FirstErr(); err != nil {
		m.Fatal(err)
	}
}

// placed is a client whose records say in which partition they belong.
func (m *machine) placed() *kgo.Client {
	m.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(m.address), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		m.Fatal(err)
	}
	m.Cleanup(client.Close)
	return client
}

// everybodySays asks both predicting processes, which have a partition each, until
// both answer so.
func (m *machine) everybodySays(client *kgo.Client, round string, user, movie int64, want float64) (waited time.Duration) {
	m.Helper()
	began, n := time.Now(), 0
	m.until(fmt.Sprintf("%v of user %d in both processes", want, user), func() bool {
		n++
		agreed := 0
		for partition := range int32(2) {
			id := fmt.Sprintf("%s-%d-%d", round, n, partition)
			request := fmt.Sprintf(`{"request_id":"%s","user_id":%d,"movie_id":%d}`, id, user, movie)
			if err := client.ProduceSync(m.Context(), &kgo.Record{Topic: "requests", Partition: partition, Value: []byte(request)}).FirstErr(); err != nil {
				m.Fatal(err)
			}
			m.until("the prediction of request "+id, func() bool { return m.predictions()[id].RequestID == id })
			if d := m.predictions()[id].Prediction - want; d < 1e-5 && d > -1e-5 {
				agreed++
			}
		}
		return agreed == 2
	})
	return time.Since(began)
}

// TestAllProcessesKnowWhatAUserDid: rated, taken back and forgotten, though only one
// process folds in and only another writes the store; also after a restart.
func TestAllProcessesKnowWhatAUserDid(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.environment["RECSYS_RECOMMEND_ALL_SCHEDULE"] = "24h" // beginning now
	client := m.placed()
	now := time.Now().Add(-time.Hour).Unix()
	ingest, fold := m.startProcess("ingest"), m.startProcess("fold_in", "users")
	all := []*process{m.startProcess("predict", "users"), m.startProcess("predict", "users"), m.startProcess("index", "forget", "recommend_all")}
	m.everybodySays(client, "trained", 1, 296, 4.75)
	m.until("the index", func() bool { return m.countOf("predictions.db", "predictions", 1) >= 2 })
	m.until("the list of user 1", func() bool { return m.countOf("recommendations.db", "recommendations", 1) == 1 })
	m.everybodySays(client, "nobody", 70, 593, 3.5)

	m.did(70, `{"event_type":"rate","user_id":70,"movie_id":318,"value":5,"timestamp":%d}`, now)
	rated := 3.5 + 1./3*1.5 // (5 − 4)/(λ + |z|²)·z·(0.5, 0.5, 1) with z = (1, 0, 1)
	waited := m.everybodySays(client, "rated", 70, 593, rated)
	m.did(70, `{"event_type":"rate","user_id":70,"movie_id":296,"value":1,"timestamp":%d}`, now+1)
	m.did(70, `{"event_type":"unrate","user_id":70,"movie_id":296,"timestamp":%d}`, now+2)
	m.until("the unrate", func() bool {
		records := m.records("user_factors")
		return gjson.GetBytes(records[len(records)-1].Value, "unrated.0.0").Int() == 296
	})
	m.everybodySays(client, "unrated", 70, 593, rated)

	m.did(1, `{"event_type":"forget_user","user_id":1,"timestamp":%d}`, now+3)
	m.until("the indices to forget", func() bool {
		return m.countOf("predictions.db", "predictions", 1) == 0 && m.countOf("recommendations.db", "recommendations", 1) == 0
	})
	waited = max(waited, m.everybodySays(client, "forgotten", 1, 296, 3.75))
	t.Logf("the slower one of a rating and an erasure was known to both processes after %s", waited.Round(time.Millisecond))
	records := m.records("user_factors")
	if last := records[len(records)-1]; last.Value != nil || string(last.Key) != "1" || headers(last)["erased_until"] != fmt.Sprint(1000*(now+3)) {
		t.Errorf("the record of a forgotten user is %s with key %s and %v", last.Value, last.Key, headers(last))
	}
	m.until("the store", func() bool { return m.count("ratings.db", "ratings") == 1 && m.count("ratings.db", "forgotten") == 1 })

	for _, p := range append(all, fold, ingest) {
		p.terminate()
	}
	m.startProcess("fold_in", "users")
	m.startProcess("predict", "users")
	m.startProcess("predict", "users")
	m.everybodySays(client, "still forgotten", 1, 296, 3.75)
	m.everybodySays(client, "still rated", 70, 593, rated)
	m.did(1, `{"event_type":"rate","user_id":1,"movie_id":318,"value":5,"timestamp":%d}`, now+4)
	m.everybodySays(client, "afresh", 1, 593, rated)
	m.expectNoDeadLetters()
}

// TestTheStoresOutageMakesNoDeadLettersOfThoseWhoAreFoldedIn: nobody can read it, and
// it is read when it is back.
func TestTheStoresOutageMakesNoDeadLettersOfThoseWhoAreFoldedIn(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.produce("events", `{"event_type":"rate","user_id":70,"movie_id":318,"value":5,"timestamp":1533873124}`,
		`{"event_type":"rate"`, `{"event_type":"tag","user_id":70,"movie_id":318,"value":"x","timestamp":1533873124}`)
	fold := m.startProcess("fold_in")
	record := m.awaitRecords("user_factors", 1)[0]
	if string(record.Key) != "70" || gjson.GetBytes(record.Value, "history.0.0").Int() != 318 {
		t.Errorf("record %s with key %s", record.Value, record.Key)
	}
	db := m.open("ratings.db", "")
	rename := func(from, to string) {
		t.Helper()
		if _, err := db.ExecContext(m.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
			t.Fatal(err)
		}
	}
	rename("ratings", "away")
	m.produce("events", `{"event_type":"rate","user_id":71,"movie_id":318,"value":5,"timestamp":1533873124}`)
	m.until("the notice", func() bool { return m.log.contains(`Users' ratings cannot be read from \"rating_store\"`) })
	if n := len(m.records("user_factors")); n != 1 {
		t.Errorf("%d records, one without the store", n)
	}
	rename("away", "ratings")
	if record = m.awaitRecords("user_factors", 2)[1]; string(record.Key) != "71" {
		t.Errorf("record %s with key %s", record.Value, record.Key)
	}
	fold.terminate()
	m.expectNoDeadLetters()
}
