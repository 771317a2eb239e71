package deadletter

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// FuzzLetter makes dead letters of any record and reason: each fits, and begins as
// the original did.
func FuzzLetter(f *testing.F) {
	f.Add([]byte("k"), []byte("original"), "rating_event: user_id is missing")
	f.Add([]byte{0xff}, []byte{0, 1, 2}, "é\xff: x")
	f.Fuzz(func(t *testing.T, key, value []byte, reason string) {
		origin := &message.Origin{Topic: "events", Partition: 2, Offset: 41, Key: key, Value: value, Time: time.Unix(1, 0)}
		m := service.NewMessageWithContext(message.WithOrigin(context.Background(), origin), []byte("changed"))
		m.SetError(errors.New(reason))
		const most = 64
		letter := letterOf(t, most, m)
		got, err := letter.AsBytes()
		if err != nil || len(got) > most || string(got) != string(value[:min(len(value), most)]) {
			t.Fatalf("the letter is %q, %v, of %q", got, err, value)
		}
		all := metadata(letter)
		if len(all[metaError]) > maxErrorBytes || len(all[metaComponent]) > maxComponentBytes || all[metaKey] != string(key) {
			t.Errorf("metadata %q", all)
		}
		if (all[metaTruncated] == "true") != (len(value) > most) {
			t.Errorf("truncated is %q of %d bytes", all[metaTruncated], len(value))
		}
	})
}
