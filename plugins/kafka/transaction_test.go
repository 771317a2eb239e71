package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
)

const transactionYAML = `
seed_brokers: [$ADDR]
topics: [events]
consumer_group: g
transactional_id: copy
transaction_max_records: 1000
heartbeat_interval: 100ms
batching: {count: 100}
`

const copyYAML = "seed_brokers: [$ADDR]\ntopic: out\nkey: ${! @kafka_partition }\n"

// committedValues counts the values of committed records.
func committedValues(t *testing.T, addr, topic string) map[string]int {
	t.Helper()
	i := startInput(t, addr, "seed_brokers: [$ADDR]\ntopics: ["+topic+"]\nemit_end_of_partition: true\ntransaction_isolation_level: read_committed\n")
	values, ends, partitions := map[string]int{}, 0, 0
	i.mu.Lock()
	partitions = len(i.parts)
	i.mu.Unlock()
	for ends < partitions {
		r := readBatch(t, i)
		for n, m := range r.batch {
			if _, end := m.MetaGet(metaEnd); end {
				ends++
				continue
			}
			values[r.values[n]]++
		}
		mustAck(t, r, nil)
	}
	return values
}

// copier copies events to out in transactions, as a pipeline does.
type copier struct {
	*input
	out  *output
	fail func(values []string) error // what the pipeline makes of a batch
}

func (c *copier) run(ctx context.Context) {
	var inFlight sync.WaitGroup
	defer inFlight.Wait()
	for {
		r, err := tryRead(ctx, c.input)
		if errors.Is(err, service.ErrNotConnected) {
			if c.Connect(ctx) != nil {
				return
			}
			continue
		}
		if err != nil {
			return
		}
		inFlight.Go(func() {
			err := c.out.WriteBatch(ctx, r.batch)
			if err == nil && c.fail != nil {
				err = c.fail(r.values)
			}
			_ = r.ack(ctx, err)
		})
	}
}

func TestATransactionRepeatsNothingWhenBatchesAreRejected(t *testing.T) {
	t.Parallel()
	const partitions, perPartition = 2, 3000
	b := startBroker(t, broker.Topic{Name: "events", Partitions: partitions}, broker.Topic{Name: "out", Partitions: 2})
	for p := range partitions {
		produce(t, b.Addr(), "events", int32(p), numbered(p, 0, perPartition)...)
	}
	var mu sync.Mutex
	rejected := 0
	c := &copier{input: startInput(t, b.Addr(), transactionYAML), out: startOutput(t, b.Addr(), copyYAML)}
	c.fail = func(values []string) error {
		mu.Lock()
		defer mu.Unlock()
		if rejected < 5 && strings.HasSuffix(values[0], "500") {
			rejected++
			return errors.New("no")
		}
		return nil
	}
	ctx, stop := context.WithCancel(testContext(t))
	var running sync.WaitGroup
	running.Go(func() { c.run(ctx) })
	until(t, "the offsets", func() bool {
		return committed(t, b.Addr(), "g", "events", 0) == perPartition && committed(t, b.Addr(), "g", "events", 1) == perPartition
	})
	stop()
	running.Wait()
	if rejected == 0 {
		t.Error("nothing was rejected")
	}
	checkOnce(t, committedValues(t, b.Addr(), "out"), partitions, perPartition)
	if all := endOffset(t, b.Addr(), "out"); all <= partitions*perPartition {
		t.Errorf("%d records, so nothing was aborted", all)
	}
}

func checkOnce(t *testing.T, values map[string]int, partitions, perPartition int) {
	t.Helper()
	if len(values) != partitions*perPartition {
		t.Errorf("%d distinct values, want %d", len(values), partitions*perPartition)
	}
	for value, n := range values {
		if n != 1 {
			t.Fatalf("%q is there %d times", value, n)
		}
	}
}

// TestATransactionPassesARebalance: a second member comes into a backlog, and
// goes again.
func TestATransactionPassesARebalance(t *testing.T) {
	t.Parallel()
	const partitions, perPartition = 4, 10_000
	b := startBroker(t, broker.Topic{Name: "events", Partitions: partitions}, broker.Topic{Name: "out", Partitions: 3})
	for p := range partitions {
		produce(t, b.Addr(), "events", int32(p), numbered(p, 0, perPartition)...)
	}
	total := func() (sum int64) {
		for p := range int32(partitions) {
			sum += max(committed(t, b.Addr(), "g", "events", p), 0)
		}
		return sum
	}
	ctx, stop := context.WithCancel(testContext(t))
	var running sync.WaitGroup
	start := func(ctx context.Context, id string) *copier {
		c := &copier{
			input: startInput(t, b.Addr(), strings.Replace(transactionYAML, "id: copy", "id: "+id, 1)),
			out:   startOutput(t, b.Addr(), copyYAML),
		}
		running.Go(func() { c.run(ctx) })
		return c
	}
	start(ctx, "one")
	until(t, "the first member's start", func() bool { return total() > 2000 })
	secondCtx, leave := context.WithCancel(ctx)
	second := start(secondCtx, "two")
	until(t, "progress with two", func() bool { return total() > 12_000 })
	leave()
	closeNow(t, second.input)
	until(t, "the whole backlog", func() bool { return total() == partitions*perPartition })
	stop()
	running.Wait()
	checkOnce(t, committedValues(t, b.Addr(), "out"), partitions, perPartition)
}

// TestATransactionIsTakenOverByItsID: what a process left open when it died is
// aborted by the next one with the same id.
func TestATransactionIsTakenOverByItsID(t *testing.T) {
	t.Parallel()
	b := startBroker(t, broker.Topic{Name: "events"}, broker.Topic{Name: "out"})
	produce(t, b.Addr(), "events", 0, numbered(0, 0, 100)...)
	first, out := startInput(t, b.Addr(), transactionYAML), startOutput(t, b.Addr(), copyYAML)
	r := readBatch(t, first)
	if err := out.WriteBatch(t.Context(), r.batch); err != nil {
		t.Fatal(err)
	}
	// It is never acknowledged. Leave the group, not the transaction.
	first.client.LeaveGroup()

	c := &copier{input: startInput(t, b.Addr(), transactionYAML), out: out}
	ctx, stop := context.WithCancel(testContext(t))
	defer stop()
	go c.run(ctx)
	until(t, "the second process", func() bool { return committed(t, b.Addr(), "g", "events", 0) == 100 })
	checkOnce(t, committedValues(t, b.Addr(), "out"), 1, 100)
	if err := out.WriteBatch(ctx, r.batch); err == nil {
		t.Error("a fenced transaction was written to")
	}
}

// TestATransactionRejectsOnlyWhatTheBrokerRefuses: the topic's limit is lowered
// after the output has learned it.
func TestATransactionRejectsOnlyWhatTheBrokerRefuses(t *testing.T) {
	t.Parallel()
	b := startBroker(t, broker.Topic{Name: "events"}, broker.Topic{Name: "out"})
	noise := make([]byte, 5000) // so that compression does not help
	if _, err := rand.NewChaCha8([32]byte{}).Read(noise); err != nil {
		t.Fatal(err)
	}
	big := "0-1" + string(noise)
	produce(t, b.Addr(), "events", 0, "0-0", big, "0-2")
	i, o := startInput(t, b.Addr(), transactionYAML), startOutput(t, b.Addr(), copyYAML)
	o.learnLimit(t.Context(), "out")
	setTopicLimit(t, b.Addr(), "out", "2000")
	var failed []string
	for tries := 0; ; tries++ {
		r := readBatch(t, i)
		index := r.batch.Index()
		err := o.WriteBatch(t.Context(), r.batch)
		var batchErr *service.BatchError
		if errors.As(err, &batchErr) {
			for n := range failures(t, r.batch, index, err) {
				failed = append(failed, r.values[n])
			}
			err = nil // they are dead letters now
		}
		mustAck(t, r, err)
		if err == nil {
			break
		}
		if tries > 5 {
			t.Fatalf("the batch still fails: %v", err)
		}
	}
	until(t, "the commit", func() bool { return committed(t, b.Addr(), "g", "events", 0) == 3 })
	if len(failed) != 1 || failed[0] != big {
		t.Errorf("%d rejected: %.20q", len(failed), failed)
	}
	if values := committedValues(t, b.Addr(), "out"); len(values) != 2 || values["0-0"] != 1 || values["0-2"] != 1 {
		t.Errorf("written: %d values", len(values))
	}
}

func TestATransactionKeepsTheOutputsChoiceOfPartition(t *testing.T) {
	t.Parallel()
	b := startBroker(t, broker.Topic{Name: "events"}, broker.Topic{Name: "out", Partitions: 3})
	produce(t, b.Addr(), "events", 0, "2", "0", "1", "2")
	i := startInput(t, b.Addr(), transactionYAML)
	o := startOutput(t, b.Addr(), "seed_brokers: [$ADDR]\ntopic: out\npartitioner: manual\npartition: ${! content() }\n")
	r := readBatch(t, i)
	mustAck(t, r, o.WriteBatch(t.Context(), r.batch))
	until(t, "the commit", func() bool { return committed(t, b.Addr(), "g", "events", 0) == 4 })
	for _, r := range readTopic(t, b.Addr(), "out", 4) {
		if fmt.Sprint(r.Partition) != string(r.Value) {
			t.Errorf("%q is in partition %d", r.Value, r.Partition)
		}
	}
}

// TestOtherClustersAreOutsideOfTheTransaction: they cannot be part of it.
func TestOtherClustersAreOutsideOfTheTransaction(t *testing.T) {
	t.Parallel()
	b, other := startBroker(t, broker.Topic{Name: "events"}), startBroker(t, broker.Topic{Name: "out"})
	produce(t, b.Addr(), "events", 0, "0-0")
	i, o := startInput(t, b.Addr(), transactionYAML), startOutput(t, other.Addr(), copyYAML)
	o.id = "another cluster" // all embedded brokers have one id
	r := readBatch(t, i)
	mustAck(t, r, o.WriteBatch(t.Context(), r.batch))
	if got := readTopic(t, other.Addr(), "out", 1); string(got[0].Value) != "0-0" {
		t.Errorf("written: %q", got[0].Value)
	}
	until(t, "the commit", func() bool { return committed(t, b.Addr(), "g", "events", 0) == 1 })
}

var _ kgo.TopicPartitionerOnNewBatch = chosenTopicPartitioner{}
