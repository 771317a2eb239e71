package ratings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
)

const (
	movielensFieldPath       = "path"
	movielensFieldFormat     = "format"
	movielensFieldHistory    = "history"
	movielensFieldPace       = "pace"
	movielensFieldFrom       = "from"
	movielensFieldUntil      = "until"
	movielensFieldCheckpoint = "checkpoint"
	movielensFieldBatch      = "batch_size"
)

func movielensSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("Plays MovieLens ratings and tags as events, in the order of their time.").
		Description(`
The first part, the history, goes out at full speed; the rest as a live stream at a given pace. Any MovieLens format is read: csv with or without header, u.data, *.dat, and zip or gz of them.

Events have the original system's JSON, in which every value is a string. Each carries the metadata movielens_phase (history or live), event_type, user_id and event_position (its number in the order of time, from 0).

With a checkpoint the input goes on where it was when it starts again: what was acknowledged is not sent twice, but for at most the last fifth of a second before a crash.`).
		Field(service.NewStringField(movielensFieldPath).
			Description("A MovieLens folder, archive or ratings file; with format events, a file of events.")).
		Field(service.NewStringEnumField(movielensFieldFormat, "auto", "events").
			Description("auto reads any MovieLens format; events reads a file of JSON events, one a line, and passes each on as it is, all of them live.").
			Default("auto").Advanced()).
		Field(service.NewFloatField(movielensFieldHistory).
			Description("The share of the events, by time, that is history: 0 to 1.").
			Default(0.8).
			LintRule(`root = if this < 0 || this > 1 { ["field history must lie between 0 and 1"] }`)).
		Field(service.NewFloatField(movielensFieldPace).
			Description("Live events a second; 0 means as fast as they are taken.").
			Default(50.0).
			LintRule(`root = if this < 0 { ["field pace must not be negative"] }`)).
		Field(service.NewStringField(movielensFieldFrom).
			Description("Leave out events before this time (RFC 3339).").
			Default("").Advanced()).
		Field(service.NewStringField(movielensFieldUntil).
			Description("Leave out events at or after this time (RFC 3339).").
			Default("").Advanced()).
		Field(service.NewStringField(movielensFieldCheckpoint).
			Description("A file that keeps the position; empty means starting anew each time.").
			Default("")).
		Field(service.NewIntField(movielensFieldBatch).
			Description("The most events a batch holds.").
			Default(1000).Advanced().
			LintRule(`root = if this < 1 { ["field batch_size must be at least 1"] }`)).
		Field(service.NewAutoRetryNacksToggleField()).
		Example("History at once, the rest at 50 events a second", "", `
input:
  movielens:
    path: ./ml-latest-small
    history: 0.8
    pace: 50
    checkpoint: ./recsys-data/simulate.json
`)
}

func init() {
	service.MustRegisterBatchInput("movielens", movielensSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchInput, error) {
			in, err := newMovielensInput(conf, mgr)
			if err != nil {
				return nil, err
			}
			// One batch at a time keeps events in order through retries.
			return service.AutoRetryNacksBatchedToggled(conf, service.InputBatchedWithMaxInFlight(1, in))
		})
}

type movielensInput struct {
	path, format, checkpoint string
	share, pace              float64
	from, until              time.Time
	batch                    int
	log                      *service.Logger

	timeline *timeline
	next     int       // index of the next event to send
	started  time.Time // when the live part began
	startAt  int       // index at which it began

	mu    sync.Mutex // guards what follows
	acked int        // events before this index are acknowledged
	saved time.Time
}

func newMovielensInput(conf *service.ParsedConfig, mgr *service.Resources) (in *movielensInput, err error) {
	in = &movielensInput{log: mgr.Logger()}
	for field, into := range map[string]*string{
		movielensFieldPath: &in.path, movielensFieldFormat: &in.format, movielensFieldCheckpoint: &in.checkpoint,
	} {
		if *into, err = conf.FieldString(field); err != nil {
			return nil, err
		}
	}
	if in.share, err = conf.FieldFloat(movielensFieldHistory); err != nil {
		return nil, err
	}
	if in.share < 0 || in.share > 1 {
		return nil, fmt.Errorf("field %s: %v does not lie between 0 and 1", movielensFieldHistory, in.share)
	}
	if in.pace, err = conf.FieldFloat(movielensFieldPace); err != nil {
		return nil, err
	}
	if in.pace < 0 {
		return nil, fmt.Errorf("field %s: %v is negative", movielensFieldPace, in.pace)
	}
	if in.batch, err = conf.FieldInt(movielensFieldBatch); err != nil {
		return nil, err
	}
	if in.batch < 1 {
		return nil, fmt.Errorf("field %s: %d is less than 1", movielensFieldBatch, in.batch)
	}
	if in.from, err = timeField(conf, movielensFieldFrom); err != nil {
		return nil, err
	}
	in.until, err = timeField(conf, movielensFieldUntil)
	return in, err
}

func timeField(conf *service.ParsedConfig, field string) (time.Time, error) {
	text, err := conf.FieldString(field)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("field %s: %q is not a time in RFC 3339, such as 2018-01-01T00:00:00Z", field, text)
	}
	return at, nil
}

func (in *movielensInput) Connect(context.Context) (err error) {
	if in.timeline != nil {
		return nil
	}
	var t *timeline
	if in.format == "events" {
		t, err = readLines(in.path)
	} else {
		t, err = readTimeline(in.path, in.share, in.from, in.until)
	}
	if err != nil {
		return err
	}
	if in.acked, err = in.loadCheckpoint(t.len()); err != nil {
		return err
	}
	in.timeline, in.next = t, in.acked
	return nil
}

func (in *movielensInput) ReadBatch(ctx context.Context) (service.MessageBatch, service.AckFunc, error) {
	if in.next >= in.timeline.len() {
		return nil, nil, service.ErrEndOfInput
	}
	from, phase := in.next, "history"
	to := min(from+in.batch, in.timeline.history)
	if from >= in.timeline.history {
		phase = "live"
		var err error
		if to, err = in.due(ctx); err != nil {
			return nil, nil, err
		}
	}
	in.next = to
	batch := make(service.MessageBatch, 0, to-from)
	for i := from; i < to; i++ {
		batch = append(batch, in.message(i, phase))
	}
	return batch, func(_ context.Context, err error) error {
		if err == nil {
			in.acknowledge(to)
		}
		return nil
	}, nil
}

// longest is the most seconds that are waited for an event: a century.
const longest = 100 * 365 * 24 * 3600

// due waits until live events are due and returns the index after the last.
func (in *movielensInput) due(ctx context.Context) (int, error) {
	last := min(in.next+in.batch, in.timeline.len())
	if in.pace == 0 {
		return last, nil
	}
	if in.started.IsZero() {
		in.started, in.startAt = time.Now(), in.next
	}
	sent := float64(in.next - in.startAt)
	at := in.started.Add(time.Duration(min(sent/in.pace, longest) * float64(time.Second)))
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-timer.C:
	}
	if behind := time.Since(at); behind > time.Second {
		// What comes after held us up: go on at the pace, do not catch up.
		in.started, in.startAt = time.Now(), in.next
		return in.next + 1, nil
	}
	due := in.startAt + int(time.Since(in.started).Seconds()*in.pace) + 1
	return min(max(due, in.next+1), last), nil
}

func (in *movielensInput) message(i int, phase string) *service.Message {
	msg := service.NewMessage(in.timeline.appendEvent(make([]byte, 0, 128), i))
	msg.MetaSetMut("movielens_phase", phase)
	msg.MetaSetMut("event_position", strconv.Itoa(i))
	if in.timeline.lines != nil {
		return msg
	}
	e := &in.timeline.events[i]
	kind := "rate"
	if e.isTag {
		kind = "tag"
	}
	msg.MetaSetMut("event_type", kind)
	msg.MetaSetMut("user_id", strconv.FormatInt(e.rating.User, 10))
	return msg
}

func (in *movielensInput) Close(context.Context) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.timeline == nil {
		return nil
	}
	return in.save()
}

// position is the content of the checkpoint file.
type position struct {
	Acknowledged int `json:"acknowledged"` // events
	Events       int `json:"events"`       // in the data, to notice other data
}

func (in *movielensInput) loadCheckpoint(events int) (int, error) {
	if in.checkpoint == "" {
		return 0, nil
	}
	data, err := os.ReadFile(in.checkpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the checkpoint: %w", err)
	}
	var p position
	if err := json.Unmarshal(data, &p); err != nil {
		return 0, fmt.Errorf("reading the checkpoint: %s: %w (delete the file to start over; events sent twice change nothing)", in.checkpoint, err)
	}
	if p.Events != events || p.Acknowledged < 0 || p.Acknowledged > events {
		return 0, fmt.Errorf("checkpoint %s is at event %d of %d, but %s has %d events: it belongs to other data (delete it to start over, or give this data a state of its own)",
			in.checkpoint, p.Acknowledged, p.Events, in.path, events)
	}
	return p.Acknowledged, nil
}

// saveEvery bounds how much is sent again after a crash.
const saveEvery = 200 * time.Millisecond

func (in *movielensInput) acknowledge(upTo int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.acked = max(in.acked, upTo)
	if time.Since(in.saved) < saveEvery && in.acked < in.timeline.len() {
		return
	}
	if err := in.save(); err != nil {
		in.log.Errorf("Events may be sent again after a restart: %v", err)
	}
}

// save replaces the checkpoint as a whole, so that a crash leaves the old or
// the new one.
func (in *movielensInput) save() error {
	if in.checkpoint == "" {
		return nil
	}
	in.saved = time.Now()
	text, err := json.Marshal(position{Acknowledged: in.acked, Events: in.timeline.len()})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(in.checkpoint), 0o755); err != nil {
		return fmt.Errorf("writing the checkpoint: %w", err)
	}
	temporary := in.checkpoint + ".tmp"
	if err := os.WriteFile(temporary, text, 0o644); err != nil {
		return fmt.Errorf("writing the checkpoint: %w", err)
	}
	if err := os.Rename(temporary, in.checkpoint); err != nil {
		return fmt.Errorf("writing the checkpoint: %w", err)
	}
	return nil
}
