//go:build cluster

package cluster

import (
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

// process is a running binary.
type process struct {
	*binary.Process
	name  string
	log   binary.Output // what it writes to both outputs
	admin string        // address of its admin server, of a pipeline
}

// launch runs the binary in dir with env beside what it inherits.
func launch(name, dir string, env []string, args ...string) (p *process, err error) {
	p = &process{name: name}
	command := exec.Command(program, args...)
	command.Dir = dir
	command.Stdout, command.Stderr = &p.log, &p.log
	p.Process, err = binary.Start(command, env...)
	return p, err
}

// end waits until the process has ended, and returns its exit code.
func (p *process) end(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-p.Done:
	case <-time.After(limit):
		p.Kill()
		t.Fatalf("%s did not end within %s\n%s", p.name, limit, p.tail())
	}
	return p.Command.ProcessState.ExitCode()
}

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.Command.Process.Signal(s); err != nil {
		t.Fatalf("sending %s to %s: %v\n%s", s, p.name, err, p.tail())
	}
}

func (p *process) running() bool {
	select {
	case <-p.Done:
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
