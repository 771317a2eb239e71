package deadletter_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/deadletter"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/kafka"
)

const streamYAML = `
input:
  kafka_franz:
    seed_brokers: [$ADDR]
    topics: [events]
    consumer_group: predict
    session_timeout: 2s # a member that could not leave is soon forgotten
    heartbeat_interval: 500ms
    rebalance_timeout: 2s
    batching: {count: 50}
pipeline:
  threads: 1
  processors:
    - mapping: |
        root = if content().string().contains("bad") { throw("rating_event: value is bad") } else { "done " + content().string() }
output:$OUTPUT

output_resources:
  - label: dead_letters
    kafka_franz:
      seed_brokers: [$ADDR]
      topic: dead_letters
      key: ${! @kafka_key }
      metadata: {include_patterns: [".*"]}
    processors: [{dead_letter: {}}]
`

// The two shapes in which a pipeline may end.
const (
	fallbackYAML = `
  fallback:
    - reject_errored: {kafka_franz: {seed_brokers: [$ADDR], topic: predictions, key: '${! @kafka_key }', max_message_bytes: 2KiB}}
    - resource: dead_letters`
	ownYAML = `
  kafka_franz:
    {seed_brokers: [$ADDR], topic: predictions, key: '${! @kafka_key }', max_message_bytes: 2KiB, dead_letters: {resource: dead_letters}}`
)

func streamConfig(output, address string) string {
	return strings.NewReplacer("$OUTPUT", strings.ReplaceAll(output, "$ADDR", address), "$ADDR", address).Replace(streamYAML)
}

func TestGoodMessagesArriveOnceInOrderAndBadOnesAsDeadLetters(t *testing.T) {
	t.Run("fallback", func(t *testing.T) { testStream(t, fallbackYAML) })
	t.Run("dead_letters", func(t *testing.T) { testStream(t, ownYAML) })
}

func testStream(t *testing.T, output string) {
	b, err := broker.Open(broker.Config{
		Dir: t.TempDir(), Address: "127.0.0.1:0",
		Topics: []broker.Topic{{Name: "events"}, {Name: "predictions"}, {Name: "dead_letters"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	const count = 200
	var good, bad []string
	var records []*kgo.Record
	for n := range count {
		value := fmt.Sprintf("good %d", n)
		switch {
		case n%10 == 3:
			value = fmt.Sprintf("bad %d", n)
			bad = append(bad, value)
		case n == 57:
			value = fmt.Sprintf("large %d %s", n, strings.Repeat("x", 4000))
			bad = append(bad, value)
		default:
			good = append(good, value)
		}
		records = append(records, &kgo.Record{Topic: "events", Key: fmt.Appendf(nil, "u%d", n), Value: []byte(value)})
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}

	stop := runStream(t, streamConfig(output, b.Addr()))
	predictions := readTopic(ctx, t, b.Addr(), "predictions", len(good))
	letters := readTopic(ctx, t, b.Addr(), "dead_letters", len(bad))
	stop()

	for i, r := range predictions {
		if string(r.Value) != "done "+good[i] {
			t.Fatalf("prediction %d is %q, want %q", i, r.Value, "done "+good[i])
		}
	}
	for _, r := range letters {
		headers := map[string]string{}
		for _, h := range r.Headers {
			headers[h.Key] = string(h.Value)
		}
		number := strings.Fields(string(r.Value))[1]
		if headers["topic"] != "events" || headers["offset"] != number || string(r.Key) != "u"+number {
			t.Errorf("dead letter %.20q with key %s has headers %v", r.Value, r.Key, headers)
		}
		switch {
		case strings.HasPrefix(string(r.Value), "bad"):
			if !strings.Contains(headers["error"], "value is bad") {
				t.Errorf("dead letter %q has headers %v", r.Value, headers)
			}
		case headers["component"] != "kafka_franz" || !strings.Contains(headers["error"], "over the limit"):
			t.Errorf("dead letter %.20q has headers %v", r.Value, headers)
		}
	}
	if n := endOffset(ctx, t, client, "predictions"); n != len(good) {
		t.Errorf("%d predictions, want %d", n, len(good))
	}
	if n := endOffset(ctx, t, client, "dead_letters"); n != len(bad) {
		t.Errorf("%d dead letters, want %d", n, len(bad))
	}
}

// TestAnOutageAndAStopMeanwhileMakeNoDeadLetters: the broker goes away under
// load, the stream is stopped, and goes on after both are back.
func TestAnOutageAndAStopMeanwhileMakeNoDeadLetters(t *testing.T) {
	const count = 20_000
	cfg := broker.Config{
		Dir: t.TempDir(), Address: "127.0.0.1:0",
		Topics: []broker.Topic{{Name: "events"}, {Name: "predictions"}, {Name: "dead_letters"}},
	}
	b, err := broker.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	cfg.Address = b.Addr()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	records := make([]*kgo.Record, count)
	for n := range records {
		records[n] = &kgo.Record{Topic: "events", Value: fmt.Appendf(nil, "good %d", n)}
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}

	yaml := streamConfig(ownYAML, b.Addr())
	stop := runStream(t, yaml)
	readTopic(ctx, t, b.Addr(), "predictions", count/10)
	b.Close()
	stop()
	if b, err = broker.Open(cfg); err != nil {
		t.Fatal(err)
	}
	stop = runStream(t, yaml)
	next := 0
	for _, r := range readTopic(ctx, t, b.Addr(), "predictions", count) {
		var n int
		if _, err := fmt.Sscanf(string(r.Value), "done good %d", &n); err != nil || n > next {
			t.Fatalf("prediction %q comes after %d: %v", r.Value, next-1, err)
		}
		next = max(next, n+1)
	}
	stop()
	if n := endOffset(ctx, t, client, "dead_letters"); n != 0 {
		t.Errorf("%d dead letters", n)
	}
	t.Logf("%d duplicates", endOffset(ctx, t, client, "predictions")-count)
}

// runStream runs a stream until the returned function is called.
func runStream(t *testing.T, yaml string) func() {
	t.Helper()
	builder := service.NewStreamBuilder()
	if err := builder.SetYAML(yaml); err != nil {
		t.Fatal(err)
	}
	if err := builder.SetLoggerYAML("level: OFF"); err != nil {
		t.Fatal(err)
	}
	stream, err := builder.Build()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- stream.Run(context.Background()) }()
	return func() {
		t.Helper()
		if err := stream.StopWithin(10 * time.Second); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func readTopic(ctx context.Context, t *testing.T, addr, topic string, n int) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var records []*kgo.Record
	for len(records) < n {
		records = append(records, client.PollFetches(ctx).Records()...)
		if ctx.Err() != nil {
			t.Fatalf("read %d of %d records of %s", len(records), n, topic)
		}
	}
	return records
}

func endOffset(ctx context.Context, t *testing.T, client *kgo.Client, topic string) int {
	t.Helper()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	end, ok := ends.Lookup(topic, 0)
	if !ok {
		t.Fatalf("topic %s has no partition 0", topic)
	}
	return int(end.Offset)
}
