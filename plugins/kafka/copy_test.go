package kafka

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
)

func newTestCopier(t testing.TB, addr, yaml string) *copierProcessor {
	t.Helper()
	c, err := newCopier(parse(t, copySpec(), addr, "seed_brokers: [$ADDR]\ntopic: out\n"+yaml), service.MockResources())
	if err != nil {
		t.Fatal(err)
	}
	c.log = service.NewLoggerFromSlog(slog.New(slog.NewTextHandler(io.Discard, nil)))
	return c
}

func TestCopiesAreWrittenAndMessagesPass(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "out"})
	c := newTestCopier(t, b.Addr(), "key_field: user_id\nonly_metadata: reply\n")
	reply, other, failed := newMessage("", `{"user_id":514}`), newMessage("", "other"), newMessage("", "failed")
	reply.MetaSetMut("reply", "yes")
	failed.MetaSetMut("reply", "yes")
	failed.SetError(fmt.Errorf("no"))
	in := service.MessageBatch{reply, other, failed}
	out, err := c.ProcessBatch(t.Context(), in)
	if err != nil || len(out) != 1 || len(out[0]) != 3 || out[0][0] != reply || out[0][1] != other || out[0][2] != failed {
		t.Fatalf("%v, %v", out, err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := readTopic(t, b.Addr(), "out", 1); len(r) != 1 || string(r[0].Key) != "514" || string(r[0].Value) != `{"user_id":514}` {
		t.Errorf("copied %v", r)
	}
	if n := endOffset(t, b.Addr(), "out"); n != 1 {
		t.Errorf("%d copies", n)
	}
}

// TestNobodyWaitsForKafkaThatWasNeverThere: copies are dropped, messages pass.
func TestNobodyWaitsForKafkaThatWasNeverThere(t *testing.T) {
	c := newTestCopier(t, "127.0.0.1:1", "max_buffered_records: 50\n")
	began := time.Now()
	for range 1000 {
		if _, err := c.ProcessBatch(t.Context(), service.MessageBatch{newMessage("", "v")}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("1000 messages took %v", took)
	}
	if n := c.client.BufferedProduceRecords() + int64(len(c.queue)); n > 50+copyQueue+1 {
		t.Errorf("%d copies wait", n)
	}
	began = time.Now()
	if err := c.Close(t.Context()); err != nil || time.Since(began) > copyFlush+time.Second {
		t.Errorf("closing took %v, %v", time.Since(began), err)
	}
}

func TestBadCopiesNameTheField(t *testing.T) {
	for yaml, want := range map[string]string{
		"seed_brokers: [a:1]\ntopic: a b":                             "field topic",
		"seed_brokers: [a:1]\ntopic: t\nmax_buffered_records: 0":      "max_buffered_records",
		"seed_brokers: [a:1]\ntopic: t\nmax_buffered_bytes: very big": "field max_buffered_bytes",
	} {
		conf, err := copySpec().ParseYAML(yaml, nil)
		if err == nil {
			_, err = newCopier(conf, service.MockResources())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", yaml, err, want)
		}
	}
}

func BenchmarkCopy(b *testing.B) {
	broker := startBroker(b, broker.Topic{Name: "out"})
	text := `{"request_id":"r1","kind":"recommend","user_id":514,"items":[` + strings.Repeat(`{"movie_id":318,"score":0.91,"prediction":4.6,"title":"Shawshank Redemption, The (1994)","genres":["Crime","Drama"],"year":1994},`, 10)
	for _, c := range []struct{ name, addr string }{{"Kafka is there", broker.Addr()}, {"Kafka was never there", "127.0.0.1:1"}} {
		b.Run(c.name, func(b *testing.B) {
			p := newTestCopier(b, c.addr, "key_field: user_id\n")
			defer p.Close(b.Context())
			for b.Loop() {
				if _, err := p.ProcessBatch(b.Context(), service.MessageBatch{newMessage("", text)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestNothingIsCopiedWhereThatIsNotEnabled(t *testing.T) {
	c := newTestCopier(t, "127.0.0.1:1", "enabled: false\n")
	in := service.MessageBatch{newMessage("", "v")}
	if out, err := c.ProcessBatch(t.Context(), in); err != nil || c.client != nil || len(out) != 1 || out[0][0] != in[0] {
		t.Errorf("%v, %v", out, err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
