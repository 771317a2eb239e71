package cassandra

import (
	"context"
	"fmt"
	"slices"
	"sync"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/redpanda-data/benthos/v4/public/service"
)

// input reads all rows of a query once.
type input struct {
	config    inputConfig
	log       *service.Logger
	connector *connector
	outage    outage
	unacked   chan struct{} // one for each batch that is not acknowledged

	stop    context.CancelFunc
	scanCtx context.Context
	start   sync.Once
	batches chan [][]byte
	ended   chan struct{} // closed when reading is over
	err     error         // why, if it is not complete; read after ended
}

func newInput(c inputConfig, log *service.Logger) *input {
	ctx, stop := context.WithCancel(context.Background())
	return &input{
		config: c, log: log, connector: newConnector(c.settings, log, nil), outage: outage{log: log},
		unacked: make(chan struct{}, c.unacked), scanCtx: ctx, stop: stop,
		batches: make(chan [][]byte), ended: make(chan struct{}),
	}
}

// Connect waits until the servers are in reach, and begins to read.
func (in *input) Connect(ctx context.Context) error {
	if _, err := in.connector.wait(ctx); err != nil {
		return notConnected(err)
	}
	in.start.Do(func() { go in.run(in.scanCtx) })
	return nil
}

func (in *input) run(ctx context.Context) {
	defer close(in.ended)
	in.err = in.readAll(ctx)
}

func (in *input) readAll(ctx context.Context) error {
	reader := pageReader{connector: in.connector, settings: in.config.settings, size: in.config.pageSize, outage: &in.outage}
	ranges, statement, err := in.untilPlanned(ctx)
	if err != nil {
		return err
	}
	if len(ranges) == 0 {
		return in.readRange(ctx, reader, tokenRange{}, statement, nil)
	}
	return scanRanges(ctx, ranges, in.config.concurrency, func(ctx context.Context, r tokenRange) error {
		return in.readRange(ctx, reader, r, statement, []any{r.from, r.to})
	})
}

func (in *input) untilPlanned(ctx context.Context) ([]tokenRange, string, error) {
	for attempt := 0; ; attempt++ {
		ranges, statement, err := in.plan(ctx)
		if err == nil || !isPassing(err) {
			return ranges, statement, err
		}
		in.outage.note("Preparing to read from Cassandra at %s: %v; trying again until it succeeds", in.config.settings.where(), err)
		if !wait(ctx, in.config.settings.backOff(attempt)) {
			return nil, "", ctx.Err()
		}
	}
}

// plan gives the token ranges of a query that reads a whole table, and the
// statement for one; none for other queries.
func (in *input) plan(ctx context.Context) ([]tokenRange, string, error) {
	session, err := in.connector.now(ctx)
	if err != nil {
		return nil, "", err
	}
	meta, err := session.StatementMetadata(ctx, in.config.statement, "")
	if err != nil {
		return nil, "", fmt.Errorf("preparing %q: %w; correct the query, or create what it names", oneLine(in.config.statement), err)
	}
	if !tableScan(in.config.statement) {
		return nil, in.config.statement, nil
	}
	split, err := hasTokenRanges(ctx, session)
	if err != nil {
		return nil, "", err
	}
	key, err := partitionKey(session, meta)
	if err != nil {
		return nil, "", err
	}
	if !split || len(key) == 0 {
		return nil, in.config.statement, nil
	}
	return splitRing(ringOf(session, in.config.settings.LocalDC), in.config.splits), rangeStatement(in.config.statement, key), nil
}

func partitionKey(session *gocql.Session, meta gocql.StatementMetadata) ([]string, error) {
	if len(meta.ResultColumns) == 0 {
		return nil, nil
	}
	keyspace, err := session.KeyspaceMetadata(meta.ResultColumns[0].Keyspace)
	if err != nil {
		return nil, fmt.Errorf("reading keyspace %s: %w", meta.ResultColumns[0].Keyspace, err)
	}
	table := keyspace.Tables[meta.ResultColumns[0].Table]
	if table == nil {
		return nil, nil // a view, which runs as it is
	}
	var names []string
	for _, column := range table.PartitionKey {
		names = append(names, column.Name)
	}
	return names, nil
}

func (in *input) readRange(ctx context.Context, reader pageReader, r tokenRange, statement string, args []any) error {
	rows := &jsonRows{}
	return reader.read(ctx, r.owner, statement, args, rows.decode, func() error {
		for batch := range slices.Chunk(rows.page, in.config.batchSize) {
			select {
			case in.batches <- slices.Clone(batch):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
}

// ReadBatch gives rows, and service.ErrEndOfInput once every row was given.
// After an error that waiting does not mend it gives that error again and again.
func (in *input) ReadBatch(ctx context.Context) (service.MessageBatch, service.AckFunc, error) {
	if !acquire(ctx, in.unacked) {
		return nil, nil, ctx.Err()
	}
	release := sync.OnceFunc(func() { <-in.unacked })
	select {
	case rows := <-in.batches:
		batch := make(service.MessageBatch, len(rows))
		for i, row := range rows {
			batch[i] = service.NewMessage(row)
		}
		return batch, func(context.Context, error) error { release(); return nil }, nil
	case <-in.ended:
		release()
		return nil, nil, in.end()
	case <-ctx.Done():
		release()
		return nil, nil, ctx.Err()
	}
}

func (in *input) end() error {
	switch {
	case in.err == nil:
		return service.ErrEndOfInput
	case in.scanCtx.Err() != nil:
		return service.ErrNotConnected
	}
	return fmt.Errorf("reading from Cassandra at %s stopped before the end: %w", in.config.settings.where(), in.err)
}

// Close ends reading and all connections. Closing again does nothing.
func (in *input) Close(ctx context.Context) error {
	in.stop()
	in.start.Do(func() { close(in.ended) })
	select {
	case <-in.ended:
	case <-ctx.Done():
	}
	return in.connector.close(ctx)
}
