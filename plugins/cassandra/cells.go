package cassandra

import (
	"encoding/binary"
	"errors"
	"math"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// The cells below read and write columns of the store's tables without
// reflection; the driver's own conversion costs more than all else of a scan.
// That a column has the type is checked when the store connects.

var errCellSize = errors.New("column has another type than the schema says")

// longCell reads bigint and timestamp (Unix milliseconds).
type longCell struct {
	value int64
	null  bool
}

func (c *longCell) UnmarshalCQL(_ gocql.TypeInfo, data []byte) error {
	c.null = len(data) == 0
	if c.null {
		c.value = 0
		return nil
	}
	if len(data) != 8 {
		return errCellSize
	}
	c.value = int64(binary.BigEndian.Uint64(data))
	return nil
}

// floatCell reads float.
type floatCell struct {
	value float32
	null  bool
}

func (c *floatCell) UnmarshalCQL(_ gocql.TypeInfo, data []byte) error {
	c.null = len(data) == 0
	if c.null {
		c.value = 0
		return nil
	}
	if len(data) != 4 {
		return errCellSize
	}
	c.value = math.Float32frombits(binary.BigEndian.Uint32(data))
	return nil
}

// rawCell writes a value that is encoded already; nil is null.
type rawCell []byte

func (c *rawCell) MarshalCQL(gocql.TypeInfo) ([]byte, error) { return *c, nil }

// cellWriter encodes the values of many statements into one piece of memory.
type cellWriter struct {
	data  []byte
	cells []rawCell
	args  []any
}

// newCellWriter makes room for n values of up to 8 bytes. It must not grow: the
// arguments point into it.
func newCellWriter(n int) *cellWriter {
	return &cellWriter{data: make([]byte, 0, 8*n), cells: make([]rawCell, 0, n), args: make([]any, 0, n)}
}

func (w *cellWriter) long(v int64) {
	start := len(w.data)
	w.data = binary.BigEndian.AppendUint64(w.data, uint64(v))
	w.add(w.data[start:len(w.data):len(w.data)])
}

func (w *cellWriter) float(v float32) {
	start := len(w.data)
	w.data = binary.BigEndian.AppendUint32(w.data, math.Float32bits(v))
	w.add(w.data[start:len(w.data):len(w.data)])
}

func (w *cellWriter) text(v string) { w.add([]byte(v)) }

func (w *cellWriter) add(data []byte) {
	w.cells = append(w.cells, data)
	w.args = append(w.args, &w.cells[len(w.cells)-1])
}

// take returns the last n values as the arguments of a statement.
func (w *cellWriter) take(n int) []any {
	return w.args[len(w.args)-n : len(w.args) : len(w.args)]
}
