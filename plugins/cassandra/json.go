package cassandra

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// jsonCell reads a value of any column as JSON; null stays null, which the
// driver's own conversion makes a zero.
type jsonCell struct{ text []byte }

func (c *jsonCell) UnmarshalCQL(info gocql.TypeInfo, data []byte) error {
	c.text = c.text[:0]
	if data == nil {
		c.text = append(c.text, "null"...)
		return nil
	}
	if c.fixed(info.Type(), data) {
		return nil
	}
	var value any
	switch info.Type() {
	case gocql.TypeVarchar, gocql.TypeText, gocql.TypeAscii:
		if !utf8.Valid(data) {
			return fmt.Errorf("column holds text that is not UTF-8")
		}
		value = string(data)
	default:
		pointer := reflect.New(reflect.TypeOf(info.Zero()))
		if err := gocql.Unmarshal(info, data, pointer.Interface()); err != nil {
			return err
		}
		value = pointer.Elem().Interface()
	}
	encoded, err := json.Marshal(value)
	c.text = append(c.text, encoded...)
	return err
}

// fixed writes values of the usual types of fixed size, and says false for
// others.
func (c *jsonCell) fixed(kind gocql.Type, data []byte) bool {
	switch {
	case (kind == gocql.TypeBigInt || kind == gocql.TypeCounter) && len(data) == 8:
		c.text = strconv.AppendInt(c.text, int64(binary.BigEndian.Uint64(data)), 10)
	case kind == gocql.TypeInt && len(data) == 4:
		c.text = strconv.AppendInt(c.text, int64(int32(binary.BigEndian.Uint32(data))), 10)
	case kind == gocql.TypeTimestamp && len(data) == 8:
		at := time.UnixMilli(int64(binary.BigEndian.Uint64(data))).UTC()
		c.text = append(at.AppendFormat(append(c.text, '"'), time.RFC3339Nano), '"')
	case kind == gocql.TypeFloat && len(data) == 4:
		c.float(float64(math.Float32frombits(binary.BigEndian.Uint32(data))), 32)
	case kind == gocql.TypeDouble && len(data) == 8:
		c.float(math.Float64frombits(binary.BigEndian.Uint64(data)), 64)
	case kind == gocql.TypeBoolean && len(data) == 1:
		c.text = strconv.AppendBool(c.text, data[0] != 0)
	default:
		return false
	}
	return true
}

// float writes what JSON has no number for as a text.
func (c *jsonCell) float(value float64, bits int) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		c.text = strconv.AppendQuote(c.text, strconv.FormatFloat(value, 'g', -1, bits))
		return
	}
	c.text = strconv.AppendFloat(c.text, value, 'g', -1, bits)
}

// jsonRows decodes pages of any query, one JSON object for each row.
type jsonRows struct {
	names [][]byte // `"name":` for each column
	tuple []int    // elements of each column that is a tuple, else 0
	cells []jsonCell
	dest  []any
	page  [][]byte
}

func (r *jsonRows) prepare(columns []gocql.ColumnInfo) error {
	if r.names != nil {
		return nil
	}
	for _, column := range columns {
		name, err := json.Marshal(column.Name)
		if err != nil {
			return err
		}
		elements := 0
		if tuple, ok := column.TypeInfo.(gocql.TupleTypeInfo); ok {
			elements = len(tuple.Elems)
		}
		r.names = append(r.names, append(name, ':'))
		r.tuple = append(r.tuple, elements)
		for range max(elements, 1) {
			r.cells = append(r.cells, jsonCell{})
		}
	}
	for i := range r.cells {
		r.dest = append(r.dest, &r.cells[i])
	}
	return nil
}

func (r *jsonRows) decode(iter *gocql.Iter, rows int) error {
	if err := r.prepare(iter.Columns()); err != nil {
		return err
	}
	r.page = r.page[:0]
	for range rows {
		for i := range r.cells {
			r.cells[i].text = append(r.cells[i].text[:0], "null"...)
		}
		if !iter.Scan(r.dest...) {
			return errCut
		}
		r.page = append(r.page, r.object())
	}
	return nil
}

func (r *jsonRows) object() []byte {
	size := 2
	for i := range r.cells {
		size += len(r.cells[i].text) + 1
	}
	for _, name := range r.names {
		size += len(name) + 2
	}
	object := append(make([]byte, 0, size), '{')
	cell := 0
	for i, name := range r.names {
		if i > 0 {
			object = append(object, ',')
		}
		object = append(object, name...)
		if r.tuple[i] == 0 {
			object = append(object, r.cells[cell].text...)
			cell++
			continue
		}
		for k := range r.tuple[i] {
			object = append(object, "[,"[min(k, 1)])
			object = append(object, r.cells[cell].text...)
			cell++
		}
		object = append(object, ']')
	}
	return append(object, '}')
}
