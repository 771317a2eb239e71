package secrets

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
	"github.com/recsys-benthos/recsys-benthos/tests/serving"
)

// everywhere is an address of all interfaces whose port was free a moment ago.
func everywhere(t *testing.T) (address, port string) {
	t.Helper()
	free, err := binary.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	_, port, err = net.SplitHostPort(free)
	if err != nil {
		t.Fatal(err)
	}
	return "0.0.0.0:" + port, port
}

// quiet is a pipeline that needs nothing and does nothing.
func quiet(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "quiet.yaml")
	text := "input: {generate: {interval: 1h, mapping: root = 1}}\noutput: {drop: {}}\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// start starts the program, which is killed when the test is over.
func start(t *testing.T, env []string, args ...string) (*binary.Process, *binary.Output) {
	t.Helper()
	output := &binary.Output{}
	command := exec.Command(program, args...)
	command.Dir = serving.Root()
	command.Stdout, command.Stderr = output, output
	p, err := binary.Start(command, env...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p, output
}

func TestAnOpenAdminServerIsRefused(t *testing.T) {
	address, _ := everywhere(t)
	streams := []string{"streams", "-o", "config/service.yaml"}
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"all interfaces", streams, "change the pipelines and read their settings: set RECSYS_ADMIN_PASSWORD"},
		{"by --set", append(streams, "--set", "http.address="+address), "the admin server at " + address},
		{"pprof", append(streams, "--no-api", "--set", "http.debug_endpoints=true"), "look into this process"},
		{"pprof of run", []string{"run", "--set", "http.address=" + address, "--set", "http.debug_endpoints=true"}, "look into this process"},
	} {
		t.Run(test.name, func(t *testing.T) {
			said, code := run(t, patience, []string{"RECSYS_ADMIN=" + address}, append(test.args, quiet(t))...)
			if code == 0 || !strings.Contains(said, test.want) {
				t.Errorf("code %d, without %q:\n%s", code, test.want, said)
			}
		})
	}
}

// TestAnAdminServerForOthersAsksForThePassword, for all that it serves, and the
// commands that ask it give it.
func TestAnAdminServerForOthersAsksForThePassword(t *testing.T) {
	address, port := everywhere(t)
	local := "127.0.0.1:" + port
	secrets := newValues("RECSYS_ADMIN_PASSWORD")
	env := append(secrets.settings(t), "RECSYS_ADMIN="+address, "RECSYS_ADMIN_USER=operator")
	p, output := start(t, env, "streams", "-o", "config/service.yaml", quiet(t))
	eventually(t, func() error {
		if err := p.Ended(); err != nil {
			return err
		}
		if said, code := run(t, patience, env, "health", "--admin", local); code != 0 {
			return fmt.Errorf("health: %s\n%s", said, output.Tail())
		}
		return nil
	})
	for _, path := range []string{"/ready", "/metrics", "/stats", "/ping", "/version", "/endpoints", "/streams", "/streams/quiet", "/streams/quiet/stats"} {
		if status, text := ask(t, http.MethodGet, "http://"+local+path, "", nil); status != http.StatusUnauthorized {
			t.Errorf("%s answers %d: %s", path, status, text)
		}
	}
	if status, _ := ask(t, http.MethodDelete, "http://"+local+"/streams/quiet", "", nil); status != http.StatusUnauthorized {
		t.Errorf("a pipeline can be deleted: %d", status)
	}
	if said, code := run(t, patience, []string{"RECSYS_ADMIN_PASSWORD=wrong"}, "health", "--admin", local); code == 0 || !strings.Contains(said, "401") {
		t.Errorf("with a wrong password health says, with code %d: %s", code, said)
	}
	secrets.absent(t, "the log", output.String())
}

// TestWithoutAPasswordOnlyStateIsServed to others: what a container's probes and
// Prometheus ask for.
func TestWithoutAPasswordOnlyStateIsServed(t *testing.T) {
	address, port := everywhere(t)
	local := "http://127.0.0.1:" + port
	p, output := start(t, []string{"RECSYS_ADMIN=" + address}, "streams", "--no-api", "-o", "config/service.yaml", quiet(t))
	eventually(t, func() error {
		if err := p.Ended(); err != nil {
			return fmt.Errorf("%w\n%s", err, output.Tail())
		}
		response, err := http.Get(local + "/ready")
		if err == nil {
			response.Body.Close()
		}
		return err
	})
	for path, want := range map[string]int{
		"/metrics": 200, "/ping": 200, "/streams": 404, "/streams/quiet": 404, "/resources/cache/x": 404,
		"/debug/config/yaml": 404, "/debug/pprof/heap": 404, "/debug/stack": 404,
	} {
		if status, text := ask(t, http.MethodGet, local+path, "", nil); status != want {
			t.Errorf("%s answers %d, want %d: %s", path, status, want, text)
		}
	}
	if status, _ := ask(t, http.MethodPost, local+"/resources/cache/x", "memory: {}", nil); status != http.StatusNotFound {
		t.Errorf("a resource can be made: %d", status)
	}
}
