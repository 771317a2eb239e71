package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestTheFileIsWhatIsGenerated(t *testing.T) {
	want, err := export()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../config/kibana/recsys-benthos.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("config/kibana/recsys-benthos.ndjson is not what internal/kibana/gen makes; run: go generate ./internal/kibana")
	}
}

func TestFormulaeBecomeTrees(t *testing.T) {
	for text, want := range map[string]string{
		"1 + 2 * 3":             `{"name":"add","args":[1,{"name":"multiply","args":[2,3]}]}`,
		"(1 + 2) / 4 - 5":       `{"name":"subtract","args":[{"name":"divide","args":[{"name":"add","args":[1,2]},4]},5]}`,
		"count()":               `"cX0"`,
		"sqrt(average(a) + 1)":  `{"name":"sqrt","args":[{"name":"add","args":["cX0",1]}]}`,
		"count(kql='a: *') / 2": `{"name":"divide","args":["cX0",2]}`,
	} {
		tree, _, err := parseFormula("c", text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := plain(t, tree); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	_, found, err := parseFormula("c", "pow(average(a, kql='b: 1'), 2) + count()")
	if want := []aggregation{{"cX0", "average", "a", "b: 1"}, {"cX1", "count", everything, ""}}; err != nil || len(found) != 2 || found[0] != want[0] || found[1] != want[1] {
		t.Errorf("got %v, %v; want %v", found, err, want)
	}
}

func TestBrokenFormulaeAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                "ends too early",
		"1 +":             "ends too early",
		"average()":       "average needs a field",
		"count(a)":        "unexpected",
		"count(kql='a":    "has no end",
		"sqrt(1":          "ends too early",
		"1 2":             `unexpected '2' at character 3`,
		"prediction + 1":  "unexpected",
		"average(a) % 10": `unexpected '%' at character 12`,
	} {
		if _, _, err := parseFormula("c", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", text, err, want)
		}
	}
}

// plain is a tree without where its nodes are written.
func plain(t *testing.T, tree any) string {
	t.Helper()
	n, ok := tree.(node)
	if !ok {
		text, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	args := make([]string, len(n.Args))
	for i, arg := range n.Args {
		args[i] = plain(t, arg)
	}
	return `{"name":"` + n.Name + `","args":[` + strings.Join(args, ",") + `]}`
}
