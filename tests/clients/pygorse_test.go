//go:build cluster

package clients

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// PyGorse and what it asks by, all pinned.
var pygorse = []string{"pygorse==0.5.1", "requests==2.32.5", "aiohttp==3.13.2"}

// pygorseReport is what testdata/pygorse.py writes.
type pygorseReport struct {
	Methods map[string][]string
	Calls   []struct{ Class, Method, Problem string }
	// Differences are the names of what is not as in Gorse, and was found to be so.
	Differences []string
}

// TestPyGorseWorksUnchanged: each method of its two clients does what Gorse's
// documentation says, but for what docs/api.md lists.
func TestPyGorseWorksUnchanged(t *testing.T) {
	need(t, "python3")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	python, err := servers.FetchPython(ctx, pygorse...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(ctx, python, "testdata/pygorse.py", server.Base).Output()
	var report pygorseReport
	if err = errors.Join(err, json.Unmarshal(out, &report)); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Logf("%s", exit.Stderr)
		}
		t.Fatalf("%v\n%s\n%s", err, out, server.Output.Tail())
	}
	called := map[string][]string{}
	for _, c := range report.Calls {
		called[c.Class] = append(called[c.Class], c.Method)
		if c.Problem != "" {
			t.Errorf("%s.%s: %s", c.Class, c.Method, c.Problem)
		}
	}
	if len(report.Methods) != 2 {
		t.Errorf("the classes are %v", report.Methods)
	}
	for class, methods := range report.Methods {
		if slices.Sort(called[class]); !slices.Equal(called[class], methods) || len(methods) < 19 {
			t.Errorf("%s has the methods\n%v, called were\n%v", class, methods, called[class])
		}
	}
	if listed := listedDifferences(t); !slices.Equal(report.Differences, listed) || len(listed) == 0 {
		t.Errorf("found to differ from Gorse:\n%q\nlisted in docs/api.md:\n%q", report.Differences, listed)
	}
}

var row = regexp.MustCompile(`(?m)^\| (.+?) \| .+ \|$`)

// listedDifferences are the first cells of the table under its heading in
// docs/api.md.
func listedDifferences(t *testing.T) (names []string) {
	t.Helper()
	_, after, found := strings.Cut(apiDocument(t), "### What is not as in Gorse\n")
	if !found {
		t.Fatal("docs/api.md does not say what is not as in Gorse")
	}
	section, _, _ := strings.Cut(after, "\n#")
	for _, cell := range row.FindAllStringSubmatch(section, -1)[1:] {
		if name := strings.ReplaceAll(cell[1], "`", ""); name != "-" {
			names = append(names, name)
		}
	}
	return names
}
