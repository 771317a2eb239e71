package terminal

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

func TestExitCodesAreThoseOfTheHelp(t *testing.T) {
	f := prepared(t)
	for name, c := range map[string]struct {
		args []string
		code int
		says []string // on standard error
	}{
		"success":                     {[]string{"models", "list", "--registry", f.registry}, 0, nil},
		"help":                        {[]string{"models", "--help"}, 0, nil},
		"a command that fails":        {[]string{"models", "show", "--registry", f.registry, "nothing"}, 1, []string{"not found"}},
		"a lint of Benthos":           {[]string{"lint", "missing.yaml"}, 1, nil},
		"an unknown command":          {[]string{"modles"}, 2, []string{`unknown command "modles"; did you mean "models"?`}},
		"an unknown subcommand":       {[]string{"models", "promot"}, 2, []string{`did you mean "promote"?`}},
		"an unknown flag":             {[]string{"train", "--rakn", "3"}, 2, []string{`unknown flag "--rakn"; did you mean "--rank"?`}},
		"an unknown flag of Benthos":  {[]string{"lint", "--resorces", "x"}, 2, []string{`did you mean "--resources"?`}},
		"a value that does not fit":   {[]string{"train", "--ratings", f.data, "--holdout", "7"}, 2, []string{"--holdout 7"}},
		"an algorithm that is not":    {[]string{"train", "--ratings", f.data, "--algorithm", "asl"}, 2, []string{"asl"}},
		"a flag that is missing":      {[]string{"predict", "--user", "1"}, 2, []string{"give --movie"}},
		"an argument too many":        {[]string{"models", "list", "x"}, 2, []string{`unexpected argument "x"`}},
		"an unknown shell":            {[]string{"completion", "bahs"}, 2, []string{`did you mean "bash"?`}},
		"nothing that answers health": {[]string{"health", "--admin", "127.0.0.1:1"}, 1, []string{"not healthy"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, nil, c.args...)
			if got.code != c.code {
				t.Errorf("it ended with %d, want %d\n%s%s", got.code, c.code, got.stdout, got.stderr)
			}
			expect(t, got.stderr, c.says...)
			if c.code == 2 && (got.stdout != "" || strings.Count(got.stderr, "\n") != 1) {
				t.Errorf("it says more than one line:\n%s%s", got.stdout, got.stderr)
			}
		})
	}
	expect(t, run(t, nil, "--help").stdout, "EXIT CODES:", "130")
	expect(t, run(t, nil, "train", "--help").stdout, "EXIT CODES:", "recsys-benthos train --ratings")
}

func TestCtrlCEndsWith130AndLeavesNoTemporaryFile(t *testing.T) {
	f := prepared(t)
	folder := t.TempDir()
	// Far more iterations than anybody waits for.
	command := exec.Command(program, "train", "--ratings", f.data, "--registry", "file://"+folder, "--iterations", "10000", "--rank", "64", "--algorithm", "als")
	var output binary.Output
	command.Stderr = &output
	p, err := binary.Start(command)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	eventually(t, func() error { // it is training once it has used some time
		return usedTime(p.Command.Process.Pid)
	})
	if err := p.Command.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-p.Done
	if code := p.Command.ProcessState.ExitCode(); code != 130 {
		t.Errorf("it ended with %d\n%s", code, output.String())
	}
	expect(t, output.String(), "stopped: interrupt")
	left, err := filepath.Glob(filepath.Join(folder, "models", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

func TestErrorsUnderJSONAreJSONOnStandardError(t *testing.T) {
	f := prepared(t)
	for code, args := range map[int][]string{
		1: {"models", "show", "--registry", f.registry, "--json", "nothing"},
		2: {"models", "list", "--registry", f.registry, "--json", "--jsno"},
	} {
		got := run(t, nil, args...)
		var told struct {
			Error    string
			ExitCode int `json:"exit_code"`
		}
		if err := json.Unmarshal([]byte(got.stderr), &told); err != nil || told.Error == "" || told.ExitCode != code || got.code != code || got.stdout != "" {
			t.Errorf("%q: %v, %+v", args, err, got)
		}
	}
}

func TestWithoutATerminalNothingIsDrawn(t *testing.T) {
	f := prepared(t)
	for _, args := range [][]string{
		{"models", "list", "--registry", f.registry},
		{"eval", "--ratings", f.data, "--rank", "3", "--iterations", "2"},
		{"recommend", "--all", "--out", filepath.Join(t.TempDir(), "out.csv"), "--registry", f.registry, "--data", f.data},
		{"doctor", "--admin", "127.0.0.1:1", "--listen", "127.0.0.1:1"},
	} {
		got := run(t, nil, args...)
		if got.code != 0 || strings.ContainsAny(got.stdout+got.stderr, "\x1b\r") {
			t.Errorf("%q ended with %d: %q", args, got.code, got.stdout+got.stderr)
		}
	}
}

func usedTime(pid int) error {
	stat, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "stat"))
	if err != nil {
		return err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 12 || len(fields[11]) < 3 { // hundredths of a second in user mode
		return errNotYet
	}
	return nil
}
