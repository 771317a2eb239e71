package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// edit replaces text in a file that init wrote.
func edit(t *testing.T, path, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q to replace", path, old)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), old, replacement)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestInitWritesFilesThatUpRunsAndKeepsWhatWasEdited(t *testing.T) {
	besideOthers(t)
	folder := t.TempDir()
	listed := runBinary(t, folder, "init")
	for _, path := range []string{"pipelines/simulate.yaml", "pipelines/predict.yaml", "config/service.yaml", "config/embedded.yaml"} {
		if _, err := os.Stat(filepath.Join(folder, path)); err != nil || !strings.Contains(listed, filepath.FromSlash(path)) {
			t.Errorf("init did not write %s: %v; it says:\n%s", path, err, listed)
		}
	}
	runBinary(t, folder, "init") // again, unchanged

	edited := filepath.Join(folder, "pipelines", "simulate.yaml")
	original, err := os.ReadFile(edited)
	if err != nil {
		t.Fatal(err)
	}
	edit(t, edited, `"movielens-"`, `"mine-"`)
	start(t, launch{dir: folder, args: []string{"init"}}).refuse(10*time.Second, filepath.Join("pipelines", "simulate.yaml"), "--force")

	data, state := smallData(t, recsystest.DataDir(t), 100), t.TempDir()
	p := start(t, launch{dir: folder, args: up(state, "--data", data, "--rate", "500", "--until-predictions", "50")})
	p.succeed(time.Minute)
	ids := rows(t, openDatabase(t, state, "predictions.db"), "SELECT DISTINCT substr(request_id, 1, 5) FROM predictions")
	if len(ids) != 1 || ids[0] != "mine-" {
		t.Errorf("up did not run the edited pipeline: the request ids begin with %v", ids)
	}

	runBinary(t, folder, "init", "--force")
	if text, err := os.ReadFile(edited); err != nil || string(text) != string(original) {
		t.Errorf("init --force did not restore %s: %v", edited, err)
	}
}

// lintCommand is how what init writes is linted: pipelines use the resources of
// a profile, which is given as the file of resources.
var lintCommand = []string{"lint", "-r", "config/embedded.yaml", "config/service.yaml", "pipelines/*.yaml"}

func TestLintPassesOnWhatInitWritesAndFindsAnUnknownField(t *testing.T) {
	besideOthers(t)
	folder := t.TempDir()
	runBinary(t, folder, "init")
	runBinary(t, folder, lintCommand...)
	edit(t, filepath.Join(folder, "pipelines", "ingest.yaml"), "consumer_group:", "consumers:")
	start(t, launch{dir: folder, args: lintCommand}).refuse(10*time.Second, "ingest.yaml", "consumers")
}
