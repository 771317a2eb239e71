package kafka

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
)

// TestAnOutageMakesAnInputNotConnected also has it go on where it was: nothing is
// read twice, and nothing left out.
func TestAnOutageMakesAnInputNotConnected(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	topics := []broker.Topic{{Name: "requests", Partitions: 1}}
	b := openBroker(t, dir, "127.0.0.1:0", topics...)
	addr := b.Addr()
	produce(t, addr, "requests", 0, numbers(0, 4)...)
	i := startInput(t, addr, "seed_brokers: [$ADDR]\ntopics: [requests]\nbatching: {count: 2}\n")
	mustAck(t, readBatch(t, i), nil)
	second := readBatch(t, i)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := tryRead(testContext(t), i); !errors.Is(err, service.ErrNotConnected) {
		t.Fatalf("reading in an outage: %v", err)
	}
	connected := make(chan error, 1)
	connect := func() { connected <- i.Connect(testContext(t)) }
	go connect()
	select {
	case err := <-connected:
		t.Fatalf("connected in an outage: %v", err)
	case <-time.After(200 * time.Millisecond): // however long: it must not return
	}
	// What is rejected goes to the pipeline again: its sink may need no Kafka.
	mustAck(t, second, errors.New("a sink is away"))
	if err := <-connected; err != nil {
		t.Fatal(err)
	}
	again := readBatch(t, i)
	if !slices.Equal(again.values, second.values) {
		t.Errorf("got %v again, want %v", again.values, second.values)
	}
	mustAck(t, again, nil)
	if _, err := tryRead(testContext(t), i); !errors.Is(err, service.ErrNotConnected) {
		t.Fatalf("reading on in the outage: %v", err)
	}
	go connect()
	openBroker(t, dir, addr, topics...)
	if err := <-connected; err != nil {
		t.Fatal(err)
	}
	produce(t, addr, "requests", 0, numbers(4, 6)...)
	var rest []string
	for len(rest) < 2 {
		r, err := tryRead(testContext(t), i)
		if errors.Is(err, service.ErrNotConnected) { // still coming back
			err = i.Connect(testContext(t))
		}
		if err != nil {
			t.Fatal(err)
		}
		rest = append(rest, r.values...)
		if r.ack != nil {
			mustAck(t, r, nil)
		}
	}
	if want := numbers(4, 6); !slices.Equal(rest, want) {
		t.Errorf("after the outage %v, want %v", rest, want)
	}
}

func TestAnOutageIsToldOnceForAllClientsOfACluster(t *testing.T) {
	t.Parallel()
	log := &testLog{}
	seeds := []string{"once.example:9092"}
	one, two := newPresence(log.resources(), "input", seeds, nil), newPresence(log.resources(), "output", seeds, nil)
	for range 2 {
		one.tell(false)
		two.tell(false)
		one.tell(false)
		one.tell(true)
		two.leave() // a client that ends is in no outage
		two.leave()
	}
	if began, over := log.count("Outage: Kafka does not answer"), log.count("Outage over"); began != 2 || over != 2 {
		t.Errorf("told %d outages and %d ends of two", began, over)
	}
}

func TestSpansComeAndGoByTheHeaderOfRecords(t *testing.T) {
	t.Parallel()
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	headers := headersOf("traceparent", "stale", "a", "1", "traceparent", parent, "tracestate", "vendor=7")
	ctx := within(context.Background(), headers)
	if got := pairs(tell(ctx, headersOf("traceparent", "stale", "a", "1"))); !slices.Equal(got, []string{"a", "1", "traceparent", parent, "tracestate", "vendor=7"}) {
		t.Errorf("got %v", got)
	}
	for _, bad := range [][]string{nil, {"a", "1"}, {"traceparent", "00-zz"}} {
		ctx := within(context.Background(), headersOf(bad...))
		if got := pairs(tell(ctx, headersOf("a", "1"))); !slices.Equal(got, []string{"a", "1"}) {
			t.Errorf("with headers %v the record says %v", bad, got)
		}
	}
}

func headersOf(keysAndValues ...string) (headers []kgo.RecordHeader) {
	for pair := range slices.Chunk(keysAndValues, 2) {
		headers = append(headers, kgo.RecordHeader{Key: pair[0], Value: []byte(pair[1])})
	}
	return headers
}

func pairs(headers []kgo.RecordHeader) (all []string) {
	for _, h := range headers {
		all = append(all, h.Key, string(h.Value))
	}
	return all
}
