//go:build cluster

package cassandra

import (
	"context"
	"fmt"
	"os"
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

func TestADryRunOnlyPrints(t *testing.T) {
	settings := sharedNode(t)
	settings.Keyspace = "dry"
	var lines []string
	if err := Setup(t.Context(), settings, SetupOptions{DryRun: true, Print: func(line string) { lines = append(lines, line) }}); err != nil || len(lines) != 9 {
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
