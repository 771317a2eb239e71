package terminal

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/live"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.Local)

// aggregates are those of 120 predictions in two minutes, each 0.5 stars off, and two dead letters.
func aggregates(t *testing.T, title string) live.Snapshot {
	t.Helper()
	encoded, err := json.Marshal(title)
	if err != nil {
		t.Fatal(err)
	}
	a := live.New(live.Config{Now: func() time.Time { return noon }})
	for i := range 120 {
		at := noon.Add(-time.Duration(120-i) * time.Second).UTC().Format(time.RFC3339)
		text := fmt.Sprintf(`{"request_id":"r%d","user_id":%d,"movie_id":7,"prediction":3.5,"actual":4,"model_version":"v1","requested_at":%q,"predicted_at":%q,"cold":[],"title":%s,"genres":["Drama"]}`, i, i, at, at, encoded)
		if err := a.Prediction(0, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	a.DeadLetter("0/1", live.DeadLetter{At: noon.UnixMilli(), Reason: "user_id is missing", Topic: "requests", Partition: "0", Offset: "5"})
	a.DeadLetter("0/2", live.DeadLetter{At: noon.UnixMilli(), Reason: "\x1b[2Jno JSON", Topic: "events", Partition: "1", Offset: "6"})
	return a.Snapshot()
}

func TestTheViewFitsAnyTerminal(t *testing.T) {
	s := aggregates(t, "Shawshank Redemption, The (1994) with a title that does not end where one would think that it ends")
	for _, size := range [][2]int{{20, 5}, {40, 10}, {60, 24}, {80, 24}, {120, 50}, {300, 100}} {
		lines := View{Snapshot: s, Source: "kafka-1.example.org:9092, kafka-2.example.org:9092", Away: "no broker answers at kafka-1.example.org:9092"}.Lines(size[0], size[1])
		if len(lines) > size[1] {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, line := range lines {
			if Width(line) > size[0] && size[0] >= 40 {
				t.Errorf("%v: %q takes %d columns", size, line, Width(line))
			}
		}
	}
}

func TestTheViewShowsWhatWasTaken(t *testing.T) {
	text := strings.Join(View{Snapshot: aggregates(t, "Heat (1995)"), Source: "here:9092"}.Lines(100, 40), "\n")
	for _, part := range []string{
		"here:9092 connected", "predictions 120", "1.0/s now", "dead letters 2", "live RMSE 0.5000 on 120 ratings", "MAE 0.5000", "no model yet",
		"events 1/6", "no JSON", "user_id is missing", "v1  120 predictions", "user 119  3.50  rated 4.0  Heat (1995)", "(greatest 1.0)", "q or Ctrl-C ends",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("it does not show %q:\n%s", part, text)
		}
	}
}

func TestAMessageCannotCommandTheTerminal(t *testing.T) {
	s := aggregates(t, "red\x1b[31m\r\nover\u202eturned\x07")
	s.Latest[0].Title = "red\x1b[31m\r\nover\u202eturned\x07" // as if nobody had looked before
	view := View{Snapshot: s, Away: "\x1b[2J"}
	for _, line := range append(view.Lines(100, 40), view.Line()) {
		if strings.ContainsAny(line, "\x1b\r\n\x07\u202e") {
			t.Errorf("%q", line)
		}
	}
}

func TestColoursAreOnlyWhereTheyAreWanted(t *testing.T) {
	s := aggregates(t, "Heat (1995)")
	if text := strings.Join(View{Snapshot: s}.Lines(80, 24), ""); strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
	if text := strings.Join(View{Snapshot: s, Colour: true}.Lines(80, 24), ""); !strings.Contains(text, "\x1b[32mconnected\x1b[0m") {
		t.Errorf("%q", text)
	}
}

func TestTheGraphHasTheHeightOfItsRates(t *testing.T) {
	v := View{Snapshot: live.Snapshot{Series: live.Series{StepMillis: 1000, Count: []int64{0, 1, 2, 4}}}}
	got := v.graph(80, 2)
	want := []string{"predictions per second, 4s (greatest 4.0)", "   █", " ▄██"}
	for i := range want {
		if len(got) != len(want) || got[i] != want[i] {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	if text := number(live.Number(math.NaN()), 2); text != "–" {
		t.Errorf("no data is %q", text)
	}
}
