package registry

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// TestADiskThatRunsFullLeavesASoundRegistry fills a file system of a megabyte.
func TestADiskThatRunsFullLeavesASoundRegistry(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("NOT TESTED with a disk that is full: mounting one needs the right to: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	r, err := registry.Open("file://" + filepath.Join(disk, "registry"))
	if err != nil {
		t.Fatal(err)
	}
	published := 0
	for err == nil {
		var m registry.Manifest
		if m, err = publish(t.Context(), r, 0); err == nil {
			published++
			_, _, _, err = r.Promote(t.Context(), m.Version, time.Now(), always)
		}
	}
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room") || !strings.Contains(err.Error(), disk) || published == 0 {
		t.Errorf("after %d versions: %v", published, err)
	}
	report, err := r.Verify(t.Context())
	if err != nil || len(report.Problems)+len(report.Warnings) > 0 || report.Versions != published {
		t.Errorf("Verify found %+v, %v; published were %d", report, err, published)
	}
	if _, err := r.Prune(t.Context(), 2, false); err != nil {
		t.Error(err)
	}
	if _, err := publish(t.Context(), r, 0); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Join(disk, "registry", "models")); err != nil || len(entries) > published {
		t.Errorf("%d folders are left, %v", len(entries), err)
	}
}
