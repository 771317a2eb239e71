package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/live"
	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

// process is a running binary that serves a page.
type process struct {
	*binary.Process
	started time.Time
	origin  string // of the page, such as http://127.0.0.1:4195
	said    binary.Output
}

// start runs the binary, which is going to serve its page at the address; the
// test ends it at last.
func start(t testing.TB, address string, args ...string) *process {
	t.Helper()
	return startWith(t, nil, address, args...)
}

// startWith is start with more in the environment.
func startWith(t testing.TB, env []string, address string, args ...string) *process {
	t.Helper()
	p := &process{origin: "http://" + address, started: time.Now()}
	command := exec.Command(program, args...)
	command.Dir = t.TempDir() // no pipelines of the checkout
	command.Stdout, command.Stderr = &p.said, &p.said
	var err error
	if p.Process, err = binary.Start(command, env...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
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
	address, err := binary.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// ended returns an error once the process has ended.
func (p *process) ended() error {
	if p == nil {
		return nil
	}
	return p.Ended()
}

// tail is the end of what the process has said.
func (p *process) tail() string {
	if p == nil {
		return "(no process runs)"
	}
	return "--- what it said:\n" + p.said.Tail() + "---"
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
