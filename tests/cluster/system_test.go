//go:build cluster

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/tests/binary"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// Sessions of the consumers: the brokers of tests/servers allow them.
const shortSession = 3 * time.Second

// system is the three servers, set up and loaded, and what tests look at them
// with.
type system struct {
	nodes         int
	disks         disks // of the last node of each server, if they can be filled
	folder        string
	data          string
	kafka         *servers.Kafka
	cassandra     *servers.Cassandra
	elasticsearch *servers.Elasticsearch

	network network // between the pipelines and the servers

	broker  *broker
	session *gocql.Session
	index   *index
	catalog map[int64]movie // what was loaded

	mu        sync.Mutex
	processes []*process // all that were started
	runs      int
}

// shared is the system that tests use, one after the other.
var shared *system

// closeShared ends the system that there is.
func closeShared() error {
	s := shared
	shared = nil
	if s == nil {
		return nil
	}
	return s.close()
}

// sharedSystem returns a system with so many nodes of each server; one of
// another kind is ended. On one node clients need passwords and TLS.
func sharedSystem(t *testing.T, nodes int) *system {
	t.Helper()
	servers.ForTest(t)
	if shared != nil && shared.nodes == nodes && !shared.disks.exist() {
		return shared
	}
	return newShared(t, &system{nodes: nodes})
}

// newShared starts a system instead of the one that there is.
func newShared(t *testing.T, s *system) *system {
	t.Helper()
	s.data = recsystest.DataDir(t)
	if err := closeShared(); err != nil {
		t.Fatal(err)
	}
	nodes := s.nodes
	shared = s
	began := time.Now()
	if err := s.start(); err != nil {
		shared = nil
		t.Fatal(errors.Join(err, s.close()))
	}
	t.Logf("%d × Kafka, Cassandra and Elasticsearch started in %.1f s; resident: Kafka %d, Cassandra %d, Elasticsearch %d MB",
		nodes, time.Since(began).Seconds(), s.kafka.RSS()>>20, s.cassandra.RSS()>>20, s.elasticsearch.RSS()>>20)
	began = time.Now()
	if err := s.fill(t); err != nil {
		shared = nil
		t.Fatal(errors.Join(err, s.close()))
	}
	t.Logf("set up, loaded and trained in %.1f s", time.Since(began).Seconds())
	return s
}

// start starts all servers at once.
func (s *system) start() (err error) {
	if s.folder, err = os.MkdirTemp("", "recsys-cluster-"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	secure := s.nodes == 1
	var advertised []string
	for i := range s.nodes {
		if !secure {
			advertised = append(advertised, proxyHost(i))
		}
	}
	var errs [3]error
	var group sync.WaitGroup
	group.Go(func() {
		s.kafka, errs[0] = servers.StartKafka(ctx, servers.KafkaOptions{Nodes: s.nodes, SASL: secure, TLS: secure, Data: s.disks.folders(0)})
	})
	group.Go(func() {
		s.cassandra, errs[1] = servers.StartCassandra(ctx, servers.CassandraOptions{
			Nodes: s.nodes, Auth: secure, TLS: secure, Advertise: advertised, Data: s.disks.folders(1),
		})
	})
	group.Go(func() {
		s.elasticsearch, errs[2] = servers.StartElasticsearch(ctx, servers.ElasticsearchOptions{
			Nodes: s.nodes, Security: secure, Roles: map[string]string{"eraser": eraserRole}, Data: s.disks.folders(2), Settings: s.disks.elasticsearch(),
		})
	})
	group.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if !secure {
		if s.network, err = newNetwork(s); err != nil {
			return err
		}
	}
	if err := s.reconnect(); err != nil {
		return err
	}
	s.index, err = newIndex(s.elasticsearch)
	return err
}

// reconnect makes a new client of Kafka.
func (s *system) reconnect() (err error) {
	if s.broker != nil {
		s.broker.client.Close()
	}
	s.broker, err = newBroker(s.kafka)
	return err
}

// fill does what a user does before the first pipeline.
func (s *system) fill(t *testing.T) (err error) {
	s.command(t, "setup", "--timeout", "3m") // machines of tests are loaded
	loaded := s.data
	if s.nodes > 1 {
		if loaded, err = s.shortened(); err != nil {
			return err
		}
	}
	s.command(t, "load", "--data", loaded)
	s.command(t, "train", "--ratings", filepath.Join(s.data, "ratings.csv"), "--rank", "16")
	if s.session, err = s.connect("recsys"); err != nil {
		return err
	}
	s.catalog, err = readCatalog(loaded)
	return err
}

// shortened is the beginning of the data: all of them would only take time.
func (s *system) shortened() (string, error) {
	const most = 2000
	folder := filepath.Join(s.folder, "ml-shortened")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return "", err
	}
	for _, name := range []string{"ratings.csv", "movies.csv", "links.csv"} {
		text, err := os.ReadFile(filepath.Join(s.data, name))
		if err != nil {
			return "", err
		}
		if lines := bytes.SplitAfterN(text, []byte("\n"), most+1); len(lines) > most {
			text = bytes.Join(lines[:most], nil)
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return "", err
		}
	}
	return folder, nil
}

// connect opens a session as any client of Cassandra does.
func (s *system) connect(keyspace string) (*gocql.Session, error) {
	return s.connectAs(keyspace, s.cassandra.Username, s.cassandra.Password)
}

// connectAs logs in as a role, if it is not empty.
func (s *system) connectAs(keyspace, role, password string) (*gocql.Session, error) {
	cluster := gocql.NewCluster(s.cassandra.Addresses()...)
	cluster.Keyspace = keyspace
	cluster.Consistency = gocql.LocalQuorum
	cluster.Timeout = 10 * time.Second
	cluster.RetryPolicy = &gocql.ExponentialBackoffRetryPolicy{NumRetries: 8, Min: 100 * time.Millisecond, Max: 2 * time.Second}
	cluster.Logger = gocql.NewLogger(gocql.LogLevelNone)
	cluster.AddressTranslator = gocql.AddressTranslatorFunc(s.network.around)
	if role != "" {
		cluster.Authenticator = gocql.PasswordAuthenticator{Username: role, Password: password}
	}
	if s.cassandra.CAFile != "" {
		cluster.SslOpts = &gocql.SslOptions{CaPath: s.cassandra.CAFile, CertPath: s.cassandra.CertFile, KeyPath: s.cassandra.KeyFile, EnableHostVerification: true}
	}
	return cluster.CreateSession()
}

// settings is the environment of every command and pipeline.
func (s *system) settings() []string {
	brokers, nodes, urls := s.kafka.Addresses(), s.cassandra.Addresses(), s.elasticsearch.Addresses()
	if s.nodes > 1 {
		brokers, nodes, urls = s.network.kafka.addresses(""), s.network.cassandra.addresses(""), s.network.elasticsearch.addresses("http://")
	}
	env := []string{
		"KAFKA_BROKERS=" + strings.Join(brokers, ","),
		"CASSANDRA_ADDRESSES=" + strings.Join(nodes, ","),
		"ELASTICSEARCH_URLS=" + strings.Join(urls, ","),
		fmt.Sprintf("KAFKA_REPLICATION=%d", s.nodes),
		fmt.Sprintf("ELASTICSEARCH_REPLICAS=%d", min(s.nodes-1, 1)),
		"RECSYS_REGISTRY=file://" + filepath.Join(s.folder, "registry"),
		"RECSYS_SESSION_TIMEOUT=" + shortSession.String(),
	}
	if s.nodes > 1 {
		return env
	}
	return append(env,
		"KAFKA_TLS=true", "KAFKA_CA_FILE="+s.kafka.CAFile,
		"KAFKA_SASL=SCRAM-SHA-512", "KAFKA_USER="+s.kafka.Username, "KAFKA_PASSWORD="+s.kafka.Password,
		"CASSANDRA_TLS=true", "CASSANDRA_CA_FILE="+s.cassandra.CAFile,
		"CASSANDRA_AUTH=true", "CASSANDRA_USER="+s.cassandra.Username, "CASSANDRA_PASSWORD="+s.cassandra.Password,
		"ELASTICSEARCH_AUTH=true", "ELASTICSEARCH_USER="+s.elasticsearch.Username, "ELASTICSEARCH_PASSWORD="+s.elasticsearch.Password,
		"ELASTICSEARCH_FINGERPRINT="+s.index.fingerprint,
	)
}

// command runs a command of the binary in the project's folder, demands that it
// succeeds, and returns what it says.
func (s *system) command(t *testing.T, args ...string) string {
	t.Helper()
	began := time.Now()
	p := s.launch(t, strings.Join(args, " "), nil, args...)
	if code := p.end(t, 3*time.Minute); code != 0 {
		t.Fatalf("%s ended with code %d\n%s", p.name, code, p.tail())
	}
	t.Logf("%s took %.1f s", args[0], time.Since(began).Seconds())
	return p.log.String()
}

// launch starts the binary in the project's folder with the settings of the
// system; those in env come later and win.
func (s *system) launch(t testing.TB, name string, env []string, args ...string) *process {
	t.Helper()
	p, err := launch(name, root, append(s.settings(), env...), args...)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processes = append(s.processes, p)
	return p
}

// pipelines starts a process that runs the given files of pipelines/, unchanged.
func (s *system) pipelines(t testing.TB, files []string, env ...string) *process {
	t.Helper()
	folder, err := os.MkdirTemp(s.folder, "pipelines-")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(root, "pipelines", file+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, file+".yaml"), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	admin, err := binary.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	p := s.launch(t, files[0], append([]string{"RECSYS_ADMIN=" + admin}, env...),
		"streams", "-o", "config/service.yaml", "-r", "config/cluster.yaml", folder)
	p.admin = admin
	return p
}

// close ends all processes and servers.
func (s *system) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.processes {
		p.Kill()
	}
	if s.session != nil {
		s.session.Close()
	}
	if s.broker != nil {
		s.broker.client.Close()
	}
	errs := []error{s.network.close()}
	if s.kafka != nil {
		errs = append(errs, s.kafka.Close())
	}
	if s.cassandra != nil {
		errs = append(errs, s.cassandra.Close())
	}
	if s.elasticsearch != nil {
		errs = append(errs, s.elasticsearch.Close())
	}
	return errors.Join(append(errs, s.disks.close(), os.RemoveAll(s.folder))...)
}
