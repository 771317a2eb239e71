package kafka

import (
	"errors"
	"fmt"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// finish takes the acknowledgement of a batch, or its rejection.
func (i *input) finish(p *partition, b *batch, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if b.txn != nil {
		i.finishInTransaction(p, b, err)
		return
	}
	if p.gone {
		return
	}
	b.out = false
	if err != nil && i.conf.autoReplay && !p.revoking && !i.closing {
		i.sendAgain(p, b, err)
		return
	}
	p.inFlight = nil
	if err == nil || !i.conf.autoReplay {
		i.mark(p)
		i.setLag(p)
	}
	close(i.changed)
	i.changed = make(chan struct{})
	i.schedule(p)
}

// finishInTransaction is finish for a batch of a transaction, which a rejected
// batch fails as a whole.
func (i *input) finishInTransaction(p *partition, b *batch, err error) {
	if b.txn != i.txn {
		return // the transaction was given up with its client
	}
	i.outstanding--
	b.out = false
	if err != nil {
		b.txn.fail(fmt.Errorf("the pipeline rejected a batch of topic %q: %w", p.topic, err))
	}
	if p.inFlight == b {
		p.inFlight = nil
	}
	close(i.changed)
	i.changed = make(chan struct{})
	i.schedule(p)
}

// sendAgain keeps the partition's turn for the rejected batch.
func (i *input) sendAgain(p *partition, b *batch, err error) {
	var batchErr *service.BatchError
	if errors.As(err, &batchErr) {
		b.narrow(batchErr)
	}
	wait := min(retryMinWait<<min(b.attempts, 10), retryMaxWait)
	b.attempts++
	if b.attempts == 1 {
		wait = 0
	}
	time.AfterFunc(wait, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if p.inFlight == b && !b.out {
			p.retry = true
			i.schedule(p)
		}
	})
}
