package configs

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

var topics = []broker.Topic{
	{Name: "events", Partitions: 2},
	{Name: "requests", Partitions: 2},
	{Name: "predictions", Partitions: 2},
	{Name: "recommendations", Partitions: 2},
	{Name: "dead_letters", Partitions: 2},
	{Name: "user_factors", Partitions: 2},
	{Name: "models", Partitions: 1},
	{Name: "movies", Partitions: 1},
	{Name: "train", Partitions: 1},
	{Name: "mobile", Partitions: 1}, // for replies, where a test allows it
}

// machine is what the pipelines run on in the embedded profile: a broker, and a
// state folder that begins with a copy of the registry fixture.
type machine struct {
	*testing.T
	state       string
	broker      *broker.Broker
	address     string
	environment map[string]string // what the configuration's ${VARIABLES} ask for
	client      *kgo.Client
	seen        seen
	log         testLog
}

func newMachine(t *testing.T) *machine {
	m := &machine{T: t, state: t.TempDir(), address: "127.0.0.1:0"}
	m.openBroker()
	m.environment = map[string]string{
		"KAFKA_BROKERS":   m.address,
		"RECSYS_STATE":    m.state,
		"RECSYS_DATA":     "config/fixtures/movielens",
		"RECSYS_MOVIES":   "config/fixtures/movielens",
		"RECSYS_REGISTRY": "file://" + filepath.Join(m.state, "registry"),
		"RECSYS_RATE":     "0",
	}
	if err := os.CopyFS(filepath.Join(m.state, "registry"), os.DirFS(registryFixture)); err != nil {
		t.Fatal(err)
	}
	m.follow()
	t.Cleanup(func() {
		m.closeBroker()
		if t.Failed() {
			t.Logf("the pipelines said:\n%s", m.log.tail())
		}
	})
	return m
}

// openBroker starts the broker, the second time on the same data and port.
func (m *machine) openBroker() {
	m.Helper()
	b, err := broker.Open(broker.Config{Dir: filepath.Join(m.state, "broker"), Address: m.address, Topics: topics})
	if err != nil {
		m.Fatal(err)
	}
	m.broker, m.address = b, b.Addr()
}

func (m *machine) closeBroker() {
	if err := m.broker.Close(); err != nil {
		m.Error(err)
	}
}

// seen are the records of all topics.
type seen struct {
	mu      sync.Mutex
	records map[string][]*kgo.Record
}

// follow collects what is written to any topic, until the test ends.
func (m *machine) follow() {
	var names []string
	for _, topic := range topics {
		names = append(names, topic.Name)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(m.address), kgo.ConsumeTopics(names...),
		kgo.FetchMaxWait(50*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }))
	if err != nil {
		m.Fatal(err)
	}
	m.client = client
	m.seen.records = map[string][]*kgo.Record{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			fetches := client.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				return
			}
			m.seen.mu.Lock()
			fetches.EachRecord(func(r *kgo.Record) { m.seen.records[r.Topic] = append(m.seen.records[r.Topic], r) })
			m.seen.mu.Unlock()
		}
	}()
	m.Cleanup(func() { client.Close(); <-done })
}

// records returns what has been written to a topic.
func (m *machine) records(topic string) []*kgo.Record {
	m.seen.mu.Lock()
	defer m.seen.mu.Unlock()
	return slices.Clone(m.seen.records[topic])
}

// awaitRecords waits until a topic has n records.
func (m *machine) awaitRecords(topic string, n int) []*kgo.Record {
	m.Helper()
	m.until(fmt.Sprintf("%d records of topic %s", n, topic), func() bool { return len(m.records(topic)) >= n })
	return m.records(topic)
}

func (m *machine) produce(topic string, values ...string) {
	m.Helper()
	var records []*kgo.Record
	for i, value := range values {
		records = append(records, &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "key-%d", i), Value: []byte(value)})
	}
	if err := m.client.ProduceSync(m.Context(), records...).FirstErr(); err != nil {
		m.Fatal(err)
	}
}

// until waits for a condition.
func (m *machine) until(what string, condition func() bool) {
	m.Helper()
	deadline := time.NewTimer(testTimeout)
	defer deadline.Stop()
	step := time.NewTicker(5 * time.Millisecond)
	defer step.Stop()
	for !condition() {
		select {
		case <-step.C:
		case <-deadline.C:
			m.Fatalf("waited in vain for %s; dead letters: %v", what, m.deadLetters())
		}
	}
}

// deadLetters returns the reasons of all dead letters.
func (m *machine) deadLetters() []string {
	var reasons []string
	for _, r := range m.records("dead_letters") {
		reasons = append(reasons, headers(r)["error"])
	}
	return reasons
}

func (m *machine) expectNoDeadLetters() {
	m.Helper()
	if letters := m.deadLetters(); len(letters) > 0 {
		m.Errorf("%d dead letters: %.10q", len(letters), letters)
	}
}

func headers(r *kgo.Record) map[string]string {
	all := map[string]string{}
	for _, h := range r.Headers {
		all[h.Key] = string(h.Value)
	}
	return all
}

// lock keeps all others from writing a SQLite file of the state folder, until
// the returned function is called.
func (m *machine) lock(file string) (release func()) {
	m.Helper()
	db := m.open(file, "")
	conn, err := db.Conn(m.Context())
	if err != nil {
		m.Fatal(err)
	}
	m.until("the lock of "+file, func() bool {
		_, err := conn.ExecContext(m.Context(), "BEGIN EXCLUSIVE")
		return err == nil
	})
	return sync.OnceFunc(func() {
		if _, err := conn.ExecContext(m.Context(), "ROLLBACK"); err != nil {
			m.Error(err)
		}
		if err := conn.Close(); err != nil {
			m.Error(err)
		}
	})
}

func (m *machine) open(file, options string) *sql.DB {
	m.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(m.state, file)+options)
	if err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() { db.Close() })
	return db
}

// count returns the rows of a table of the state folder, 0 while there is none.
func (m *machine) count(file, table string) int { return m.countWhere(file, table, "") }

// countOf returns the number of rows of a user.
func (m *machine) countOf(file, table string, user int64) int {
	return m.countWhere(file, table, fmt.Sprintf(" WHERE user_id = %d", user))
}

func (m *machine) countWhere(file, table, where string) (n int) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(m.state, file)+"?mode=ro")
	if err != nil {
		return 0
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(*) FROM " + table + where).Scan(&n); err != nil {
		return 0
	}
	return n
}

// stored returns the ratings in the rating store.
func (m *machine) stored() map[[2]int64]ratings.Rating {
	m.Helper()
	rows, err := m.open("ratings.db", "?mode=ro").Query("SELECT user_id, movie_id, rating, timestamp FROM ratings")
	if err != nil {
		m.Fatal(err)
	}
	defer rows.Close()
	all := map[[2]int64]ratings.Rating{}
	for rows.Next() {
		var r ratings.Rating
		if err := rows.Scan(&r.User, &r.Movie, &r.Value, &r.Time); err != nil {
			m.Fatal(err)
		}
		all[[2]int64{r.User, r.Movie}] = r
	}
	if err := rows.Err(); err != nil {
		m.Fatal(err)
	}
	return all
}

// testLog collects what the pipelines log.
type testLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *testLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *testLog) contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

func (l *testLog) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

func (l *testLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.text.String()
	return text[max(0, len(text)-4000):]
}
