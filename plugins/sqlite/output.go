package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// The wait between two attempts to write a batch grows from the first to the
// last of these.
const (
	firstBackOff = 50 * time.Millisecond
	lastBackOff  = 5 * time.Second
)

// output upserts batches into one table. Writes take turns, since a file has
// one writer.
type output struct {
	config outputConfig
	log    *service.Logger

	turn   chan struct{} // holds one value while nobody writes
	table  *table        // nil while not connected; belongs to whoever has the turn
	closed chan struct{}

	closeOnce sync.Once
}

func newOutput(c outputConfig, log *service.Logger) *output {
	o := &output{config: c, log: log, turn: make(chan struct{}, 1), closed: make(chan struct{})}
	o.turn <- struct{}{}
	return o
}

// Connect opens the file, and creates it where it is missing.
func (o *output) Connect(ctx context.Context) error {
	if err := o.takeTurn(ctx); err != nil {
		return err
	}
	defer o.endTurn()
	return o.open(ctx)
}

func (o *output) open(ctx context.Context) error {
	if o.table != nil {
		return nil
	}
	t, err := openTable(ctx, o.config)
	if err != nil {
		return err
	}
	o.table = t
	return nil
}

// WriteBatch writes every message that can be written, and names the others in
// a BatchError. It keeps trying while the file cannot be written at all.
func (o *output) WriteBatch(ctx context.Context, batch service.MessageBatch) error {
	rows, failed := o.rows(batch)
	if err := o.takeTurn(ctx); err != nil {
		return err
	}
	defer o.endTurn()
	refused, err := o.writeUntilDone(ctx, rows)
	if err != nil {
		return err
	}
	for i, err := range refused {
		failed[i] = message.Rejectf("sqlite", "writing a row of table %s: %v", o.config.table, err)
	}
	if len(failed) == 0 {
		return nil
	}
	var result *service.BatchError
	for i := range batch {
		err, ok := failed[i]
		switch {
		case ok && result == nil:
			result = service.NewBatchError(batch, err).Failed(i, err)
		case ok:
			result = result.Failed(i, err)
		}
	}
	return result
}

// rows maps every message of a batch, and gives the errors of those that
// cannot be mapped.
func (o *output) rows(batch service.MessageBatch) ([]*row, map[int]error) {
	rows, failed := make([]*row, len(batch)), map[int]error{}
	mapping := batch.BloblangExecutor(o.config.columns)
	for i := range batch {
		mapped, err := mapping.Query(i)
		if err == nil && mapped == nil {
			continue // deleted()
		}
		var columns any
		if err == nil {
			columns, err = mapped.AsStructured()
		}
		if err == nil {
			rows[i], err = newRow(columns, o.config.key)
		}
		if err != nil {
			failed[i] = message.Rejectf("sqlite", "mapping to columns of table %s: %v", o.config.table, err)
		}
	}
	return rows, failed
}

// writeUntilDone writes the rows and tries again, ever more slowly, while the
// file is in trouble.
func (o *output) writeUntilDone(ctx context.Context, rows []*row) (map[int]error, error) {
	for wait := firstBackOff; ; wait = min(2*wait, lastBackOff) {
		failed, err := o.writeOnce(ctx, rows)
		if err == nil {
			if wait > firstBackOff {
				o.log.Infof("SQLite file %s is written again", o.config.path)
			}
			return failed, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if wait == firstBackOff {
			o.log.Errorf("Writing table %s of SQLite file %s: %v; trying again until it succeeds", o.config.table, o.config.path, err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-o.closed:
			return nil, service.ErrNotConnected
		case <-time.After(wait/2 + rand.N(wait/2)):
		}
	}
}

func (o *output) writeOnce(ctx context.Context, rows []*row) (map[int]error, error) {
	if err := o.open(ctx); err != nil {
		return nil, err
	}
	failed, err := o.table.write(ctx, rows)
	if err != nil && !isPassing(err) {
		_ = o.table.close()
		o.table = nil
	}
	return failed, err
}

// isPassing says that the open file itself is fine: it is locked, or has no
// room to grow. After any other trouble the file is opened anew.
func isPassing(err error) bool {
	switch errorCode(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL:
		return true
	}
	return false
}

// takeTurn waits until nobody else uses the table.
func (o *output) takeTurn(ctx context.Context) error {
	select {
	case <-o.closed:
		return service.ErrNotConnected
	default:
	}
	select {
	case <-o.turn:
		return nil
	case <-o.closed:
		return service.ErrNotConnected
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *output) endTurn() { o.turn <- struct{}{} }

// Close ends the wait of a batch that cannot be written, lets one that is being
// written finish, and closes the file. Closing again does nothing.
func (o *output) Close(ctx context.Context) error {
	o.closeOnce.Do(func() { close(o.closed) })
	select {
	case <-o.turn:
	case <-ctx.Done():
		return fmt.Errorf("closing SQLite file %s: %w", o.config.path, ctx.Err())
	}
	defer o.endTurn()
	if o.table == nil {
		return nil
	}
	err := o.table.close()
	o.table = nil
	if err != nil {
		return fmt.Errorf("closing SQLite file %s: %w", o.config.path, err)
	}
	return nil
}
