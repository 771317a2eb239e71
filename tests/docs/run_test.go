package docs

import (
	"slices"
	"strings"
	"testing"
)

// elsewhere are pages whose commands are not run here.
var elsewhere = map[string]string{
	"docs/api.md":         "tests/clients",
	"docs/cluster.md":     "tests/cluster, in its own words: all of it needs servers",
	"docs/swap-a-sink.md": "TestEverySinkHasEveryPredictionOnce",
}

// TestThePagesCanBeFollowed runs what needs no servers, page by page in the order
// of the page.
func TestThePagesCanBeFollowed(t *testing.T) {
	for _, page := range pages(t) {
		all := pageBlocks(t, page)
		run, left := 0, 0
		for _, b := range all {
			switch {
			case b.language != "sh":
			case b.has(noteNeedsServers) || b.has(noteNotRun):
				left++
			default:
				run++
			}
		}
		if where, ok := elsewhere[page]; ok {
			t.Logf("%s: its commands are run by %s", page, where)
			continue
		}
		t.Logf("%s: %d blocks of commands are run, %d are not", page, run, left)
		if run == 0 && !slices.ContainsFunc(all, func(b block) bool { return b.has(noteFile) }) {
			continue
		}
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			v := newVisit(t)
			if !strings.HasPrefix(page, "docs/") { // these are read in a checkout
				v.checkout()
			}
			v.follow(all)
		})
	}
}

func TestCommandsThatCannotBeRunAreTold(t *testing.T) {
	for text, want := range map[string]string{
		"docker compose up":                     "docker is not run in tests",
		"recsys-benthos up --rate 5":            "up does not end by itself",
		"recsys-benthos broker":                 "broker does not end by itself",
		"go run ./cmd/recsys-benthos list":      "go run needs a checkout",
		"echo 'unclosed":                        "without closing quote",
		"x=1 recsys-benthos streams pipelines/": "streams does not end by itself",
	} {
		if err := runnable(block{text: text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, not that %s", text, err, want)
		}
	}
	for _, text := range []string{"recsys-benthos up --for 5s", "recsys-benthos list inputs | head -3", "go build ./cmd/recsys-benthos"} {
		if err := runnable(block{text: text}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if missing := missingLines("a … c\nd\n", "x\n a b c\ndd\n"); !slices.Equal(missing, []string{"d"}) {
		t.Errorf("missing are %q", missing)
	}
	if got := kept("export A=1 B=$(ls)\nls\ncd x # there\n"); got != "export A=1 B=$(ls)\ncd x\n" {
		t.Errorf("kept is %q", got)
	}
	if got := lastByExec("export A=1\nB=2 recsys-benthos broker # now\n"); got != "export A=1\nB=2 exec recsys-benthos broker # now\n" {
		t.Errorf("the script is %q", got)
	}
}
