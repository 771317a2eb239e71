package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// write is one call of WriteBatch.
type write struct {
	*output
	plain    *kgo.Client // the output's own
	client   *kgo.Client // the one that writes now
	messages service.MessageBatch
	records  []kgo.Record
	pending  []int // indexes of records that are not written yet, in order
	rejected []rejected
}

// recordErrors says which records were not written, and why.
type recordErrors map[*kgo.Record]error

// run writes until nothing is pending, or ctx ends: what was read in a
// transaction into it, the rest by the output's own client.
func (w *write) run(ctx context.Context) error {
	if transactors.Load() == 0 {
		return w.runPlain(ctx)
	}
	var plain []int
	byTransaction := map[*transaction][]int{}
	for _, i := range w.pending {
		if t := w.transactionOf(w.messages[i]); t != nil {
			byTransaction[t] = append(byTransaction[t], i)
		} else {
			plain = append(plain, i)
		}
	}
	for t, pending := range byTransaction {
		w.pending, w.client = pending, t.session.Client()
		if err := w.writeInTransaction(ctx, t); err != nil {
			return err
		}
	}
	w.pending, w.client = plain, w.plain
	return w.runPlain(ctx)
}

func (w *write) runPlain(ctx context.Context) error {
	single := false
	for tries := 0; len(w.pending) > 0; tries++ {
		if tries > 0 {
			if err := sleep(ctx, backOff(tries-1)); err != nil {
				return err
			}
		}
		var errs recordErrors
		var err error
		if single {
			errs, err = w.produceSingly(ctx)
		} else {
			errs, err = w.produce(ctx, w.pending)
		}
		if err != nil {
			return err
		}
		single = w.sort(errs, single)
	}
	return nil
}

// produceSingly sends one record after the other, because a record batch is
// refused as a whole for one record in it.
func (w *write) produceSingly(ctx context.Context) (recordErrors, error) {
	all := recordErrors{}
	for n := range w.pending {
		errs, err := w.produce(ctx, w.pending[n:n+1])
		if err != nil {
			return nil, err
		}
		maps.Copy(all, errs)
	}
	return all, nil
}

// sort rejects what can never succeed and keeps the rest of the failed
// pending. It returns whether these have to be sent one by one.
func (w *write) sort(errs recordErrors, single bool) bool {
	var again []int
	singleNext := single
	for _, i := range w.pending {
		err := errs[&w.records[i]]
		switch {
		case err == nil:
		case permanent(err) && (single || isInvalidPartition(err)):
			w.reject(i, message.Rejectf(component, "writing to topic %q: %v", w.records[i].Topic, err))
		case permanent(err):
			again = append(again, i)
			singleNext = true
		default:
			again = append(again, i)
			w.logSlow(fmt.Sprintf("writing to topic %q: %v; trying again", w.records[i].Topic, err))
		}
	}
	w.pending = again
	return singleNext
}

func (w *write) reject(i int, err error) { w.rejected = append(w.rejected, rejected{i, err}) }

func (w *write) logSlow(line string) {
	if w.slow.pass(line, time.Now()) {
		w.log.Warn(line)
	}
}

// produce sends the records of the indexes and returns the errors of those that
// franz-go gave up. It fails itself only when ctx ends; franz-go may then still
// write some of them, so this write must not touch its records any more.
func (w *write) produce(ctx context.Context, indexes []int) (recordErrors, error) {
	var (
		mu   sync.Mutex
		errs recordErrors
		left atomic.Int64
		done = make(chan struct{})
	)
	left.Store(int64(len(indexes)))
	promise := func(r *kgo.Record, err error) {
		if err != nil {
			mu.Lock()
			if errs == nil {
				errs = recordErrors{}
			}
			errs[r] = err
			mu.Unlock()
		}
		if left.Add(-1) == 0 {
			close(done)
		}
	}
	for _, i := range indexes {
		w.client.Produce(ctx, &w.records[i], promise)
	}
	if err := w.await(ctx, done, indexes); err != nil {
		return nil, err
	}
	if len(errs) > 0 && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return errs, nil
}

// await waits for done, and says why when that takes long.
func (w *write) await(ctx context.Context, done <-chan struct{}, indexes []int) error {
	timer := time.NewTimer(slowWrite)
	defer timer.Stop()
	for {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			w.tellSlow(ctx, w.records[indexes[0]].Topic)
			timer.Reset(repeatLogPeriod)
		}
	}
}

// tellSlow logs what a write waits for.
func (w *write) tellSlow(ctx context.Context, topic string) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	seeds := strings.Join(w.conf.seeds, ", ")
	topics, err := w.admin.ListTopics(ctx, topic)
	switch {
	case ctx.Err() != nil && err == nil:
	case err != nil:
		w.logSlow(fmt.Sprintf("writing to topic %q waits: Kafka does not answer at %s; trying again until it does", topic, seeds))
	case errors.Is(topics[topic].Err, kerr.UnknownTopicOrPartition):
		w.logSlow(fmt.Sprintf("writing to topic %q waits: Kafka at %s has no such topic; create it, as `recsys-benthos setup` does", topic, seeds))
	case topics[topic].Err != nil:
		w.logSlow(fmt.Sprintf("writing to topic %q waits: Kafka at %s says %v; trying again until that changes", topic, seeds, topics[topic].Err))
	}
}
