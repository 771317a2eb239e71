// Package e2e runs the built binary as a user does, as a process of its own,
// and proves what the README promises: that it starts fast, loses nothing
// through kills and outages, and says clearly what is wrong. Nothing here needs
// the internet. With RECSYS_LONG=1 the outages are minutes, not seconds, and the
// kills are twenty.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	folder, err := os.MkdirTemp("", "recsys-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "recsys-benthos")
	build := exec.Command("go", "build", "-o", binary, "github.com/recsys-benthos/recsys-benthos/cmd/recsys-benthos")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the binary: %v\n%s", err, output)
		return 1
	}
	flag.Parse()
	if long() {
		// Long outages are mostly waiting: all at once.
		if err := flag.Set("test.parallel", "8"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// long reports whether the long variants are wanted, as in CI.
func long() bool { return os.Getenv("RECSYS_LONG") == "1" }

// besideOthers runs a test beside others where that makes the suite shorter.
// Among many long outages it would only be held up.
func besideOthers(t *testing.T) {
	if !long() {
		t.Parallel()
	}
}
