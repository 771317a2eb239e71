//go:build cluster

package cluster

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a running binary.
type process struct {
	name    string
	command *exec.Cmd
	log     output        // what it writes to both outputs
	done    chan struct{} // closed when it has ended
}

// launch runs the binary in dir with env beside what it inherits, of which no
// setting of ours is left.
func launch(name, dir string, env []string, args ...string) (*process, error) {
	p := &process{name: name, command: exec.Command(binary, args...), done: make(chan struct{})}
	p.command.Dir = dir
	p.command.Env = append(inherited(), env...)
	p.command.Stdout, p.command.Stderr = &p.log, &p.log
	p.command.SysProcAttr = dieWithUs()
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.command.Wait() // ProcessState tells how it ended
		close(p.done)
	}()
	return p, nil
}

// inherited is the environment without settings of the program under test.
func inherited() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		for _, prefix := range []string{"RECSYS_", "KAFKA_", "CASSANDRA_", "ELASTICSEARCH_", "LOG_LEVEL=", "GOMEMLIMIT="} {
			if strings.HasPrefix(variable, prefix) {
				return true
			}
		}
		return false
	})
}

// end waits until the process has ended, and returns its exit code.
func (p *process) end(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		p.kill()
		t.Fatalf("%s did not end within %s\n%s", p.name, limit, p.tail())
	}
	return p.command.ProcessState.ExitCode()
}

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.command.Process.Signal(s); err != nil {
		t.Fatalf("sending %s to %s: %v\n%s", s, p.name, err, p.tail())
	}
}

// kill ends the process at once, as kill -9 does, if it still runs.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.done
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// tail is the end of what the process has said.
func (p *process) tail() string {
	const most = 4000
	text := p.log.String()
	return fmt.Sprintf("--- end of the log of %s:\n%s---", p.name, text[max(len(text)-most, 0):])
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

// freeAddress returns a loopback address where nobody listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// eventually looks again and again until check finds nothing wrong, and gives up
// when the time is over.
func eventually(t testing.TB, limit time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v", limit, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
