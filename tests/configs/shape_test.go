package configs

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// pipelineConfig is what the shape of a pipeline is judged by.
type pipelineConfig struct {
	Buffer        any            `yaml:"buffer"`
	ErrorHandling any            `yaml:"error_handling"`
	Pipeline      pipelineStage  `yaml:"pipeline"`
	Output        map[string]any `yaml:"output"`
}

type pipelineStage struct {
	Processors []map[string]any `yaml:"processors"`
}

func readPipeline(t *testing.T, path string) pipelineConfig {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var p pipelineConfig
	if err := yaml.Unmarshal(data, &p); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return p
}

// breakers are processors that change which message of a batch stands where, so
// that Benthos takes the failure of one for that of another.
var breakers = []string{"archive", "dedupe", "group_by", "group_by_value", "select_parts", "split", "unarchive"}

// checkShape returns what is wrong with the dead-letter shape of a pipeline:
//
//	output:
//	  fallback:
//	    - reject_errored: {…}
//	    - resource: dead_letters
//
// or, where the output is one to Kafka:
//
//	output:
//	  kafka_franz:
//	    dead_letters: {resource: dead_letters}
//
// The pipeline dashboard, which reads dead letters, drops its own. The pipeline
// api has no dead letters: what fails is the answer to a client, who has the
// request still, so that its output is a reject_errored and nothing else.
func checkShape(name string, p pipelineConfig) error {
	last := map[string]any{"resource": "dead_letters"}
	if name == "dashboard" {
		last = map[string]any{"drop": map[string]any{}}
	}
	outputs, isList := p.Output["fallback"].([]any)
	_, rejectsOnly := p.Output["reject_errored"]
	kafka, isKafka := p.Output["kafka_franz"].(map[string]any)
	switch {
	case p.Buffer != nil:
		return fmt.Errorf("buffer: acknowledges what is not durable")
	case p.ErrorHandling != nil:
		return fmt.Errorf("error_handling: blocks dead letters too")
	case name == "api" && len(p.Output) == 1 && rejectsOnly:
		return checkProcessors(p)
	case name == "api":
		return fmt.Errorf("output is not a reject_errored and nothing else: %v", slices.Sorted(maps.Keys(p.Output)))
	case len(p.Output) == 1 && isKafka && fmt.Sprint(kafka["dead_letters"]) == fmt.Sprint(last):
		return checkProcessors(p)
	case len(p.Output) == 1 && isKafka:
		return fmt.Errorf("output.kafka_franz.dead_letters is %v, want %v", kafka["dead_letters"], last)
	case len(p.Output) != 1 || !isList:
		return fmt.Errorf("output is not a fallback and nothing else: %v", slices.Sorted(maps.Keys(p.Output)))
	case len(outputs) != 2:
		return fmt.Errorf("output.fallback has %d outputs, want 2", len(outputs))
	}
	first, _ := outputs[0].(map[string]any)
	if _, rejects := first["reject_errored"]; !rejects || len(first) != 1 {
		return fmt.Errorf("output.fallback.0 is not a reject_errored and nothing else")
	}
	if second, _ := outputs[1].(map[string]any); fmt.Sprint(second) != fmt.Sprint(last) {
		return fmt.Errorf("output.fallback.1 is %v, want %v", second, last)
	}
	return checkProcessors(p)
}

// checkProcessors returns which processor breaks batches.
func checkProcessors(p pipelineConfig) error {
	for i, processor := range p.Pipeline.Processors {
		for _, breaker := range breakers {
			if _, found := processor[breaker]; found {
				return fmt.Errorf("pipeline.processors.%d: %s breaks batches", i, breaker)
			}
		}
	}
	return nil
}

func TestEveryPipelineHasTheDeadLetterShape(t *testing.T) {
	for _, path := range pipelineFiles(t) {
		name := strings.TrimSuffix(strings.TrimPrefix(path, "pipelines/"), ".yaml")
		if err := checkShape(name, readPipeline(t, path)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestEveryConsumerGroupAllowsSessionsOf3Seconds, as docs/cluster.md suggests: an input
// whose heartbeat has the default would not start.
func TestEveryConsumerGroupAllowsSessionsOf3Seconds(t *testing.T) {
	groups := 0
	for _, path := range pipelineFiles(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		n := strings.Count(string(text), "consumer_group: ")
		if n != strings.Count(string(text), "heartbeat_interval: 500ms") || n != strings.Count(string(text), "session_timeout: \"${RECSYS_SESSION_TIMEOUT:6s}\"") {
			t.Errorf("%s: not each of its %d consumer groups has session_timeout: \"${RECSYS_SESSION_TIMEOUT:6s}\" and heartbeat_interval: 500ms", path, n)
		}
		groups += n
	}
	if groups < 8 {
		t.Errorf("only %d consumer groups", groups)
	}
}

func TestTheShapeCheckFindsWhatIsWrong(t *testing.T) {
	const good = "output: {fallback: [{reject_errored: {drop: {}}}, {resource: dead_letters}]}"
	for name, c := range map[string]struct{ pipeline, yaml, problem string }{
		"the shape":                      {"x", good, ""},
		"Kafka's own":                    {"x", "output: {kafka_franz: {topic: x, dead_letters: {resource: dead_letters}}}", ""},
		"Kafka's own dropped":            {"x", "output: {kafka_franz: {topic: x, dead_letters: {drop: {}}}}", "output.kafka_franz.dead_letters is map[drop:map[]], want map[resource:dead_letters]"},
		"Kafka without dead letters":     {"x", "output: {kafka_franz: {topic: x}}", "output.kafka_franz.dead_letters is <nil>, want map[resource:dead_letters]"},
		"a plain output":                 {"x", "output: {drop: {}}", "output is not a fallback and nothing else: [drop]"},
		"processors beside the fallback": {"x", "output: {fallback: [], processors: []}", "output is not a fallback and nothing else: [fallback processors]"},
		"no dead letters":                {"x", "output: {fallback: [{reject_errored: {drop: {}}}]}", "output.fallback has 1 outputs, want 2"},
		"errors are not rejected":        {"x", "output: {fallback: [{drop: {}}, {resource: dead_letters}]}", "output.fallback.0 is not a reject_errored and nothing else"},
		"dead letters dropped":           {"x", "output: {fallback: [{reject_errored: {drop: {}}}, {drop: {}}]}", "output.fallback.1 is map[drop:map[]], want map[resource:dead_letters]"},
		"dashboard's exception":          {"dashboard", "output: {fallback: [{reject_errored: {drop: {}}}, {drop: {}}]}", ""},
		"dashboard's own dead letters":   {"dashboard", good, "output.fallback.1 is map[resource:dead_letters], want map[drop:map[]]"},
		"api's exception":                {"api", "output: {reject_errored: {sync_response: {}}}", ""},
		"api swallows errors":            {"api", "output: {sync_response: {}}", "output is not a reject_errored and nothing else: [sync_response]"},
		"api has dead letters":           {"api", good, "output is not a reject_errored and nothing else: [fallback]"},
		"api splits a batch":             {"api", "pipeline: {processors: [{split: {}}]}\noutput: {reject_errored: {sync_response: {}}}", "pipeline.processors.0: split breaks batches"},
		"a buffer":                       {"x", "buffer: {memory: {}}\n" + good, "buffer: acknowledges what is not durable"},
		"strict errors":                  {"x", "error_handling: {strict: true}\n" + good, "error_handling: blocks dead letters too"},
		"a split batch":                  {"x", "pipeline: {processors: [{log: {}}, {split: {}}]}\n" + good, "pipeline.processors.1: split breaks batches"},
	} {
		t.Run(name, func(t *testing.T) {
			var p pipelineConfig
			if err := yaml.Unmarshal([]byte(c.yaml), &p); err != nil {
				t.Fatal(err)
			}
			problem := ""
			if err := checkShape(c.pipeline, p); err != nil {
				problem = err.Error()
			}
			if problem != c.problem {
				t.Errorf("got %q, want %q", problem, c.problem)
			}
		})
	}
}

// TestDeadLettersCarryTheirReason: without the processor they are not the
// original bytes, without the metadata nobody learns what went wrong.
func TestDeadLettersCarryTheirReason(t *testing.T) {
	for _, path := range []string{"config/embedded.yaml", "config/cluster.yaml"} {
		checkDeadLetters(t, path)
	}
}

func checkDeadLetters(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Outputs []struct {
			Label      string           `yaml:"label"`
			Processors []map[string]any `yaml:"processors"`
			Kafka      struct {
				Metadata struct {
					Include []string `yaml:"include_patterns"`
				} `yaml:"metadata"`
			} `yaml:"kafka_franz"`
		} `yaml:"output_resources"`
	}
	if err := yaml.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	for _, output := range config.Outputs {
		if output.Label != "dead_letters" {
			continue
		}
		if fmt.Sprint(output.Processors) != "[map[dead_letter:map[]]]" || fmt.Sprint(output.Kafka.Metadata.Include) != "[.*]" {
			t.Errorf("%s: processors %v, metadata %v", path, output.Processors, output.Kafka.Metadata.Include)
		}
		return
	}
	t.Errorf("%s has no output resource dead_letters", path)
}

func TestAllProfilesHaveTheSameLabels(t *testing.T) {
	embedded := labels(t, "config/embedded.yaml")
	for _, path := range []string{"config/cluster.yaml", "config/test.yaml"} {
		if other := labels(t, path); !slices.Equal(embedded, other) {
			t.Errorf("embedded.yaml has %v, %s %v", embedded, path, other)
		}
	}
}

// labels returns the labels of a profile's resources, with their kind.
func labels(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kinds map[string][]struct {
		Label string `yaml:"label"`
	}
	if err := yaml.Unmarshal(data, &kinds); err != nil {
		t.Fatal(err)
	}
	var all []string
	for kind, resources := range kinds {
		for _, r := range resources {
			all = append(all, kind+" "+r.Label)
		}
	}
	slices.Sort(all)
	return all
}
