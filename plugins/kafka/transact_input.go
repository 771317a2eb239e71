package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The part of an input that reads in transactions. One transaction is open at a
// time: it begins after a poll and ends when all messages of the poll are
// acknowledged, with a commit of their offsets and of what outputs wrote; or
// when one is rejected, or partitions were given up, with an abort, after which
// the same records are read again.

// startTransactor makes the transactional client and starts to read.
func (i *input) startTransactor(ctx context.Context, opts []kgo.Opt) error {
	t := &transactor{}
	opts = append(opts, kgo.ProducerBatchMaxBytesFn(t.limit))
	session, err := kgo.NewGroupTransactSession(opts...)
	if err != nil {
		return fmt.Errorf("configuring the Kafka client: %w", err)
	}
	t.session = session
	client := session.Client()
	if err := i.prepare(ctx, client); err != nil {
		session.CloseAllowingRebalance()
		return err
	}
	if t.cluster, err = clusterID(ctx, client); err != nil {
		session.CloseAllowingRebalance()
		return err
	}
	transactors.Add(1)
	i.start(client, func(ctx context.Context) {
		i.transactLoop(ctx, t)
		transactors.Add(-1)
	})
	return nil
}

// clusterID asks for the id that all brokers of a cluster have in common.
func clusterID(ctx context.Context, client *kgo.Client) (string, error) {
	metadata, err := kadm.NewClient(client).BrokerMetadata(ctx)
	if err != nil {
		return "", fmt.Errorf("asking for the Kafka cluster's id: %w", err)
	}
	return metadata.Cluster, nil
}

// transactLoop reads and commits until ctx ends, or the client can go on no
// more; Connect then makes a new one.
func (i *input) transactLoop(ctx context.Context, t *transactor) {
	failures := 0
	for {
		fetches := t.session.PollRecords(ctx, i.conf.transactionRecords)
		if ctx.Err() != nil {
			return
		}
		if fetches.NumRecords() == 0 {
			i.enqueue(fetches) // tells errors
			continue
		}
		committed, err := i.transact(ctx, t, fetches)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			i.log.Warnf("Kafka transaction %q cannot go on: %v; starting again from the last commit. If this repeats, another process uses the same %s", i.conf.transactionalID, err, fieldTransactionalID)
			i.abandon(t)
			return
		case committed:
			failures = 0
		default:
			failures++
			_ = sleep(ctx, backOff(failures-1))
		}
	}
}

// transact runs one transaction.
func (i *input) transact(ctx context.Context, t *transactor, fetches kgo.Fetches) (committed bool, err error) {
	if err := t.session.Begin(); err != nil {
		return false, err
	}
	txn := &transaction{transactor: t}
	i.mu.Lock()
	i.txn = txn
	i.mu.Unlock()
	i.enqueue(fetches)
	i.awaitTransaction(ctx, txn)
	return i.endTransaction(ctx, txn)
}

// awaitTransaction returns when every message handed out is acknowledged, and
// none is left or one was rejected; or when ctx ends.
func (i *input) awaitTransaction(ctx context.Context, txn *transaction) {
	for {
		i.mu.Lock()
		if txn.failure() != nil {
			i.discardAll()
		}
		done := i.outstanding == 0
		for _, p := range i.parts {
			done = done && len(p.queue) == 0
		}
		changed := i.changed
		i.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (i *input) discardAll() {
	for _, p := range i.parts {
		p.discard()
	}
}

// endTransaction commits, or aborts where it must not commit.
func (i *input) endTransaction(ctx context.Context, txn *transaction) (committed bool, err error) {
	closing := ctx.Err() != nil
	endCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), i.conf.endTimeout(closing))
	defer cancel()
	if !txn.close(endCtx) {
		return false, fmt.Errorf("an output still writes")
	}
	i.mu.Lock()
	complete := i.outstanding == 0
	for _, p := range i.parts {
		complete = complete && len(p.queue) == 0
	}
	i.discardAll()
	i.txn = nil
	i.mu.Unlock()
	failure := txn.failure()
	committed, err = txn.session.End(endCtx, kgo.TransactionEndTry(complete && failure == nil))
	switch {
	case err != nil:
		return false, err
	case committed:
		txn.committed()
		i.commitPositions()
	case failure != nil:
		if line := fmt.Sprintf("Kafka transaction %q is repeated: %v", i.conf.transactionalID, failure); i.errors.pass(line, time.Now()) {
			i.log.Warn(line)
		}
	}
	return committed, nil
}

// endTimeout is how long the end of a transaction may take.
func (c *inputConfig) endTimeout(closing bool) time.Duration {
	if closing {
		return closeTimeout
	}
	return time.Minute
}

// commitPositions brings the lag up to date.
func (i *input) commitPositions() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, p := range i.parts {
		i.setLag(p)
	}
}

// abandon gives up a client that can go on no more. ReadBatch then says that
// there is no connection, and Benthos makes a new one.
func (i *input) abandon(t *transactor) {
	t.session.CloseAllowingRebalance()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.client == t.session.Client() {
		i.client = nil
		i.stop()
	}
	i.list, i.outstanding, i.txn = nil, 0, nil
	for tp := range i.parts {
		i.drop(tp)
	}
	notify(i.wake)
}
