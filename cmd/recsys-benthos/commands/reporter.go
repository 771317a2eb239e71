package commands

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// reporter tells a person, on standard error, what is going on: bars on a
// terminal, plain lines elsewhere, JSON lines on request. It is safe for
// concurrent use.
type reporter struct {
	quiet, json, terminal bool

	mu        sync.Mutex
	out       io.Writer
	bars      *progressbar.ProgressBar
	loaded    bool // the history is published
	said      map[string]bool
	lastLine  time.Time
	lastModel string
	last      status
	live      bool // a live line stands on the terminal
}

func newReporter(quiet, asJSON bool) *reporter {
	terminal := isTerminal(os.Stderr) && !asJSON
	return &reporter{quiet: quiet, json: asJSON, terminal: terminal, out: os.Stderr, said: map[string]bool{}}
}

// say prints one line: text with fields as pairs of name and value.
func (r *reporter) say(text string, fields ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.line(text, fields...)
}

func (r *reporter) sayOnce(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.said[text] {
		r.said[text] = true
		r.line(text)
	}
}

func (r *reporter) line(text string, fields ...string) {
	if r.quiet {
		return
	}
	r.clear()
	if r.json {
		object := map[string]string{"message": text}
		for i := 0; i+1 < len(fields); i += 2 {
			object[fields[i]] = fields[i+1]
		}
		if line, err := json.Marshal(object); err == nil {
			fmt.Fprintf(r.out, "%s\n", line)
		}
		return
	}
	if len(fields) == 0 {
		fmt.Fprintln(r.out, text)
		return
	}
	fmt.Fprintf(r.out, "%s\n", text)
	for i := 0; i+1 < len(fields); i += 2 {
		fmt.Fprintf(r.out, "  %-8s %s\n", fields[i], fields[i+1])
	}
}

// warn prints a problem that does not end the run; the same one once.
func (r *reporter) warn(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if text := "warning: " + err.Error(); !r.said[text] {
		r.said[text] = true
		r.clear()
		fmt.Fprintln(r.out, text)
	}
}

// clear removes what would be overwritten on a terminal.
func (r *reporter) clear() {
	if r.live {
		fmt.Fprint(r.out, "\r\033[K")
		r.live = false
	}
}

func (r *reporter) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live {
		fmt.Fprintln(r.out)
		r.live = false
	}
}

// bar shows the progress of something with a known size, in bytes.
func (r *reporter) bar(what string, size int64) *bar {
	if r.quiet || !r.terminal {
		r.say(what)
		return &bar{}
	}
	return &bar{newBar(r.out, what, "bytes", size)}
}

// bar is a progress bar; without a terminal it shows nothing.
type bar struct{ bar *progressbar.ProgressBar }

func (b *bar) set(n int64) {
	if b.bar != nil {
		_ = b.bar.Set64(n) // what cannot be drawn is not missed
	}
}

func (b *bar) end() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}

// linesEvery is how often a plain line tells the live counts.
const linesEvery = 5 * time.Second

// progress shows where the run is; history is how many events are published
// before the live part.
func (r *reporter) progress(s status, history int64, started time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.quiet {
		return
	}
	if r.loading(s, history, started) {
		return
	}
	if s.model.Version != r.lastModel {
		r.lastModel = s.model.Version
		m := s.model.Metrics
		r.line(fmt.Sprintf("model %s is the champion now: holdout RMSE %.4f (biases alone %.4f), trained on %d ratings",
			s.model.Version, m.RMSE, m.BiasRMSE, m.Ratings))
	}
	elapsed := s.at.Sub(r.last.at).Seconds()
	if r.terminal && elapsed >= 1 {
		r.clear()
		fmt.Fprint(r.out, r.counts(s, elapsed))
		r.live, r.last = true, s
	} else if !r.terminal && s.at.Sub(r.lastLine) >= linesEvery && s.predictions > 0 {
		r.line(r.counts(s, elapsed))
		r.lastLine, r.last = s.at, s
	}
}

// loading shows the progress of the history and reports whether it goes on.
func (r *reporter) loading(s status, history int64, started time.Time) bool {
	if r.loaded {
		return false
	}
	if s.events >= history || s.requests > 0 {
		r.loaded = true
		if r.bars != nil {
			_ = r.bars.Finish()
		}
		if s.events >= history && history > 0 { // else an earlier run published it
			r.line(fmt.Sprintf("history: %d events published after %.1f s", history, time.Since(started).Seconds()))
		}
		return false
	}
	if r.terminal {
		if r.bars == nil {
			r.bars = newBar(r.out, "history", "events", history)
		}
		_ = r.bars.Set64(s.events)
	}
	return true
}

func (r *reporter) counts(s status, elapsed float64) string {
	parts := []string{fmt.Sprintf("predictions %d", s.predictions)}
	if elapsed > 0 && !r.last.at.IsZero() {
		parts[0] += fmt.Sprintf(" (%.0f/s)", float64(s.predictions-r.last.predictions)/elapsed)
	}
	if s.model.Version == "" {
		parts = append(parts, "waiting for the first model")
	} else {
		parts = append(parts, "model "+s.model.Version)
	}
	if s.rmseLive > 0 {
		parts = append(parts, fmt.Sprintf("live RMSE %.3f", s.rmseLive))
	}
	parts = append(parts, fmt.Sprintf("cold %d", s.cold), fmt.Sprintf("dead letters %d", s.deadLetters))
	return strings.Join(parts, " · ")
}
