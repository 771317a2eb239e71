//go:build cluster

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// kinds are the processes of config/grants: their principals in Kafka and
// Elasticsearch, with _ for - their roles in Cassandra.
var kinds = []string{
	"recsys-setup", "recsys-load", "recsys-ingest", "recsys-fold-in", "recsys-index", "recsys-forget", "recsys-train", "recsys-predict",
	"recsys-lists", "recsys-dashboard", "recsys-api", "recsys-client", "recsys-kibana",
}

// passwordOf everybody: that of the clusters' user, which Elasticsearch's users have too.
const passwordOf = "recsys-secret"

// guardedSystem is a system of its own, where clients must show a certificate and may do
// what the files of config/grants let them, which are applied.
func guardedSystem(t *testing.T) *system {
	t.Helper()
	servers.ForTest(t)
	if err := closeShared(); err != nil { // the machine has room for one
		t.Fatal(err)
	}
	s := &system{nodes: 1, data: recsystest.DataDir(t)}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	var err error
	if s.folder, err = os.MkdirTemp("", "recsys-grants-"); err != nil {
		t.Fatal(err)
	}
	if err := s.startGuarded(t); err != nil {
		t.Fatal(err)
	}
	s.fillGuarded(t)
	return s
}

func (s *system) startGuarded(t *testing.T) error {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	users := fmt.Sprintf(`user_recsys="%s"`, passwordOf)
	for _, kind := range kinds {
		users += fmt.Sprintf(` user_%s="%s"`, kind, passwordOf)
	}
	roles := map[string]json.RawMessage{}
	if err := json.Unmarshal(grantFile(t, "elasticsearch.json"), &roles); err != nil {
		return fmt.Errorf("reading config/grants/elasticsearch.json: %w", err)
	}
	inYAML := map[string]string{} // which JSON is
	for name, role := range roles {
		if !slices.Contains(kinds, name) {
			return fmt.Errorf("config/grants/elasticsearch.json has %s, which no test is", name)
		}
		inYAML[name] = strings.ReplaceAll(string(role), "\n", " ")
	}
	var errs [3]error
	var group sync.WaitGroup
	group.Go(func() {
		properties := maps.Clone(briefly)
		properties["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
		properties["listener.name.client.plain.sasl.jaas.config"] = "org.apache.kafka.common.security.plain.PlainLoginModule required " + users + ";"
		s.kafka, errs[0] = servers.StartKafka(ctx, servers.KafkaOptions{SASL: true, TLS: true, ClientAuth: true, Properties: properties})
	})
	group.Go(func() {
		s.cassandra, errs[1] = servers.StartCassandra(ctx, servers.CassandraOptions{Auth: true, TLS: true, ClientAuth: true})
	})
	group.Go(func() {
		s.elasticsearch, errs[2] = servers.StartElasticsearch(ctx, servers.ElasticsearchOptions{
			Security: true, Roles: inYAML, Settings: map[string]string{"xpack.security.http.ssl.client_authentication": "required"},
		})
	})
	group.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if err := s.reconnect(); err != nil {
		return err
	}
	var err error
	s.index, err = newIndex(s.elasticsearch)
	return err
}

func grantFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "config", "grants", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// as is what a process of a kind has in its environment: its principals, and
// certificates. For predict: recsys-predict.
func (s *system) as(kind string) []string {
	env := []string{
		fmt.Sprintf("KAFKA_CLIENT_CERTS=[{cert_file: %q, key_file: %q}]", s.kafka.CertFile, s.kafka.KeyFile),
		"ELASTICSEARCH_TLS=true", "ELASTICSEARCH_CA_FILE=" + s.elasticsearch.CAFile, "ELASTICSEARCH_FINGERPRINT=", // the CA in place of the fingerprint
		fmt.Sprintf("ELASTICSEARCH_CLIENT_CERTS=[{cert_file: %q, key_file: %q}]", s.elasticsearch.CertFile, s.elasticsearch.KeyFile),
		fmt.Sprintf("CASSANDRA_CLIENT_CERTS=[{cert_file: %q, key_file: %q}]", s.cassandra.CertFile, s.cassandra.KeyFile),
	}
	if kind == "" { // the administrator
		return env
	}
	return append(env,
		"KAFKA_SASL=PLAIN", "KAFKA_USER="+kind, "KAFKA_PASSWORD="+passwordOf,
		"CASSANDRA_USER="+strings.ReplaceAll(kind, "-", "_"), "CASSANDRA_PASSWORD="+passwordOf,
		"ELASTICSEARCH_USER="+kind, "ELASTICSEARCH_PASSWORD="+passwordOf)
}

// commandAs runs a command as a kind of process, and demands that it succeeds.
func (s *system) commandAs(t *testing.T, kind string, args ...string) string {
	t.Helper()
	p := s.launch(t, kind+": "+strings.Join(args, " "), s.as(kind), args...)
	if code := p.end(t, 5*time.Minute); code != 0 {
		t.Fatalf("%s ended with code %d\n%s", p.name, code, p.tail())
	}
	return p.log.String()
}

// fillGuarded does what an administrator does, then what each kind may do alone.
func (s *system) fillGuarded(t *testing.T) {
	t.Helper()
	s.commandAs(t, "", "setup")
	var err error
	if s.session, err = s.connect("recsys"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.broker.admin.DeleteTopic(t.Context(), "train"); err != nil {
		t.Fatal(err)
	}
	s.cql(t, "DROP TABLE recsys.event_offsets")
	s.cql(t, "CREATE ROLE recsys_setup WITH LOGIN = true") // the table comes again by its own right
	s.cql(t, "GRANT CREATE ON KEYSPACE recsys TO recsys_setup")
	s.cql(t, "ALTER ROLE recsys_setup WITH PASSWORD = '"+passwordOf+"'")
	s.grantKafka(t)
	eventually(t, time.Minute, func() error {
		topics, err := s.broker.admin.ListTopics(t.Context())
		if err == nil && topics.Has("train") {
			err = errors.New("the topic train is still there")
		}
		return err
	})
	if said := s.commandAs(t, "recsys-setup", "setup"); !strings.Contains(said, "train") || !strings.Contains(said, "event_offsets") {
		t.Errorf("setup says\n%s", said)
	}
	for range 2 { // it may run again
		for statement := range strings.SplitSeq(regexp.MustCompile(`(?m)--.*$`).ReplaceAllString(string(grantFile(t, "cassandra.cql")), ""), ";") {
			if statement = strings.TrimSpace(statement); statement != "" {
				s.cql(t, statement)
			}
		}
	}
	for _, kind := range kinds {
		role := strings.ReplaceAll(kind, "-", "_")
		if role != "recsys_setup" && strings.Contains(string(grantFile(t, "cassandra.cql")), "EXISTS "+role+" ") { // setup has its own
			s.cql(t, "ALTER ROLE "+role+" WITH PASSWORD = '"+passwordOf+"'")
		}
	}
	s.commandAs(t, "recsys-setup", "setup", "--check")
	s.commandAs(t, "recsys-load", "load", "--data", s.data)
	s.commandAs(t, "recsys-train", "train", "--ratings", filepath.Join(s.data, "ratings.csv"), "--rank", "16")
	if s.catalog, err = readCatalog(s.data); err != nil {
		t.Fatal(err)
	}
}

func (s *system) cql(t *testing.T, statement string) {
	t.Helper()
	if err := s.session.Query(statement).Exec(); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// grantKafka runs config/grants/kafka.sh, with a command in place of Kafka's tool that
// writes down how it is called, and grants that.
func (s *system) grantKafka(t *testing.T) {
	t.Helper()
	calls := filepath.Join(t.TempDir(), "calls")
	tool := filepath.Join(t.TempDir(), "kafka-acls.sh")
	if err := os.WriteFile(tool, []byte("#!/bin/sh\necho \"$@\" >> "+calls+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := exec.Command("sh", filepath.Join(root, "config", "grants", "kafka.sh"), tool+" --bootstrap-server "+s.kafka.Addresses()[0])
	if said, err := script.CombinedOutput(); err != nil {
		t.Fatalf("kafka.sh: %v\n%s", err, said)
	}
	text, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) < 30 {
		t.Fatalf("kafka.sh grants %d times", len(lines))
	}
	for _, line := range lines {
		builder := parseACL(t, strings.Fields(line))
		created, err := s.broker.admin.CreateACLs(t.Context(), builder)
		if err != nil || len(created) == 0 {
			t.Fatalf("%s: %d created, %v", line, len(created), err)
		}
		for _, c := range created {
			if c.Err != nil {
				t.Fatalf("%s: %v", line, c.Err)
			}
		}
	}
}

// parseACL reads the arguments of Kafka's tool, as far as kafka.sh has them.
func parseACL(t *testing.T, args []string) *kadm.ACLBuilder {
	t.Helper()
	b := kadm.NewACLs().ResourcePatternType(kadm.ACLPatternLiteral)
	var operations []kadm.ACLOperation
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "--add":
			continue
		case "--cluster":
			b = b.Clusters()
			continue
		}
		if i++; i == len(args) {
			t.Fatalf("%q: %s has no value", args, args[i-1])
		}
		value := args[i]
		switch args[i-1] {
		case "--bootstrap-server":
		case "--allow-principal":
			if !slices.Contains(kinds, strings.TrimPrefix(value, "User:")) {
				t.Fatalf("%s is no kind of process", value)
			}
			b = b.Allow(value).AllowHosts("*")
		case "--operation":
			operation, err := kmsg.ParseACLOperation(strings.ToUpper(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(value, "${1}_${2}")))
			if err != nil {
				t.Fatal(err)
			}
			operations = append(operations, operation)
		case "--topic":
			b = b.Topics(value)
		case "--group":
			b = b.Groups(value)
		case "--transactional-id":
			b = b.TransactionalIDs(value)
		case "--resource-pattern-type":
			if value != "prefixed" {
				t.Fatalf("%q: unknown pattern type", args)
			}
			b = b.ResourcePatternType(kadm.ACLPatternPrefixed)
		default:
			t.Fatalf("%q: %s is unknown", args, args[i-1])
		}
	}
	return b.Operations(operations...)
}

// status of a request to Elasticsearch by a kind of process.
func (s *system) statusAs(t *testing.T, kind, method, path, body string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.elasticsearch.Addresses()[0]+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.SetBasicAuth(kind, passwordOf)
	response, err := s.index.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}
