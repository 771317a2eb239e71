package kafka

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
)

func lint(t *testing.T, yaml string) string {
	t.Helper()
	linter := service.GlobalEnvironment().FullConfigSchema("", "").NewStreamConfigLinter()
	lints, err := linter.SetEnvVarLookupFunc(func(context.Context, string) (string, bool) { return "", false }).LintYAML([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, l := range lints {
		lines = append(lines, l.Error())
	}
	return strings.Join(lines, "\n")
}

func TestExamplesAreValid(t *testing.T) {
	for name, find := range map[string]func(string) (*service.ConfigView, bool){
		"input":  service.GlobalEnvironment().GetInputConfig,
		"output": service.GlobalEnvironment().GetOutputConfig,
	} {
		for _, plugin := range []string{"kafka_franz", "redpanda", "kafka_lag"} {
			if name == "output" && plugin == "kafka_lag" {
				continue
			}
			view, ok := find(plugin)
			if !ok {
				t.Fatalf("%s %s is not registered", name, plugin)
			}
			data, err := view.FormatJSON()
			if err != nil {
				t.Fatal(err)
			}
			var spec struct {
				Examples []struct{ Title, Config string }
			}
			if err := json.Unmarshal(data, &spec); err != nil {
				t.Fatal(err)
			}
			if len(spec.Examples) == 0 {
				t.Errorf("%s %s has no example", name, plugin)
			}
			for _, example := range spec.Examples {
				if lines := lint(t, example.Config); lines != "" {
					t.Errorf("example %q of %s %s: %s", example.Title, name, plugin, lines)
				}
			}
		}
	}
}

func TestLintNamesTheField(t *testing.T) {
	for _, test := range []struct{ name, yaml, want string }{
		{"unknown input field", "input: {kafka_franz: {seed_brokers: [a:1], topics: [t], topicz: [t]}}", "topicz"},
		{"no topics", "input: {kafka_franz: {seed_brokers: [a:1]}}", "topics"},
		{"empty topics", "input: {kafka_franz: {seed_brokers: [a:1], topics: []}}", "topics"},
		{"unknown output field", "output: {redpanda: {seed_brokers: [a:1], topic: t, topik: t}}", "topik"},
		{"no topic", "output: {redpanda: {seed_brokers: [a:1]}}", "topic"},
		{"manual without partition", "output: {redpanda: {seed_brokers: [a:1], topic: t, partitioner: manual}}", "partition"},
		{"partition without manual", "output: {redpanda: {seed_brokers: [a:1], topic: t, partition: '1'}}", "partitioner: manual"},
		{"no cluster", "input: {kafka_franz: {topics: [t]}}", "name the cluster by its resource (field cluster) or by its brokers (field seed_brokers)"},
		{"two clusters", "output: {kafka_franz: {cluster: c, seed_brokers: [a:1], topic: t}}", "fields cluster and seed_brokers exclude each other"},
		{"login beside the cluster", "output: {kafka_franz: {cluster: c, topic: t, sasl: [{mechanism: PLAIN}]}}", "field sasl belongs to the kafka_cluster resource"},
		{"TLS beside the cluster", "input: {kafka_franz: {cluster: c, topics: [t], tls: {enabled: true}}}", "field tls belongs to the kafka_cluster resource"},
		{"two starts", "input: {kafka_franz: {cluster: c, topics: [t], start_offset: latest, start_timestamp: '1'}}", "fields start_timestamp and start_offset exclude each other"},
		{"marker in a group", "input: {kafka_franz: {seed_brokers: [a:1], topics: [t], consumer_group: g, emit_end_of_partition: true}}", "emit_end_of_partition"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if lines := lint(t, test.yaml); !strings.Contains(lines, test.want) {
				t.Errorf("lint says %q, want %q", lines, test.want)
			}
		})
	}
}

func TestAResourceSaysWhereTheClusterIs(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "events"}, broker.Topic{Name: "out"})
	produce(t, b.Addr(), "events", 0, "1")
	builder := service.NewStreamBuilder()
	err := builder.SetYAML(strings.ReplaceAll(`
input: {kafka_franz: {cluster: kafka, topics: [events], consumer_group: g}}
output: {redpanda: {cluster: kafka, topic: out}}
cache_resources:
  - label: kafka
    kafka_cluster: {seed_brokers: [$ADDR]}
logger: {level: none}
`, "$ADDR", b.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := builder.Build()
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = stream.Run(testContext(t)) }()
	if got := readTopic(t, b.Addr(), "out", 1); string(got[0].Value) != "1" {
		t.Errorf("written: %q", got[0].Value)
	}
	if err := stream.Stop(testContext(t)); err != nil {
		t.Error(err)
	}
}
