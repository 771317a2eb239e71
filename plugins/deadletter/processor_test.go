package deadletter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// metadata returns all metadata of m.
func metadata(m *service.Message) map[string]string {
	all := map[string]string{}
	_ = m.MetaWalk(func(key, value string) error {
		all[key] = value
		return nil
	})
	return all
}

func letterOf(t *testing.T, maxBytes int, m *service.Message) *service.Message {
	t.Helper()
	p := &processor{maxBytes: maxBytes, tally: newTally(service.MockResources().Logger())}
	batches, err := p.ProcessBatch(t.Context(), service.MessageBatch{m})
	if err != nil {
		t.Fatal(err)
	}
	if len(batches) != 1 || len(batches[0]) != 1 {
		t.Fatalf("got %d batches, want one with one message", len(batches))
	}
	return batches[0][0]
}

func TestDeadLetterSaysWhatWentWrongAndWhere(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 5e6, time.UTC)
	origin := &message.Origin{Topic: "events", Partition: 2, Offset: 41, Key: []byte("u1"), Value: []byte("original"), Time: at}
	m := service.NewMessageWithContext(message.WithOrigin(context.Background(), origin), []byte("changed"))
	m.MetaSetMut("kafka_key", "another")
	m.MetaSetMut("other", "x")
	m.SetError(fmt.Errorf("step 3: %w", message.Rejectf("rating_event", "user_id is missing")))

	letter := letterOf(t, 1000, m)
	if value, _ := letter.AsBytes(); string(value) != "original" {
		t.Errorf("value is %q", value)
	}
	if err := letter.GetError(); err != nil {
		t.Errorf("error state is %v", err)
	}
	want := map[string]string{
		"error": "user_id is missing", "component": "rating_event", "topic": "events",
		"partition": "2", "offset": "41", "time": "2026-05-01T12:00:00.005Z", "kafka_key": "u1",
	}
	if got := metadata(letter); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("metadata is %v, want %v", got, want)
	}
}

func TestDeadLetterFindsReasonAndComponent(t *testing.T) {
	for _, test := range []struct {
		name, fallback    string
		err               error
		reason, component string
	}{
		{"rejection by its text", "rejecting due to failed processing: als_predict: movie_id: not a number", nil, "movie_id: not a number", "als_predict"},
		{"rejection by an output", "kafka_franz: too large", nil, "too large", "kafka_franz"},
		{"foreign error", "Put \"http://x\": EOF", nil, "Put \"http://x\": EOF", ""},
		{"error before text", "rejecting due to failed processing: a: b", errors.New("c: d"), "d", "c"},
		{"nothing known", "", nil, "no reason was given", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := service.NewMessage([]byte("v"))
			m.MetaSet("fallback_error", test.fallback)
			if test.err != nil {
				m.SetError(test.err)
			}
			got := metadata(letterOf(t, 1000, m))
			if got["error"] != test.reason || got["component"] != test.component {
				t.Errorf("got error %q of %q, want %q of %q", got["error"], got["component"], test.reason, test.component)
			}
		})
	}
}

func TestDeadLetterAlwaysFits(t *testing.T) {
	value := strings.Repeat("v", 5000)
	m := service.NewMessage([]byte(value))
	m.SetError(errors.New(strings.Repeat("é", 10_000)))
	letter := letterOf(t, 1024, m)
	got, _ := letter.AsBytes()
	if len(got) != 1024 || !strings.HasPrefix(value, string(got)) {
		t.Errorf("value has %d bytes", len(got))
	}
	sum := sha256.Sum256([]byte(value))
	meta := metadata(letter)
	if meta["truncated"] != "true" || meta["original_size"] != "5000" || meta["original_sha256"] != hex.EncodeToString(sum[:]) {
		t.Errorf("metadata is %v", meta)
	}
	if n := len(meta["error"]); n > 4<<10 || n < 4<<10-4 || !strings.HasSuffix(meta["error"], "é…") {
		t.Errorf("error has %d bytes and ends with %q", n, meta["error"][n-8:])
	}
}

func TestDeadLetterOfAMessageWithoutOriginKeepsItsBytesAndKey(t *testing.T) {
	m := service.NewMessage([]byte("v"))
	m.MetaSetMut("kafka_key", "u9")
	m.SetError(errors.New("broken"))
	letter := letterOf(t, 1024, m)
	if value, _ := letter.AsBytes(); string(value) != "v" {
		t.Errorf("value is %q", value)
	}
	if got, want := metadata(letter), map[string]string{"error": "broken", "kafka_key": "u9"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("metadata is %v, want %v", got, want)
	}
}
