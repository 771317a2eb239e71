package sparksubmit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
)

// ErrJob says that the Spark job ended without a model.
var ErrJob = errors.New("the Spark job made no model")

const (
	maxLine   = 1 << 20 // bytes of a line of progress
	tailBytes = 16 << 10
	tailLines = 20
	// grace is how long a driver has to give its cluster back before it is killed.
	// A stream has four seconds to stop.
	grace = 2 * time.Second
)

// event is one line of the job's standard output.
type event struct {
	Event     string   `json:"event"`
	Training  string   `json:"training"` // twin or version
	Iteration int      `json:"iteration"`
	Total     int      `json:"total"`
	Side      string   `json:"side"`
	RMSE      *float64 `json:"rmse"`
	Seconds   float64  `json:"seconds"`
	Master    string   `json:"master"`
	ID        string   `json:"application"`
}

// follower keeps what the job said last.
type follower struct {
	progress  func(als.Progress)
	say       func(string)
	last      event
	published bool
}

func newFollower(progress func(als.Progress)) *follower {
	return &follower{progress: progress}
}

// read takes one line; what is not the job's own is passed over.
func (f *follower) read(line []byte) {
	var e event
	if !bytes.HasPrefix(line, []byte("{")) || json.Unmarshal(line, &e) != nil || e.Event == "" {
		return
	}
	f.last = e
	switch e.Event {
	case "started":
		f.say(fmt.Sprintf("Training on Spark: application %s at %s", e.ID, e.Master))
	case "published":
		f.published = true
	case "half_step":
		if e.Side != "users" || f.progress == nil { // an iteration ends with the users
			return
		}
		rmse := math.NaN()
		if e.RMSE != nil {
			rmse = *e.RMSE
		}
		f.progress(als.Progress{
			Head: als.RatingHead, Iteration: e.Iteration, Total: e.Total, RMSE: rmse, Validation: math.NaN(),
			Elapsed: time.Duration(e.Seconds * float64(time.Second)),
		})
	}
}

// where tells how far the job came.
func (f *follower) where() string {
	switch f.last.Event {
	case "":
		return "before it started"
	case "half_step":
		return fmt.Sprintf("after the half-step of %s of iteration %d of %d of the %s", f.last.Side, f.last.Iteration, f.last.Total, f.last.Training)
	}
	return "after it had " + f.last.Event
}

// follow runs spark-submit to its end. When ctx ends it ends the whole process group.
func (l *Launcher) follow(ctx context.Context, args []string, f *follower) error {
	f.say = l.Say
	if f.say == nil {
		f.say = func(string) {}
	}
	started, said := time.Now(), &tail{}
	waiting, err := l.run(ctx, args, func(out io.Reader) error { return readLines(out, f.read) }, said)
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case waiting == nil && f.published:
		return nil
	}
	if text := said.lines(tailLines); text != "" {
		f.say("What spark-submit said last:\n" + text)
	}
	how := "without a word of a version"
	if waiting != nil {
		how = "with " + waiting.Error()
	}
	return fmt.Errorf("%w: %s ended %s after %s, %s; the registry is as it was; it said: %s",
		ErrJob, l.Submit, how, time.Since(started).Round(time.Second), f.where(), said.cause())
}

// run returns how the process ended. Its output goes to read, its errors to said; both
// are done when run returns, and the group is gone.
func (l *Launcher) run(ctx context.Context, args []string, read func(io.Reader) error, said io.Writer) (waiting, err error) {
	out, toOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	faults, toFaults, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, toOut.Close())
	}
	defer faults.Close()
	cmd := exec.Command(l.Submit, args...)
	cmd.Stdout, cmd.Stderr = toOut, toFaults // files, so that Wait waits for the process alone
	inOwnGroup(cmd)
	err = cmd.Start()
	toOut.Close()
	toFaults.Close()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w; install Spark, or say where its spark-submit is (engine.spark.submit)", l.Submit, err)
	}
	var readers, guards sync.WaitGroup
	var reading error
	readers.Go(func() { reading = read(out) })
	readers.Go(func() { _, _ = io.Copy(said, faults) })
	ended := make(chan struct{})
	guards.Go(func() { guard(ctx, cmd.Process.Pid, ended) })
	waiting = cmd.Wait()
	close(ended)
	guards.Wait()
	killGroup(cmd.Process.Pid) // what it started and left, which may hold the pipes
	readers.Wait()
	return errors.Join(waiting, reading), nil
}

// guard ends the group when ctx ends before its leader does.
func guard(ctx context.Context, leader int, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	terminateGroup(leader)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		killGroup(leader)
	}
}

// readLines calls fn with each line, and passes over those that are too long.
func readLines(from io.Reader, fn func([]byte)) error {
	reader := bufio.NewReaderSize(from, maxLine)
	for {
		line, err := reader.ReadSlice('\n')
		switch {
		case err == nil:
			fn(bytes.TrimSpace(line))
		case errors.Is(err, bufio.ErrBufferFull): // the rest of it is a line of its own that says nothing
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
	}
}

// tail keeps the end of what is written to it.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if extra := len(t.text) - tailBytes; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(p), nil
}

func (t *tail) lines(n int) string {
	all := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}

const maxCause = 300 // bytes

// cause is the line that says most likely what went wrong: the last one of an error
// that is none of the places in a program.
func (t *tail) cause() string {
	all := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	cause := strings.TrimSpace(all[len(all)-1])
	for k := len(all) - 1; k >= 0; k-- {
		line := strings.TrimSpace(all[k])
		if strings.HasPrefix(line, "at ") || strings.HasPrefix(line, "File ") {
			continue
		}
		if strings.Contains(line, "Error") || strings.Contains(line, "Exception") {
			cause = line
			break
		}
	}
	if cause == "" {
		return "nothing"
	}
	return strings.ToValidUTF8(cause[:min(len(cause), maxCause)], "")
}
