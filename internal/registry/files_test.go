package registry

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestFilesAreReadFromAFolderAndFromABucket(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "b"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	local, err := Files(t.Context(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]fs.FS{"a folder": local, "a bucket": objects{t.Context(), folder(dir)}} {
		entries, err := fs.ReadDir(files, "a")
		if err != nil || len(entries) != 1 || entries[0].Name() != "b" {
			t.Errorf("%s lists %v, %v", name, entries, err)
		}
		file, err := files.Open("a/b")
		if err != nil {
			t.Fatal(err)
		}
		info, err := file.Stat()
		if err != nil || info.Size() != 4 || !info.Mode().IsRegular() || info.Name() != "b" {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
		if text, err := io.ReadAll(file); err != nil || string(text) != "text" {
			t.Errorf("%s has %q, %v", name, text, err)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
		if _, err := files.Open("a/c"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, url := range []string{filepath.Join(dir, "nothing"), filepath.Join(dir, "a", "b"), "gs://bucket"} {
		if _, err := Files(t.Context(), url); err == nil {
			t.Errorf("%s is one", url)
		}
	}
}
