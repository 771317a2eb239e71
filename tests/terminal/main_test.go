// Package terminal runs the built binary as a person at a terminal does: what is
// typed wrong, what is completed, drawn and printed, and with which exit code.
package terminal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

// program is the path of the binary under test, built once.
var program string

// shared is the folder of what several tests read.
var shared string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	folder, err := os.MkdirTemp("", "recsys-terminal-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	shared = folder
	return binary.Main(m, &program)
}

// patience is how long anything may take: machines may be busy.
const patience = 60 * time.Second

// ran is how a command ended.
type ran struct {
	stdout, stderr string
	code           int
}

// run runs the program in a folder of its own, with variables added.
func run(t *testing.T, variables []string, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = t.TempDir()
	command.Env = append(environment(), variables...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%q: %v, %v", args, err, ctx.Err())
	}
	return ran{stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
}

// environment is what every run has: no settings of ours, and a terminal's.
func environment() []string {
	own := slices.DeleteFunc(binary.Inherited(), func(variable string) bool {
		return slices.ContainsFunc([]string{"COLUMNS=", "NO_COLOR=", "TERM="}, func(name string) bool { return strings.HasPrefix(variable, name) })
	})
	return append(own, "TERM=xterm-256color")
}

// fixture is a data set with a registry of versions that were trained from it.
type fixture struct{ data, registry string }

var prepare = sync.OnceValues(func() (fixture, error) {
	f := fixture{filepath.Join(shared, "data"), "file://" + filepath.Join(shared, "registry")}
	if err := writeData(f.data); err != nil {
		return f, err
	}
	for _, rank := range []string{"3", "4", "6"} {
		command := exec.Command(program, "train", "--ratings", f.data, "--registry", f.registry, "--rank", rank, "--iterations", "3", "--preference-rank", "4")
		command.Env = environment()
		if out, err := command.CombinedOutput(); err != nil {
			return f, fmt.Errorf("%w\n%s", err, out)
		}
	}
	return f, nil
})

func prepared(t *testing.T) fixture {
	t.Helper()
	f, err := prepare()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// writeData writes a data set of 80 users, each of whom rates two thirds of 45 movies.
func writeData(folder string) error {
	var ratings, movies strings.Builder
	ratings.WriteString("userId,movieId,rating,timestamp\n")
	movies.WriteString("movieId,title,genres\n")
	for movie := range 45 {
		fmt.Fprintf(&movies, "%d,\"A film with a rather long name, number %d (19%02d)\",Drama|Crime\n", movie+1, movie+1, 50+movie)
	}
	noise := rand.New(rand.NewPCG(1, 2))
	for user := range 80 {
		for movie := range 45 {
			if (user+movie)%3 == 0 {
				continue
			}
			halves := 6 + user%3 - movie%4 + noise.IntN(5) - 2 // which nothing explains
			fmt.Fprintf(&ratings, "%d,%d,%.1f,%d\n", user+1, movie+1, float64(min(max(halves, 1), 10))/2, 1_600_000_000+movie*1000+user)
		}
	}
	return errors.Join(os.MkdirAll(folder, 0o755),
		os.WriteFile(filepath.Join(folder, "ratings.csv"), []byte(ratings.String()), 0o600),
		os.WriteFile(filepath.Join(folder, "movies.csv"), []byte(movies.String()), 0o600))
}

// eventually waits until check finds nothing to complain of.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); ; <-ticker.C {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func expect(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("it does not say %q:\n%s", part, text)
		}
	}
}

var errNotYet = errors.New("it has not worked for a second yet")

func itoa(n int) string { return fmt.Sprint(n) }

// missing names a part that a text does not have.
func missing(text string, parts []string) error {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return fmt.Errorf("it does not say %q: %q", part, text)
		}
	}
	return nil
}
