package spark

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/parquet-go/parquet-go"
)

func TestWhatIsUnusableIsRefusedWithItsFileAndWhatMendsIt(t *testing.T) {
	list := shapes["three levels"]
	one := func(rank int, factors ...float32) []byte {
		return part(t, list, &parquet.Snappy, []int32{5}, factors, rank)
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	whole := folderOf(t, list, &parquet.Snappy)["itemFactors/part-00000-x.parquet"].Data
	metadata := func(old, now string) []byte { return []byte(strings.Replace(smallMetadata, old, now, 1)) }
	const users, line = "userFactors/part-00003-x.parquet", "metadata/part-00001"
	for name, c := range map[string]struct {
		file    string // that is replaced, or removed if now is nil
		now     []byte
		mention []string
	}{
		"no metadata":             {"metadata", nil, []string{"there is no metadata", "give the folder that ALSModel.save wrote"}},
		"no users":                {"userFactors", nil, []string{"there is no userFactors"}},
		"no items":                {"itemFactors", nil, []string{"there is no itemFactors"}},
		"empty metadata":          {line, []byte{}, []string{"metadata/part-00000 is empty", "again"}},
		"metadata cut off":        {line, []byte(smallMetadata[:40]), []string{line, "not the metadata", "again"}},
		"a pipeline":              {line, metadata("recommendation.ALSModel", "PipelineModel"), []string{line, "PipelineModel", "stages/"}},
		"an ALS without fit":      {line, metadata("ALSModel", "ALS"), []string{line, "not fitted"}},
		"another class":           {line, metadata("recommendation.ALSModel", "KMeansModel"), []string{line, "KMeansModel", "ALSModel is wanted"}},
		"rank 0":                  {line, metadata(`"rank":2`, `"rank":0`), []string{line, "rank 0"}},
		"a rank beyond all sense": {line, metadata(`"rank":2`, `"rank":1000000000`), []string{line, "rank 1000000000"}},
		"another rank":            {users, one(3, 1, 2, 3), []string{users, "id 5 has 3 features", "rank 2"}},
		"no features":             {users, part(t, shapes["a repeated field"], &parquet.Snappy, []int32{5}, nil, 0), []string{users}},
		"an id twice":             {users, part(t, list, &parquet.Snappy, []int32{-4}, []float32{1, 2}, 2), []string{users, "userFactors/part-00005-x.parquet", "id -4", "empty one"}},
		"NaN":                     {users, one(2, 1, nan), []string{users, "id 5 is NaN", "diverged"}},
		"an infinity":             {users, one(2, inf, 1), []string{users, "id 5 is -Inf"}},
		"no Parquet":              {users, []byte("PAR1 was its name once PAR0"), []string{users, "no Parquet file", "copy the folder again"}},
		"an empty file":           {users, []byte{}, []string{users, "no Parquet file"}},
		"cut off":                 {users, whole[:len(whole)-20], []string{users, "cut off"}},
		"other columns":           {users, otherColumns(t), []string{users, "user_id", "id INT32 and features"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := folderOf(t, list, &parquet.Snappy)
			for path := range folder {
				if c.now == nil && strings.HasPrefix(path, c.file+"/") {
					delete(folder, path)
				}
			}
			if c.now != nil {
				folder[c.file] = &fstest.MapFile{Data: c.now}
			}
			_, err := Read(t.Context(), folder)
			if !errors.Is(err, ErrModel) {
				t.Fatalf("got %v", err)
			}
			for _, part := range c.mention {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

// otherColumns is a Parquet file that is no part of a model.
func otherColumns(t *testing.T) []byte {
	t.Helper()
	type rating struct {
		User   int32   `parquet:"user_id"`
		Rating float32 `parquet:"rating"`
	}
	path := filepath.Join(t.TempDir(), "ratings.parquet")
	if err := parquet.WriteFile(path, []rating{{1, 5}}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestDamageIsAnErrorAndNoPanic cuts a part off everywhere, and changes each of its
// bytes: what is read then is a model, or the error says that it is none.
func TestDamageIsAnErrorAndNoPanic(t *testing.T) {
	const name = "itemFactors/part-00000-x.parquet"
	folder := folderOf(t, shapes["three levels"], &parquet.Zstd)
	whole := folder[name].Data
	read := func(data []byte) error {
		folder[name] = &fstest.MapFile{Data: data}
		_, err := Read(t.Context(), folder)
		if err != nil && (!errors.Is(err, ErrModel) || !strings.Contains(err.Error(), name)) {
			t.Fatalf("nobody knows this error: %v", err)
		}
		return err
	}
	for n := range whole {
		if read(whole[:n]) == nil {
			t.Fatalf("%d of %d bytes are read as a whole", n, len(whole))
		}
		changed := slices.Clone(whole)
		changed[n] ^= 0x55
		_ = read(changed)
	}
}
