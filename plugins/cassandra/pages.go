package cassandra

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// scanPatience is how long a scan goes on without any progress while nodes are
// away.
const scanPatience = time.Minute

// pageReader reads all rows of a statement, page by page. A page is given on
// only when all of it was read; after an error it is read again from the same
// paging state, so no row is lost and none is given twice.
type pageReader struct {
	connector *connector
	settings  Settings
	size      int
	patience  time.Duration // 0: until the context ends
	outage    *outage
}

// read calls decode once for every page, and deliver when all its rows were
// decoded without an error. decode must scan exactly the given number of rows.
func (r pageReader) read(ctx context.Context, owner, statement string, args []any,
	decode func(iter *gocql.Iter, rows int) error, deliver func() error,
) error {
	var state []byte
	since, attempts := time.Now(), 0
	for {
		next, err := r.page(ctx, owner, statement, args, state, decode)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case !isPassing(err), r.patience > 0 && time.Since(since) > r.patience:
			return err
		default:
			r.connector.report(err)
			r.outage.note("Reading from Cassandra at %s: %v; reading on from the same place until it succeeds", r.settings.where(), err)
			owner = "" // let any node answer
			wait(ctx, r.settings.backOff(attempts))
			attempts++
			continue
		}
		r.outage.over("Cassandra at %s is read again", r.settings.where())
		if err := deliver(); err != nil {
			return err
		}
		if state = next; len(state) == 0 {
			return nil
		}
		since, attempts = time.Now(), 0
	}
}

func (r pageReader) page(ctx context.Context, owner, statement string, args []any, state []byte,
	decode func(iter *gocql.Iter, rows int) error,
) ([]byte, error) {
	session, err := r.connector.now(ctx)
	if err != nil {
		return nil, err
	}
	// PageState turns the driver's own paging off even while it is nil.
	query := r.settings.query(session, statement, args...).PageState(state).PageSize(r.size)
	if owner != "" {
		query.SetHostID(owner)
	}
	iter := query.IterContext(ctx)
	next := iter.PageState()
	decoded := decode(iter, iter.NumRows()) // also of an empty page, so that none is delivered twice
	if err := errors.Join(iter.Close(), decoded); err != nil {
		return nil, err
	}
	return next, nil
}

// errCut says that a page held fewer rows than it announced.
var errCut = errors.New("page ended early")

// scanRanges calls scan for every range, with several at the same time, until
// one returns an error.
func scanRanges(ctx context.Context, ranges []tokenRange, workers int, scan func(context.Context, tokenRange) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan tokenRange)
	var group sync.WaitGroup
	for range min(workers, len(ranges)) {
		group.Go(func() {
			for r := range work {
				if err := scan(ctx, r); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	for _, r := range ranges {
		select {
		case work <- r:
		case <-ctx.Done():
		}
	}
	close(work)
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("scanning by token ranges: %w", err)
	}
	return nil
}
