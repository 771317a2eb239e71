package spark

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/parquet-go/parquet-go"
)

// FuzzALSModel gives any bytes as a part file: what is read is written as what is read
// again.
func FuzzALSModel(f *testing.F) {
	const name = "itemFactors/part-00000-x.parquet"
	for _, shape := range []string{"three levels", "two levels", "a repeated field"} {
		f.Add(folderOf(f, shapes[shape], &parquet.Snappy)[name].Data)
	}
	f.Add(folderOf(f, shapes["three levels, dictionaries"], &parquet.Gzip)[name].Data)
	f.Add([]byte("PAR1\x00\x00\x00\x00PAR1"))
	folder := folderOf(f, shapes["three levels"], &parquet.Uncompressed)
	f.Fuzz(func(t *testing.T, data []byte) {
		folder[name] = &fstest.MapFile{Data: data}
		m, err := Read(t.Context(), folder)
		if err != nil {
			if !errors.Is(err, ErrModel) {
				t.Fatalf("nobody knows this error: %v", err)
			}
			return
		}
		written := filepath.Join(t.TempDir(), "model")
		if err := m.Write(t.Context(), written); err != nil {
			t.Fatal(err)
		}
		same(t, m, os.DirFS(written))
	})
}
