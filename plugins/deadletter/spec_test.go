package deadletter_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
)

func TestExamplesAreValid(t *testing.T) {
	view, ok := service.GlobalEnvironment().GetProcessorConfig("dead_letter")
	if !ok {
		t.Fatal("dead_letter is not registered")
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
		t.Error("there is no example")
	}
	linter := service.GlobalEnvironment().FullConfigSchema("", "").NewStreamConfigLinter().
		SetEnvVarLookupFunc(func(context.Context, string) (string, bool) { return "", false })
	for _, example := range spec.Examples {
		lints, err := linter.LintYAML([]byte(example.Config))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lints {
			t.Errorf("example %q: %s", example.Title, l.Error())
		}
	}
}

func TestBadMaxBytesNamesTheField(t *testing.T) {
	for _, value := range []string{"lots", "0"} {
		builder := service.NewStreamBuilder()
		if err := builder.SetYAML("input: {generate: {count: 1, mapping: 'root = 1'}}\npipeline: {processors: [{dead_letter: {max_bytes: '" + value + "'}}]}\noutput: {drop: {}}"); err != nil {
			t.Fatal(err)
		}
		stream, err := builder.Build()
		if err == nil {
			err = stream.Run(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), "field max_bytes") {
			t.Errorf("%s: error is %v", value, err)
		}
	}
}
