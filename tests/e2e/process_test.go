package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

// process is a running binary.
type process struct {
	*binary.Process
	t       testing.TB
	started time.Time
	stdout  binary.Output
	stderr  binary.Output
	peak    atomic.Int64 // of resident memory, in bytes
}

// launch says how the binary is started.
type launch struct {
	dir  string   // working folder; empty is an empty one
	env  []string // beside what it inherits, of which no setting of ours is left
	args []string
}

// start runs the binary; the test ends it at last.
func start(t testing.TB, l launch) *process {
	t.Helper()
	return startProgram(t, program, l)
}

func startProgram(t testing.TB, path string, l launch) *process {
	t.Helper()
	p := &process{t: t, started: time.Now()}
	command := exec.Command(path, l.args...)
	if command.Dir = l.dir; l.dir == "" {
		command.Dir = t.TempDir()
	}
	command.Stdout, command.Stderr = &p.stdout, &p.stderr
	var err error
	if p.Process, err = binary.Start(command, l.env...); err != nil {
		t.Fatal(err)
	}
	go p.watchMemory()
	t.Cleanup(p.Kill)
	return p
}

// up is the command up with addresses that are free.
func up(state string, args ...string) []string {
	return append([]string{
		"up", "--state", state, "--listen", "127.0.0.1:0", "--broker", "127.0.0.1:0", "--admin", "127.0.0.1:0",
	}, args...)
}

// watchMemory keeps the highest resident size that the kernel tells, where it
// tells one.
func (p *process) watchMemory() {
	status := filepath.Join("/proc", strconv.Itoa(p.Command.Process.Pid), "status")
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-p.Done:
			return
		case <-ticker.C:
		}
		text, err := os.ReadFile(status)
		if err != nil {
			return
		}
		_, after, _ := strings.Cut(string(text), "VmHWM:")
		if fields := strings.Fields(after); len(fields) > 0 {
			if kilobytes, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
				p.peak.Store(max(p.peak.Load(), kilobytes<<10))
			}
		}
	}
}

// wait waits until the process has ended and returns its exit code.
func (p *process) wait(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.Done:
	case <-time.After(limit):
		_ = p.Command.Process.Signal(syscall.SIGQUIT) // its goroutines tell where it hangs
		select {
		case <-p.Done:
		case <-time.After(5 * time.Second):
		}
		p.t.Fatalf("%s did not end within %s\n%s", p.Name(), limit, p.tail())
	}
	return p.Command.ProcessState.ExitCode()
}

// succeed waits for the end and demands exit code 0.
func (p *process) succeed(limit time.Duration) {
	p.t.Helper()
	if code := p.wait(limit); code != 0 {
		p.t.Fatalf("%s ended with code %d\n%s", p.Name(), code, p.tail())
	}
}

// refuse waits for the end and demands exit code 1 and a message with the given
// words.
func (p *process) refuse(limit time.Duration, words ...string) {
	p.t.Helper()
	if code := p.wait(limit); code != 1 {
		p.t.Fatalf("%s ended with code %d instead of 1\n%s", p.Name(), code, p.tail())
	}
	for _, word := range words {
		if !strings.Contains(p.stderr.String(), word) {
			p.t.Errorf("%s does not say %q\n%s", p.Name(), word, p.tail())
		}
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.Command.Process.Signal(s); err != nil {
		p.t.Fatalf("sending %s to %s: %v\n%s", s, p.Name(), err, p.tail())
	}
}

// tail is the end of what the process has said.
func (p *process) tail() string {
	return fmt.Sprintf("--- end of its output:\n%s--- end of its errors:\n%s---", p.stdout.Tail(), p.stderr.Tail())
}

// runBinary runs a command that ends by itself and returns its output.
func runBinary(t testing.TB, dir string, args ...string) string {
	t.Helper()
	p := start(t, launch{dir: dir, args: args})
	p.succeed(time.Minute)
	return p.stdout.String()
}

// eventually looks again and again until check finds nothing wrong. It gives up
// when the time is over or when the process has ended.
func eventually(t testing.TB, limit time.Duration, p *process, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		if ended := p.Ended(); ended != nil || time.Now().After(deadline) {
			t.Fatalf("after %s: %v\n%v\n%s", limit, err, ended, p.tail())
		}
		time.Sleep(25 * time.Millisecond)
	}
}
