// Package secrets holds the program to what SECURITY.md says of secrets and of the
// admin server, from outside: it is run as a process, and all that it says, serves
// and keeps is searched.
package secrets

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
	"github.com/recsys-benthos/recsys-benthos/tests/serving"
)

// program is the path of the binary under test, built once.
var program string

func TestMain(m *testing.M) { os.Exit(binary.Main(m, &program)) }

// patience is how long anything may take: machines may be busy.
const patience = 60 * time.Second

// variables are all secrets that the program takes. A test fails if the
// configuration has another one.
var variables = []string{
	"KAFKA_PASSWORD", "CASSANDRA_PASSWORD", "ELASTICSEARCH_PASSWORD", "ELASTICSEARCH_API_KEY",
	"KIBANA_PASSWORD", "KIBANA_API_KEY",
	"RECSYS_API_READ_KEY", "RECSYS_API_WRITE_KEY", "RECSYS_API_ADMIN_KEY", "RECSYS_ADMIN_PASSWORD",
}

// values are the secrets of a test, by variable, and what else must not be told.
type values map[string]string

// newValues makes a secret for each variable that is asked for.
func newValues(names ...string) values {
	v := values{}
	for _, name := range names {
		v[name] = "s3cret" + rand.Text()
	}
	return v
}

// settings hands them over: half as variables, half as files.
func (v values) settings(t *testing.T) (env []string) {
	t.Helper()
	folder := t.TempDir()
	byFile := false
	for name, value := range v {
		if strings.HasPrefix(name, "in ") { // part of a URL
			continue
		}
		if byFile = !byFile; !byFile {
			env = append(env, name+"="+value)
			continue
		}
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"_FILE="+path)
	}
	return env
}

// absent fails if any secret is in what the program told or kept, also as JSON or
// base64 would have it, as far as letters and digits differ.
func (v values) absent(t *testing.T, where, text string) {
	t.Helper()
	for name, value := range v {
		if at := strings.Index(text, value); at >= 0 {
			t.Errorf("%s tells %s: …%s…", where, name, text[max(at-200, 0):min(at+len(value)+50, len(text))])
		}
	}
}

// absentIn does that for every file of a folder.
func (v values) absentIn(t *testing.T, folder string) (files int) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // a segment that has just been removed
			return nil
		}
		files++
		v.absent(t, path, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// run runs the program in the project's folder, or gives up after a while, and
// returns all that it says.
func run(t *testing.T, limit time.Duration, env []string, args ...string) (said string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = serving.Root()
	command.Env = append(binary.Inherited(), env...)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = patience
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && ctx.Err() == nil {
		t.Fatalf("%q: %v", args, err)
	}
	if strings.Contains(output.String(), "panic:") {
		t.Errorf("%q panics:\n%s", args, output.String())
	}
	return output.String(), command.ProcessState.ExitCode()
}

// ask returns the answer to a request, with what header says added.
func ask(t *testing.T, method, url, body string, header map[string]string) (status int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	client := http.Client{Timeout: patience}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

// eventually looks again and again until check finds nothing wrong.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v", patience, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
