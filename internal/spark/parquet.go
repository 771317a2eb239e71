package spark

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// mendPart is what a person can do about a part file that cannot be read.
const mendPart = "copy the folder again, or save the model again"

// readRows hands over the rows of a Parquet file with the columns id and features, of
// which the slice is only lent. Parquet files are not trusted: whatever the reader
// stumbles over, also by a panic, is an error that wraps ErrModel.
func readRows(content io.ReaderAt, size int64, row func(id int32, features []float32) error) (err error) {
	defer func() {
		if stumbled := recover(); stumbled != nil {
			err = fmt.Errorf("%w: it is damaged (%v); %s", ErrModel, stumbled, mendPart)
		}
	}()
	file, err := parquet.OpenFile(content, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("%w: it is no Parquet file, or cut off (%w); %s", ErrModel, err, mendPart)
	}
	columns, err := findColumns(file.Schema())
	if err != nil {
		return err
	}
	var rows int64
	for _, group := range file.RowGroups() {
		read, err := columns.readGroup(group.ColumnChunks(), row)
		if rows += read; err != nil {
			return err
		}
	}
	if rows != file.NumRows() {
		return fmt.Errorf("%w: it has %d rows, and says %d; %s", ErrModel, rows, file.NumRows(), mendPart)
	}
	return nil
}

// columns are the places of the two columns of factors.
type columns struct {
	id, features int
	present      int // definition level of a feature that is not null
}

// findColumns takes features as a list in any of the ways in which Parquet has been
// written: three levels, two levels of older programs, or a repeated field.
func findColumns(schema *parquet.Schema) (c columns, err error) {
	c.id, c.features = -1, -1
	for _, path := range schema.Columns() {
		leaf, ok := schema.Lookup(path...)
		switch {
		case !ok:
		case path[0] == "id" && leaf.MaxRepetitionLevel == 0 && leaf.Node.Type().Kind() == parquet.Int32:
			c.id = leaf.ColumnIndex
		case path[0] == "features" && leaf.MaxRepetitionLevel == 1 && leaf.Node.Type().Kind() == parquet.Float && c.features < 0:
			c.features, c.present = leaf.ColumnIndex, leaf.MaxDefinitionLevel
		}
	}
	if c.id < 0 || c.features < 0 {
		return c, fmt.Errorf("%w: it has the columns %v, and id INT32 and features, a list of FLOAT, are wanted; give the folder that ALSModel.save wrote", ErrModel, schema.Columns())
	}
	return c, nil
}

func (c columns) readGroup(chunks []parquet.ColumnChunk, row func(id int32, features []float32) error) (rows int64, err error) {
	ids, values := newCursor(chunks[c.id]), newCursor(chunks[c.features])
	defer func() { err = errors.Join(err, ids.close(), values.close()) }()
	var features []float32
	for {
		id, err := ids.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return rows, err
		}
		if id.IsNull() {
			return rows, fmt.Errorf("%w: row %d has no id; %s", ErrModel, rows+1, mendPart)
		}
		if features, err = c.list(values, features[:0]); err != nil {
			return rows, fmt.Errorf("features of id %d: %w", id.Int32(), err)
		}
		if err := row(id.Int32(), features); err != nil {
			return rows, err
		}
		rows++
	}
	if _, err := values.peek(); !errors.Is(err, io.EOF) {
		return rows, errors.Join(fmt.Errorf("%w: it has features of more rows than ids; %s", ErrModel, mendPart), err)
	}
	return rows, nil
}

// list reads the values of one row. A repetition level above 0 goes on with a list.
func (c columns) list(values *cursor, features []float32) ([]float32, error) {
	for first := true; ; first = false {
		v, err := values.peek()
		if errors.Is(err, io.EOF) && !first {
			return features, nil
		}
		if err != nil {
			return features, noMore(err)
		}
		if !first && v.RepetitionLevel() == 0 {
			return features, nil
		}
		values.at++
		if v.DefinitionLevel() < c.present {
			if first { // a list that is null or empty
				return features, nil
			}
			return features, fmt.Errorf("%w: one is null; %s", ErrModel, mendPart)
		}
		features = append(features, v.Float())
		if len(features) > maxRank {
			return features, fmt.Errorf("%w: there are more than %d; %s", ErrModel, maxRank, mendPart)
		}
	}
}

func noMore(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: there are none; %s", ErrModel, mendPart)
	}
	return err
}

// cursor goes through the values of a column chunk, of which one page is in memory.
type cursor struct {
	pages parquet.Pages
	page  parquet.Page
	from  parquet.ValueReader
	held  [512]parquet.Value
	at, n int
}

func newCursor(chunk parquet.ColumnChunk) *cursor { return &cursor{pages: chunk.Pages()} }

func (c *cursor) next() (parquet.Value, error) {
	v, err := c.peek()
	if err == nil {
		c.at++
	}
	return v, err
}

// peek returns the value that next will return, or io.EOF behind the last one.
func (c *cursor) peek() (parquet.Value, error) {
	for c.at == c.n {
		if err := c.fill(); err != nil {
			return parquet.Value{}, err
		}
	}
	return c.held[c.at], nil
}

func (c *cursor) fill() (err error) {
	if c.page == nil {
		if c.page, err = c.pages.ReadPage(); err != nil {
			if !errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: it is damaged (%w); %s", ErrModel, err, mendPart)
			}
			c.page = nil
			return err
		}
		c.from = c.page.Values()
	}
	c.at = 0
	c.n, err = c.from.ReadValues(c.held[:])
	if errors.Is(err, io.EOF) {
		c.release()
		return nil
	}
	if err == nil && c.n == 0 {
		err = errors.New("a page says it has more values")
	}
	if err != nil {
		return fmt.Errorf("%w: it is damaged (%w); %s", ErrModel, err, mendPart)
	}
	return nil
}

func (c *cursor) release() {
	if c.page != nil {
		parquet.Release(c.page)
		c.page = nil
	}
}

func (c *cursor) close() error {
	c.release()
	return c.pages.Close()
}
