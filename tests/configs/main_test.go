// Package configs runs the configuration that is shipped: it lints and
// unit-tests every YAML of pipelines/ and config/, runs the very pipelines
// against the embedded broker and real stores, takes their dependencies away,
// and has every wrong configuration say what is wrong with it.
package configs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"

	_ "github.com/recsys-benthos/recsys-benthos/plugins/all"
)

// testTimeout is a deadline for what takes milliseconds, a few seconds at most, on
// a machine that runs everything else beside it.
const testTimeout = 2 * time.Minute

// binary is the built command.
var binary string

// TestMain builds the command and works in the repository's root, from which
// the paths of the configuration start.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if err := os.Chdir("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	folder, err := os.MkdirTemp("", "recsys-benthos-configs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "recsys-benthos")
	if out, err := exec.Command("go", "build", "-o", binary, "./cmd/recsys-benthos").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the command: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// command runs the built command in the given environment, beside PATH, HOME
// and the like, and returns what it wrote and its exit code.
func command(t *testing.T, environment map[string]string, args ...string) (output string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	process := exec.CommandContext(ctx, binary, args...)
	process.Env = processEnvironment(environment)
	out, err := process.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("recsys-benthos %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), process.ProcessState.ExitCode()
}

// processEnvironment is this process's environment without what would reach
// into configuration, and with the given variables.
func processEnvironment(variables map[string]string) []string {
	var all []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "RECSYS_") && !strings.HasPrefix(name, "KAFKA_") && name != "LOG_LEVEL" {
			all = append(all, entry)
		}
	}
	for name, value := range variables {
		all = append(all, name+"="+value)
	}
	return all
}
