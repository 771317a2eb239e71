//go:build spark

package sparktraining

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// events are of all forms and in any order; some are damaged.
var events = []string{
	`{"event_type":"rate","user_id":"1","movie_id":"10","value":"4.5","timestamp":"1500000000"}`,
	`{"event_type":"rate","user_id":1,"movie_id":10,"value":2,"timestamp":1500000001000}`, // newer
	`{"event_type":"rate","user_id":1,"movie_id":10,"value":5,"timestamp":1400000000}`,    // older, later
	`{"event_type":"rate","user_id":1,"movie_id":20,"value":3,"timestamp":"2026-01-02T15:04:05Z"}`,
	`{"event_type":"rate","user_id":1,"movie_id":30,"value":3.5,"timestamp":"2026-01-02 15:04:05"}`,
	`{"event_type":"rate","user_id":1,"movie_id":40,"value":1,"timestamp":"2026-01-02T15:04:05+02:00"}`,
	`{"event_type":"rate","user_id":2,"movie_id":10,"value":3,"timestamp":1500000000}`, // of equally new ones the greatest
	`{"event_type":"rate","user_id":2,"movie_id":10,"value":4,"timestamp":1500000000}`,
	`{"event_type":"unrate","user_id":3,"movie_id":10,"timestamp":1500000005}`, // before what it takes back
	`{"event_type":"rate","user_id":3,"movie_id":10,"value":4,"timestamp":1500000005}`,
	`{"event_type":"rate","user_id":3,"movie_id":20,"value":4,"timestamp":1500000006}`,
	`{"event_type":"unrate","user_id":3,"movie_id":20,"timestamp":1500000005}`, // older than the rating
	`{"event_type":"rate","user_id":4,"movie_id":10,"value":4,"timestamp":1500000000}`,
	`{"event_type":"forget_user","user_id":4,"timestamp":1500000003}`,
	`{"event_type":"rate","user_id":4,"movie_id":20,"value":4,"timestamp":1500000004}`, // after
	`{"event_type":"tag","user_id":5,"movie_id":10,"value":"4","timestamp":1500000000}`,
	`{"event_type":"rate","user_id":6,"movie_id":10,"value":4.2,"timestamp":1500000000}`, // off the scale
	`{"event_type":"rate","user_id":6,"movie_id":20,"value":5.5,"timestamp":1500000000}`,
	`{"event_type":"rate","user_id":6,"movie_id":30,"value":4,"timestamp":"yesterday"}`,
	`{"event_type":"rate","user_id":"x","movie_id":30,"value":4,"timestamp":1500000000}`,
	`{"event_type":"rate","user_id":99999999999999999999,"movie_id":30,"value":4,"timestamp":1500000000}`,
	`{"event_type":"rate","user_id":9223372036854775807,"movie_id":0,"value":0.5,"timestamp":1500000000}`,
	`not JSON`, `{`,
}

// stored are the events as a rating store has them.
func stored(t *testing.T) []ratings.Rating {
	t.Helper()
	store := recsystest.NewMemoryStore()
	for _, text := range events {
		e, err := message.EventRules{}.DecodeEvent("test", []byte(text))
		if err != nil {
			continue
		}
		var c ratings.Changes
		switch e.Type {
		case message.Rate:
			c.Ratings = []ratings.Rating{{User: e.User, Movie: e.Movie, Value: e.Value, Time: e.Time}}
		case message.Unrate:
			c.Unrated = []ratings.Unrated{{User: e.User, Movie: e.Movie, Time: e.Time}}
		case message.ForgetUser:
			c.Forgotten = []ratings.Forgotten{{User: e.User, Time: e.Time}}
		}
		if err := store.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	var all []ratings.Rating
	if err := store.Scan(t.Context(), func(batch []ratings.Rating) error {
		all = append(all, batch...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSourcesGiveWhatAStoreHolds: events in any order, CSV with a header, repeated
// pairs and damaged lines, and the part of it before a rating. Through Hadoop a version
// is written once, and without the checksums that Hadoop leaves beside files.
func TestSourcesGiveWhatAStoreHolds(t *testing.T) {
	interpreter, dir := python(t), t.TempDir()
	csv := "userId,movieId,rating,timestamp\n7,1,4,1500000002\n7,1,3,1500000001\n6,9,2.5,1500000002\nx,y,z\n8,1,1,1500000002000\n8,2\n"
	for name, text := range map[string]string{"events.jsonl": strings.Join(events, "\n"), "ratings.csv": csv} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	registry := filepath.Join(dir, "registry")
	cmd := exec.CommandContext(t.Context(), interpreter, "testdata/sources.py", "../../spark", filepath.Join(dir, "events.jsonl"), filepath.Join(dir, "ratings.csv"), registry)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var found struct {
		Events, CSV, Before [][4]json.Number
		Twice               string
	}
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := func(all ...ratings.Rating) (rows []string) {
		for _, r := range all {
			rows = append(rows, fmt.Sprintf("%d %d %.1f %d", r.User, r.Movie, r.Value, r.Time))
		}
		slices.Sort(rows)
		return rows
	}
	got := func(rows [][4]json.Number) (texts []string) {
		for _, row := range rows {
			texts = append(texts, fmt.Sprintf("%s %s %s %s", row[0], row[1], row[2], row[3]))
		}
		slices.Sort(texts)
		return texts
	}
	first, second := ratings.Rating{User: 6, Movie: 9, Value: 2.5, Time: 1_500_000_002_000}, ratings.Rating{User: 7, Movie: 1, Value: 4, Time: 1_500_000_002_000}
	for name, pair := range map[string][2][]string{
		"events": {got(found.Events), want(stored(t)...)},
		"csv":    {got(found.CSV), want(first, second, ratings.Rating{User: 8, Movie: 1, Value: 1, Time: 1_500_000_002_000})},
		"before": {got(found.Before), want(first)},
	} {
		if !slices.Equal(pair[0], pair[1]) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(pair[0], "\n"), strings.Join(pair[1], "\n"))
		}
	}
	entries, err := os.ReadDir(filepath.Join(registry, "models", "v"))
	if err != nil || len(entries) != 1 || entries[0].Name() != "model.safetensors" {
		t.Errorf("through Hadoop: %v, %v", entries, err)
	}
	if written, err := os.ReadFile(filepath.Join(registry, "models", "v", "model.safetensors")); err != nil || string(written) != csv {
		t.Errorf("through Hadoop %q, %v", written, err)
	}
	if !strings.Contains(found.Twice, "it is there already") {
		t.Errorf("the second time it says %q", found.Twice)
	}
}
