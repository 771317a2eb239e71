//go:build cluster

package cassandra

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// shared is the node that all tests use which do not break it.
var shared struct {
	once    sync.Once
	cluster *servers.Cassandra
	err     error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.cluster != nil {
		if err := shared.cluster.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func sharedNode(t testing.TB) Settings {
	t.Helper()
	servers.ForTest(t)
	shared.once.Do(func() {
		shared.cluster, shared.err = servers.StartCassandra(context.Background(), servers.CassandraOptions{Nodes: 1, Bench: os.Getenv("RECSYS_BENCH") != ""})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return NewSettings("recsys", shared.cluster.Addresses()...)
}

// ownCluster starts servers that the test may break.
func ownCluster(t *testing.T, o servers.CassandraOptions) *servers.Cassandra {
	t.Helper()
	servers.ForTest(t)
	cluster, err := servers.StartCassandra(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	return cluster
}

var keyspaces atomic.Int64

// newKeyspace creates the tables in a keyspace of the test's own.
func newKeyspace(t testing.TB, s Settings) Settings {
	t.Helper()
	s.Keyspace = fmt.Sprintf("t%d", keyspaces.Add(1))
	if err := Setup(context.Background(), s, SetupOptions{}); err != nil {
		t.Fatal(err)
	}
	return s
}

func openStore(t testing.TB, s Settings, o StoreOptions) *Store {
	t.Helper()
	store, err := OpenStore(context.Background(), s, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return store
}

func sessionOf(t testing.TB, s Settings) *gocql.Session {
	t.Helper()
	session, err := s.connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	return session
}

func execCQL(t testing.TB, session *gocql.Session, statement string, args ...any) {
	t.Helper()
	if err := session.Query(statement, args...).Exec(); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, within time.Duration, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s still not: %s", within, what)
		}
	}
}

func TestTheStoreKeepsTheContractOfRatingStores(t *testing.T) {
	settings := newKeyspace(t, sharedNode(t))
	session := sessionOf(t, settings)
	recsystest.StoreContract(t, func(t *testing.T) ratings.Store {
		for _, table := range []string{"ratings", "tags", "views", "forgotten", "counters"} {
			execCQL(t, session, "TRUNCATE "+table)
		}
		return openStore(t, settings, StoreOptions{})
	}, recsystest.CountsRewrites())
}

func TestSetupIsIdempotentAndCheckFindsNothing(t *testing.T) {
	settings := newKeyspace(t, sharedNode(t))
	var lines []string
	if err := Setup(t.Context(), settings, SetupOptions{Print: func(line string) { lines = append(lines, line) }}); err != nil || len(lines) != 0 {
		t.Errorf("again: %v, %q", err, lines)
	}
	problems, err := Check(t.Context(), settings)
	if err != nil || len(problems) != 0 {
		t.Errorf("check: %v, %v", problems, err)
	}
}

// TestSetupAddsWhatAnEarlierReleaseDidNotHave: a table and a column.
func TestSetupAddsWhatAnEarlierReleaseDidNotHave(t *testing.T) {
	settings := newKeyspace(t, sharedNode(t))
	session, err := settings.connectAnywhere(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	keyspace := cqlName(settings.Keyspace)
	for _, statement := range []string{
		"DROP TABLE " + keyspace + ".users", "ALTER TABLE " + keyspace + ".movies DROP item",
		"INSERT INTO " + keyspace + ".movies (movie_id, title) VALUES (1, 'One (1990)')",
	} {
		if err := session.Query(statement).ExecContext(t.Context()); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	var lines []string
	if err := Setup(t.Context(), settings, SetupOptions{Print: func(line string) { lines = append(lines, line) }}); err != nil || len(lines) != 2 {
		t.Errorf("%v, %q", err, lines)
	}
	if problems, err := Check(t.Context(), settings); err != nil || len(problems) != 0 {
		t.Errorf("check: %v, %v", problems, err)
	}
	store := openStore(t, settings, StoreOptions{})
	now := time.Now().Add(time.Minute).UnixMilli() // what was written before a column was dropped stays away
	if err := store.Apply(t.Context(), ratings.Changes{Items: []ratings.Item{{ID: 2, Title: "Two", Genres: []string{"War"}, IMDb: "7", Time: now}}}); err != nil {
		t.Fatal(err)
	}
	movies, err := store.Movies(t.Context())
	items, itemsErr := store.Items(t.Context())
	if err != nil || itemsErr != nil || len(movies) != 2 || len(items) != 1 || items[0].Title != "Two" || movies[1].Title != "Two" {
		t.Errorf("movies %+v, items %+v, %v, %v", movies, items, err, itemsErr)
	}
}

// TestASetupWhoseTimeIsOverDidNotSayThatNodesDisagree: it said they had been given
// 30 s, and wanted nodes started that were only slow.
func TestASetupWhoseTimeIsOverDidNotSayThatNodesDisagree(t *testing.T) {
	session := sessionOf(t, newKeyspace(t, sharedNode(t)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := agree(ctx, session, "CREATE TABLE t")
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "the time is over") || strings.Contains(err.Error(), "do not agree") {
		t.Errorf("it said %v", err)
	}
}

func TestADryRunOnlyPrints(t *testing.T) {
	settings := sharedNode(t)
	settings.Keyspace = "dry"
	var lines []string
	if err := Setup(t.Context(), settings, SetupOptions{DryRun: true, Print: func(line string) { lines = append(lines, line) }}); err != nil || len(lines) != 11 {
		t.Errorf("%v, %q", err, lines)
	}
	problems, err := Check(t.Context(), settings)
	if err != nil || len(problems) != 1 || problems[0].What != "there is no such keyspace" {
		t.Errorf("check: %v, %v", problems, err)
	}
}

func TestMoviesAndLinksComeBackAsTheyWerePut(t *testing.T) {
	store := openStore(t, newKeyspace(t, sharedNode(t)), StoreOptions{})
	var movies []ratings.Movie
	var links []ratings.Link
	for i := range int64(500) {
		movies = append(movies, ratings.Movie{ID: i, Title: fmt.Sprint("Movie ", i), Genres: []string{"Comedy", "Drama"}})
		links = append(links, ratings.Link{Movie: i, IMDb: fmt.Sprintf("%07d", i), TMDb: 7 * i})
	}
	movies[3].Genres = nil
	written := 0
	if err := store.PutMovies(t.Context(), movies, func(n int) { written += n }); err != nil || written != len(movies) {
		t.Fatalf("%d written, %v", written, err)
	}
	if err := store.PutLinks(t.Context(), links, nil); err != nil {
		t.Fatal(err)
	}
	gotMovies, err := store.Movies(t.Context())
	if err != nil || fmt.Sprint(gotMovies) != fmt.Sprint(movies) {
		t.Errorf("%d movies, %v", len(gotMovies), err)
	}
	gotLinks, err := store.Links(t.Context())
	if err != nil || fmt.Sprint(gotLinks) != fmt.Sprint(links) {
		t.Errorf("%d links, %v", len(gotLinks), err)
	}
}
