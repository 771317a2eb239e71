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
	"testing"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

// program is the path of the binary under test, built once.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	flag.Parse()
	if long() {
		// Long outages are mostly waiting: all at once.
		if err := flag.Set("test.parallel", "8"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return binary.Main(m, &program)
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
