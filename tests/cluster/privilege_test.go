//go:build cluster

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

const (
	forgotten = 930_001          // a user of no other test
	theirTag  = "said-by-930001" // what they wrote
)

// principals are processes under their own principals, started in this order.
type principals struct {
	*system
	processes []*process
	page, api string // addresses
}

// TestEveryKindOfProcessDoesItsWorkUnderItsOwnPrincipal, by certificate and password,
// with the rights of config/grants and no others, from event to list; and it cannot do
// another's. A user who is forgotten meanwhile leaves nothing behind: in the store, the
// indices, a version that is trained after, the topics, the page and the logs.
func TestEveryKindOfProcessDoesItsWorkUnderItsOwnPrincipal(t *testing.T) {
	s := guardedSystem(t)
	ps := s.startPrincipals(t)
	client := s.clientAs(t, "recsys-client", kgo.ConsumeTopics("predictions", "recommendations"), kgo.ConsumerGroup("client-shop"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for _, sent := range []struct{ topic, value string }{
		{"events", `{"event_type":"rate","user_id":930001,"movie_id":318,"value":5,"timestamp":"2026-01-02T03:04:05Z"}`},
		{"events", `{"event_type":"tag","user_id":930001,"movie_id":318,"value":"` + theirTag + `","timestamp":"2026-01-02T03:04:05Z"}`},
		{"events", `{"event_type":"item","movie_id":930009,"title":"Entered (2026)","genres":["Drama"],"timestamp":"2026-01-02T03:04:05Z"}`},
		{"requests", `{"user_id":930001,"movie_id":296,"request_id":"least-1"}`},
		{"requests", `{"user_id":930001,"kind":"recommend","n":3,"request_id":"least-2"}`},
	} {
		produce(t, client, sent.topic, sent.value)
	}
	receive(t, client, "least-1", "least-2")
	ps.known(t, known{ratings: 1, tags: 1, predictions: 1})
	ps.answer(t)
	if !ps.train(t) {
		t.Error("the version that was trained before does not know the user")
	}
	ps.start(t, "recsys-lists", []string{"recommend_all"}, "RECSYS_RECOMMEND_ALL_SCHEDULE=24h")
	ps.known(t, known{ratings: 1, tags: 1, predictions: 1, lists: 1, listDocuments: 1})
	ps.start(t, "recsys-forget", []string{"forget"})
	produce(t, client, "events", `{"event_type":"forget_user","user_id":930001,"timestamp":"2026-01-02T03:04:06Z"}`)
	ps.known(t, known{})
	ps.lackNoRight(t)
	ps.nothingIsLeft(t)
	for _, p := range ps.processes {
		p.Kill()
	}
	t.Run("and no other's", s.denials)
	t.Run("and none without a certificate that Kafka knows", s.strangers)
}

// startPrincipals starts all that wait for something to do.
func (s *system) startPrincipals(t *testing.T) *principals {
	t.Helper()
	ps := &principals{system: s}
	for _, address := range []*string{&ps.page, &ps.api} {
		var err error
		if *address, err = binary.FreeAddress(); err != nil {
			t.Fatal(err)
		}
	}
	ps.start(t, "recsys-ingest", []string{"ingest", "items"})
	ps.start(t, "recsys-fold-in", []string{"fold_in", "users"})
	ps.start(t, "recsys-index", []string{"index"})
	ps.start(t, "recsys-train", []string{"train", "probation", "outcomes", "models"}, "RECSYS_RETRAIN=1000000")
	ps.start(t, "recsys-predict", []string{"predict", "recommend", "models", "users", "movies"})
	ps.start(t, "recsys-dashboard", []string{"dashboard"}, "RECSYS_LISTEN="+ps.page)
	ps.start(t, "recsys-api", []string{"api", "models", "users", "movies"}, "RECSYS_LISTEN="+ps.api)
	t.Cleanup(func() {
		for _, p := range ps.processes {
			if t.Failed() {
				t.Log(p.tail())
			}
		}
	})
	return ps
}

// start starts pipelines as a kind of process.
func (ps *principals) start(t *testing.T, kind string, files []string, env ...string) {
	t.Helper()
	p := ps.pipelines(t, files, append(append(ps.as(kind), "LOG_LEVEL=DEBUG"), env...)...)
	p.name = kind
	ps.processes = append(ps.processes, p)
}

// eventually looks until check finds nothing wrong, as long as all processes run.
func (ps *principals) eventually(t *testing.T, check func() error) {
	t.Helper()
	eventually(t, 3*time.Minute, func() error {
		for _, p := range ps.processes {
			if !p.running() {
				t.Fatalf("%s has ended", p.name)
			}
		}
		return check()
	})
}

// known waits until that is what is known of the user.
func (ps *principals) known(t *testing.T, want known) {
	t.Helper()
	ps.eventually(t, func() error {
		got, err := ps.system.known(forgotten)
		if err == nil && got != want {
			err = fmt.Errorf("of the user there is %+v, want %+v", got, want)
		}
		return err
	})
}

// answer waits until the page and the interface tell what they should.
func (ps *principals) answer(t *testing.T) {
	t.Helper()
	for url, want := range map[string]string{
		ps.page + "/live/snapshot":              `"group":"predict"`,
		ps.api + "/api/recommend/930001?n=3":    `["`,
		ps.api + "/api/user/930001":             `930001`,
		ps.api + "/api/user/930001/feedback":    `318`,
		ps.api + "/api/feedback/930001/318":     `318`,
		ps.api + "/api/item/930009":             `Entered`,
		ps.api + "/api/models":                  `champion`,
		ps.api + "/api/popular?n=3":             `[`,
		ps.api + "/api/user/930001/known-items": `318`,
		ps.api + "/api/users?n=3":               `[`,
		ps.api + "/api/feedback?n=3":            `[`,
	} {
		ps.eventually(t, func() error {
			text, err := get("http://" + url)
			if err == nil && !strings.Contains(text, want) {
				err = fmt.Errorf("%s answers without %s: %.300s", url, want, text)
			}
			return err
		})
	}
}

// lackNoRight: no process was denied anything, by what it says and by Kafka's log, and
// nothing became a dead letter.
func (ps *principals) lackNoRight(t *testing.T) {
	t.Helper()
	for _, p := range ps.processes {
		for _, line := range p.problems() {
			if lower := strings.ToLower(line); strings.Contains(lower, "authoriz") || strings.Contains(lower, "permission") || strings.Contains(lower, "forbidden") {
				t.Errorf("%s lacks a right: %s", p.name, line)
			}
		}
	}
	log, err := os.ReadFile(filepath.Join(ps.kafka.Dir, "kafka-1.log"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, " is Denied ") {
			t.Errorf("Kafka: %s", line)
		}
	}
	for _, r := range ps.broker.records(t, "dead_letters", ps.broker.beginnings(t, "dead_letters")) {
		t.Errorf("a dead letter: %s: %s", headers(r)["error"], r.Value)
	}
}

// clientAs is a client of Kafka with the password of a kind.
func (s *system) clientAs(t *testing.T, kind string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	conf, err := s.kafka.TLSConfig()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(s.kafka.Addresses()...), kgo.DialTLSConfig(conf), kgo.SASL(plain.Auth{User: kind, Pass: passwordOf}.AsMechanism()),
	}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// produce writes a record whose key is the user.
func produce(t *testing.T, client *kgo.Client, topic, value string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: fmt.Append(nil, forgotten), Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatalf("producing to %s: %v", topic, err)
	}
}

// receive waits for the replies to requests.
func receive(t *testing.T, client *kgo.Client, ids ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	missing := map[string]bool{}
	for _, id := range ids {
		missing[id] = true
	}
	for len(missing) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("waiting for %v: %v", missing, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { delete(missing, gjson.GetBytes(r.Value, "request_id").Str) })
	}
}

// get is what is served at an address, if its status is 200.
func get(url string) (string, error) {
	client := http.Client{Timeout: 20 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %d: %.300s", url, response.StatusCode, text)
	}
	return string(text), err
}

// denials are what a principal cannot do, that another one may.
func (s *system) denials(t *testing.T) {
	for _, d := range []struct{ kind, topic string }{
		{"recsys-predict", "events"},
		{"recsys-predict", "models"},
		{"recsys-dashboard", "events"},
		{"recsys-dashboard", "predictions"},
		{"recsys-index", "predictions"},
		{"recsys-forget", "events"},
		{"recsys-client", "predictions"},
		{"recsys-client", "models"},
		{"recsys-setup", "events"},
		{"recsys-load", "events"},
		{"recsys-api", "models"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		err := s.clientAs(t, d.kind, kgo.DisableIdempotentWrite()).ProduceSync(ctx, &kgo.Record{Topic: d.topic, Value: []byte("{}")}).FirstErr()
		cancel()
		if !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Errorf("%s writes %s: %v", d.kind, d.topic, err)
		}
	}
	for _, d := range []struct{ kind, topic string }{
		{"recsys-setup", "events"}, {"recsys-client", "events"}, {"recsys-client", "dead_letters"}, {"recsys-predict", "events"}, {"recsys-index", "requests"}, {"recsys-api", "events"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		err := s.clientAs(t, d.kind, kgo.ConsumeTopics(d.topic)).PollFetches(ctx).Err()
		cancel()
		if !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Errorf("%s reads %s: %v", d.kind, d.topic, err)
		}
	}
	for _, d := range []struct{ role, statement string }{
		{"recsys_predict", "SELECT profile FROM users"},
		{"recsys_predict", "SELECT user_id FROM tags"},
		{"recsys_predict", "DELETE FROM ratings WHERE user_id = 1"},
		{"recsys_ingest", "SELECT user_id FROM ratings"},
		{"recsys_forget", "SELECT user_id FROM recommendations"},
		{"recsys_forget", "DELETE FROM ratings WHERE user_id = 1"},
		{"recsys_train", "INSERT INTO ratings (user_id, movie_id, rating) VALUES (1, 1, 1)"},
		{"recsys_api", "INSERT INTO users (user_id, profile) VALUES (1, '')"},
		{"recsys_setup", "SELECT user_id FROM ratings"},
		{"recsys_load", "SELECT user_id FROM ratings"},
		{"recsys_lists", "SELECT profile FROM users"},
		{"recsys_load", "DROP TABLE ratings"},
	} {
		var refused *gocql.RequestErrUnauthorized
		if err := s.executeAs(t, d.role, d.statement); !strings.Contains(fmt.Sprint(err), "permission") && !errors.As(err, &refused) {
			t.Errorf("%s: %s: %v", d.role, d.statement, err)
		}
	}
	for _, d := range []struct{ kind, method, path, body string }{
		{"recsys-index", "POST", "/predictions-*/_search", "{}"},
		{"recsys-index", "POST", "/recommendations/_doc", "{}"},
		{"recsys-index", "DELETE", "/predictions-2026.01.01", ""},
		{"recsys-lists", "POST", "/predictions-2026.01.01/_doc", "{}"},
		{"recsys-forget", "POST", "/predictions-2026.01.01/_doc", "{}"},
		{"recsys-forget", "DELETE", "/predictions-2026.01.01", ""},
		{"recsys-kibana", "DELETE", "/predictions-2026.01.01/_doc/1", ""},
		{"recsys-kibana", "POST", "/recommendations/_search", "{}"},
		{"recsys-setup", "POST", "/predictions-*/_search", "{}"},
	} {
		if status := s.statusAs(t, d.kind, d.method, d.path, d.body); status != http.StatusForbidden {
			t.Errorf("%s: %s %s: status %d", d.kind, d.method, d.path, status)
		}
	}
	if status := s.statusAs(t, "recsys-kibana", "POST", "/predictions-*/_search", "{}"); status != http.StatusOK {
		t.Errorf("Kibana's user does not read: status %d", status)
	}
}

// executeAs runs a statement as a role.
func (s *system) executeAs(t *testing.T, role, statement string) error {
	t.Helper()
	session, err := s.connectAs("recsys", role, passwordOf)
	if err != nil {
		return err
	}
	defer session.Close()
	return session.Query(statement).Exec()
}

// strangers have the password of a principal, and no certificate or one that another
// authority signed. One line says that Kafka wants another.
func (s *system) strangers(t *testing.T) {
	other := fmt.Sprintf("[{cert_file: %q, key_file: %q}]", s.cassandra.CertFile, s.cassandra.KeyFile)
	for name, value := range map[string]string{"none": "[]", "of another authority": other} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := s.pipelines(t, []string{"ingest"}, append(s.as("recsys-ingest"), "KAFKA_CLIENT_CERTS="+value)...)
			defer p.Kill()
			t.Log(p.says(t, s.kafka.Addresses()[0], "certificate", "client_certs"))
		})
	}
}
