package terminal

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestDoctorFindsADiskThatIsFull(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("NOT TESTED with a disk that is full: mounting one needs the right to: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	e := examine(t, nil, "--state", disk)
	e.finds(t, "disk", "problem", []string{"only ", "are free in " + disk}, []string{"free space", "models prune"})
	if err := os.WriteFile(filepath.Join(disk, "fill"), make([]byte, 2<<20), 0o600); err == nil {
		t.Fatal("the disk takes more than it has")
	}
	e = examine(t, nil, "--state", disk)
	e.finds(t, "disk", "problem", []string{disk + " cannot be written"}, []string{"free space", "models prune"})
}
