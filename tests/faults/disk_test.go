package faults

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestADiskIsFullUntilItIsFreed(t *testing.T) {
	folder := t.TempDir()
	disk, err := NewDisk(folder, 1<<20)
	if errors.Is(err, ErrMayNotMount) && os.Getenv("CI") == "" {
		t.Skipf("NOT TESTED with a disk that is full: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	file := filepath.Join(folder, "data")
	write := func() error { return os.WriteFile(file, make([]byte, 100<<10), 0o600) }
	if err := write(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := disk.Fill(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file+"2", []byte("x"), 0o600); err == nil {
			t.Error("a full disk takes more")
		}
		if err := disk.Free(); err != nil {
			t.Fatal(err)
		}
		if err := write(); err != nil {
			t.Errorf("with room again: %v", err)
		}
	}
}
