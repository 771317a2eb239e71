// Package observe runs the program as a process of its own and looks at it as an
// operator does: by its metrics, its readiness, its traces and its log.
package observe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

var program string

func TestMain(m *testing.M) { os.Exit(binary.Main(m, &program)) }

// patience is how long a busy machine may take for anything.
const patience = time.Minute

// process is a running program and what it says.
type process struct {
	*binary.Process
	said binary.Output
}

func start(t *testing.T, dir string, env []string, args ...string) *process {
	t.Helper()
	p := &process{}
	command := exec.Command(program, args...)
	command.Dir, command.Stdout, command.Stderr = dir, &p.said, &p.said
	var err error
	if p.Process, err = binary.Start(command, env...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// eventually looks until check finds nothing wrong.
func (p *process) eventually(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		if ended := p.Ended(); ended != nil || time.Now().After(deadline) {
			t.Fatalf("after %s: %v\n%v\n%s", limit, err, ended, p.said.Tail())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// run runs a command that ends by itself.
func run(t *testing.T, dir string, args ...string) (code int, output string) {
	t.Helper()
	command := exec.Command(program, args...)
	command.Dir, command.Env = dir, binary.Inherited()
	said, _ := command.CombinedOutput()
	return command.ProcessState.ExitCode(), string(said)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := binary.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// train puts a champion into the registry of a state folder.
func train(t *testing.T, data, state string) {
	t.Helper()
	registry := "file://" + filepath.Join(state, "registry")
	if code, said := run(t, "", "train", "--ratings", data, "--registry", registry, "--rank", "4", "--iterations", "3", "--preference-rank", "0"); code != 0 {
		t.Fatal(said)
	}
}

// whole is `up`, which has everything.
type whole struct {
	*process
	page, admin, broker, state string // the first two with http://
}

// up runs it with a champion.
func up(t *testing.T, env []string, args ...string) *whole {
	t.Helper()
	state := t.TempDir()
	train(t, recsystest.DataDir(t), state)
	return upIn(t, state, env, args...)
}

func upIn(t *testing.T, state string, env []string, args ...string) *whole {
	t.Helper()
	data := recsystest.DataDir(t)
	w := &whole{state: state, process: start(t, t.TempDir(), env, append([]string{
		"up", "--data", data, "--state", state, "--listen", "127.0.0.1:0", "--broker", "127.0.0.1:0", "--admin", "127.0.0.1:0",
	}, args...)...)}
	for name, address := range map[string]*string{"page": &w.page, "admin": &w.admin, "broker": &w.broker} {
		w.eventually(t, patience, func() error {
			found := regexp.MustCompile(name + `[=: ]+((?:http://)?127[0-9.:]+)`).FindStringSubmatch(w.said.String())
			if found == nil {
				return fmt.Errorf("it does not say the address of %s", name)
			}
			*address = found[1]
			return nil
		})
	}
	return w
}

func get(url string) (status int, header http.Header, body string, err error) {
	return ask(http.MethodGet, url, "", nil)
}

func ask(method, url, body string, header http.Header) (int, http.Header, string, error) {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	client := http.Client{Timeout: 15 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header, string(text), err
}

func produce(t *testing.T, broker string, records ...*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// find reads a topic from its start until a record is the one.
func find(t *testing.T, broker, topic string, is func(*kgo.Record) bool) *kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("the record is not in topic %s", topic)
		}
		for _, r := range fetches.Records() {
			if is(r) {
				return r
			}
		}
	}
}

// listens waits until somebody listens at the address.
func (p *process) listens(t *testing.T, address string) {
	t.Helper()
	p.eventually(t, patience, func() error {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}
