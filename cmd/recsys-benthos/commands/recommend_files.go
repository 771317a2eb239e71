package commands

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// listFile is a file of lists in one format.
type listFile[L any] interface {
	write(lists []L) error
	close() error // writes what is left; the file itself stays open
}

// listExtension tells what is wrong with the name of a file for lists.
func listExtension(path string) error {
	switch extension := strings.ToLower(filepath.Ext(path)); extension {
	case ".jsonl", ".csv", ".parquet":
		return nil
	default:
		return usagef("--out %s: %q is not a format; give a file that ends in .jsonl, .csv or .parquet", path, extension)
	}
}

// format returns what makes the file of a path, by the end of its name.
func (b batchOf[L, R]) format(path string) (func(io.Writer) listFile[L], error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv":
		return b.sheet, nil
	case ".parquet":
		return b.columns, nil
	case ".jsonl":
		return func(w io.Writer) listFile[L] {
			encoder := json.NewEncoder(w)
			encoder.SetEscapeHTML(false)
			return lines[L]{encoder}
		}, nil
	}
	return nil, listExtension(path)
}

// lines has a line of JSON for each list.
type lines[L any] struct{ *json.Encoder }

func (l lines[L]) write(lists []L) error {
	for _, list := range lists {
		if err := l.Encode(list); err != nil {
			return err
		}
	}
	return nil
}

func (l lines[L]) close() error { return nil }

// sheet has a row of CSV for each item.
type sheet[L, R any] struct {
	*csv.Writer
	of   batchOf[L, R]
	rows []R // room, used again
}

func (b batchOf[L, R]) sheet(w io.Writer) listFile[L] {
	t := &sheet[L, R]{Writer: csv.NewWriter(w), of: b}
	_ = t.Write(b.header) // close tells
	return t
}

func (t *sheet[L, R]) write(lists []L) error {
	for _, list := range lists {
		t.rows = t.of.append(t.rows[:0], list)
		for _, row := range t.rows {
			if err := t.Write(t.of.cells(row)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *sheet[L, R]) close() error {
	t.Flush()
	return t.Error()
}

// columns has a row of Parquet for each item.
type columns[L, R any] struct {
	*parquet.GenericWriter[R]
	of   batchOf[L, R]
	rows []R // room, used again
}

func (b batchOf[L, R]) columns(w io.Writer) listFile[L] {
	return &columns[L, R]{GenericWriter: parquet.NewGenericWriter[R](w, parquet.Compression(&parquet.Snappy)), of: b}
}

func (c *columns[L, R]) write(lists []L) error {
	c.rows = c.rows[:0]
	for _, list := range lists {
		c.rows = c.of.append(c.rows, list)
	}
	_, err := c.Write(c.rows)
	return err
}

func (c *columns[L, R]) close() error { return c.Close() }
