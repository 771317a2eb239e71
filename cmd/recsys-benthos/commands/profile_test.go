package commands

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVariablesAreFilledInAsInBenthos(t *testing.T) {
	values := map[string]string{"A": "one", "EMPTY": ""}
	lookup := func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	const text = `a: ${A}, b: ${A:two}, c: ${B:three}, d: ${B:http://x:9}, e: "${B:}", f: ${EMPTY:four}, g: ${! @kafka_key.or("") }`
	const want = `a: one, b: one, c: three, d: http://x:9, e: "", f: four, g: ${! @kafka_key.or("") }`
	if got := string(fillVariables([]byte(text), lookup)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTheClusterProfileNamesItsServers(t *testing.T) {
	t.Chdir(t.TempDir()) // no config/ here: the one in the binary counts
	t.Setenv("KAFKA_BROKERS", "k1:9092,k2:9092")
	t.Setenv("KAFKA_REPLICATION", "1")
	t.Setenv("CASSANDRA_ADDRESSES", "c1,c2")
	s, err := profileServers(defaultProfile)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.kafka.Seeds(), " "); got != "k1:9092 k2:9092" {
		t.Errorf("Kafka at %s", got)
	}
	var topics []string
	for _, topic := range s.kafka.Topics {
		topics = append(topics, topic.Name)
		if topic.Replication != 1 {
			t.Errorf("topic %s on %d brokers", topic.Name, topic.Replication)
		}
	}
	if got := strings.Join(topics, " "); got != "events requests predictions recommendations dead_letters train user_factors models movies" {
		t.Errorf("topics %s", got)
	}
	if s.cassandra.Keyspace != "recsys" || len(s.elasticsearch.URLs) != 1 {
		t.Errorf("keyspace %q, %d nodes of Elasticsearch", s.cassandra.Keyspace, len(s.elasticsearch.URLs))
	}
}

func TestAProfileThatCannotBeUsedSaysWhy(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"no servers":          {"cache_resources: [{label: x, memory: {}}]", "there is nothing to set up"},
		"no YAML":             {"a: [", "reading the profile"},
		"a resource no list":  {"cache_resources: {}", "reading cache_resources of the profile"},
		"a bad topic":         {"cache_resources: [{label: k, kafka_cluster: {seed_brokers: [a:1], topics: [{name: a/b}]}}]", `topic name "a/b" has the character '/'`},
		"no partitions":       {"cache_resources: [{label: k, kafka_cluster: {seed_brokers: [a:1], topics: [{name: a, partitions: 0}]}}]", "partitions and replication_factor must be at least 1"},
		"no brokers":          {"cache_resources: [{label: k, kafka_cluster: {seed_brokers: []}}]", "field seed_brokers: name at least one broker"},
		"an illegal keyspace": {"cache_resources: [{label: c, cassandra_ratings: {addresses: [a], keyspace: 'a b'}}]", "keyspace"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "profile.yaml")
			if err := os.WriteFile(path, []byte(c.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := profileServers(path); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
		})
	}
}
