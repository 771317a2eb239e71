package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

const outputYAML = `
seed_brokers: [$ADDR]
topic: out
key: ${! @kafka_key }
`

func newMessage(key, value string) *service.Message {
	m := service.NewMessage([]byte(value))
	m.MetaSetMut(metaKey, key)
	return m
}

func values(batch []string) (messages service.MessageBatch) {
	for _, v := range batch {
		messages = append(messages, newMessage("k", v))
	}
	return messages
}

func TestOutputWritesKeysHeadersTimestampsAndTombstones(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "out"})
	o := startOutput(t, b.Addr(), outputYAML+"metadata: {include_patterns: ['.*']}\ntimestamp_ms: '1700000000123'\n")
	m := newMessage("u1", "v")
	m.MetaSetMut("trace", "abc")
	gone := newMessage("u2", "ignored")
	gone.MetaSetMut(metaTombstone, true)
	if err := o.WriteBatch(testContext(t), service.MessageBatch{m, gone, newMessage("", "")}); err != nil {
		t.Fatal(err)
	}
	records := readTopic(t, b.Addr(), "out", 3)
	if r := records[0]; string(r.Key) != "u1" || string(r.Value) != "v" || fmt.Sprint(r.Headers) != "[{trace [97 98 99]}]" || r.Timestamp.UnixMilli() != 1_700_000_000_123 {
		t.Errorf("first record is %+v", r)
	}
	if r := records[1]; string(r.Key) != "u2" || r.Value != nil || len(r.Headers) != 0 {
		t.Errorf("tombstone is %+v", r)
	}
	if r := records[2]; r.Key != nil || r.Value == nil || len(r.Value) != 0 {
		t.Errorf("empty message without a key is %+v", r)
	}
}

func TestOutputSkipsWhatIsNotForIt(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "out"})
	o := startOutput(t, b.Addr(), outputYAML+"skip_metadata: other\n")
	skipped, too := newMessage("u1", "skipped"), newMessage("u2", "too")
	skipped.MetaSetMut("other", "kind")
	too.MetaSetMut("other", "")
	for _, batch := range []service.MessageBatch{{skipped, newMessage("u1", "a"), too, newMessage("u2", "b")}, {skipped}} {
		if err := o.WriteBatch(testContext(t), batch); err != nil {
			t.Fatal(err)
		}
	}
	records := readTopic(t, b.Addr(), "out", 2)
	if len(records) != 2 || string(records[0].Value) != "a" || string(records[1].Value) != "b" {
		t.Errorf("records are %v", records)
	}
}

func TestOutputKnowsTheKeyWithoutMetadata(t *testing.T) {
	for _, key := range []string{"${! @kafka_key }", `${!@kafka_key.or("")}`} {
		b := startBroker(t, broker.Topic{Name: "out"})
		o := startOutput(t, b.Addr(), "seed_brokers: [$ADDR]\ntopic: out\nkey: '"+key+"'\n")
		ctx := message.WithOrigin(testContext(t), &message.Origin{Key: []byte("u1")})
		bare := service.NewMessageWithContext(ctx, []byte("v"))
		changed := service.NewMessageWithContext(ctx, []byte("v"))
		changed.MetaSetMut(metaKey, "u2")
		keyless := service.NewMessageWithContext(message.WithOrigin(testContext(t), &message.Origin{}), []byte("v"))
		if err := o.WriteBatch(testContext(t), service.MessageBatch{bare, changed, keyless}); err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"u1", "u2", ""} {
			if got := string(readTopic(t, b.Addr(), "out", 3)[i].Key); got != want {
				t.Errorf("%s: key of record %d is %q, want %q", key, i, got, want)
			}
		}
	}
}

// failures returns what a BatchError says of each message.
func failures(t *testing.T, batch service.MessageBatch, index *service.Indexer, err error) map[int]error {
	t.Helper()
	var batchErr *service.BatchError
	if !errors.As(err, &batchErr) {
		t.Fatalf("error is %v, want a BatchError", err)
	}
	failed := map[int]error{}
	batchErr.WalkMessagesIndexedBy(index, func(i int, _ *service.Message, err error) bool {
		if err != nil {
			failed[i] = err
		}
		return true
	})
	return failed
}

func TestOutputFailsOnlyTheMessagesThatCanNeverBeWritten(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "out"})
	o := startOutput(t, b.Addr(), "seed_brokers: [$ADDR]\ntopic: ${! @topic }\nmax_message_bytes: 2KiB\n")
	batch := values([]string{"0", strings.Repeat("x", 3000), "2", "3", "4"})
	for i, topic := range []string{"out", "out", "no/topic", "out", "out"} {
		batch[i].MetaSetMut("topic", topic)
	}
	index := batch.Index()
	failed := failures(t, batch, index, o.WriteBatch(testContext(t), batch))
	if len(failed) != 2 {
		t.Fatalf("failed: %v", failed)
	}
	var rejection *message.Rejection
	if !errors.As(failed[1], &rejection) || !strings.Contains(rejection.Reason, "over the limit of 2048 bytes") {
		t.Errorf("error of the large message is %v", failed[1])
	}
	if !errors.As(failed[2], &rejection) || !strings.Contains(rejection.Reason, `topic name "no/topic"`) {
		t.Errorf("error of the bad topic is %v", failed[2])
	}
	var got []string
	for _, r := range readTopic(t, b.Addr(), "out", 3) {
		got = append(got, string(r.Value))
	}
	if want := []string{"0", "3", "4"}; !slices.Equal(got, want) {
		t.Errorf("wrote %v, want %v", got, want)
	}
}

// setTopicLimit changes the largest record batch of a topic.
func setTopicLimit(t *testing.T, addr, topic, limit string) {
	t.Helper()
	_, err := kadm.NewClient(newClient(t, addr)).AlterTopicConfigs(testContext(t),
		[]kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &limit}}, topic)
	if err != nil {
		t.Fatal(err)
	}
}

func TestOutputFollowsTheTopicsOwnLimit(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "out"})
	setTopicLimit(t, b.Addr(), "out", "4096")
	o := startOutput(t, b.Addr(), outputYAML+"compression: none\n")
	batch := values(append(numbers(0, 500), strings.Repeat("x", 5000)))
	index := batch.Index()
	failed := failures(t, batch, index, o.WriteBatch(testContext(t), batch))
	if len(failed) != 1 || failed[500] == nil {
		t.Fatalf("failed: %v", failed)
	}
	for n, r := range readTopic(t, b.Addr(), "out", 500) {
		if string(r.Value) != fmt.Sprint(n) {
			t.Fatalf("record %d is %s", n, r.Value)
		}
	}
}

func TestOutputSendsARefusedBatchOneByOne(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "out"})
	o := startOutput(t, b.Addr(), outputYAML+"compression: none\n")
	if err := o.WriteBatch(testContext(t), values([]string{"first"})); err != nil {
		t.Fatal(err)
	}
	setTopicLimit(t, b.Addr(), "out", "2048") // after it was learned
	batch := values(append(numbers(0, 20), strings.Repeat("x", 3000), "20", "21"))
	index := batch.Index()
	failed := failures(t, batch, index, o.WriteBatch(testContext(t), batch))
	if len(failed) != 1 || failed[20] == nil {
		t.Fatalf("failed: %v", failed)
	}
	var got []string
	for _, r := range readTopic(t, b.Addr(), "out", 23)[1:] {
		got = append(got, string(r.Value))
	}
	slices.Sort(got)
	want := numbers(0, 22)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("wrote %v, want %v", got, want)
	}
}

func TestOutputRejectsAPartitionThatDoesNotExist(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "out", Partitions: 2})
	o := startOutput(t, b.Addr(), "seed_brokers: [$ADDR]\ntopic: out\npartitioner: manual\npartition: ${! content() }\n")
	batch := values([]string{"0", "1", "7", "x"})
	index := batch.Index()
	failed := failures(t, batch, index, o.WriteBatch(testContext(t), batch))
	if len(failed) != 2 || failed[2] == nil || failed[3] == nil {
		t.Fatalf("failed: %v", failed)
	}
	for _, r := range readTopic(t, b.Addr(), "out", 2) {
		if string(r.Value) != fmt.Sprint(r.Partition) {
			t.Errorf("value %s is in partition %d", r.Value, r.Partition)
		}
	}
}

func TestOutputWaitsForATopicToBeCreated(t *testing.T) {
	b := startBroker(t)
	o := startOutput(t, b.Addr(), outputYAML)
	done := make(chan error, 1)
	ctx := testContext(t)
	go func() { done <- o.WriteBatch(ctx, values(numbers(0, 3))) }()
	select {
	case err := <-done:
		t.Fatalf("returned %v without the topic", err)
	case <-o.firstTry(t):
	}
	if _, err := kadm.NewClient(newClient(t, b.Addr())).CreateTopic(ctx, 1, 1, nil, "out"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	readTopic(t, b.Addr(), "out", 3)
}

// firstTry is closed once records are waiting in the producer.
func (o *output) firstTry(t *testing.T) <-chan struct{} {
	waiting := make(chan struct{})
	go func() {
		until(t, "records in the producer", func() bool { return o.client.BufferedProduceRecords() == 3 })
		close(waiting)
	}()
	return waiting
}

func TestOutputReturnsTheContextsErrorDuringAnOutage(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "out"})
	o := startOutput(t, b.Addr(), outputYAML)
	if err := o.WriteBatch(testContext(t), values([]string{"0"})); err != nil {
		t.Fatal(err)
	}
	b.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	o.limits.Clear() // an outage must not cost a question for each message
	go func() { done <- o.WriteBatch(ctx, values(numbers(0, 300))) }()
	until(t, "records in the producer", func() bool { return o.client.BufferedProduceRecords() == 300 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v, want the context's", err)
	}
}

func TestOutputSpreadsKeysLikeKafka(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "out", Partitions: 4})
	o := startOutput(t, b.Addr(), outputYAML)
	var batch service.MessageBatch
	for n := range 100 {
		batch = append(batch, newMessage(fmt.Sprint(n%10), fmt.Sprint(n)))
	}
	if err := o.WriteBatch(testContext(t), batch); err != nil {
		t.Fatal(err)
	}
	partitions, last := map[string]int32{}, map[string][]byte{}
	for _, r := range readTopic(t, b.Addr(), "out", 100) {
		key := string(r.Key)
		if p, ok := partitions[key]; ok && p != r.Partition {
			t.Errorf("key %s is in two partitions", key)
		}
		partitions[key] = r.Partition
		if len(last[key]) == len(r.Value) && bytes.Compare(last[key], r.Value) > 0 {
			t.Errorf("key %s: %s after %s", key, r.Value, last[key])
		}
		last[key] = r.Value
	}
}

func TestBadOutputConfigurationNamesTheField(t *testing.T) {
	for _, test := range []struct{ name, yaml, want string }{
		{"bad topic", "seed_brokers: [a:1]\ntopic: a b", "field topic"},
		{"manual without partition", "seed_brokers: [a:1]\ntopic: t\npartitioner: manual", "field partition"},
		{"partition without manual", "seed_brokers: [a:1]\ntopic: t\npartition: '1'", "field partition"},
		{"idempotent without acks", "seed_brokers: [a:1]\ntopic: t\nacks: none", "field acks"},
		{"bad topic for replies", "seed_brokers: [a:1]\ntopic: t\nreply_topics: [a b]", "field reply_topics"},
		{"bad size", "seed_brokers: [a:1]\ntopic: t\nmax_message_bytes: big", "field max_message_bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseOutput(parse(t, outputSpec(), "", test.yaml))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}
