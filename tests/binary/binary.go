// Package binary builds recsys-benthos and runs it as a user does, as a process
// of its own, for the suites that test it from outside.
package binary

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/recsys-benthos/recsys-benthos"

// Build builds the binary and returns its path, and what removes it.
func Build() (path string, remove func(), err error) {
	folder, err := os.MkdirTemp("", "recsys-binary-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(folder) }
	path = filepath.Join(folder, "recsys-benthos")
	build := exec.Command("go", "build", "-o", path, module+"/cmd/recsys-benthos")
	if output, err := build.CombinedOutput(); err != nil {
		remove()
		return "", nil, fmt.Errorf("building the binary: %w\n%s", err, output)
	}
	return path, remove, nil
}

// Main is what TestMain of a suite does: it builds the binary, tells its path,
// runs the tests and returns the exit code.
func Main(m *testing.M, path *string) int {
	built, remove, err := Build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer remove()
	*path = built
	return m.Run()
}

// Process is a running program. It dies with the one that started it, where the
// kernel knows how.
type Process struct {
	Command *exec.Cmd
	Done    chan struct{} // closed when it has ended
}

// Start runs the command, whose environment is extended by env: it inherits no
// setting of ours.
func Start(command *exec.Cmd, env ...string) (*Process, error) {
	p := &Process{Command: command, Done: make(chan struct{})}
	command.Env = append(Inherited(), env...)
	command.SysProcAttr = dieWithUs()
	if err := command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = command.Wait() // ProcessState tells how it ended
		close(p.Done)
	}()
	return p, nil
}

// Inherited is the environment without settings of the program under test.
func Inherited() []string {
	ours := []string{"RECSYS_", "KAFKA_", "CASSANDRA_", "ELASTICSEARCH_", "KIBANA_", "LOG_LEVEL=", "GOMEMLIMIT="}
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return slices.ContainsFunc(ours, func(prefix string) bool { return strings.HasPrefix(variable, prefix) })
	})
}

// Name is what a person would have typed.
func (p *Process) Name() string {
	return filepath.Base(p.Command.Path) + " " + strings.Join(p.Command.Args[1:], " ")
}

// Kill ends the process at once, as kill -9 does, if it still runs.
func (p *Process) Kill() {
	_ = p.Command.Process.Kill()
	<-p.Done
}

// Ended returns an error once the process has ended.
func (p *Process) Ended() error {
	select {
	case <-p.Done:
		return fmt.Errorf("%s has ended: %s", p.Name(), p.Command.ProcessState)
	default:
		return nil
	}
}

// Output collects what a process says. It is safe for concurrent use.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *Output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(text)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Tail is the end of the output.
func (o *Output) Tail() string {
	const most = 6000
	text := o.String()
	return text[max(len(text)-most, 0):]
}

// FreeAddress is a loopback address that nobody listened on a moment ago.
func FreeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
