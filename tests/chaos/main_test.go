// Package chaos breaks the embedded profile on purpose, each of its processes, its
// network, its disks and its clocks, under load, and demands each time that the
// accounts close: every event is stored or a dead letter, every request predicted
// or a dead letter, nothing else, nothing lost. It prints how long that takes.
//
// What runs by default has every fault in it once. With RECSYS_CHAOS=1 processes
// are killed 100 times, and everything else happens to each of them and lasts
// longer. RECSYS_SEED repeats a run; RECSYS_FAULTS_TABLE names a file for the table
// of docs/reliability.md.
package chaos

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

var (
	// program is the path of the binary under test, built once.
	program string
	// champion is a folder with a registry of one version.
	champion string
	// seed of all random choices.
	seed uint64
)

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	flag.Parse()
	seed = rand.Uint64N(1e6)
	if text := os.Getenv("RECSYS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			fmt.Fprintln(os.Stderr, "RECSYS_SEED:", err)
			return 1
		}
	}
	folder, err := os.MkdirTemp("", "recsys-chaos-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	champion = filepath.Join(folder, "registry")
	// Faults are mostly waiting: several kinds at once. Where they are not alone, as in CI,
	// they leave room.
	if err := flag.Set("test.parallel", map[bool]string{true: "6", false: "3"}[long()]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	politely()
	code := binary.Main(m, &program)
	if len(table.rows) > 0 {
		fmt.Print(table.markdown())
	}
	return code
}

// long reports whether everything is wanted.
func long() bool { return os.Getenv("RECSYS_CHAOS") == "1" }

// choices returns a source of random choices of its own for each test.
func choices(t *testing.T, stream uint64) *rand.Rand {
	t.Helper()
	t.Logf("repeat it with RECSYS_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, stream))
}
