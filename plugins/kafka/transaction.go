package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// Fields of an input that reads in transactions.
const (
	fieldTransactionalID    = "transactional_id"
	fieldTransactionTimeout = "transaction_timeout"
	fieldTransactionRecords = "transaction_max_records"
)

const defaultTransactionTimeout = "10s"

func transactionFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewStringField(fieldTransactionalID).
			Description("Makes delivery exactly once from topic to topic. What was read, and what outputs of this pipeline write to the same cluster because of it (dead letters too), becomes one transaction; readers with `transaction_isolation_level: read_committed` see all of it or nothing. It must be unique among running processes and, best, the same when a process starts again, such as a name and the host's. It needs a `consumer_group`.").
			Default("").Example("predict-${HOSTNAME}"),
		service.NewDurationField(fieldTransactionTimeout).
			Description("After this time the broker aborts a transaction that does not end. Readers of committed records wait that long for a process that died, unless it starts again before.").
			Default(defaultTransactionTimeout).Advanced(),
		service.NewIntField(fieldTransactionRecords).
			Description("The most records of a transaction. Fewer are taken when no more have arrived.").
			Default(10_000).Advanced(),
	}
}

// parseTransaction reads how offsets are committed: in transactions, or by
// themselves.
func (c *inputConfig) parseTransaction(conf *service.ParsedConfig) error {
	var err error
	if c.transactionalID, err = conf.FieldString(fieldTransactionalID); err != nil {
		return err
	}
	if c.transactionalID == "" {
		return c.parseCommits(conf)
	}
	if c.group == "" {
		return fmt.Errorf("field %s: needs a %s", fieldTransactionalID, fieldConsumerGroup)
	}
	if !c.autoReplay {
		return fmt.Errorf("field %s: must be true with %s, which reads a rejected batch again", fieldAutoReplay, fieldTransactionalID)
	}
	timeout, err := conf.FieldDuration(fieldTransactionTimeout)
	if err != nil {
		return err
	}
	if c.transactionRecords, err = conf.FieldInt(fieldTransactionRecords); err != nil {
		return err
	}
	if c.transactionRecords < 1 {
		return fmt.Errorf("field %s: must be at least 1", fieldTransactionRecords)
	}
	c.opts = append(c.opts,
		kgo.TransactionalID(c.transactionalID),
		kgo.TransactionTimeout(timeout),
		kgo.DisableAutoCommit(),
		kgo.ProducerLinger(0),
		kgo.UnknownTopicRetries(-1),
		kgo.RecordPartitioner(chosenPartitioner{kgo.StickyKeyPartitioner(nil)}))
	return nil
}

// transactors counts the inputs that read in transactions, so that outputs of
// other processes do not look for transactions.
var transactors atomic.Int32

// transactor is the transactional client of an input.
type transactor struct {
	session *kgo.GroupTransactSession
	cluster string   // id of the Kafka cluster
	limits  sync.Map // topic → int32: largest record batch, as outputs have learned it

	mu      sync.Mutex
	careful bool // send one by one, to find what the broker refuses
	refused map[refusedRecord]error
}

// refusedRecord names a record that the broker will never take: what became of
// the record at an offset, for a topic.
type refusedRecord struct {
	topicPartition
	offset int64
	target string
}

func (t *transactor) limit(topic string) int32 {
	if limit, ok := t.limits.Load(topic); ok {
		return limit.(int32)
	}
	return defaultBatchLimit
}

func (t *transactor) isCareful() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.careful
}

// beCareful has the records of coming transactions sent one by one, because the
// broker refused a batch of records for one record in it.
func (t *transactor) beCareful() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.careful = true
}

func (t *transactor) refuse(r refusedRecord, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refused == nil {
		t.refused = map[refusedRecord]error{}
	}
	t.refused[r] = err
}

func (t *transactor) refusal(r refusedRecord) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refused[r]
}

// committed forgets what was refused: its offsets are passed.
func (t *transactor) committed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.careful, t.refused = false, nil
}

// transaction is what was polled at once, and what is written because of it.
type transaction struct {
	*transactor
	mu    sync.RWMutex // held for reading while an output writes
	ended bool

	failMu sync.Mutex
	failed error // why it must not be committed
}

var errTransactionEnded = errors.New("the transaction of these messages has ended; they are read again")

// enter lets an output write; leave must follow. After the end nothing more is
// written.
func (t *transaction) enter() error {
	t.mu.RLock()
	if t.ended {
		t.mu.RUnlock()
		return errTransactionEnded
	}
	return nil
}

func (t *transaction) leave() { t.mu.RUnlock() }

func (t *transaction) fail(err error) {
	t.failMu.Lock()
	defer t.failMu.Unlock()
	if t.failed == nil {
		t.failed = err
	}
}

func (t *transaction) failure() error {
	t.failMu.Lock()
	defer t.failMu.Unlock()
	return t.failed
}

// close keeps outputs out from now on. It waits for those that are writing, and
// returns false if ctx ends first.
func (t *transaction) close(ctx context.Context) bool {
	for wait := time.Millisecond; !t.mu.TryLock(); wait = min(2*wait, 50*time.Millisecond) {
		if sleep(ctx, wait) != nil {
			return false
		}
	}
	t.ended = true
	t.mu.Unlock()
	return true
}

type transactionKey struct{}

// transactionFrom returns the transaction that a message was read in, or nil.
func transactionFrom(m *service.Message) *transaction {
	t, _ := m.Context().Value(transactionKey{}).(*transaction)
	return t
}

// chosenPartition marks a record whose partition was chosen by its output.
type chosenPartition struct{}

// chosenPartitioner keeps the partition of a marked record, and leaves others
// to the partitioner it has.
type chosenPartitioner struct{ kgo.Partitioner }

func (c chosenPartitioner) ForTopic(topic string) kgo.TopicPartitioner {
	return chosenTopicPartitioner{c.Partitioner.ForTopic(topic)}
}

type chosenTopicPartitioner struct{ kgo.TopicPartitioner }

func isChosen(r *kgo.Record) bool {
	return r.Context != nil && r.Context.Value(chosenPartition{}) != nil
}

func (c chosenTopicPartitioner) RequiresConsistency(r *kgo.Record) bool {
	return isChosen(r) || c.TopicPartitioner.RequiresConsistency(r)
}

func (c chosenTopicPartitioner) Partition(r *kgo.Record, n int) int {
	if isChosen(r) {
		return int(r.Partition)
	}
	return c.TopicPartitioner.Partition(r, n)
}

// OnNewBatch passes on to a sticky partitioner that a batch is full.
func (c chosenTopicPartitioner) OnNewBatch() {
	if p, ok := c.TopicPartitioner.(kgo.TopicPartitionerOnNewBatch); ok {
		p.OnNewBatch()
	}
}

// writeInTransaction writes the pending records into the transaction t. What
// fails there makes all of t fail: it is read again, and the messages must not
// become dead letters meanwhile.
func (w *write) writeInTransaction(ctx context.Context, t *transaction) error {
	if err := t.enter(); err != nil {
		return err
	}
	defer t.leave()
	w.rejectRefused(t)
	produce := w.produce
	careful := t.isCareful()
	if careful {
		produce = func(ctx context.Context, _ []int) (recordErrors, error) { return w.produceSingly(ctx) }
	}
	errs, err := produce(ctx, w.pending)
	if err != nil {
		t.fail(err)
		return err
	}
	for _, i := range w.pending {
		err := errs[&w.records[i]]
		switch {
		case err == nil:
			continue
		case isInvalidPartition(err): // franz-go's own; the broker has not seen it
			w.reject(i, message.Rejectf(component, "writing to topic %q: %v", w.records[i].Topic, err))
			continue
		case permanent(err) && careful:
			t.refuse(w.refusedRecord(i), err)
		case permanent(err):
			t.beCareful()
		}
		t.fail(fmt.Errorf("writing to topic %q: %w", w.records[i].Topic, err))
	}
	w.pending = nil
	return t.failure()
}

// rejectRefused rejects what the broker refused in an earlier transaction.
func (w *write) rejectRefused(t *transaction) {
	var rest []int
	for _, i := range w.pending {
		if err := t.refusal(w.refusedRecord(i)); err != nil {
			w.reject(i, message.Rejectf(component, "writing to topic %q: %v", w.records[i].Topic, err))
			continue
		}
		rest = append(rest, i)
	}
	w.pending = rest
}

func (w *write) refusedRecord(i int) refusedRecord {
	r := refusedRecord{target: w.records[i].Topic}
	if o := message.OriginFrom(w.messages[i].Context()); o != nil {
		r.topicPartition, r.offset = topicPartition{o.Topic, o.Partition}, o.Offset
	}
	return r
}
