//go:build cluster

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
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

// TestEveryKindOfProcessDoesItsWorkUnderItsOwnPrincipal, by certificate and password,
// with the rights of config/grants and no others, from event to list; and it cannot do
// another's. A user who is forgotten meanwhile leaves nothing behind: in the store, the
// indices, a version that is trained after, the topics, the page and the logs.
func TestEveryKindOfProcessDoesItsWorkUnderItsOwnPrincipal(t *testing.T) {
	s := guardedSystem(t)
	page, err := binary.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	api, err := binary.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	var all []*process
	start := func(kind string, files []string, env ...string) {
		p := s.pipelines(t, files, append(append(s.as(kind), "LOG_LEVEL=DEBUG"), env...)...)
		p.name = kind
		all = append(all, p)
	}
	start("recsys-ingest", []string{"ingest", "items"})
	start("recsys-fold-in", []string{"fold_in", "users"})
	start("recsys-index", []string{"index"})
	start("recsys-train", []string{"train", "probation", "outcomes", "models"}, "RECSYS_RETRAIN=1000000")
	start("recsys-predict", []string{"predict", "recommend", "models", "users", "movies"})
	start("recsys-dashboard", []string{"dashboard"}, "RECSYS_LISTEN="+page)
	start("recsys-api", []string{"api", "models", "users", "movies"}, "RECSYS_LISTEN="+api)
	t.Cleanup(func() {
		for _, p := range all {
			if t.Failed() {
				t.Log(p.tail())
			}
		}
	})

	const user, said = 930_001, "said-by-"
	client := s.clientAs(t, "recsys-client", kgo.ConsumeTopics("predictions", "recommendations"), kgo.ConsumerGroup("client-shop"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	produce(t, client, "events", user, `{"event_type":"rate","user_id":930001,"movie_id":318,"value":5,"timestamp":"2026-01-02T03:04:05Z"}`)
	produce(t, client, "events", user, `{"event_type":"tag","user_id":930001,"movie_id":318,"value":"said-by-930001","timestamp":"2026-01-02T03:04:05Z"}`)
	produce(t, client, "events", user, `{"event_type":"item","movie_id":930009,"title":"Entered (2026)","genres":["Drama"],"timestamp":"2026-01-02T03:04:05Z"}`)
	produce(t, client, "requests", user, `{"user_id":930001,"movie_id":296,"request_id":"least-1"}`)
	produce(t, client, "requests", user, `{"user_id":930001,"kind":"recommend","n":3,"request_id":"least-2"}`)
	s.replies(t, client, "least-1", "least-2")
	eventually(t, 3*time.Minute, func() error {
		got, err := s.known(user)
		if err == nil && (got.ratings != 1 || got.tags != 1 || got.predictions != 1) {
			err = fmt.Errorf("stored: %+v", got)
		}
		return err
	})
	for url, want := range map[string]string{
		"http://" + page + "/live/snapshot":                `"group":"predict"`,
		"http://" + api + "/api/recommend/930001?n=3":      `["`,
		"http://" + api + "/api/user/930001":               `930001`,
		"http://" + api + "/api/user/930001/feedback":      `318`,
		"http://" + api + "/api/feedback/930001/318":       `318`,
		"http://" + api + "/api/item/930009":               `Entered`,
		"http://" + api + "/api/models":                    `champion`,
		"http://" + api + "/api/popular?n=3":               `[`,
		"http://" + api + "/api/user/930001/known-items":   `318`,
		"http://" + api + "/api/users?n=3":                 `[`,
		"http://" + api + "/api/feedback?n=3":              `[`,
		"http://" + page + "/live/snapshot?window=no-such": `seconds`,
	} {
		eventually(t, 3*time.Minute, func() error { return contains(url, want) })
	}
	if !s.train(t, user) {
		t.Error("the version that was trained before does not know the user")
	}
	start("recsys-lists", []string{"recommend_all"}, "RECSYS_RECOMMEND_ALL_SCHEDULE=24h")
	eventually(t, 3*time.Minute, func() error {
		got, err := s.known(user)
		if err == nil && (got.lists != 1 || got.listDocuments != 1) {
			err = fmt.Errorf("lists: %+v", got)
		}
		return err
	})
	start("recsys-forget", []string{"forget"})
	produce(t, client, "events", user, `{"event_type":"forget_user","user_id":930001}`)
	eventually(t, 3*time.Minute, func() error {
		got, err := s.known(user)
		if err == nil && got != (known{}) {
			err = fmt.Errorf("left of who is forgotten: %+v", got)
		}
		return err
	})
	if n := total(s.broker.mustEnds(t, "dead_letters")); n != 0 {
		t.Errorf("%d dead letters", n)
	}
	s.nothingIsLeft(t, user, said, page, all)
	for _, p := range all {
		for _, line := range p.problems() {
			if lower := strings.ToLower(line); strings.Contains(lower, "authoriz") || strings.Contains(lower, "permission") || strings.Contains(lower, "forbidden") {
				t.Errorf("%s lacks a right: %s", p.name, line)
			}
		}
	}
	for _, p := range all {
		p.Kill()
	}
	t.Run("and no other's", func(t *testing.T) { s.denials(t) })
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

func produce(t *testing.T, client *kgo.Client, topic string, key int64, value string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: fmt.Append(nil, key), Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatalf("producing to %s: %v", topic, err)
	}
}

// replies waits for the replies to requests.
func (s *system) replies(t *testing.T, client *kgo.Client, ids ...string) {
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

func contains(url, want string) error {
	client := http.Client{Timeout: 20 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && !strings.Contains(string(text), want) {
		err = fmt.Errorf("%s answers %d without %s: %.300s", url, response.StatusCode, want, text)
	}
	return err
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
		err := s.clientAs(t, d.kind).ProduceSync(ctx, &kgo.Record{Topic: d.topic, Value: []byte("{}")}).FirstErr()
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
		{"recsys-kibana", "POST", "/predictions-*/_delete_by_query", `{"query":{"match_all":{}}}`},
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
