package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// command is what a node runs.
type command struct {
	path string
	args []string
	env  []string // beside the environment of this process
	dir  string   // working folder
	log  string   // file that gets what it writes, appended
	uid  uint32   // user to run as, 0 for the present one
}

// process is a running command and what it started.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it is dead and reaped
	err  error         // how it ended; read after done

	mu   sync.Mutex // a signal is sent before the reaping or not at all
	dead bool
}

// starts is the queue of the one thread that starts processes. On Linux the kernel
// kills them when that thread ends, so it is one that lasts as long as this process.
var starts = sync.OnceValue(func() chan<- func() {
	queue := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range queue {
			start()
		}
	}()
	return queue
})

// run starts a command.
func run(c command) (*process, error) {
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.path, c.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, log, log
	cmd.Env = append(os.Environ(), c.env...)
	cmd.SysProcAttr = ownGroup()
	if c.uid != 0 {
		setUser(cmd, c.uid)
	}
	result := make(chan error)
	starts() <- func() { result <- cmd.Start() }
	if err := <-result; err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go p.reap()
	return p, nil
}

// reap waits for the end. A server that was started through a launcher goes with it.
func (p *process) reap() {
	awaitDeath(p.cmd.Process.Pid)
	p.mu.Lock()
	_ = signalGroup(p.cmd.Process.Pid, syscall.SIGKILL)
	p.dead = true
	p.mu.Unlock()
	p.err = p.cmd.Wait()
	close(p.done)
}

// signal sends a signal to the process and those it started; none if it is dead.
func (p *process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return nil
	}
	return signalGroup(p.cmd.Process.Pid, s)
}

// running tells whether the process lives. A nil process does not.
func (p *process) running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// kill ends the process at once and waits until it is gone.
func (p *process) kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// output runs a short command, such as a tool of a server, and returns what it wrote.
func output(ctx context.Context, c command) (string, error) {
	p, err := run(c)
	if err != nil {
		return "", err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		_ = p.kill()
		return "", ctx.Err()
	}
	text, err := os.ReadFile(c.log)
	if err != nil {
		return "", err
	}
	if p.err != nil {
		return "", fmt.Errorf("%w\n%s", p.err, lastLines(text, 20))
	}
	return string(text), nil
}

// pollInterval is between two looks at a condition that is waited for.
const pollInterval = 50 * time.Millisecond

var errDied = errors.New("it has ended by itself")

// poll calls ready until it returns nil, ctx ends or died is closed. An attempt may
// take 5 s.
func poll(ctx context.Context, died <-chan struct{}, ready func(ctx context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := ready(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-died:
			return errDied
		case <-ctx.Done():
			return fmt.Errorf("%w; at last: %w", context.Cause(ctx), err)
		case <-time.After(pollInterval):
		}
	}
}
