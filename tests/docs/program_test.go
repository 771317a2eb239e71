package docs

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestTheProgramOfOnesOwnIsBuiltAndHasItsProcessor builds the two Go files that
// docs/coming-from.md shows, as packages of this module that exist in an overlay only,
// and asks the program for its processors.
func TestTheProgramOfOnesOwnIsBuiltAndHasItsProcessor(t *testing.T) {
	const own = "tests/docs/myrecsys"
	page, err := os.ReadFile("../../docs/coming-from.md")
	if err != nil {
		t.Fatal(err)
	}
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := map[string]string{}
	for _, block := range regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		target := filepath.Join(repository, own, "main.go")
		if strings.Contains(block[1], "package shout") {
			target = filepath.Join(repository, own, "shout", "shout.go")
		}
		if overlay[target] != "" {
			t.Fatalf("docs/coming-from.md has two blocks for %s", target)
		}
		overlay[target] = filepath.Join(dir, filepath.Base(target))
		code := strings.ReplaceAll(block[1], "example.com/my-recsys", "github.com/recsys-benthos/recsys-benthos/"+own)
		if err := os.WriteFile(overlay[target], []byte(code), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if len(overlay) != 2 {
		t.Fatalf("docs/coming-from.md has %d Go files, want the program and its processor", len(overlay))
	}
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // the first build takes minutes
	defer cancel()
	program := filepath.Join(dir, "my-recsys")
	build := exec.CommandContext(ctx, "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "./"+own)
	build.Dir = repository
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program of docs/coming-from.md: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(ctx, program, "list", "processors").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"shout", "als_predict", "mapping"} {
		if !regexp.MustCompile(`(?m)^\s*- ` + name + `$`).Match(out) {
			t.Errorf("the program has no processor %s:\n%s", name, out)
		}
	}
}
