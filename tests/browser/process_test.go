package browser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/live"
)

// process is a running binary that serves a page.
type process struct {
	command *exec.Cmd
	started time.Time
	origin  string // of the page, such as http://127.0.0.1:4195
	said    output
	done    chan struct{} // closed when it has ended
}

// start runs the binary, which is going to serve its page at the address; the
// test ends it at last.
func start(t testing.TB, address string, args ...string) *process {
	t.Helper()
	p := &process{command: exec.Command(binary, args...), origin: "http://" + address, done: make(chan struct{})}
	p.command.Dir = t.TempDir() // no pipelines of the checkout
	p.command.Env = inherited()
	p.command.Stdout, p.command.Stderr = &p.said, &p.said
	p.started = time.Now()
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.command.Wait() // its ProcessState tells
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

// up is the command up with an address for the page.
func up(address, state, data string, args ...string) []string {
	return append([]string{
		"up", "--listen", address, "--broker", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--state", state, "--data", data, "--quiet",
	}, args...)
}

// freeAddress is an address that nobody listened on a moment ago. It is chosen
// here, not by the program, so that the program can be started there again.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// kill ends the process at once, as kill -9 does, if it still runs.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.done
}

// ended returns an error once the process has ended.
func (p *process) ended() error {
	if p == nil {
		return nil
	}
	select {
	case <-p.done:
		return fmt.Errorf("recsys-benthos %s has ended: %s", p.command.Args[1], p.command.ProcessState)
	default:
		return nil
	}
}

// tail is the end of what the process has said.
func (p *process) tail() string {
	if p == nil {
		return "(no process runs)"
	}
	return "--- what it said:\n" + p.said.tail() + "---"
}

var client = http.Client{Timeout: 5 * time.Second}

// snapshot asks for what the page shows, as another program would.
func (p *process) snapshot() (s live.Snapshot, err error) {
	response, err := client.Get(p.origin + "/live/snapshot")
	if err != nil {
		return s, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return s, fmt.Errorf("/live/snapshot: %s", response.Status)
	}
	return s, json.NewDecoder(response.Body).Decode(&s)
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

func (o *output) tail() string {
	const most = 4000
	o.mu.Lock()
	defer o.mu.Unlock()
	text := o.text.String()
	return text[max(len(text)-most, 0):]
}

// eventually looks again and again until check finds nothing wrong. It gives up
// when the time is over or when the process, unless there is none, has ended.
func eventually(t testing.TB, limit time.Duration, p *process, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		if ended := p.ended(); ended != nil || time.Now().After(deadline) {
			t.Fatalf("after at most %s: %v\n%v\n%s", limit, err, ended, p.tail())
		}
		time.Sleep(25 * time.Millisecond)
	}
}
