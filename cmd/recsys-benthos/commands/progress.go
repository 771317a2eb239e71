package commands

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/terminal"
)

// How often progress is told: a bar is drawn often, a line is seldom needed.
const (
	barEvery  = 100 * time.Millisecond
	lineEvery = 10 * time.Second
)

// unknown is the total of work whose size nobody knows before.
const unknown = -1

// progress tells a person, on standard error, how far work is, how fast it goes and
// how long it will take: a bar on a terminal, a line every ten seconds elsewhere. It
// is safe for concurrent use.
type progress struct {
	to       io.Writer
	terminal bool
	unit     string
	total    int64
	now      func() time.Time

	mu          sync.Mutex
	what        string
	done        int64
	began, told time.Time
	bar         *progressbar.ProgressBar // on a terminal, if the total is known
	drawn       int                      // columns of the line that stands on the terminal without a bar
}

func newProgress(what, unit string, total int64) *progress {
	now := time.Now()
	p := &progress{to: os.Stderr, terminal: isTerminal(os.Stderr), unit: unit, total: total, now: time.Now, what: what, began: now, told: now}
	if p.terminal && total > 0 {
		p.bar = newBar(p.to, what, unit, total)
	}
	return p
}

// newBar is the one kind of bar that all commands draw.
func newBar(to io.Writer, what, unit string, total int64) *progressbar.ProgressBar {
	options := []progressbar.Option{
		progressbar.OptionSetWriter(to), progressbar.OptionSetDescription(what), progressbar.OptionSetWidth(24),
		progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(barEvery), progressbar.OptionClearOnFinish(),
	}
	if unit == "bytes" {
		options = append(options, progressbar.OptionShowBytes(true))
	} else {
		options = append(options, progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(unit))
	}
	return progressbar.NewOptions64(total, options...)
}

// set says how much is done.
func (p *progress) set(done int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = done
	p.tell()
}

// add says that so much more is done.
func (p *progress) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += int64(n)
	p.tell()
}

// describe says what is being done, from the next time on that it is told.
func (p *progress) describe(what func() string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now().Sub(p.told) >= p.every() {
		p.what = what()
	}
}

func (p *progress) every() time.Duration {
	if p.terminal {
		return barEvery
	}
	return lineEvery
}

func (p *progress) tell() {
	now := p.now()
	if now.Sub(p.told) < p.every() {
		return
	}
	p.told = now
	switch {
	case !p.terminal:
		fmt.Fprintln(p.to, p.line(now))
	case p.bar != nil:
		p.bar.Describe(p.what)
		_ = p.bar.Set64(p.done) // what cannot be drawn is not missed
	case now.Sub(p.began) >= time.Second: // before, it may be over at once
		p.erase()
		line := p.line(now)
		fmt.Fprint(p.to, line)
		p.drawn = terminal.Width(line)
	}
}

func (p *progress) erase() {
	if p.drawn > 0 {
		fmt.Fprint(p.to, "\r"+strings.Repeat(" ", p.drawn)+"\r")
		p.drawn = 0
	}
}

// line is the progress in words.
func (p *progress) line(now time.Time) string {
	elapsed := now.Sub(p.began)
	if p.unit == "" {
		return fmt.Sprintf("%s, for %s", p.what, elapsed.Round(time.Second))
	}
	rate := float64(p.done) / elapsed.Seconds()
	if p.total <= 0 {
		return fmt.Sprintf("%s: %d %s, %.0f/s", p.what, p.done, p.unit, rate)
	}
	left := "nobody knows how much time is"
	if rate > 0 {
		left = time.Duration(float64(p.total-p.done) / rate * float64(time.Second)).Round(time.Second).String()
	}
	return fmt.Sprintf("%s: %d of %d %s (%d %%), %.1f/s, %s left", p.what, p.done, p.total, p.unit, 100*p.done/p.total, rate, left)
}

// end takes the bar away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	if p.bar != nil {
		_ = p.bar.Finish() // it is taken away
	}
}

// busy tells of work that does not say how far it is. What it returns ends that.
func busy(what string) (end func()) {
	p, stop, stopped := newProgress(what, "", unknown), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(barEvery)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				p.end()
				return
			case <-ticker.C:
				p.add(1)
			}
		}
	}()
	return sync.OnceFunc(func() { close(stop); <-stopped })
}

// readRatings is ratings.ReadRatings with progress.
func readRatings(path string) ([]ratings.Rating, error) {
	p := newProgress("reading ratings", "ratings", unknown)
	defer p.end()
	var batches [][]ratings.Rating
	err := ratings.ScanRatings(path, func(batch []ratings.Rating) error {
		batches = append(batches, slices.Clone(batch))
		p.add(len(batch))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return slices.Concat(batches...), nil
}
