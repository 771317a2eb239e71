package ratings

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestABombIsRefused: an archive that unpacks to more than any data set has, here with
// the limit at 1 MiB, is an error that says so, and what was unpacked is not taken.
func TestABombIsRefused(t *testing.T) {
	before := maxUnpacked
	maxUnpacked = 1 << 20
	t.Cleanup(func() { maxUnpacked = before })
	header := "userId,movieId,rating,timestamp\n"
	lines := strings.Repeat("1,1,4.0,964982703\n", (1<<20)/18+1)
	for _, test := range []struct {
		name, text string
		want       error
	}{{"just below", lines[:(len(lines)/18-100)*18], nil}, {"above", lines, ErrTooLarge}} {
		var zipped, gzipped bytes.Buffer
		archive := zip.NewWriter(&zipped)
		entry, err := archive.Create("ml/ratings.csv")
		if err != nil {
			t.Fatal(err)
		}
		packed := gzip.NewWriter(&gzipped)
		if _, err := io.WriteString(io.MultiWriter(entry, packed), header+test.text); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(archive.Close(), packed.Close()); err != nil {
			t.Fatal(err)
		}
		for name, data := range map[string][]byte{"ml.zip": zipped.Bytes(), "ratings.csv.gz": gzipped.Bytes()} {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			read, err := ReadRatings(path)
			if !errors.Is(err, test.want) || test.want != nil && (read != nil || !strings.Contains(err.Error(), name)) {
				t.Errorf("%s, %s of %d bytes: %d ratings, %v", test.name, name, len(data), len(read), err)
			}
		}
	}
}
