package ratings

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// dataset writes a tiny MovieLens folder: ten ratings, one each second, and a
// tag at the time of the fourth.
func dataset(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var ratings strings.Builder
	ratings.WriteString("userId,movieId,rating,timestamp\n")
	for i := range 10 {
		at := 1000 + (i*7)%10 // not in the order of time
		fmt.Fprintf(&ratings, "%d,%d,%d.5,%d\n", i%3+1, i+1, i%4+1, at)
	}
	write(t, filepath.Join(dir, "ratings.csv"), ratings.String())
	write(t, filepath.Join(dir, "tags.csv"), "userId,movieId,tag,timestamp\n9,5,\"so \"\"good\"\"\",1003\n")
	write(t, filepath.Join(dir, "movies.csv"), "movieId,title,genres\n1,A (2000),Drama\n")
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func newInput(t *testing.T, yaml string, args ...any) *movielensInput {
	t.Helper()
	conf, err := movielensSpec().ParseYAML(fmt.Sprintf(yaml, args...), nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := newMovielensInput(conf, service.MockResources())
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return in
}

// drain reads to the end and acknowledges; it returns "phase type json" lines.
func drain(t *testing.T, in *movielensInput, batches int) []string {
	t.Helper()
	var lines []string
	for range batches {
		batch, ack, err := in.ReadBatch(t.Context())
		if errors.Is(err, service.ErrEndOfInput) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, msg := range batch {
			data, err := msg.AsBytes()
			if err != nil {
				t.Fatal(err)
			}
			phase, _ := msg.MetaGet("movielens_phase")
			kind, _ := msg.MetaGet("event_type")
			lines = append(lines, phase+" "+kind+" "+string(data))
		}
		if err := ack(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	return lines
}

const all = 1000

func TestEventsComeInTheOrderOfTimeHistoryFirst(t *testing.T) {
	in := newInput(t, "path: %s\nhistory: 0.5\npace: 0\nbatch_size: 3", dataset(t))
	lines := drain(t, in, all)
	if len(lines) != 11 {
		t.Fatalf("%d events, want 10 ratings and a tag", len(lines))
	}
	want := `history tag {"event_type":"tag","user_id":"9","movie_id":"5","value":"so \"good\"","timestamp":"1003"}`
	if lines[4] != want { // after the rating of user 1 at the same time
		t.Errorf("got  %s\nwant %s", lines[4], want)
	}
	want = `history rate {"event_type":"rate","user_id":"1","movie_id":"1","value":"1.5","timestamp":"1000"}`
	if lines[0] != want {
		t.Errorf("got  %s\nwant %s", lines[0], want)
	}
	for i, line := range lines {
		if phase := strings.Fields(line)[0]; (phase == "history") != (i < 5) {
			t.Errorf("event %d of 11 is %s; half of them are history", i, phase)
		}
	}
}

func TestTheCheckpointGoesOnAfterWhatWasAcknowledged(t *testing.T) {
	dir := dataset(t)
	checkpoint := filepath.Join(t.TempDir(), "state", "at.json")
	yaml := "path: %s\nhistory: 1\nbatch_size: 4\ncheckpoint: %s"
	first := newInput(t, yaml, dir, checkpoint)
	lines := drain(t, first, 1)
	if _, _, err := first.ReadBatch(t.Context()); err != nil { // read, never acknowledged
		t.Fatal(err)
	}
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines = append(lines, drain(t, newInput(t, yaml, dir, checkpoint), all)...)
	if whole := drain(t, newInput(t, "path: %s\nhistory: 1", dir), all); strings.Join(lines, "\n") != strings.Join(whole, "\n") {
		t.Errorf("in two runs:\n%s\nin one:\n%s", strings.Join(lines, "\n"), strings.Join(whole, "\n"))
	}
	if rest := drain(t, newInput(t, yaml, dir, checkpoint), all); len(rest) != 0 {
		t.Errorf("a third run sends %d events again", len(rest))
	}
}

func TestACheckpointOfOtherDataIsRefused(t *testing.T) {
	checkpoint := filepath.Join(t.TempDir(), "at.json")
	for content, want := range map[string]string{
		`{"acknowledged":3,"events":99}`: "belongs to other data",
		`{"acknowledged":`:               "delete the file to start over",
	} {
		write(t, checkpoint, content)
		conf, err := movielensSpec().ParseYAML(fmt.Sprintf("path: %s\ncheckpoint: %s", dataset(t), checkpoint), nil)
		if err != nil {
			t.Fatal(err)
		}
		in, err := newMovielensInput(conf, service.MockResources())
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestTheLivePartKeepsItsPace(t *testing.T) {
	in := newInput(t, "path: %s\nhistory: 0\npace: 200", dataset(t))
	started := time.Now()
	lines := drain(t, in, all)
	// The eleventh event is due 50 ms after the first. A slow machine is later.
	if took := time.Since(started); len(lines) != 11 || took < 50*time.Millisecond {
		t.Errorf("%d events in %s, want 11 in 50 ms or more", len(lines), took)
	}
}

func TestWaitingForTheNextEventEndsWithTheContext(t *testing.T) {
	in := newInput(t, "path: %s\nhistory: 0\npace: 0.001", dataset(t))
	drain(t, in, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, _, err := in.ReadBatch(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestTimesOutsideTheWindowAreLeftOut(t *testing.T) {
	in := newInput(t, "path: %s\nfrom: 1970-01-01T00:16:42Z\nuntil: 1970-01-01T00:16:44Z\nhistory: 1", dataset(t)) // 1002 ≤ t < 1004
	if lines := drain(t, in, all); len(lines) != 3 {
		t.Errorf("got %d events, want two ratings and the tag: %v", len(lines), lines)
	}
}

func TestEventFilesArePassedAsTheyAre(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	write(t, path, "{\"event_type\":\"rate\"}\n\nnot json\n  {\"a\": 1}  \n")
	lines := drain(t, newInput(t, "path: %s\nformat: events\npace: 0", path), all)
	want := []string{`live  {"event_type":"rate"}`, "live  not json", `live  {"a": 1}`}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", lines, want)
	}
}

func TestMissingDataIsToldByItsPath(t *testing.T) {
	conf, err := movielensSpec().ParseYAML("path: /nothing/here", nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := newMovielensInput(conf, service.MockResources())
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "/nothing/here") {
		t.Errorf("got %v", err)
	}
}
