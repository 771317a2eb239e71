package kafka

import (
	"context"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// topicPartition names a partition.
type topicPartition struct {
	topic string
	id    int32
}

// partition is what the input knows of one partition it reads. All fields but
// the first three are guarded by the input's mutex.
type partition struct {
	topicPartition
	topicValue any // the topic and the id, boxed once for the metadata
	idValue    any

	queue       []*kgo.Record // fetched, wanted, not handed out
	queuedBytes int
	inFlight    *batch // handed out or about to be sent again; nil if none
	retry       bool   // inFlight was rejected, and its wait is over
	scheduled   bool   // in the input's ready list
	due         bool   // batching.period is over
	timer       *time.Timer
	paused      bool
	revoking    bool // hand out nothing more
	gone        bool // given up: acknowledgements come too late

	next  int64 // the offset after the last one fetched; -1 before the first fetch
	epoch int32 // leader epoch of the last record fetched
	end   int64 // high watermark

	endTarget int64       // reaching this offset gives the end-of-partition marker; -1 if none is due
	endMarker *kgo.Record // stands in the queue for the marker
}

// batch is the one batch of a partition that is not acknowledged.
type batch struct {
	records  []*kgo.Record
	first    int64
	attempts int
	out      bool // the pipeline has it
	marker   bool // it is the end-of-partition marker, alone
	txn      *transaction
}

// context is what the messages of the batch have in common.
func (b *batch) context() context.Context {
	if b.txn == nil {
		return context.Background()
	}
	return context.WithValue(context.Background(), transactionKey{}, b.txn)
}

func newPartition(tp topicPartition) *partition {
	return &partition{topicPartition: tp, topicValue: tp.topic, idValue: int(tp.id), next: -1, epoch: -1, endTarget: -1}
}

// position is the offset before which everything is acknowledged, or -1 while
// nothing was fetched.
func (p *partition) position() int64 {
	switch {
	case p.inFlight != nil:
		return p.inFlight.first
	case len(p.queue) > 0 && p.queue[0] != p.endMarker:
		return p.queue[0].Offset
	default:
		return p.next
	}
}

func (p *partition) push(r *kgo.Record) {
	p.queue = append(p.queue, r)
	p.queuedBytes += recordBytes(r)
}

// pushEnd queues the end-of-partition marker if its time has come.
func (p *partition) pushEnd() {
	if p.endTarget < 0 || p.next < p.endTarget {
		return
	}
	p.endTarget = -1
	p.endMarker = &kgo.Record{Topic: p.topic, Partition: p.id, Offset: p.next}
	p.queue = append(p.queue, p.endMarker)
}

// discard drops what is queued, as if it had never been fetched: the position
// must not pass it. What the pipeline has stays in flight.
func (p *partition) discard() {
	if len(p.queue) > 0 {
		p.next = p.queue[0].Offset
	}
	p.queue, p.queuedBytes = nil, 0
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.inFlight != nil && !p.inFlight.out {
		p.next = p.inFlight.first
		p.inFlight, p.retry = nil, false
	}
}

// ready says whether the partition can hand out a batch.
func (p *partition) ready(c *inputConfig) bool {
	switch {
	case p.gone || p.revoking:
		return false
	case p.inFlight != nil:
		return p.retry
	case len(p.queue) == 0:
		return false
	default:
		return c.batchPeriod == 0 || p.due || p.queue[len(p.queue)-1] == p.endMarker ||
			len(p.queue) >= c.batchCount || p.queuedBytes >= c.batchBytes
	}
}

// take returns the next batch, which is in flight from now on.
func (p *partition) take(c *inputConfig) *batch {
	if p.inFlight != nil {
		p.retry = false
		p.inFlight.out = true
		return p.inFlight
	}
	n, size := 0, 0
	for n < len(p.queue) && n < c.batchCount {
		r := p.queue[n]
		if size += recordBytes(r); n > 0 && (size > c.batchBytes || r == p.endMarker) {
			break
		}
		n++
		p.queuedBytes -= recordBytes(r)
		if r == p.endMarker {
			break
		}
	}
	p.due = false
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.inFlight = &batch{records: p.queue[:n:n], first: p.queue[0].Offset, out: true, marker: p.queue[0] == p.endMarker}
	p.queue = p.queue[n:]
	return p.inFlight
}

// full says whether no more should be fetched for now.
func (p *partition) full(c *inputConfig) bool {
	return len(p.queue) >= c.checkpointLimit || p.queuedBytes >= c.bufferBytes
}

// dry says whether nothing is left of a partition that is known to have more.
func (p *partition) dry() bool { return len(p.queue) == 0 && p.next >= 0 && p.next < p.end }

// low says whether fetching should go on.
func (p *partition) low(c *inputConfig) bool {
	return len(p.queue) <= c.checkpointLimit/2 && p.queuedBytes <= c.bufferBytes/2
}

// recordBytes is the memory a queued record takes, roughly, and no less than a
// record batch with this record alone.
func recordBytes(r *kgo.Record) int {
	const overhead = 128
	size := overhead + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		size += len(h.Key) + len(h.Value)
	}
	return size
}

// narrow reduces a rejected batch to the records that failed, as far as err
// tells them. The records that did not fail are not sent again.
func (b *batch) narrow(err *service.BatchError) {
	if err == nil || err.IndexedErrors() == 0 {
		return
	}
	failed := map[int64]bool{}
	unknown := false
	// The index is not used: each message is known by its origin, whatever
	// processors made of the batch.
	//lint:ignore SA1019 only its index is unreliable
	err.WalkMessages(func(_ int, m *service.Message, err error) bool { //nolint:staticcheck // as above
		if err == nil {
			return true
		}
		origin := message.OriginFrom(m.Context())
		if origin == nil {
			unknown = true
			return false
		}
		failed[origin.Offset] = true
		return true
	})
	if unknown || len(failed) == 0 {
		return
	}
	var records []*kgo.Record
	for _, r := range b.records {
		if failed[r.Offset] {
			records = append(records, r)
		}
	}
	if len(records) > 0 {
		b.records = records
	}
}
