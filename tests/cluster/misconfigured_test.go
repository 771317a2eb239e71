//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// badSetting is a setting of the profile that is wrong, and what the pipeline
// says that has to do with it.
type badSetting struct {
	name     string
	pipeline string
	env      []string
	says     []string
}

// badSettings are wrong in the environment: the servers are as they should be.
func (s *system) badSettings() []badSetting {
	const nowhere = "no-such-host.invalid"
	return []badSetting{
		{"Kafka on an unknown host", "ingest", []string{"KAFKA_BROKERS=" + nowhere + ":9092"}, []string{nowhere, "no such host"}},
		{"Cassandra on an unknown host", "ingest", []string{"CASSANDRA_ADDRESSES=" + nowhere}, []string{nowhere}},
		{"Elasticsearch on an unknown host", "index", []string{"ELASTICSEARCH_URLS=https://" + nowhere + ":9200"}, []string{nowhere, "unknown"}},
		{"a wrong password of Kafka", "ingest", []string{"KAFKA_PASSWORD=wrong"}, []string{"wrong user name or password"}},
		{"a wrong password of Cassandra", "ingest", []string{"CASSANDRA_PASSWORD=wrong"}, []string{"wrong password"}},
		{"a wrong password of Elasticsearch", "index", []string{"ELASTICSEARCH_PASSWORD=wrong-one"}, []string{"refuses the user name, password or API key"}},
		{"Kafka without TLS", "ingest", []string{"KAFKA_TLS=false"}, []string{"the broker speaks TLS and this client does not"}},
		{"Cassandra without TLS", "ingest", []string{"CASSANDRA_TLS=false"}, []string{"speaks TLS only"}},
		{"another certificate of Elasticsearch", "index", []string{"ELASTICSEARCH_FINGERPRINT=" + strings.Repeat("00", 32)}, []string{"another certificate"}},
		{"no CA for Kafka", "ingest", []string{"KAFKA_CA_FILE="}, []string{s.kafka.Addresses()[0], "unknown authority", "tls.root_cas_file"}},
		{"another CA for Kafka", "ingest", []string{"KAFKA_CA_FILE=" + s.cassandra.CAFile}, []string{s.kafka.Addresses()[0], "unknown authority", "tls.root_cas_file"}},
		{"no CA for Cassandra", "ingest", []string{"CASSANDRA_CA_FILE="}, []string{s.cassandra.Addresses()[0], "unknown authority", "tls.root_cas_file"}},
		{"another CA for Cassandra", "ingest", []string{"CASSANDRA_CA_FILE=" + s.kafka.CAFile}, []string{s.cassandra.Addresses()[0], "unknown authority", "tls.root_cas_file"}},
		{"no CA for Elasticsearch", "index", []string{"ELASTICSEARCH_FINGERPRINT="}, []string{strings.TrimPrefix(s.elasticsearch.Addresses()[0], "https://"), "authority that is not known", "tls.root_cas_file"}},
		{"another CA for Elasticsearch", "index", []string{"ELASTICSEARCH_FINGERPRINT=", "ELASTICSEARCH_TLS=true", "ELASTICSEARCH_CA_FILE=" + s.kafka.CAFile}, []string{strings.TrimPrefix(s.elasticsearch.Addresses()[0], "https://"), "authority that is not known", "tls.root_cas_file"}},
		{"a missing keyspace", "ingest", []string{"CASSANDRA_KEYSPACE=nowhere"}, []string{"nowhere", "recsys-benthos setup"}},
		{"a wrong column type", "ingest", []string{"CASSANDRA_KEYSPACE=wrongtype"}, []string{"wrongtype.ratings.rating", "its type is double, not float"}},
	}
}

func TestAWrongSettingIsToldInOneLine(t *testing.T) {
	s := sharedSystem(t, 1)
	for _, statement := range []string{
		"CREATE KEYSPACE IF NOT EXISTS wrongtype WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
		"CREATE TABLE IF NOT EXISTS wrongtype.ratings (user_id bigint, movie_id bigint, rating double, timestamp timestamp, PRIMARY KEY (user_id, movie_id))",
	} {
		if err := s.session.Query(statement).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	traffic := s.newTraffic(100) // so that there is something to write
	traffic.send(s.broker, 0)
	s.broker.produce(t, &kgo.Record{Topic: "predictions", Value: []byte(`{"request_id":"waits","requested_at":"2001-01-03T00:00:00Z"}`)})
	for _, bad := range s.badSettings() {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			p := s.pipelines(t, []string{bad.pipeline}, bad.env...)
			defer p.Kill()
			t.Log(p.says(t, bad.says...))
			sayLittle(t, p)
		})
	}
}

func TestSetupSaysWhatIsWrong(t *testing.T) {
	s := sharedSystem(t, 1)
	for _, bad := range []badSetting{
		{"an unknown host", "", []string{"KAFKA_BROKERS=no-such-host.invalid:9092"}, []string{"setting up Kafka", "no-such-host.invalid"}},
		{"more copies than brokers", "", []string{"KAFKA_REPLICATION=3", "KAFKA_PARTITIONS=8"}, nil}, // what exists stays
	} {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			p := s.launch(t, "setup", bad.env, "setup")
			code := p.end(t, time.Minute)
			if failed := code == 1; failed != (bad.says != nil) {
				t.Fatalf("it ended with code %d\n%s", code, p.tail())
			}
			said := strings.TrimSpace(p.log.String())
			t.Log(said)
			expectParts(t, said, bad.says...)
			most := 2
			if bad.says == nil {
				most = 3 // what to import into Kibana by hand, too
			}
			if lines := strings.Count(said, "\n") + 1; lines > most {
				t.Errorf("it takes %d lines", lines)
			}
		})
	}
	t.Run("setup again changes nothing", func(t *testing.T) {
		expectParts(t, s.command(t, "setup"), "Everything is there")
		expectParts(t, s.command(t, "setup", "--check"), "Everything is as the pipelines need it")
	})
	t.Run("check tells what breaks promises", func(t *testing.T) {
		p := s.launch(t, "setup --check", []string{"KAFKA_PARTITIONS=8", "RECSYS_SESSION_TIMEOUT=500ms"}, "setup", "--check")
		if code := p.end(t, time.Minute); code != 1 {
			t.Errorf("it ended with code %d", code)
		}
		expectParts(t, p.log.String(), "topic events: has 4 partitions, want 8", "group.min.session.timeout.ms is 1s")
	})
}

func TestAMissingTopicIsToldAndAwaited(t *testing.T) {
	s := sharedSystem(t, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, topic := range []string{"events", "predictions"} {
		if _, err := s.broker.admin.DeleteTopic(ctx, topic); err != nil {
			t.Fatal(err)
		}
	}
	f := s.startFleet(t, 1)
	traffic := s.newTraffic(200)
	account := &account{s: s, traffic: traffic, deadLetters: s.broker.mustEnds(t, "dead_letters")} // predictions begin anew
	requests, events := *traffic, *traffic
	requests.events, events.requests = nil, 0
	requests.send(s.broker, 0)
	t.Log(f.ingest.says(t, "do not exist", "events", "recsys-benthos setup"))
	t.Log(f.predictors[0].says(t, "predictions", "recsys-benthos setup"))
	sayLittle(t, f.all()...)
	health := []string{"health", "--admin", f.index.admin, "--check", "--timeout", "10s"}
	unready := s.launch(t, "health", nil, health...)
	if code := unready.end(t, time.Minute); code != 1 {
		t.Errorf("health --check ended with code %d without two topics", code)
	}
	t.Log(unready.log.String())
	expectParts(t, unready.log.String(), "not ready", "topic events", "topic predictions")
	expectParts(t, s.command(t, "setup"), "topic events", "topic predictions")
	eventually(t, 30*time.Second, func() error {
		ready := s.launch(t, "health", nil, health...)
		if code := ready.end(t, time.Minute); code != 0 {
			return fmt.Errorf("health --check ended with code %d after setup: %s", code, ready.log.String())
		}
		return nil
	})
	if err := s.reconnect(); err != nil { // a client takes a topic of the same name for the one it knew
		t.Fatal(err)
	}
	events.send(s.broker, 0)
	account.arrive(t, time.Minute)
	account.check(t)
}

func TestWhatElasticsearchRefuses(t *testing.T) {
	s := sharedSystem(t, 1)
	f := s.startFleet(t, 1)
	account := s.open(t, s.newTraffic(1))
	prediction := func(id, day, value string) *kgo.Record {
		return &kgo.Record{Topic: "predictions", Value: fmt.Appendf(nil, `{"request_id":"%s","requested_at":"%sT12:00:00Z","prediction":%s}`, id, day, value)}
	}
	arrives := func(t *testing.T, id string) {
		t.Helper()
		eventually(t, 30*time.Second, func() error {
			n, err := s.index.count(id)
			if err == nil && n != 1 {
				err = fmt.Errorf("%d documents %s", n, id)
			}
			return err
		})
	}

	t.Run("a mapping conflict is a dead letter with the reason, what is around it is indexed", func(t *testing.T) {
		s.index.mustAsk(t, "PUT", "/predictions-2001.01.01", map[string]any{"mappings": map[string]any{"properties": map[string]any{"prediction": map[string]any{"type": "boolean"}}}})
		s.broker.produce(t, prediction("conflict-before", "2001-01-02", "4"), prediction("conflict", "2001-01-01", "4.5"), prediction("conflict-after", "2001-01-02", "4"))
		arrives(t, "conflict-before")
		arrives(t, "conflict-after")
		eventually(t, 30*time.Second, func() error { return s.broker.behind("index", "predictions") })
		letters := s.broker.records(t, "dead_letters", account.deadLetters)
		if len(letters) != 1 {
			t.Fatalf("%d dead letters, want one: %v", len(letters), account.letters(t))
		}
		t.Log(headers(letters[0])["error"])
		expectParts(t, string(letters[0].Value), `"conflict"`)
		expectParts(t, headers(letters[0])["error"], "prediction", "boolean")
	})
	for _, block := range []struct{ setting, says string }{
		{"index.blocks.write", "has a write block"},
		{"index.blocks.read_only_allow_delete", "flood-stage watermark"},
	} {
		t.Run(block.setting+" is told and waited out", func(t *testing.T) {
			id := strings.ReplaceAll(block.setting, ".", "-")
			s.index.mustAsk(t, "PUT", "/predictions-2001.01.02/_settings", map[string]any{block.setting: true})
			before := len(f.index.problems())
			s.broker.produce(t, prediction(id, "2001-01-02", "4"))
			t.Log(f.index.says(t, block.says))
			if n := len(f.index.problems()) - before; n > 2 {
				t.Errorf("%d lines: %v", n, f.index.problems()[before:])
			}
			s.index.mustAsk(t, "PUT", "/predictions-2001.01.02/_settings", map[string]any{block.setting: nil})
			arrives(t, id)
		})
	}
}

func TestAPredictionTooLargeForTheBrokerIsADeadLetter(t *testing.T) {
	s := sharedSystem(t, 1)
	s.startFleet(t, 1)
	traffic := s.newTraffic(200)
	account := s.open(t, traffic)
	// A request that fits; its prediction, which has more fields, does not.
	large := fmt.Appendf(nil, `{"request_id":"large","user_id":1,"movie_id":296,"note":"%s"}`, strings.Repeat("x", 1<<20-300))
	s.broker.produce(t, &kgo.Record{Topic: "requests", Key: []byte("1"), Value: large})
	traffic.send(s.broker, 0)
	account.arrive(t, time.Minute)
	letters := s.broker.records(t, "dead_letters", account.deadLetters)
	if len(letters) != 1 {
		t.Fatalf("%d dead letters, want one: %v", len(letters), account.letters(t))
	}
	said := headers(letters[0])
	t.Log(said["error"])
	if said["original_size"] != fmt.Sprint(len(large)) || said["truncated"] != "true" {
		t.Errorf("the dead letter does not tell the size: %v", said)
	}
	expectParts(t, said["error"], "max.message.bytes")
}
