package cassandra

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// groupBytes bounds the values of one batch, far below what a server refuses.
const groupBytes = 256 << 10

// plan is what the server says of the prepared query.
type plan struct {
	columns   []gocql.ColumnInfo // of the arguments
	partition []int              // arguments that are the partition key; none: not known
	primary   []int              // arguments that are the whole primary key; none: not known
	alone     bool               // a row never shares a batch
}

func makePlan(ctx context.Context, session *gocql.Session, statement string) (*plan, error) {
	meta, err := session.StatementMetadata(ctx, statement, "")
	if err != nil {
		return nil, fmt.Errorf("preparing %q: %w; correct the query, or create what it names", oneLine(statement), err)
	}
	for _, column := range meta.BindColumns {
		if column.TypeInfo.Type() == gocql.TypeTuple {
			return nil, fmt.Errorf("preparing %q: column %s is a tuple, which the driver cannot write; make it a user-defined type",
				oneLine(statement), column.Name)
		}
	}
	p := &plan{columns: meta.BindColumns, partition: meta.PKBindColumnIndexes, alone: isConditional(statement)}
	keyspace, err := session.KeyspaceMetadata(meta.Keyspace)
	if err != nil {
		return nil, fmt.Errorf("reading keyspace %s: %w", meta.Keyspace, err)
	}
	table := keyspace.Tables[meta.Table]
	if table == nil || len(p.partition) == 0 {
		return p, nil
	}
	for _, column := range table.Columns {
		p.alone = p.alone || column.Type != nil && column.Type.Type() == gocql.TypeCounter
	}
	p.primary = slices.Clone(p.partition)
	for _, column := range table.ClusteringColumns {
		i := slices.IndexFunc(p.columns, func(c gocql.ColumnInfo) bool { return c.Name == column.Name })
		if i < 0 {
			p.primary = nil
			return p, nil
		}
		p.primary = append(p.primary, i)
	}
	return p, nil
}

// encodedRow is the arguments of one message's query.
type encodedRow struct {
	message int // position in its batch
	args    []any
	cells   []rawCell
	bytes   int
}

func (p *plan) encode(message int, values []any) (encodedRow, error) {
	if len(values) != len(p.columns) {
		return encodedRow{}, fmt.Errorf("the query has %d arguments, not %d", len(p.columns), len(values))
	}
	row := encodedRow{message: message, args: make([]any, len(values)), cells: make([]rawCell, len(values))}
	for i, value := range values {
		data, err := encodeValue(p.columns[i].TypeInfo, value)
		if err != nil {
			return encodedRow{}, fmt.Errorf("column %s: %w", p.columns[i].Name, err)
		}
		row.cells[i] = data
		row.args[i] = &row.cells[i]
		row.bytes += len(data)
	}
	for _, i := range p.partition {
		if len(row.cells[i]) == 0 {
			return encodedRow{}, fmt.Errorf("column %s: the partition key is null or empty", p.columns[i].Name)
		}
	}
	return row, nil
}

// key joins values so that no two different lists give the same text.
func (r *encodedRow) key(indexes []int) string {
	var key []byte
	for _, i := range indexes {
		key = binary.AppendUvarint(key, uint64(len(r.cells[i])))
		key = append(key, r.cells[i]...)
	}
	return string(key)
}

// chain is batches that are written one after the other. Each is of one
// partition.
type chain [][]encodedRow

// group makes chains of rows. Rows without a time of their own share that of
// their batch, which would let the greater value win instead of the later row:
// so a primary key is in a batch once, and what follows it comes behind.
func (p *plan) group(rows []encodedRow, timed bool) []chain {
	var chains []chain
	open := map[string]*openBatch{} // by partition
	for _, row := range rows {
		if len(p.partition) == 0 {
			chains = append(chains, chain{{row}})
			continue
		}
		partition := row.key(p.partition)
		batch := open[partition]
		primary := ""
		if !timed && p.primary != nil {
			primary = row.key(p.primary)
		}
		switch {
		case batch == nil, timed && !batch.takes(row, p.alone):
			chains = append(chains, chain{{row}})
			open[partition] = &openBatch{chain: len(chains) - 1, bytes: row.bytes, rows: 1, keys: keySet(timed, primary)}
		case !batch.takes(row, p.alone || !timed && p.primary == nil) || batch.keys[primary]:
			chains[batch.chain] = append(chains[batch.chain], []encodedRow{row})
			batch.bytes, batch.rows, batch.keys = row.bytes, 1, keySet(timed, primary)
		default:
			last := len(chains[batch.chain]) - 1
			chains[batch.chain][last] = append(chains[batch.chain][last], row)
			batch.bytes += row.bytes
			batch.rows++
			if !timed {
				batch.keys[primary] = true
			}
		}
	}
	return chains
}

func keySet(timed bool, key string) map[string]bool {
	if timed {
		return nil
	}
	return map[string]bool{key: true}
}

// openBatch is the last batch of a partition.
type openBatch struct {
	chain, bytes, rows int
	keys               map[string]bool // primary keys in it
}

func (b *openBatch) takes(row encodedRow, alone bool) bool {
	return !alone && b.rows < groupRows && b.bytes+row.bytes <= groupBytes
}
