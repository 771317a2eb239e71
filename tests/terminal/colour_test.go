package terminal

import (
	"strings"
	"testing"
)

func TestColoursAndBarsAreForTerminalsThatWantThem(t *testing.T) {
	f := prepared(t)
	doctor := []string{"doctor", "--admin", "127.0.0.1:1", "--listen", "127.0.0.1:1", "--state", t.TempDir()}
	// Enough to take longer than a bar waits.
	train := []string{"eval", "--ratings", f.data, "--algorithm", "als", "--rank", "32", "--iterations", "2000", "--preference-rank", "0"}
	for name, c := range map[string]struct {
		args        []string
		variables   []string
		has, hasNot []string
	}{
		"doctor":                {doctor, nil, []string{"\x1b[32mok\x1b[0m", "\x1b[33mwarning\x1b[0m"}, nil},
		"doctor, NO_COLOR":      {doctor, []string{"NO_COLOR=1"}, []string{"ok  ", "warning  "}, []string{"\x1b"}},
		"doctor, TERM=dumb":     {doctor, []string{"TERM=dumb"}, []string{"ok  ", "warning  "}, []string{"\x1b"}},
		"training":              {train, nil, []string{"training, rating", "of", "iterations/s", "RMSE, all pairs"}, []string{"\x1b"}},
		"training on TERM=dumb": {train, []string{"TERM=dumb"}, []string{"RMSE, all pairs"}, []string{"iterations/s", "\x1b"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := openScreen(t, 100, 30, c.variables, c.args...)
			<-s.process.Done
			if code := s.process.Command.ProcessState.ExitCode(); code != 0 {
				t.Errorf("it ended with %d\n%s", code, s.written())
			}
			eventually(t, func() error { return missing(s.written(), c.has) })
			for _, part := range c.hasNot {
				if strings.Contains(s.written(), part) {
					t.Errorf("it writes %q: %q", part, s.written())
				}
			}
		})
	}
}
