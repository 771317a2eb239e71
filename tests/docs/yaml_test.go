package docs

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
	"gopkg.in/yaml.v3"
)

// profileFile has the resources that fragments may name.
const profileFile = "config/embedded.yaml"

// topLevel are the fields of a whole configuration. What begins with another is
// one component, or a list of them.
var topLevel = []string{
	"http", "input", "buffer", "pipeline", "output", "error_handling", "logger", "metrics", "tracer", "tests",
	"input_resources", "processor_resources", "output_resources", "cache_resources", "rate_limit_resources",
	"shutdown_delay", "shutdown_timeout",
}

// places are where one component, or a list of them, may belong; %s is the
// fragment, as a list.
var places = []string{
	"pipeline:\n  processors:\n%s", "output_resources:\n%s", "cache_resources:\n%s", "input_resources:\n%s",
	"processor_resources:\n%s", "rate_limit_resources:\n%s",
}

// inPlace returns the whole configurations that a block may be meant as.
func inPlace(text string) (wholes []string, err error) {
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(text), &node); err != nil {
		return nil, err
	}
	if len(node.Content) == 0 {
		return nil, fmt.Errorf("it is empty")
	}
	body := node.Content[0]
	switch {
	case body.Kind == yaml.MappingNode && slices.Contains(topLevel, body.Content[0].Value):
		return []string{text}, nil
	case body.Kind == yaml.MappingNode:
		text = indent(text, "      ")
		text = "    - " + strings.TrimPrefix(text[strings.Index(text, strings.TrimSpace(text)):], "    - ")
	case body.Kind == yaml.SequenceNode:
		text = indent(text, "    ")
	default:
		return nil, fmt.Errorf("it is neither a configuration, nor a component, nor a list of components")
	}
	for _, place := range places {
		wholes = append(wholes, fmt.Sprintf(place, text))
	}
	return wholes, nil
}

func indent(text, by string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(by + line)
	}
	return b.String()
}

// lint returns what Benthos's linter has against a block, once it stands where it
// belongs.
func lint(text string) []string {
	wholes, err := inPlace(text)
	if err != nil {
		return []string{err.Error()}
	}
	linter := service.GlobalEnvironment().FullConfigSchema("", "").NewStreamConfigLinter().
		SetEnvVarLookupFunc(func(context.Context, string) (string, bool) { return "", false })
	var fewest []string
	for i, whole := range wholes {
		var found []string
		lints, err := linter.LintYAML([]byte(whole))
		if err != nil {
			found = append(found, err.Error())
		}
		for _, lint := range lints {
			found = append(found, lint.Error())
		}
		if len(found) == 0 {
			return nil
		}
		if i == 0 || len(found) < len(fewest) {
			fewest = found
		}
	}
	return fewest
}

// references are the fields that name a resource.
var references = []string{"resource", "cluster", "catalog", "model"}

// walk calls see with each field of a YAML tree whose value is a scalar.
func walk(node *yaml.Node, see func(field, value string)) {
	if node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(node.Content); i += 2 {
			if value := node.Content[i+1]; value.Kind == yaml.ScalarNode {
				see(node.Content[i].Value, value.Value)
			}
		}
	}
	for _, child := range node.Content {
		walk(child, see)
	}
}

// labels returns the labels that a text of YAML defines.
func labels(text string) map[string]bool {
	var node yaml.Node
	all := map[string]bool{}
	if yaml.Unmarshal([]byte(text), &node) == nil {
		walk(&node, func(field, value string) {
			if field == "label" {
				all[value] = true
			}
		})
	}
	return all
}

// unknownLabels returns what a block names that neither the profile nor its page
// defines.
func unknownLabels(text string, known map[string]bool) (unknown []string) {
	var node yaml.Node
	if yaml.Unmarshal([]byte(text), &node) != nil {
		return nil // the linter says so
	}
	walk(&node, func(field, value string) {
		if slices.Contains(references, field) && !strings.Contains(value, "${") && !known[value] {
			unknown = append(unknown, field+": "+value)
		}
	})
	return unknown
}

func TestEveryYAMLIsLinted(t *testing.T) {
	profile := labels(readFile(t, profileFile))
	linted, left := 0, 0
	for _, page := range pages(t) {
		known := maps.Clone(profile)
		var here []block
		for _, b := range pageBlocks(t, page) {
			if b.language == "yaml" {
				here = append(here, b)
				maps.Copy(known, labels(b.text))
			}
		}
		for _, b := range here {
			if reason, ok := b.note(noteNotLinted); ok {
				t.Logf("%s is not linted: %s", b.at(), reason)
				left++
				continue
			}
			linted++
			checkYAML(t, b, known)
		}
	}
	t.Logf("%d blocks of YAML are linted, %d are not", linted, left)
}

func checkYAML(t *testing.T, b block, known map[string]bool) {
	for _, lint := range lint(b.text) {
		t.Errorf("%s: %s\nmend the block, or write <!-- not linted: why --> right above it", b.at(), lint)
	}
	for _, name := range unknownLabels(b.text, known) {
		t.Errorf("%s: %s is no resource of %s, and none that this page defines", b.at(), name, profileFile)
	}
	if strings.HasPrefix(b.text, "tests:") && !b.has(noteFile) {
		t.Errorf("%s: unit tests are run from a file; write <!-- file: pipelines/NAME_benthos_test.yaml --> right above the block", b.at())
	}
	if file, ok := b.note(noteSameAs); ok {
		if says, is := decode(t, b.text), decode(t, readFile(t, file)); !reflect.DeepEqual(says, is) {
			t.Errorf("%s: the block is not what %s says any more; copy it anew\nthe block: %v\nthe file:  %v", b.at(), file, says, is)
		}
	}
}

func decode(t *testing.T, text string) (value any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Error(err)
	}
	return value
}

func TestTheLintOfDocumentationFindsMistakes(t *testing.T) {
	for name, text := range map[string]string{
		"a whole configuration":    "input:\n  kafka_franz:\n    cluster: kafka\n    topic: [ a ]\n",
		"one output":               "output:\n  file:\n    path: a\n    format: x\n",
		"one component":            "als_predict:\n  modle: model\n",
		"a list of resources":      "- label: a\n  file:\n    paths: a\n",
		"an indented list":         "  - label: a\n    sqlite:\n      path: a\n      tables: b\n",
		"a component that is none": "- rabbit: {}\n",
		"no component":             "just text\n",
		"a variable without value": "output:\n  file:\n    path: ${NOBODY_SETS_THIS}\n",
		"a unit test":              "tests:\n  - name: a\n    input_batches_: []\n",
	} {
		if lint(text) == nil {
			t.Errorf("%s: nothing is found wrong with %q", name, text)
		}
	}
	for name, text := range map[string]string{
		"a list of resources": "  - label: a # why\n    drop: {}\n  - label: b\n    reject: x\n",
		"one component":       "als_predict:\n  model: model\n",
		"one processor":       "- mapping: root = this\n",
		"one resource":        "label: a\nals_model:\n  registry: file://x\n",
	} {
		if lints := lint(text); lints != nil {
			t.Errorf("%s: %q are found wrong with %q", name, lints, text)
		}
	}
	known := map[string]bool{"kafka": true}
	if unknown := unknownLabels("output:\n  kafka_franz: { cluster: kafka }\ninput:\n  resource: nothing\n", known); len(unknown) != 1 || unknown[0] != "resource: nothing" {
		t.Errorf("unknown labels are %q", unknown)
	}
}
