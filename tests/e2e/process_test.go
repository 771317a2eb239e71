package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// process is a running binary.
type process struct {
	t       testing.TB
	command *exec.Cmd
	started time.Time
	stdout  output
	stderr  output
	done    chan struct{} // closed when it has ended
	peak    atomic.Int64  // of resident memory, in bytes
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
	p := &process{t: t, command: exec.Command(binary, l.args...), done: make(chan struct{})}
	if p.command.Dir = l.dir; l.dir == "" {
		p.command.Dir = t.TempDir()
	}
	p.command.Env = append(inherited(), l.env...)
	p.command.Stdout, p.command.Stderr = &p.stdout, &p.stderr
	p.started = time.Now()
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go p.watchMemory()
	go func() {
		_ = p.command.Wait() // ProcessState tells how it ended
		close(p.done)
	}()
	t.Cleanup(p.kill)
	return p
}

// inherited is the environment without settings of the program under test.
func inherited() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return strings.HasPrefix(name, "RECSYS_") || name == "KAFKA_BROKERS" || name == "LOG_LEVEL" || name == "GOMEMLIMIT"
	})
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
	status := filepath.Join("/proc", strconv.Itoa(p.command.Process.Pid), "status")
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-p.done:
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
	case <-p.done:
	case <-time.After(limit):
		_ = p.command.Process.Signal(syscall.SIGQUIT) // its goroutines tell where it hangs
		select {
		case <-p.done:
		case <-time.After(5 * time.Second):
		}
		p.t.Fatalf("%s did not end within %s\n%s", p.name(), limit, p.tail())
	}
	return p.command.ProcessState.ExitCode()
}

// succeed waits for the end and demands exit code 0.
func (p *process) succeed(limit time.Duration) {
	p.t.Helper()
	if code := p.wait(limit); code != 0 {
		p.t.Fatalf("%s ended with code %d\n%s", p.name(), code, p.tail())
	}
}

// refuse waits for the end and demands exit code 1 and a message with the given
// words.
func (p *process) refuse(limit time.Duration, words ...string) {
	p.t.Helper()
	if code := p.wait(limit); code != 1 {
		p.t.Fatalf("%s ended with code %d instead of 1\n%s", p.name(), code, p.tail())
	}
	for _, word := range words {
		if !strings.Contains(p.stderr.String(), word) {
			p.t.Errorf("%s does not say %q\n%s", p.name(), word, p.tail())
		}
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.command.Process.Signal(s); err != nil {
		p.t.Fatalf("sending %s to %s: %v\n%s", s, p.name(), err, p.tail())
	}
}

// kill ends the process at once, as kill -9 does, if it still runs.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.done
}

// alive fails the test if the process has ended.
func (p *process) alive() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended: %s", p.name(), p.command.ProcessState)
	default:
		return nil
	}
}

func (p *process) name() string { return "recsys-benthos " + strings.Join(p.command.Args[1:], " ") }

// tail is the end of what the process has said.
func (p *process) tail() string {
	return fmt.Sprintf("--- end of its output:\n%s--- end of its errors:\n%s---", p.stdout.tail(), p.stderr.tail())
}

// runBinary runs a command that ends by itself and returns its output.
func runBinary(t testing.TB, dir string, args ...string) string {
	t.Helper()
	p := start(t, launch{dir: dir, args: args})
	p.succeed(time.Minute)
	return p.stdout.String()
}

// output collects what a process says. It is safe for concurrent use.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(text)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) tail() string {
	const most = 6000
	text := o.String()
	return text[max(len(text)-most, 0):]
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
		if ended := p.alive(); ended != nil || time.Now().After(deadline) {
			t.Fatalf("after %s: %v\n%v\n%s", limit, err, ended, p.tail())
		}
		time.Sleep(25 * time.Millisecond)
	}
}
