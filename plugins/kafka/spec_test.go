package kafka

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
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
		for _, plugin := range []string{"kafka_franz", "redpanda"} {
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
		{"marker in a group", "input: {kafka_franz: {seed_brokers: [a:1], topics: [t], consumer_group: g, emit_end_of_partition: true}}", "emit_end_of_partition"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if lines := lint(t, test.yaml); !strings.Contains(lines, test.want) {
				t.Errorf("lint says %q, want %q", lines, test.want)
			}
		})
	}
}
