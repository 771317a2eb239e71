package als

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// TestListsAndWhatComesOfThemAreCounted, and every message passes as it is.
func TestListsAndWhatComesOfThemAreCounted(t *testing.T) {
	var log bytes.Buffer
	conf, err := outcomeSpec().ParseYAML("report: 1h", nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newOutcomeMeter(conf, service.MockResources())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(t.Context())
	m.log = service.NewLoggerFromSlog(slog.New(slog.NewTextHandler(&log, nil)))
	now := time.Unix(1_700_000_000, 0)
	m.now = func() time.Time { return now }
	batch := func(texts ...string) (all service.MessageBatch) {
		for k, text := range texts {
			topic := "events"
			if strings.Contains(text, "items") {
				topic = "recommendations"
			}
			ctx := message.WithOrigin(t.Context(), &message.Origin{Topic: topic, Offset: int64(k), Time: now})
			all = append(all, service.NewMessageWithContext(ctx, []byte(text)))
		}
		return all
	}
	in := batch(
		`{"request_id":"r1","kind":"recommend","user_id":1,"items":[{"movie_id":10},{"movie_id":20}],"model_version":"v1"}`,
		`{"event_type":"view","user_id":1,"movie_id":20,"request_id":"r1"}`,
		`{"event_type":"rate","user_id":"1","movie_id":"10","value":4,"request_id":"r1"}`,
		`{"event_type":"rate","user_id":1,"movie_id":10,"value":4}`, `nonsense`)
	for range 2 { // the second time it is a repetition
		out, err := m.ProcessBatch(t.Context(), in)
		if err != nil || len(out) != 1 || len(out[0]) != len(in) {
			t.Fatalf("%v, %v", out, err)
		}
		for k, msg := range out[0] {
			if msg != in[k] || msg.GetError() != nil {
				t.Errorf("message %d is another one", k)
			}
		}
	}
	tallies, rest := m.outcomes.Tallies()
	want := experiment.Tally{Version: "v1", Shown: 1, Items: 2, Hit: 1, Clicked: 1, Rated: 1}
	if len(tallies) != 1 || tallies[0] != want || rest != (experiment.Unattributed{}) {
		t.Errorf("counted %+v and %+v, want %+v", tallies, rest, want)
	}
	now = now.Add(time.Minute)
	more := `{"request_id":"r2","kind":"recommend","user_id":2,"items":[{"movie_id":10}],"model_version":"v1"}`
	ctx := message.WithOrigin(t.Context(), &message.Origin{Topic: "recommendations", Offset: 9, Time: now})
	if _, err := m.ProcessBatch(t.Context(), service.MessageBatch{service.NewMessageWithContext(ctx, []byte(more))}); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.tell()
	m.tell() // nothing has changed
	if said := log.String(); !strings.Contains(said, "Of 2 lists by version v1 users opened or rated a movie of 1 (50.0 %): 1 movies opened, 1 rated") || strings.Count(said, "\n") != 1 {
		t.Errorf("the log says %s", said)
	}
}

func BenchmarkOutcome(b *testing.B) {
	conf, err := outcomeSpec().ParseYAML("", nil)
	if err != nil {
		b.Fatal(err)
	}
	m, err := newOutcomeMeter(conf, service.MockResources())
	if err != nil {
		b.Fatal(err)
	}
	event := []byte(`{"event_type":"rate","user_id":"514","movie_id":"318","value":"4.5","timestamp":"1533873124"}`)
	for _, c := range []struct {
		name string
		text func(n int) []byte
	}{
		{"event-of-no-list", func(int) []byte { return event }},
		{"list", func(n int) []byte {
			return fmt.Appendf(nil, `{"request_id":"r%d","kind":"recommend","user_id":1,"items":[%s{"movie_id":20}],"model_version":"v1"}`, n, strings.Repeat(`{"movie_id":10,"score":0.5,"title":"Heat (1995)"},`, 9))
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				n++
				m.count(service.NewMessage(nil), c.text(n))
			}
		})
	}
}
