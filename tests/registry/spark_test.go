//go:build cluster

package registry

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob"

	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/internal/spark"
)

// TestAModelOfSparkIsReadFromS3 as from a folder.
func TestAModelOfSparkIsReadFromS3(t *testing.T) {
	s := startS3(t)
	url := inBucket(t, s, "spark")
	folder := filepath.Join(t.TempDir(), "model")
	want := spark.Model{
		Rank: 1, Users: spark.Side{IDs: []int32{1, 2}, Factors: []float32{1, 2}}, Items: spark.Side{IDs: []int32{3}, Factors: []float32{4}},
		Saved: time.UnixMilli(1_700_000_000_000).UTC(),
	}
	if err := want.Write(t.Context(), folder); err != nil {
		t.Fatal(err)
	}
	bucket, err := blob.OpenBucket(t.Context(), strings.Replace(url, "/some/folder", "", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	err = fs.WalkDir(os.DirFS(folder), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(folder, path))
		if err != nil {
			return err
		}
		return bucket.WriteAll(t.Context(), "some/folder/"+filepath.ToSlash(path), data, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := registry.Files(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	got, err := spark.Read(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	if got.Rank != 1 || !reflect.DeepEqual(got.Users, want.Users) || !reflect.DeepEqual(got.Items, want.Items) || !got.Saved.Equal(want.Saved) {
		t.Errorf("read %+v", got)
	}
	if files, err = registry.Files(t.Context(), strings.Replace(url, "/some/folder", "/elsewhere", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := spark.Read(t.Context(), files); err == nil || !strings.Contains(err.Error(), "there is no metadata in it") {
		t.Errorf("where nothing is: %v", err)
	}
}
