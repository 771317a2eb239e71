package kafka

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// pump moves batches from an input to an output, as a pipeline does, until its
// context ends. It returns when nothing is in flight.
type pump struct {
	mu     sync.Mutex
	values map[string]int // how often each was written
	errs   []error
}

func (p *pump) run(ctx context.Context, i *input, o *output) {
	var inFlight sync.WaitGroup
	defer inFlight.Wait()
	for {
		r, err := tryRead(ctx, i)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, service.ErrEndOfInput) {
				p.fail(err)
			}
			return
		}
		inFlight.Go(func() {
			err := o.WriteBatch(ctx, r.batch)
			if err != nil && ctx.Err() == nil {
				p.fail(err)
			}
			if err == nil {
				p.count(r.values)
			}
			_ = r.ack(ctx, err)
		})
	}
}

func (p *pump) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs = append(p.errs, err)
}

func (p *pump) count(values []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.values == nil {
		p.values = map[string]int{}
	}
	for _, v := range values {
		p.values[v]++
	}
}

func (p *pump) distinct() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.values)
}

// checkOrder fails if, for any partition of the source, the first occurrences
// in the topic are out of order. Values are "partition-number".
func checkOrder(t *testing.T, addr, topic string, partitions, perPartition, total int) {
	t.Helper()
	next := make([]int, partitions)
	duplicates := 0
	for _, r := range readTopic(t, addr, topic, total) {
		var partition, number int
		if _, err := fmt.Sscanf(string(r.Value), "%d-%d", &partition, &number); err != nil {
			t.Fatalf("value %q: %v", r.Value, err)
		}
		switch {
		case number == next[partition]:
			next[partition]++
		case number < next[partition]:
			duplicates++
		default:
			t.Fatalf("partition %d: %d comes before %d", partition, number, next[partition])
		}
	}
	for partition, n := range next {
		if n != perPartition {
			t.Errorf("partition %d: %d values, want %d", partition, n, perPartition)
		}
	}
	t.Logf("%d duplicates of %d", duplicates, total)
}

func numbered(partition, from, to int) []string {
	values := make([]string, 0, to-from)
	for n := from; n < to; n++ {
		values = append(values, fmt.Sprintf("%d-%d", partition, n))
	}
	return values
}

func endOffset(t *testing.T, addr, topic string) int {
	t.Helper()
	i := &input{conf: &inputConfig{subscription: subscription{topics: []string{topic}}}}
	ends, err := i.listEnds(testContext(t), adminOf(t, addr))
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, end := range ends {
		total += int(end.end)
	}
	return total
}

func TestBrokerRestartsUnderLoadLoseNothingAndKeepOrder(t *testing.T) {
	t.Parallel()
	const partitions, perPartition = 2, 20_000
	dir := t.TempDir()
	topics := []broker.Topic{{Name: "events", Partitions: partitions}, {Name: "out", Partitions: 3}}
	b := openBroker(t, dir, "127.0.0.1:0", topics...)
	addr := b.Addr()
	for p := range partitions {
		produce(t, addr, "events", int32(p), numbered(p, 0, perPartition)...)
	}
	i := startInput(t, addr, "seed_brokers: [$ADDR]\ntopics: [events]\nconsumer_group: g\ncommit_period: 100ms\nbatching: {count: 100}\n")
	// One key per source partition: its order must come through.
	o := startOutput(t, addr, "seed_brokers: [$ADDR]\ntopic: out\nkey: ${! @kafka_partition }\n")
	ctx, stop := context.WithCancel(testContext(t))
	var pump pump
	var running sync.WaitGroup
	running.Go(func() { pump.run(ctx, i, o) })

	for restart := range 3 {
		goal := (restart + 1) * partitions * perPartition / 4
		until(t, "progress", func() bool { return pump.distinct() >= goal })
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = openBroker(t, dir, addr)
	}
	until(t, "the rest", func() bool { return pump.distinct() == partitions*perPartition })
	stop()
	running.Wait()
	closeNow(t, i)
	if len(pump.errs) > 0 {
		t.Errorf("errors surfaced: %v", pump.errs)
	}
	checkOrder(t, addr, "out", partitions, perPartition, endOffset(t, addr, "out"))
	for p := range int32(partitions) {
		if at := committed(t, addr, "g", "events", p); at != perPartition {
			t.Errorf("partition %d: committed %d, want %d", p, at, perPartition)
		}
	}
}

// killableBroker runs a broker in a process of its own.
func killableBroker(t *testing.T, dir, address string) (addr string, kill func()) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childBroker+"="+dir+"|"+address)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	addr = strings.TrimSpace(line)
	if _, _, splitErr := net.SplitHostPort(addr); err != nil || splitErr != nil {
		t.Fatalf("the child says %q: %v", line, err)
	}
	return addr, kill
}

func TestBrokerKilledUnderLoadLosesNothingAndKeepsOrder(t *testing.T) {
	t.Parallel()
	const partitions, perPartition = 2, 20_000
	dir := t.TempDir()
	addr, kill := killableBroker(t, dir, "127.0.0.1:0")
	for p := range partitions {
		produce(t, addr, "events", int32(p), numbered(p, 0, perPartition)...)
	}
	i := startInput(t, addr, "seed_brokers: [$ADDR]\ntopics: [events]\nconsumer_group: g\ncommit_period: 100ms\nbatching: {count: 100}\n")
	o := startOutput(t, addr, "seed_brokers: [$ADDR]\ntopic: out\nkey: ${! @kafka_partition }\n")
	ctx, stop := context.WithCancel(testContext(t))
	var pump pump
	var running sync.WaitGroup
	running.Go(func() { pump.run(ctx, i, o) })
	for round := range 4 {
		goal := (round + 1) * partitions * perPartition / 5
		until(t, "progress", func() bool { return pump.distinct() >= goal })
		kill()
		_, kill = killableBroker(t, dir, addr)
	}
	until(t, "the rest", func() bool { return pump.distinct() == partitions*perPartition })
	stop()
	running.Wait()
	if len(pump.errs) > 0 {
		t.Errorf("errors surfaced: %v", pump.errs)
	}
	checkOrder(t, addr, "out", partitions, perPartition, endOffset(t, addr, "out"))
}

func TestInputAndOutputStartWithoutABroker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := openBroker(t, dir, "127.0.0.1:0", broker.Topic{Name: "events"}, broker.Topic{Name: "out"})
	addr := b.Addr()
	produce(t, addr, "events", 0, "1")
	b.Close()

	inputConf, err := parseInput(parse(t, inputSpec(), addr, groupYAML))
	if err != nil {
		t.Fatal(err)
	}
	outputConf, err := parseOutput(parse(t, outputSpec(), addr, outputYAML))
	if err != nil {
		t.Fatal(err)
	}
	var log testLog
	i, o := newInput(inputConf, log.resources()), newOutput(outputConf, log.resources())
	t.Cleanup(func() { closeNow(t, i); o.Close(context.Background()) })
	ctx := testContext(t)
	connected := make(chan error, 2)
	go func() { connected <- i.Connect(ctx) }()
	go func() { connected <- o.Connect(ctx) }()
	select {
	case err := <-connected:
		t.Fatalf("connected without a broker: %v", err)
	case <-time.After(300 * time.Millisecond): // several tries
	}
	if n := log.count("Kafka does not answer at " + addr); n != 2 {
		t.Errorf("%d lines about the outage, want one of each: %s", n, log.text.String())
	}
	openBroker(t, dir, addr)
	for range 2 {
		if err := <-connected; err != nil {
			t.Fatal(err)
		}
	}
	r := readBatch(t, i)
	if err := o.WriteBatch(ctx, r.batch); err != nil {
		t.Fatal(err)
	}
}

func TestConnectEndsWithItsContext(t *testing.T) {
	c, err := parseInput(parse(t, inputSpec(), "127.0.0.1:1", groupYAML))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := newInput(c, service.MockResources()).Connect(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error is %v", err)
	}
}

func TestCloseIsQuickDuringAnOutage(t *testing.T) {
	t.Parallel()
	b := startBroker(t, broker.Topic{Name: "events"})
	produce(t, b.Addr(), "events", 0, numbers(0, 10)...)
	i := startInput(t, b.Addr(), groupYAML)
	mustAck(t, readBatch(t, i), nil)
	b.Close()
	begin := time.Now()
	closeNow(t, i)
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("closing took %v", took)
	}
}

const rebalanceYAML = `
seed_brokers: [$ADDR]
topics: [events]
consumer_group: g
commit_period: 1h
heartbeat_interval: 100ms
batching: {count: 50}
`

// TestRebalanceInABacklogRepeatsNothing: two consumers share a backlog, and the
// second leaves again. All batches are acknowledged, so nothing comes twice.
func TestRebalanceInABacklogRepeatsNothing(t *testing.T) {
	t.Parallel()
	const partitions, perPartition = 4, 10_000
	b := startBroker(t, broker.Topic{Name: "events", Partitions: partitions})
	for p := range partitions {
		produce(t, b.Addr(), "events", int32(p), numbered(p, 0, perPartition)...)
	}
	ctx, stop := context.WithCancel(testContext(t))
	defer stop()
	seen := newSeen(partitions)
	var running sync.WaitGroup
	consume := func(ctx context.Context, i *input, member int) {
		for {
			r, err := tryRead(ctx, i)
			if err != nil {
				return
			}
			running.Go(func() {
				time.Sleep(time.Millisecond) // the work
				seen.add(member, r)
				_ = r.ack(ctx, nil)
			})
		}
	}
	first := startInput(t, b.Addr(), rebalanceYAML)
	running.Go(func() { consume(ctx, first, 1) })
	until(t, "the first member's start", func() bool { return seen.total() > 1000 })

	second := startInput(t, b.Addr(), rebalanceYAML)
	secondCtx, leave := context.WithCancel(ctx)
	running.Go(func() { consume(secondCtx, second, 2) })
	until(t, "the second member's share", func() bool { return seen.of(2) > 1000 })
	leave()
	drained, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := second.Close(drained); err != nil {
		t.Fatal(err)
	}
	until(t, "the whole backlog", func() bool { return seen.distinct() == partitions*perPartition })
	stop()
	running.Wait()
	if n := seen.total() - seen.distinct(); n != 0 {
		t.Errorf("%d duplicates", n)
	}
	if len(seen.disorder) > 0 {
		t.Errorf("out of order: %v", seen.disorder)
	}
}

// seen counts what consumers of a group have read.
type seen struct {
	mu       sync.Mutex
	next     []int64 // by partition
	counts   map[string]int
	members  map[int]int
	n        int
	disorder []string
}

func newSeen(partitions int) *seen {
	return &seen{next: make([]int64, partitions), counts: map[string]int{}, members: map[int]int{}}
}

func (s *seen) add(member int, r read) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, m := range r.batch {
		o := message.OriginFrom(m.Context())
		if o.Offset > s.next[o.Partition] {
			s.disorder = append(s.disorder, fmt.Sprintf("%d-%d after %d", o.Partition, o.Offset, s.next[o.Partition]-1))
		}
		s.next[o.Partition] = max(s.next[o.Partition], o.Offset+1)
		s.counts[r.values[n]]++
		s.members[member]++
		s.n++
	}
}

func (s *seen) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

func (s *seen) of(member int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.members[member]
}

func (s *seen) distinct() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.counts)
}
