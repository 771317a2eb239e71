package spark

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// small has 3 users and 2 items of rank 2.
func small() *Model {
	return &Model{
		Rank:  2,
		Users: Side{[]int32{-4, 1, 7}, []float32{1, 2, 3, 4, 5, 6}}, Items: Side{[]int32{10, 20}, []float32{.5, -.5, 2, 0}},
		Saved: time.UnixMilli(1_700_000_000_123).UTC(),
	}
}

// large has more rows than one row group.
func large() *Model {
	m, random := small(), rand.New(rand.NewPCG(1, 2))
	m.Users = Side{}
	for id := range int32(rowsOfGroup + 1000) {
		m.Users.IDs = append(m.Users.IDs, 3*id)
		m.Users.Factors = append(m.Users.Factors, random.Float32(), random.Float32())
	}
	return m
}

// realFolder is the one that Spark 2.4 saved.
func realFolder(t testing.TB) fs.FS {
	t.Helper()
	folder := filepath.Join(filepath.Dir(recsystest.DataDir(t)), "spark-2.4-als-model")
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: RECSYS_DATA has no spark-2.4-als-model beside MovieLens: %v", err)
	}
	return os.DirFS(folder)
}

func TestWhatSpark24SavedIsRead(t *testing.T) {
	m, err := Read(t.Context(), realFolder(t))
	if err != nil {
		t.Fatal(err)
	}
	if m.Rank != 10 || len(m.Users.IDs) != 610 || len(m.Items.IDs) != 8966 || m.Version != "2.4.0" || m.Saved.Year() != 2018 {
		t.Errorf("rank %d, %d users, %d items, saved by Spark %s at %s", m.Rank, len(m.Users.IDs), len(m.Items.IDs), m.Version, m.Saved)
	}
	if !slices.IsSorted(m.Users.IDs) || !slices.IsSorted(m.Items.IDs) || m.Users.IDs[0] != 1 || m.Users.Factors[0] != 0.2343371 {
		t.Errorf("users %v…, factors %v…", m.Users.IDs[:3], m.Users.Factors[:3])
	}
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	for name, m := range map[string]*Model{"small": small(), "of several row groups": large()} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "model")
			if err := m.Write(t.Context(), folder); err != nil {
				t.Fatal(err)
			}
			same(t, m, os.DirFS(folder))
			again := filepath.Join(t.TempDir(), "model")
			if err := m.Write(t.Context(), again); err != nil {
				t.Fatal(err)
			}
			if first, second := files(t, folder), files(t, again); !reflect.DeepEqual(first, second) || len(first) != 6 {
				t.Errorf("%d files, and not the same the second time", len(first))
			}
		})
	}
}

// same expects that the model is what is read.
func same(t *testing.T, want *Model, from fs.FS) {
	t.Helper()
	got, err := Read(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	if got.Rank != want.Rank || !got.Saved.Equal(want.Saved) || !reflect.DeepEqual(got.Users, want.Users) || !reflect.DeepEqual(got.Items, want.Items) {
		t.Errorf("read were rank %d, %d users and %d items saved at %s, or other factors", got.Rank, len(got.Users.IDs), len(got.Items.IDs), got.Saved)
	}
}

func files(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(folder), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(folder, path))
		all[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// shapes are the ways in which lists have been written, by the type of features.
var shapes = map[string]parquet.Node{
	"three levels":               parquet.Optional(parquet.List(parquet.Leaf(parquet.FloatType))),
	"three levels with nulls":    parquet.Optional(parquet.List(parquet.Optional(parquet.Leaf(parquet.FloatType)))),
	"two levels":                 parquet.Optional(parquet.Group{"array": parquet.Repeated(parquet.Leaf(parquet.FloatType))}),
	"two levels, bags of nulls":  parquet.Optional(parquet.Group{"bag": parquet.Repeated(parquet.Group{"array": parquet.Optional(parquet.Leaf(parquet.FloatType))})}),
	"a required list":            parquet.List(parquet.Leaf(parquet.FloatType)),
	"a repeated field":           parquet.Repeated(parquet.Leaf(parquet.FloatType)),
	"three levels, dictionaries": parquet.Optional(parquet.List(parquet.Encoded(parquet.Leaf(parquet.FloatType), &parquet.RLEDictionary))),
}

// part is a Parquet file of these rows, in which no number is the rows' own but the
// ids and features.
func part(t testing.TB, features parquet.Node, codec compress.Codec, ids []int32, factors []float32, rank int, options ...parquet.WriterOption) []byte {
	t.Helper()
	schema := parquet.NewSchema("spark_schema", parquet.Group{"id": parquet.Leaf(parquet.Int32Type), "features": features})
	var file bytes.Buffer
	w := parquet.NewWriter(&file, append(options, schema, parquet.Compression(codec))...)
	var id, list parquet.LeafColumn
	for _, path := range schema.Columns() {
		leaf, _ := schema.Lookup(path...)
		if path[0] == "id" {
			id = leaf
		} else {
			list = leaf
		}
	}
	for k, of := range ids {
		row := parquet.Row{}
		for c := range rank {
			row = append(row, parquet.FloatValue(factors[k*rank+c]).Level(min(c, 1), list.MaxDefinitionLevel, list.ColumnIndex))
		}
		row = append(row, parquet.Int32Value(of).Level(0, 0, id.ColumnIndex))
		slices.SortStableFunc(row, func(a, b parquet.Value) int { return a.Column() - b.Column() })
		if _, err := w.WriteRows([]parquet.Row{row}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

const smallMetadata = `{"class":"org.apache.spark.ml.recommendation.ALSModel","timestamp":1700000000123,"sparkVersion":"3.3.0","uid":"ALS_0","paramMap":{"blockSize":4096},"rank":2}` + "\n"

// folderOf is small in memory, of whose users each is in a part of its own.
func folderOf(t testing.TB, features parquet.Node, codec compress.Codec) fstest.MapFS {
	m := small()
	folder := fstest.MapFS{
		"metadata/_SUCCESS": {}, "metadata/part-00000": {}, "metadata/part-00001": {Data: []byte(smallMetadata)}, "metadata/.part-00001.crc": {Data: []byte("crc\x00")},
		"itemFactors/_SUCCESS":                  {},
		"itemFactors/part-00000-x.parquet":      {Data: part(t, features, codec, []int32{20, 10}, []float32{2, 0, .5, -.5}, 2)},
		"userFactors/.part-00000-x.parquet.crc": {Data: []byte("crc\x00")},
		"userFactors/part-00009-x.parquet":      {Data: part(t, features, codec, nil, nil, 2)},
	}
	for k, id := range m.Users.IDs {
		folder[fmt.Sprintf("userFactors/part-%05d-x.parquet", 5-k)] = &fstest.MapFile{Data: part(t, features, codec, []int32{id}, m.Users.Factors[2*k:][:2], 2)}
	}
	return folder
}

func TestAnyPartsInAnyShapeWithAnyCompressionAreRead(t *testing.T) {
	for _, codec := range []compress.Codec{&parquet.Snappy, &parquet.Zstd, &parquet.Gzip, &parquet.Lz4Raw, &parquet.Uncompressed} {
		for shape, features := range shapes {
			t.Run(fmt.Sprint(codec, ", ", shape), func(t *testing.T) { same(t, small(), folderOf(t, features, codec)) })
		}
	}
}

func TestManyPagesAndGroupsAreRead(t *testing.T) {
	m, folder := large(), folderOf(t, shapes["three levels"], &parquet.Snappy)
	for name := range folder {
		if filepath.Dir(name) == userFolder {
			delete(folder, name)
		}
	}
	folder["userFactors/part-0"] = &fstest.MapFile{Data: part(t, shapes["three levels"], &parquet.Zstd, m.Users.IDs, m.Users.Factors, 2,
		parquet.PageBufferSize(4096), parquet.MaxRowsPerRowGroup(10_000), parquet.DataPageVersion(1))}
	same(t, m, folder)
}
