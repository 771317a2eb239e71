package kafka

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

func TestMemoryIsBoundedWhileNothingIsAcknowledged(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "events", Partitions: 2})
	produce(t, b.Addr(), "events", 0, numbers(0, 3)...) // a first batch may be short
	produce(t, b.Addr(), "events", 0, numbers(3, 20_000)...)
	i := startInput(t, b.Addr(), groupYAML+"checkpoint_limit: 100\nfetch_max_partition_bytes: 4KiB\n")
	r := readBatch(t, i)
	queued := func() int {
		i.mu.Lock()
		defer i.mu.Unlock()
		return len(i.parts[topicPartition{"events", 0}].queue)
	}
	// The other partition is empty and has to be polled for: so this one is paused.
	until(t, "a pause", func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.parts[topicPartition{"events", 0}].paused
	})
	if n := queued(); n < 100 || n > 100+20_000 {
		t.Errorf("%d messages are queued", n)
	}
	before := queued()
	produce(t, b.Addr(), "events", 1, "other")
	if other := readBatch(t, i); !slices.Equal(other.values, []string{"other"}) {
		t.Errorf("read %v, want the other partition", other.values)
	}
	if after := queued(); after != before {
		t.Errorf("%d messages are queued, %d before: the paused partition was fetched", after, before)
	}
	mustAck(t, r, nil)
	// The first batch is as long as what the producer happened to send first.
	values := slices.Concat(r.values, readAll(t, i, 20_000-len(r.values)))
	if want := numbers(0, 20_000); !slices.Equal(values, want) {
		at := 0
		for at < min(len(values), len(want)) && values[at] == want[at] {
			at++
		}
		t.Errorf("%d values, want %d; from place %d on they are %.5q, want %.5q", len(values), len(want), at, values[at:], want[at:])
	}
}

func TestBatchesFillForAPeriod(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "many"}, broker.Topic{Name: "few"})
	full := startInput(t, b.Addr(), "seed_brokers: [$ADDR]\ntopics: [many]\nbatching: {count: 10, period: 10m}\n")
	for n := range 10 {
		produce(t, b.Addr(), "many", 0, fmt.Sprint(n))
	}
	if r := readBatch(t, full); len(r.values) != 10 {
		t.Errorf("a batch of %d, want 10", len(r.values))
	}
	late := startInput(t, b.Addr(), "seed_brokers: [$ADDR]\ntopics: [few]\nbatching: {count: 10, period: 300ms}\n")
	produce(t, b.Addr(), "few", 0, "0")
	if r := readBatch(t, late); len(r.values) != 1 {
		t.Errorf("a batch of %d after the period, want 1", len(r.values))
	}
}

func TestBatchesAreBoundedByBytes(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "events"})
	value := strings.Repeat("x", 1000)
	produce(t, b.Addr(), "events", 0, value, value, strings.Repeat("y", 9000), value, value)
	i := startInput(t, b.Addr(), "seed_brokers: [$ADDR]\ntopics: [events]\nbatching: {byte_size: 4000}\n")
	for total := 0; total < 5; {
		r := readBatch(t, i)
		size := 0
		for _, v := range r.values {
			size += len(v)
		}
		if len(r.values) > 1 && size > 4000 {
			t.Errorf("a batch of %d messages has %d bytes", len(r.values), size)
		}
		total += len(r.values)
		mustAck(t, r, nil)
	}
}

func TestTopicsByExpressionAndFromTheEnd(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "events_a"}, broker.Topic{Name: "events_b"}, broker.Topic{Name: "other"})
	for _, topic := range []string{"events_a", "events_b", "other"} {
		produce(t, b.Addr(), topic, 0, topic)
	}
	i := startInput(t, b.Addr(), "seed_brokers: [$ADDR]\ntopics: ['^events_']\nregexp_topics: true\n")
	got := readAll(t, i, 2)
	slices.Sort(got)
	if !slices.Equal(got, []string{"events_a", "events_b"}) {
		t.Errorf("read %v", got)
	}
	latest := startInput(t, b.Addr(), "seed_brokers: [$ADDR]\ntopics: [other]\nstart_offset: latest\nemit_end_of_partition: true\n")
	marker := readBatch(t, latest)
	if flag, _ := marker.batch[0].MetaGet(metaEnd); flag != "true" {
		t.Fatalf("read %v, want the marker", marker.values)
	}
	mustAck(t, marker, nil)
	nothingToRead(t, latest)
}

func TestDroppedNacksAreCommittedWithoutReplay(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "events"})
	produce(t, b.Addr(), "events", 0, numbers(0, 20)...)
	i := startInput(t, b.Addr(), groupYAML+"auto_replay_nacks: false\n")
	mustAck(t, readBatch(t, i), errNack)
	if r := readBatch(t, i); !slices.Equal(r.values, numbers(10, 20)) {
		t.Errorf("read %v", r.values)
	}
	closeNow(t, i)
	if at := committed(t, b.Addr(), "g", "events", 0); at != 10 {
		t.Errorf("committed %d, want 10", at)
	}
}

func TestCloseWaitsForAcknowledgementsUntilItsDeadline(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "events"})
	produce(t, b.Addr(), "events", 0, numbers(0, 10)...)
	i := startInput(t, b.Addr(), groupYAML)
	r := readBatch(t, i)
	closed := make(chan error, 1)
	go func() { closed <- i.Close(testContext(t)) }()
	until(t, "closing", func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.closing
	})
	mustAck(t, r, nil)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if at := committed(t, b.Addr(), "g", "events", 0); at != 10 {
		t.Errorf("committed %d, want 10", at)
	}
	if _, err := tryRead(t.Context(), i); err == nil {
		t.Error("a closed input can be read")
	}
}

// TestRevokeForgetsWhatWasNotHandedOut: the position must not pass records that
// were fetched for a partition and then given up with it.
func TestRevokeForgetsWhatWasNotHandedOut(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "events"})
	produce(t, b.Addr(), "events", 0, numbers(0, 30)...)
	i := startInput(t, b.Addr(), groupYAML)
	r := readBatch(t, i)
	until(t, "all fetched", func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.parts[topicPartition{"events", 0}].next == 30
	})
	revoked := make(chan struct{})
	go func() {
		i.revoked(testContext(t), i.client, map[string][]int32{"events": {0}})
		close(revoked)
	}()
	until(t, "revoking", func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.parts[topicPartition{"events", 0}].revoking
	})
	mustAck(t, r, nil)
	<-revoked
	if at := committed(t, b.Addr(), "g", "events", 0); at != 10 {
		t.Errorf("committed %d, want 10", at)
	}
	nothingToRead(t, i)
}

func TestLagCountsWhatIsNotAcknowledged(t *testing.T) {
	p := newPartition(topicPartition{"events", 0})
	if p.position() != -1 {
		t.Error("a partition that was never fetched has a position")
	}
	b := startBroker(t, broker.Topic{Name: "events"})
	produce(t, b.Addr(), "events", 0, numbers(0, 25)...)
	i := startInput(t, b.Addr(), groupYAML)
	lag := func() int64 {
		i.mu.Lock()
		defer i.mu.Unlock()
		p := i.parts[topicPartition{"events", 0}]
		return p.end - p.position()
	}
	r := readBatch(t, i)
	if n := lag(); n != 25 {
		t.Errorf("lag is %d, want 25", n)
	}
	mustAck(t, r, nil)
	if n := lag(); n != 15 {
		t.Errorf("lag is %d, want 15", n)
	}
	produce(t, b.Addr(), "events", 0, numbers(25, 30)...)
	i.refreshLag(testContext(t), adminOf(t, b.Addr()))
	if n := lag(); n != 20 {
		t.Errorf("lag is %d, want 20", n)
	}
}

// TestStreamStopsUnderLoadAndLosesNothing stops a whole Benthos stream in the
// middle of a backlog, again and again.
func TestStreamStopsUnderLoadAndLosesNothing(t *testing.T) {
	const count = 30_000
	b := startBroker(t, broker.Topic{Name: "events", Partitions: 2}, broker.Topic{Name: "out"})
	for p := range 2 {
		produce(t, b.Addr(), "events", int32(p), numbered(p, 0, count/2)...)
	}
	yaml := strings.ReplaceAll(`
input: {kafka_franz: {seed_brokers: [$ADDR], topics: [events], consumer_group: g, batching: {count: 100}}}
output: {kafka_franz: {seed_brokers: [$ADDR], topic: out, key: '${! @kafka_partition }'}}
logger: {level: OFF}
`, "$ADDR", b.Addr())
	for end := 0; end < count; {
		goal := min(end+5000, count)
		end = runUntil(t, yaml, func() int { return endOffset(t, b.Addr(), "out") }, goal)
	}
	total := endOffset(t, b.Addr(), "out")
	if total != count {
		t.Errorf("%d records, want %d: a graceful stop repeats nothing", total, count)
	}
	checkOrder(t, b.Addr(), "out", 2, count/2, total)
}

// runUntil runs a stream until progress reaches goal, stops it, and returns the progress.
func runUntil(t *testing.T, yaml string, progress func() int, goal int) int {
	t.Helper()
	builder := service.NewStreamBuilder()
	if err := builder.SetYAML(yaml); err != nil {
		t.Fatal(err)
	}
	stream, err := builder.Build()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- stream.Run(context.Background()) }()
	until(t, "progress", func() bool { return progress() >= goal })
	begin := time.Now()
	if err := stream.StopWithin(10 * time.Second); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	return progress()
}

func TestNarrowKeepsAllWhenAMessageIsUnknown(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "events"})
	produce(t, b.Addr(), "events", 0, numbers(0, 3)...)
	i := startInput(t, b.Addr(), groupYAML)
	r := readBatch(t, i)
	foreign := service.MessageBatch{service.NewMessage(nil)}
	mustAck(t, r, service.NewBatchError(foreign, errNack).Failed(0, errNack))
	if again := readBatch(t, i); !slices.Equal(again.values, r.values) {
		t.Errorf("read %v again, want %v", again.values, r.values)
	}
	if o := message.OriginFrom(r.batch[0].Context()); o == nil {
		t.Error("the message has no origin")
	}
}

func TestCloseLeavesNoGoroutines(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "events"}, broker.Topic{Name: "out"})
	produce(t, b.Addr(), "events", 0, numbers(0, 100)...)
	ours := func() int {
		stacks := make([]byte, 4<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		n := 0
		for stack := range strings.SplitSeq(string(stacks), "\n\n") {
			if strings.Contains(stack, "plugins/kafka.(*input)") || strings.Contains(stack, "plugins/kafka.(*output)") || strings.Contains(stack, "plugins/kafka.(*write)") {
				n++
			}
		}
		return n
	}
	i, o := startInput(t, b.Addr(), groupYAML), startOutput(t, b.Addr(), outputYAML)
	for range 5 {
		r := readBatch(t, i)
		mustAck(t, r, o.WriteBatch(testContext(t), r.batch))
	}
	closeNow(t, i)
	closeNow(t, i)
	if err := o.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "goroutines to end", func() bool { return ours() == 0 })
}

func TestInputReadsNamedPartitionsFromNamedOffsets(t *testing.T) {
	t.Parallel()
	b := startBroker(t, broker.Topic{Name: "events", Partitions: 4}, broker.Topic{Name: "more"})
	for p := range int32(4) {
		produce(t, b.Addr(), "events", p, numbered(int(p), 0, 3)...)
	}
	produce(t, b.Addr(), "more", 0, "9-0")
	i := startInput(t, b.Addr(), "seed_brokers: [$ADDR]\ntopics: ['events:0:2', 'events:2-3:1', more]\n")
	want := []string{"0-2", "2-1", "2-2", "3-1", "3-2", "9-0"}
	var got []string
	for len(got) < len(want) {
		r := readBatch(t, i)
		got = append(got, r.values...)
		mustAck(t, r, nil)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
}

func TestInputStartsAtATime(t *testing.T) {
	t.Parallel()
	b := startBroker(t, broker.Topic{Name: "events"})
	client := newClient(t, b.Addr())
	at := time.Date(2026, 1, 31, 6, 0, 0, 0, time.UTC)
	for n := range 5 {
		r := &kgo.Record{Topic: "events", Value: fmt.Append(nil, n), Timestamp: at.Add(time.Duration(n) * time.Minute)}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for _, start := range []string{"2026-01-31T06:03:00Z", fmt.Sprint(at.Add(3 * time.Minute).UnixMilli())} {
		i := startInput(t, b.Addr(), "seed_brokers: [$ADDR]\ntopics: [events]\nstart_timestamp: '"+start+"'\n")
		var got []string
		for len(got) < 2 {
			got = append(got, readBatch(t, i).values...)
		}
		if !slices.Equal(got, []string{"3", "4"}) {
			t.Errorf("from %s: read %v, want 3 and 4", start, got)
		}
	}
}

func TestInputLeavesExcludedTopicsOut(t *testing.T) {
	t.Parallel()
	b := startBroker(t, broker.Topic{Name: "events_a"}, broker.Topic{Name: "events_b"}, broker.Topic{Name: "other"})
	for _, topic := range []string{"events_a", "events_b", "other"} {
		produce(t, b.Addr(), topic, 0, topic)
	}
	i := startInput(t, b.Addr(), "seed_brokers: [$ADDR]\nregexp_topics_include: ['events_.*']\nregexp_topics_exclude: ['.*_b']\nemit_end_of_partition: true\n")
	var got []string
	for {
		r := readBatch(t, i)
		if _, end := r.batch[0].MetaGet(metaEnd); end {
			break
		}
		got = append(got, r.values...)
		mustAck(t, r, nil)
	}
	if !slices.Equal(got, []string{"events_a"}) {
		t.Errorf("read %v", got)
	}
}

// TestADryPartitionIsFetchedForWhileAnotherIsFull: fetches bring partitions
// different numbers of records, and the one that was drained first stood still
// until the last one was.
func TestADryPartitionIsFetchedForWhileAnotherIsFull(t *testing.T) {
	full := func(bytes int) *partition {
		return &partition{queue: make([]*kgo.Record, 2000), queuedBytes: bytes, next: 2000, end: 9000}
	}
	tests := map[string]struct {
		full, other *partition
		want        bool
	}{
		"dry":                    {full(1 << 20), &partition{next: 500, end: 9000}, true},
		"dry, and bytes run out": {full(4 << 20), &partition{next: 500, end: 9000}, false},
		"empty at its end":       {full(1 << 20), &partition{next: 500, end: 500}, false},
		"never fetched":          {full(1 << 20), newPartition(topicPartition{"events", 1}), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			i := newInput(&inputConfig{checkpointLimit: 1024, bufferBytes: 4 << 20}, service.MockResources())
			i.parts = map[topicPartition]*partition{{"events", 0}: test.full, {"events", 1}: test.other}
			if got := i.mayPoll(nil, false); got != test.want {
				t.Errorf("polls: %v, want %v", got, test.want)
			}
		})
	}
}
