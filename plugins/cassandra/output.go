package cassandra

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/redpanda-data/benthos/v4/public/bloblang"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// output writes batches of rows. It is safe for concurrent use.
type output struct {
	config    outputConfig
	connector *connector
	outage    outage
	plan      atomic.Pointer[plan] // of the newest session
	slots     chan struct{}        // one for each request under way
}

func newOutput(c outputConfig, log *service.Logger) *output {
	o := &output{config: c, outage: outage{log: log}, slots: make(chan struct{}, c.inFlight)}
	o.connector = newConnector(c.settings, log, func(ctx context.Context, session *gocql.Session) error {
		p, err := makePlan(ctx, session, c.statement)
		if err != nil {
			return err
		}
		o.plan.Store(p)
		return nil
	})
	return o
}

// Connect waits until the servers are in reach and the query is prepared.
func (o *output) Connect(ctx context.Context) error {
	_, err := o.connector.wait(ctx)
	return notConnected(err)
}

// notConnected is how Benthos names a closed connection.
func notConnected(err error) error {
	if errors.Is(err, errClosed) {
		return service.ErrNotConnected
	}
	return err
}

// WriteBatch writes every message that can be written, and names the others in
// a BatchError. It keeps trying while servers are away.
func (o *output) WriteBatch(ctx context.Context, batch service.MessageBatch) error {
	if _, err := o.connector.wait(ctx); err != nil {
		return notConnected(err)
	}
	plan := o.plan.Load()
	failed := &failures{}
	rows := o.rows(plan, batch, failed)
	if err := o.write(ctx, plan.group(rows, o.config.eventTime != nil), failed); err != nil {
		return notConnected(err)
	}
	return failed.of(batch)
}

// failures are the messages that can never be written.
type failures struct {
	mu     sync.Mutex
	errors map[int]error
}

func (f *failures) add(i int, doing string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.errors == nil {
		f.errors = map[int]error{}
	}
	f.errors[i] = message.Rejectf("cassandra", "%s: %v", doing, err)
}

func (f *failures) of(batch service.MessageBatch) error {
	var result *service.BatchError
	for i := range batch {
		err, ok := f.errors[i]
		switch {
		case ok && result == nil:
			result = service.NewBatchError(batch, err).Failed(i, err)
		case ok:
			result = result.Failed(i, err)
		}
	}
	if result == nil {
		return nil
	}
	return result
}

// rows maps and encodes every message.
func (o *output) rows(p *plan, batch service.MessageBatch, failed *failures) []encodedRow {
	rows := make([]encodedRow, 0, len(batch))
	args, times := executor(batch, o.config.args), executor(batch, o.config.eventTime)
	for i := range batch {
		values, ok, err := arguments(args, i)
		if err == nil && !ok {
			continue
		}
		if err == nil && times != nil {
			values, err = o.withTime(times, i, values)
		}
		var row encodedRow
		if err == nil {
			row, err = p.encode(i, values)
		}
		if err != nil {
			failed.add(i, "mapping a message to the arguments of the query", err)
			continue
		}
		rows = append(rows, row)
	}
	return rows
}

func executor(batch service.MessageBatch, mapping *bloblang.Executor) *service.MessageBatchBloblangExecutor {
	if mapping == nil {
		return nil
	}
	return batch.BloblangExecutor(mapping)
}

// arguments gives what args_mapping makes of a message; ok is false where it
// leaves the message out.
func arguments(mapping *service.MessageBatchBloblangExecutor, i int) (values []any, ok bool, err error) {
	if mapping == nil {
		return nil, true, nil
	}
	value, err := query(mapping, i)
	if err != nil || value == nil {
		return nil, false, err
	}
	list, ok := (*value).([]any)
	if !ok {
		return nil, false, fmt.Errorf("%s gave %s instead of an array", fieldArgsMapping, typeName(*value))
	}
	return list, true, nil
}

// query gives nil for deleted().
func query(mapping *service.MessageBatchBloblangExecutor, i int) (*any, error) {
	mapped, err := mapping.Query(i)
	if err != nil || mapped == nil {
		return nil, err
	}
	value, err := mapped.AsStructured()
	if err != nil { // a root of text is taken for JSON
		var text []byte
		if text, err = mapped.AsBytes(); err == nil {
			value = string(text)
		}
	}
	return &value, err
}

// withTime puts the event time where the query wants it.
func (o *output) withTime(mapping *service.MessageBatchBloblangExecutor, i int, values []any) ([]any, error) {
	value, err := query(mapping, i)
	var at int64
	if err == nil && value == nil {
		err = errors.New("it deleted the message")
	}
	if err == nil {
		at, err = writeTime(*value)
	}
	if err == nil && o.config.timeIndex > len(values) {
		err = fmt.Errorf("the query has more arguments than the %d given", len(values))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fieldUsingTimestamp, err)
	}
	timed := make([]any, 0, len(values)+1)
	timed = append(timed, values[:o.config.timeIndex]...)
	timed = append(timed, at)
	return append(timed, values[o.config.timeIndex:]...), nil
}

// write writes all chains, many at the same time.
func (o *output) write(ctx context.Context, chains []chain, failed *failures) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for _, c := range chains {
		if !acquire(ctx, o.slots) {
			break
		}
		group.Go(func() {
			defer func() { <-o.slots }()
			for _, rows := range c {
				if err := o.writeRows(ctx, rows, failed); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// writeRows writes one batch and tries again until it is done, it is known to
// be impossible, or the context ends. If it is impossible each row is written
// alone, to find those that are to blame.
func (o *output) writeRows(ctx context.Context, rows []encodedRow, failed *failures) error {
	for attempt := 0; ; attempt++ {
		session, err := o.connector.wait(ctx)
		if err != nil {
			return err
		}
		err = o.exec(ctx, session, rows)
		switch {
		case err == nil:
			o.outage.over("Cassandra at %s is written again", o.config.settings.where())
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case isPassing(err):
			o.connector.report(err)
			o.outage.note("Writing to Cassandra at %s: %v; trying again until it succeeds", o.config.settings.where(), err)
			wait(ctx, o.config.settings.backOff(attempt))
		case len(rows) == 1:
			failed.add(rows[0].message, "writing a row", err)
			return nil
		default:
			for i := range rows {
				if err := o.writeRows(ctx, rows[i:i+1], failed); err != nil {
					return err
				}
			}
			return nil
		}
	}
}

func (o *output) exec(ctx context.Context, session *gocql.Session, rows []encodedRow) error {
	if len(rows) == 1 {
		return o.config.settings.query(session, o.config.statement, rows[0].args...).ExecContext(ctx)
	}
	kind := gocql.UnloggedBatch
	if o.config.logged {
		kind = gocql.LoggedBatch
	}
	batch := o.config.settings.batch(session, kind)
	batch.Entries = make([]gocql.BatchEntry, len(rows))
	for i, row := range rows {
		batch.Entries[i] = gocql.BatchEntry{Stmt: o.config.statement, Args: row.args, Idempotent: true}
	}
	return batch.ExecContext(ctx)
}

// Close ends all connections, and with them the wait of batches that cannot be
// written. Closing again does nothing.
func (o *output) Close(ctx context.Context) error { return o.connector.close(ctx) }
