package spark

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/parquet-go/parquet-go"
)

// ErrExists says that something is where a model is to be written.
var ErrExists = errors.New("there is something already")

const (
	rowsOfPart  = 1 << 20 // so that Spark reads large sides with many tasks
	rowsOfGroup = 1 << 16 // that are held in memory
)

// row is a row of factors as Spark declares it: the id never null, nor a feature.
type row struct {
	ID       int32     `parquet:"id"`
	Features []float32 `parquet:"features"`
}

// rowSchema and sparkSchema are what Spark writes itself; it takes the latter, in the
// file's metadata, as its own.
var rowSchema = parquet.NewSchema("spark_schema", parquet.Group{
	"id":       parquet.Leaf(parquet.Int32Type),
	"features": parquet.Optional(parquet.List(parquet.Leaf(parquet.FloatType))),
})

const (
	sparkSchemaKey = "org.apache.spark.sql.parquet.row.metadata"
	sparkSchema    = `{"type":"struct","fields":[{"name":"id","type":"integer","nullable":false,"metadata":{}},` +
		`{"name":"features","type":{"type":"array","elementType":"float","containsNull":false},"nullable":true,"metadata":{}}]}`
)

// Write saves a model into a folder as Spark does. The folder must not exist, or be
// empty, and appears only complete. Equal models saved at the same time give equal
// bytes.
func (m *Model) Write(ctx context.Context, folder string) error {
	folder = filepath.Clean(folder)
	if err := vacant(folder); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(folder), ".tmp-")
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("writing %s: there is no folder %s; make it first", folder, filepath.Dir(folder))
	}
	if err != nil {
		return fmt.Errorf("making a folder beside %s: %w", folder, err)
	}
	defer os.RemoveAll(temporary)
	if err := os.Chmod(temporary, 0o755); err != nil {
		return err
	}
	if err := m.writeInto(ctx, temporary); err != nil {
		return fmt.Errorf("writing %s: %w", folder, err)
	}
	if err := os.Remove(folder); err != nil && !errors.Is(err, fs.ErrNotExist) { // empty a moment ago
		return fmt.Errorf("replacing the empty folder %s: %w", folder, err)
	}
	if err := os.Rename(temporary, folder); err != nil {
		return fmt.Errorf("naming %s: %w", folder, err)
	}
	return syncFolder(filepath.Dir(folder))
}

func vacant(folder string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err == nil {
		return fmt.Errorf("%w: %s is not empty; give another folder", ErrExists, folder)
	}
	return fmt.Errorf("%w: %w; give another folder", ErrExists, err)
}

func (m *Model) writeInto(ctx context.Context, folder string) error {
	sum := m.checksum()
	text, err := json.Marshal(newMetadata("ALS_"+sum[:12], m.Saved, m.Rank))
	if err != nil {
		return err
	}
	err = writePart(filepath.Join(folder, metadataFolder), "part-00000", func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
	if err != nil {
		return err
	}
	if err := markComplete(filepath.Join(folder, metadataFolder)); err != nil {
		return err
	}
	job := fmt.Sprintf("%s-%s-%s-%s-%s", sum[:8], sum[8:12], sum[12:16], sum[16:20], sum[20:32]) // Spark has a random UUID here
	for name, side := range map[string]Side{userFolder: m.Users, itemFolder: m.Items} {
		if err := side.write(ctx, filepath.Join(folder, name), job, m.Rank); err != nil {
			return err
		}
	}
	return syncFolder(folder)
}

// checksum is of all ids and factors.
func (m *Model) checksum() string {
	sum := sha256.New()
	for _, side := range []Side{m.Users, m.Items} {
		for _, values := range []any{uint64(len(side.IDs)), side.IDs, side.Factors} {
			_ = binary.Write(sum, binary.LittleEndian, values) // a hash takes everything
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (s *Side) write(ctx context.Context, folder, job string, rank int) error {
	for part := 0; part == 0 || part*rowsOfPart < len(s.IDs); part++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		from, to := part*rowsOfPart, min((part+1)*rowsOfPart, len(s.IDs))
		name := fmt.Sprintf("part-%05d-%s-c000.snappy.parquet", part, job)
		if err := writePart(folder, name, func(w io.Writer) error { return s.writeRows(w, from, to, rank) }); err != nil {
			return err
		}
	}
	return markComplete(folder)
}

func (s *Side) writeRows(w io.Writer, from, to, rank int) error {
	writer := parquet.NewGenericWriter[row](w, rowSchema, parquet.Compression(&parquet.Snappy),
		parquet.MaxRowsPerRowGroup(rowsOfGroup), parquet.KeyValueMetadata(sparkSchemaKey, sparkSchema))
	rows := make([]row, 0, 1024)
	for from < to {
		rows = rows[:0]
		for ; from < to && len(rows) < cap(rows); from++ {
			rows = append(rows, row{s.IDs[from], s.Factors[from*rank:][:rank]})
		}
		if _, err := writer.Write(rows); err != nil {
			return err
		}
	}
	return writer.Close()
}

// writePart writes a file durably, and makes its folder.
func writePart(folder, name string, content func(io.Writer) error) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(folder, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = content(file)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// markComplete leaves the marker that Hadoop's writers leave.
func markComplete(folder string) error {
	if err := writePart(folder, "_SUCCESS", func(io.Writer) error { return nil }); err != nil {
		return err
	}
	return syncFolder(folder)
}

// syncFolder makes the names in a folder durable.
func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
