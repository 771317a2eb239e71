//go:build cluster

package cluster

import (
	"strings"
	"testing"
	"time"
)

func expectParts(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
}

// lines are those of what the process has said that hold all the parts.
func (p *process) lines(parts ...string) (found []string) {
	for line := range strings.Lines(p.log.String()) {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// problems are the lines that are no mere information.
func (p *process) problems() (found []string) {
	for _, line := range p.lines() {
		if line != "" && !strings.Contains(line, "level=info") {
			found = append(found, line)
		}
	}
	return found
}

// says waits until the process says one line with all the parts.
func (p *process) says(t testing.TB, parts ...string) string {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute) // machines may be busy
	for len(p.lines(parts...)) == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not say %q\n%s", p.name, parts, p.tail())
		}
		time.Sleep(50 * time.Millisecond)
	}
	return p.lines(parts...)[0]
}

// patience is how long a process is given to repeat itself.
const patience = 6 * time.Second

// sayLittle demands that processes that wait have little to say: at most two
// lines about what each waits for, and not one more within patience.
func sayLittle(t testing.TB, processes ...*process) {
	t.Helper()
	time.Sleep(patience)
	for _, p := range processes {
		if problems := p.problems(); len(problems) > 2 {
			t.Errorf("%s says the same again and again: %d lines\n%s", p.name, len(problems), strings.Join(problems[:min(len(problems), 6)], "\n"))
		}
	}
}
