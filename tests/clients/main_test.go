// Package clients asks a running server as programs of others do: by the commands
// and programs of the documentation, by Gorse's own client, and by requests that
// are made from the OpenAPI document.
package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/tests/serving"
)

// server runs for all tests: the built binary with its pipelines and the fixtures
// of config/.
var server *serving.Server

func TestMain(m *testing.M) {
	os.Exit(serving.Main(m, serving.Config{Pipelines: []string{"ingest", "items", "movies", "fold_in", "users"}}, &server))
}

// documented is where the documentation has the server.
const documented = "http://127.0.0.1:4195"

// apiDocument is docs/api.md.
func apiDocument(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(serving.Root(), "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// blocks are the fenced ones of a language in docs/api.md, with the address of the
// server that runs.
func blocks(t *testing.T, language string) (all []string) {
	t.Helper()
	for _, found := range fence.FindAllStringSubmatch(apiDocument(t), -1) {
		if found[1] == language {
			all = append(all, strings.ReplaceAll(found[2], documented, server.Base))
		}
	}
	return all
}

// need returns a program's path. Where it is missing the test is skipped, but in CI
// it fails: there, a test that was not run must not look like one that passed.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skipf("SKIPPED, NOT TESTED: %v", err)
	return ""
}
