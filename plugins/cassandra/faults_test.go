//go:build cluster

package cassandra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// openOutput writes to table t(user_id, movie_id, rating) of the keyspace.
func openOutput(t testing.TB, s Settings, extra string) *output {
	t.Helper()
	conf, err := outputSpec().ParseYAML(fmt.Sprintf(`
addresses: [%q]
keyspace: %s
timeout: 1s
query: INSERT INTO ratings (user_id, movie_id, rating, timestamp) VALUES (?, ?, ?, ?)
args_mapping: 'root = [ this.u, this.m, this.r, this.t.or(0) ]'
%s`, strings.Join(s.Addresses, ","), s.Keyspace, extra), nil)
	if err != nil {
		t.Fatal(err)
	}
	out, _, _, err := newOutputFromConfig(conf, service.MockResources())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close(context.Background()) })
	if err := out.Connect(context.Background()); err != nil {
		t.Fatal(err)
	}
	return out.(*output)
}

func messages(texts ...string) service.MessageBatch {
	var batch service.MessageBatch
	for _, text := range texts {
		batch = append(batch, service.NewMessage([]byte(text)))
	}
	return batch
}

func written(t testing.TB, session *gocql.Session) map[[2]int64]float32 {
	t.Helper()
	iter := session.Query("SELECT user_id, movie_id, rating FROM ratings").Iter()
	rows := map[[2]int64]float32{}
	var user, movie int64
	var rating float32
	for iter.Scan(&user, &movie, &rating) {
		rows[[2]int64{user, movie}] = rating
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestTheNewestEventWinsWhateverTheOrder(t *testing.T) {
	settings := newKeyspace(t, sharedNode(t))
	out := openOutput(t, settings, "using_timestamp: 'root = this.t * 1000000'")
	for _, batch := range []service.MessageBatch{
		messages(`{"u":1,"m":1,"r":3,"t":2000}`, `{"u":1,"m":1,"r":5,"t":1000}`, `{"u":2,"m":1,"r":"1.5","t":1000}`),
		messages(`{"u":2,"m":1,"r":1,"t":999}`, `{"u":1,"m":2,"r":4,"t":5}`, `{"u":1,"m":2,"r":2,"t":6}`),
	} {
		if err := out.WriteBatch(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	got := written(t, sessionOf(t, settings))
	if want := (map[[2]int64]float32{{1, 1}: 3, {2, 1}: 1.5, {1, 2}: 2}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWithoutATimeTheLastRowOfABatchWins(t *testing.T) {
	settings := newKeyspace(t, sharedNode(t))
	out := openOutput(t, settings, "")
	batch := messages(`{"u":1,"m":1,"r":5}`, `{"u":1,"m":2,"r":5}`, `{"u":1,"m":1,"r":3}`, `{"u":1,"m":1,"r":1}`)
	if err := out.WriteBatch(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if got := written(t, sessionOf(t, settings)); got[[2]int64{1, 1}] != 1 || got[[2]int64{1, 2}] != 5 {
		t.Errorf("got %v", got)
	}
}

func TestARowThatCanNeverBeWrittenFailsAlone(t *testing.T) {
	settings := newKeyspace(t, sharedNode(t))
	out := openOutput(t, settings, "")
	batch := messages(`{"u":1,"m":1,"r":5}`, `{"u":1,"m":"x","r":5}`, `{"u":null,"m":1,"r":5}`, `{"u":1,"m":null,"r":5}`, `{"u":1,"m":4,"r":5}`, `no json`)
	index := batch.Index()
	err := out.WriteBatch(t.Context(), batch)
	var failed *service.BatchError
	if !errors.As(err, &failed) {
		t.Fatalf("got %v", err)
	}
	var bad []int
	failed.WalkMessagesIndexedBy(index, func(i int, _ *service.Message, err error) bool {
		if err != nil {
			bad = append(bad, i)
		}
		return true
	})
	if fmt.Sprint(bad) != "[1 2 3 5]" {
		t.Errorf("failed: %v (%v)", bad, err)
	}
	if got := written(t, sessionOf(t, settings)); len(got) != 2 {
		t.Errorf("written: %v", got)
	}
}

func TestPagesThatEndWithTheTableAreGivenOnce(t *testing.T) {
	settings := newKeyspace(t, sharedNode(t))
	store := openStore(t, settings, StoreOptions{PageSize: 10, ScanSplits: 1})
	var changes ratings.Changes
	for movie := range int64(40) {
		changes.Ratings = append(changes.Ratings, ratings.Rating{User: 1, Movie: movie, Value: 3, Time: 1})
	}
	if err := store.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	if n, _, err := store.Count(t.Context(), "ratings"); n != 40 || err != nil {
		t.Errorf("scanned %d, %v", n, err)
	}
	if history, err := store.History(t.Context(), 1); len(history) != 40 || err != nil {
		t.Errorf("history %d, %v", len(history), err)
	}
}

// writeMany writes n rows by several writers and counts what was acknowledged.
func writeMany(t *testing.T, out *output, n int, during func()) {
	t.Helper()
	const writers, size = 4, 50
	var group sync.WaitGroup
	work := make(chan int)
	for range writers {
		group.Go(func() {
			for from := range work {
				var texts []string
				for i := from; i < from+size; i++ {
					texts = append(texts, fmt.Sprintf(`{"u":%d,"m":%d,"r":3}`, i%97, i))
				}
				if err := out.WriteBatch(context.Background(), messages(texts...)); err != nil {
					t.Errorf("rows from %d: %v", from, err)
				}
			}
		})
	}
	for from := 0; from < n; from += size {
		if from == n/2/size*size {
			during()
		}
		work <- from
	}
	close(work)
	group.Wait()
}

func TestANodeKilledAndStartedAgainLosesNothing(t *testing.T) {
	cluster := ownCluster(t, servers.CassandraOptions{Nodes: 1})
	settings := newKeyspace(t, NewSettings("", cluster.Addresses()...))
	out := openOutput(t, settings, "")
	writeMany(t, out, 5000, func() {
		if err := cluster.Nodes[0].Kill(); err != nil {
			t.Error(err)
		}
		go func() {
			time.Sleep(2 * time.Second) // how long the node is away
			if err := cluster.Nodes[0].Start(context.Background()); err != nil {
				t.Error(err)
			}
		}()
	})
	if got := written(t, sessionOf(t, settings)); len(got) != 5000 {
		t.Errorf("%d rows of 5000", len(got))
	}
}

func TestAFrozenNodeIsWaitedFor(t *testing.T) {
	cluster := ownCluster(t, servers.CassandraOptions{Nodes: 1})
	settings := newKeyspace(t, NewSettings("", cluster.Addresses()...))
	out := openOutput(t, settings, "")
	writeMany(t, out, 2000, func() {
		if err := cluster.Nodes[0].Pause(); err != nil {
			t.Error(err)
		}
		time.AfterFunc(4*time.Second, func() {
			if err := cluster.Nodes[0].Resume(); err != nil {
				t.Error(err)
			}
		})
	})
	if got := written(t, sessionOf(t, settings)); len(got) != 2000 {
		t.Errorf("%d rows of 2000", len(got))
	}
}

func TestANodeThatDiesInMidScanLosesNoRow(t *testing.T) {
	cluster := ownCluster(t, servers.CassandraOptions{Nodes: 1})
	settings := newKeyspace(t, NewSettings("", cluster.Addresses()...))
	store := openStore(t, settings, StoreOptions{PageSize: 50})
	var changes ratings.Changes
	for i := range int64(20_000) {
		changes.Ratings = append(changes.Ratings, ratings.Rating{User: i / 40, Movie: i, Value: 3, Time: 1})
	}
	if err := store.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	once := sync.OnceFunc(func() {
		if err := errors.Join(cluster.Nodes[0].Kill(), cluster.Nodes[0].Start(context.Background())); err != nil {
			t.Error(err)
		}
	})
	seen := map[int64]int{}
	err := store.Scan(t.Context(), func(page []ratings.Rating) error {
		for _, r := range page {
			seen[r.Movie]++
		}
		if len(seen) > 3000 {
			once()
		}
		return nil
	})
	if err != nil || len(seen) != 20_000 {
		t.Fatalf("scanned %d of 20000: %v", len(seen), err)
	}

	conf, err := inputSpec().ParseYAML(fmt.Sprintf("addresses: [%q]\nkeyspace: %s\npage_size: 50\ntimeout: 1s\nquery: SELECT user_id, movie_id, rating, timestamp FROM ratings",
		settings.Addresses[0], settings.Keyspace), nil)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parseInputConfig(conf)
	if err != nil {
		t.Fatal(err)
	}
	in := newInput(parsed, nil)
	defer in.Close(context.Background()) //nolint:errcheck // closed below as well
	if err := in.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := sync.OnceFunc(func() {
		if err := errors.Join(cluster.Nodes[0].Kill(), cluster.Nodes[0].Start(context.Background())); err != nil {
			t.Error(err)
		}
	})
	rows := map[int64]int{}
	for {
		batch, ack, err := in.ReadBatch(t.Context())
		if errors.Is(err, service.ErrEndOfInput) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, msg := range batch {
			data, _ := msg.AsBytes()
			var row struct {
				Movie int64 `json:"movie_id"`
			}
			if err := json.Unmarshal(data, &row); err != nil {
				t.Fatalf("%s: %v", data, err)
			}
			rows[row.Movie]++
		}
		if err := ack(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if len(rows) > 3000 {
			again()
		}
	}
	for movie, n := range rows {
		if n != 1 {
			t.Fatalf("row %d came %d times", movie, n)
		}
	}
	if len(rows) != 20_000 {
		t.Fatalf("read %d of 20000", len(rows))
	}
}

func connectError(t *testing.T, s Settings) string {
	t.Helper()
	store, err := OpenStore(t.Context(), s, StoreOptions{}, nil)
	if err == nil {
		_ = store.Close(t.Context())
		t.Fatal("it connected")
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
	t.Log(err)
	return err.Error()
}

func expectParts(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
}

func TestWhatIsWrongIsToldWithWhatMendsIt(t *testing.T) {
	settings := sharedNode(t)
	settings.Keyspace = "nowhere"
	expectParts(t, connectError(t, settings), "nowhere", settings.Addresses[0], "recsys-benthos setup")

	settings = newKeyspace(t, sharedNode(t))
	session := sessionOf(t, settings)
	execCQL(t, session, "DROP TABLE ratings")
	expectParts(t, connectError(t, settings), settings.Keyspace+".ratings", "CREATE TABLE")
	execCQL(t, session, "CREATE TABLE ratings (user_id bigint, movie_id bigint, rating double, PRIMARY KEY (user_id, movie_id))")
	expectParts(t, connectError(t, settings), settings.Keyspace+".ratings.rating", "its type is double, not float", "DROP TABLE", "CREATE TABLE",
		"ALTER TABLE "+settings.Keyspace+".ratings ADD timestamp timestamp")

	settings.LocalDC = "moon"
	expectParts(t, connectError(t, settings), "moon", "datacenter1", "local_dc")

	unused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := unused.Addr().String()
	_ = unused.Close()
	expectParts(t, connectError(t, NewSettings("recsys", address)), address, "nothing listens")
	expectParts(t, connectError(t, NewSettings("recsys", "no-such-host.invalid")), "no-such-host.invalid", "addresses")
}

func TestAWrongPasswordAndMissingRightsAreTold(t *testing.T) {
	cluster := ownCluster(t, servers.CassandraOptions{Nodes: 1, Auth: true})
	settings := NewSettings("recsys", cluster.Addresses()...)
	expectParts(t, connectError(t, settings), "password_authenticator", "asks for a password")
	settings.Username, settings.Password = "nobody", "wrong"
	expectParts(t, connectError(t, settings), "nobody", "wrong password", settings.Addresses[0])

	settings.Username, settings.Password = cluster.Username, cluster.Password
	settings = newKeyspace(t, settings)
	session := sessionOf(t, settings)
	execCQL(t, session, "CREATE ROLE reader WITH PASSWORD = 'r' AND LOGIN = true")
	execCQL(t, session, "GRANT SELECT ON KEYSPACE "+settings.Keyspace+" TO reader")
	settings.Username, settings.Password = "reader", "r"
	store := openStore(t, settings, StoreOptions{})
	err := store.Apply(t.Context(), ratings.Changes{Ratings: []ratings.Rating{{User: 1, Movie: 1, Value: 3, Time: 1}}})
	if !errors.Is(err, ratings.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	expectParts(t, err.Error(), "reader", "GRANT")
}

func TestAStoreWaitsForItsKeyspace(t *testing.T) {
	settings := sharedNode(t)
	settings.Keyspace = "later"
	settings.BackOffMax = 200 * time.Millisecond
	store := NewStore(settings, StoreOptions{}, nil)
	defer store.Close(context.Background()) //nolint:errcheck // nothing is open
	change := ratings.Changes{Ratings: []ratings.Rating{{User: 1, Movie: 1, Value: 3, Time: 1}}}
	if err := store.Apply(t.Context(), change); !errors.Is(err, ratings.ErrUnavailable) || !errors.Is(err, ErrNoKeyspace) {
		t.Fatalf("without its keyspace a store answers %v", err)
	}
	if err := Setup(t.Context(), settings, SetupOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the store writes", func() bool { return store.Apply(t.Context(), change) == nil })
	if err := store.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.Apply(t.Context(), change); !errors.Is(err, ratings.ErrClosed) {
		t.Errorf("a closed store answers %v", err)
	}
}
