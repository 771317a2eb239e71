package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/redpanda-data/benthos/v4/public/components/io" // its file output
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
)

const testTimeout = 60 * time.Second

// childBroker holds the folder and the address of the broker that the test
// binary runs as, in the child of a test that kills it.
const childBroker = "KAFKA_TEST_CHILD_BROKER"

// afterTests are called when all tests are done.
var afterTests []func()

func TestMain(m *testing.M) {
	dir, address, child := strings.Cut(os.Getenv(childBroker), "|")
	if !child {
		code := m.Run()
		for _, f := range afterTests {
			f()
		}
		os.Exit(code)
	}
	b, err := broker.Open(broker.Config{
		Dir: dir, Address: address,
		Topics: []broker.Topic{{Name: "events", Partitions: 2}, {Name: "out", Partitions: 3}},
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(b.Addr())
	select {} // until it is killed
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// startBroker starts an embedded broker on a free port.
func startBroker(t testing.TB, topics ...broker.Topic) *broker.Broker {
	t.Helper()
	return openBroker(t, t.TempDir(), "127.0.0.1:0", topics...)
}

func openBroker(t testing.TB, dir, address string, topics ...broker.Topic) *broker.Broker {
	t.Helper()
	b, err := broker.Open(broker.Config{Dir: dir, Address: address, Topics: topics})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func newClient(t testing.TB, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr), kgo.ProducerLinger(0)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseAllowingRebalance)
	return client
}

// produce writes the records of values to one partition.
func produce(t testing.TB, addr, topic string, partition int32, values ...string) {
	t.Helper()
	records := make([]*kgo.Record, len(values))
	for i, v := range values {
		records[i] = &kgo.Record{Topic: topic, Partition: partition, Key: []byte("k" + v), Value: []byte(v)}
	}
	client := newClient(t, addr, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := client.ProduceSync(testContext(t), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// numbers returns the values "from" to "to-1".
func numbers(from, to int) []string {
	values := make([]string, 0, to-from)
	for n := from; n < to; n++ {
		values = append(values, fmt.Sprint(n))
	}
	return values
}

// readTopic reads n records of a topic from its start.
func readTopic(t testing.TB, addr, topic string, n int) []*kgo.Record {
	t.Helper()
	ctx := testContext(t)
	client := newClient(t, addr, kgo.ConsumeTopics(topic))
	var records []*kgo.Record
	for len(records) < n {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("read %d of %d records of topic %s", len(records), n, topic)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func committed(t testing.TB, addr, group, topic string, partition int32) int64 {
	t.Helper()
	offsets, err := kadm.NewClient(newClient(t, addr)).FetchOffsets(testContext(t), group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return -1
	}
	if err != nil {
		t.Fatal(err)
	}
	o, ok := offsets.Lookup(topic, partition)
	if !ok {
		return -1
	}
	return o.At
}

// until waits for a condition.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(testTimeout)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(2 * time.Millisecond) // the step of the poll, not a guess
	}
}

// testLog collects what a component logs.
type testLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *testLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *testLog) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

func (l *testLog) resources() *service.Resources {
	return service.MockResources(service.MockResourcesOptUseLogger(service.NewLoggerFromSlog(slog.New(slog.NewTextHandler(l, nil)))))
}

// parse returns the parsed configuration of a spec. $ADDR stands for addr.
func parse(t testing.TB, spec *service.ConfigSpec, addr, yaml string) *service.ParsedConfig {
	t.Helper()
	conf, err := spec.ParseYAML(strings.ReplaceAll(yaml, "$ADDR", addr), nil)
	if err != nil {
		t.Fatal(err)
	}
	return conf
}

// startInput connects an input and closes it at the end of the test.
func startInput(t testing.TB, addr, yaml string) *input {
	t.Helper()
	c, err := parseInput(parse(t, inputSpec(), addr, yaml))
	if err != nil {
		t.Fatal(err)
	}
	i := newInput(c, service.MockResources())
	if err := i.Connect(testContext(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNow(t, i) })
	return i
}

// closeNow closes as Benthos does.
func closeNow(t testing.TB, i *input) {
	t.Helper()
	if err := i.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func startOutput(t testing.TB, addr, yaml string) *output {
	t.Helper()
	c, err := parseOutput(parse(t, outputSpec(), addr, yaml))
	if err != nil {
		t.Fatal(err)
	}
	o := newOutput(c, service.MockResources())
	if err := o.Connect(testContext(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close(context.Background()) })
	return o
}

// read is one batch with its acknowledgement.
type read struct {
	values []string
	batch  service.MessageBatch
	ack    service.AckFunc
}

func readBatch(t testing.TB, i *input) read {
	t.Helper()
	r, err := tryRead(testContext(t), i)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tryRead(ctx context.Context, i *input) (read, error) {
	batch, ack, err := i.ReadBatch(ctx)
	if err != nil {
		return read{}, err
	}
	r := read{batch: batch, ack: ack}
	for _, m := range batch {
		value, _ := m.AsBytes()
		r.values = append(r.values, string(value))
	}
	return r, nil
}

func mustAck(t testing.TB, r read, err error) {
	t.Helper()
	if err := r.ack(t.Context(), err); err != nil {
		t.Fatal(err)
	}
}

func adminOf(t testing.TB, addr string) *kadm.Client {
	t.Helper()
	return kadm.NewClient(newClient(t, addr))
}
