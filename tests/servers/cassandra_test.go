//go:build cluster

package servers

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

func TestCassandraOfThreeKeepsRowsWhenANodeIsKilled(t *testing.T) {
	ctx := testContext(t)
	c := started(t, StartCassandra, CassandraOptions{Nodes: 3})
	s := must[*gocql.Session](t)(cassandraSession(t, c, nil))
	run := func(statement string, args ...any) {
		t.Helper()
		check(t, s.Query(statement, args...).Idempotent(true).ExecContext(ctx)) // or the driver would not retry
	}
	run("CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}")
	run("CREATE TABLE k.numbers (n int PRIMARY KEY)")
	for n := range 100 {
		run("INSERT INTO k.numbers (n) VALUES (?)", n)
	}
	measure(t, "writing beside a killed node", func() {
		check(t, c.Nodes[1].Kill())
		for n := 100; n < 200; n++ {
			run("INSERT INTO k.numbers (n) VALUES (?)", n)
		}
	})
	measure(t, "restarting it", func() { check(t, c.Nodes[1].Start(ctx)) })
	check(t, c.Nodes[0].Pause())
	var rows int
	check(t, poll(ctx, nil, func(ctx context.Context) error { // until the others notice
		return s.Query("SELECT count(*) FROM k.numbers").ScanContext(ctx, &rows)
	}))
	check(t, c.Nodes[0].Resume())
	check(t, c.Nodes[0].Start(ctx)) // waits only
	if rows != 200 {
		t.Errorf("%d rows of 200 are left", rows)
	}
}

func TestCassandraKeepsRowsWhenItsOnlyNodeIsKilled(t *testing.T) {
	ctx := testContext(t)
	c := started(t, StartCassandra, CassandraOptions{})
	s := must[*gocql.Session](t)(cassandraSession(t, c, nil))
	for _, statement := range []string{
		"CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
		"CREATE TABLE k.numbers (n int PRIMARY KEY)", "INSERT INTO k.numbers (n) VALUES (7)",
	} {
		check(t, s.Query(statement).ExecContext(ctx))
	}
	check(t, c.Nodes[0].Kill())
	check(t, c.Start(ctx))
	s = must[*gocql.Session](t)(cassandraSession(t, c, nil))
	var n int
	check(t, s.Query("SELECT n FROM k.numbers").ScanContext(ctx, &n))
	if n != 7 {
		t.Errorf("got %d, want 7", n)
	}
}

func TestCassandraLogsClientsInByTLS(t *testing.T) {
	ctx := testContext(t)
	c := started(t, StartCassandra, CassandraOptions{Auth: true, TLS: true, ClientAuth: true})
	s := must[*gocql.Session](t)(cassandraSession(t, c, nil))
	for _, statement := range []string{
		"CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
		"CREATE ROLE guest WITH PASSWORD = 'guest' AND LOGIN = true",
	} {
		check(t, s.Query(statement).ExecContext(ctx))
	}
	guest := gocql.PasswordAuthenticator{Username: "guest", Password: "guest"}
	s = must[*gocql.Session](t)(cassandraSession(t, c, func(cfg *gocql.ClusterConfig) { cfg.Authenticator = guest }))
	if err := s.Query("CREATE TABLE k.numbers (n int PRIMARY KEY)").ExecContext(ctx); err == nil || !strings.Contains(err.Error(), "guest has no") {
		t.Errorf("a guest without grants makes a table: %v", err)
	}
	for name, change := range map[string]func(*gocql.ClusterConfig){
		"a wrong password": func(cfg *gocql.ClusterConfig) {
			cfg.Authenticator = gocql.PasswordAuthenticator{Username: "guest", Password: "wrong"}
		},
		"no certificate": func(cfg *gocql.ClusterConfig) { cfg.SslOpts.Config.Certificates = nil },
		"plain text":     func(cfg *gocql.ClusterConfig) { cfg.SslOpts = nil },
	} {
		if _, err := cassandraSession(t, c, change); err == nil {
			t.Errorf("a client with %s is let in", name)
		}
	}
}

func TestCassandraShowsACertificateThatHasExpired(t *testing.T) {
	c := started(t, StartCassandra, CassandraOptions{TLS: true, NotAfter: time.Now().Add(-time.Hour)})
	conf := must[*tls.Config](t)(c.TLSConfig())
	_, err := tls.Dial("tcp", c.Addresses()[0], conf)
	if err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("got %v, want an expired certificate", err)
	}
}

func TestCassandraSaysWhyItDoesNotStart(t *testing.T) {
	began := time.Now()
	_, err := StartCassandra(testContext(t), CassandraOptions{Settings: map[string]string{"commitlog_sync": "sometimes"}})
	if err == nil || !strings.Contains(err.Error(), "sometimes") || time.Since(began) > 30*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

func cassandraSession(t *testing.T, c *Cassandra, change func(*gocql.ClusterConfig)) (*gocql.Session, error) {
	t.Helper()
	var hosts []string
	var port string
	for _, address := range c.Addresses() {
		host, p, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		hosts, port = append(hosts, host), p
	}
	cfg := gocql.NewCluster(hosts...)
	cfg.Port = must[int](t)(strconv.Atoi(port))
	cfg.Consistency, cfg.Timeout = gocql.Quorum, 15*time.Second
	cfg.RetryPolicy = &gocql.SimpleRetryPolicy{NumRetries: 5}
	cfg.Logger = gocql.NewLogger(gocql.LogLevelNone)
	if c.Username != "" {
		cfg.Authenticator = gocql.PasswordAuthenticator{Username: c.Username, Password: c.Password}
	}
	if conf := must[*tls.Config](t)(c.TLSConfig()); conf != nil {
		cfg.SslOpts = &gocql.SslOptions{Config: conf, EnableHostVerification: true}
	}
	if change != nil {
		change(cfg)
	}
	s, err := cfg.CreateSession()
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	t.Cleanup(s.Close)
	return s, nil
}
