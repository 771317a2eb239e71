package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrMayNotMount: this process has not the right to mount a file system.
var ErrMayNotMount = errors.New("mounting a file system needs root")

// Disk is a small file system of its own that can be filled.
type Disk struct {
	Folder string // where it is mounted
	filler string
}

// NewDisk mounts a file system of so many bytes on a folder that exists. The caller
// must Close it.
func NewDisk(folder string, bytes int64) (*Disk, error) {
	err := syscall.Mount("tmpfs", folder, "tmpfs", 0, fmt.Sprintf("size=%d", bytes))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return nil, fmt.Errorf("%w: %s: %w", ErrMayNotMount, folder, err)
	}
	if err != nil {
		return nil, fmt.Errorf("mounting a file system of %d bytes on %s: %w", bytes, folder, err)
	}
	return &Disk{Folder: folder, filler: filepath.Join(folder, ".filler")}, nil
}

// Fill takes all room that is left.
func (d *Disk) Fill() error {
	file, err := os.OpenFile(d.filler, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("filling the disk: %w", err)
	}
	defer file.Close()
	for size := 1 << 20; size > 0; {
		if _, err = file.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("filling the disk: %w", err)
	}
	return nil
}

// Free gives the room back that Fill took.
func (d *Disk) Free() error {
	if err := os.Remove(d.filler); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("freeing the disk: %w", err)
	}
	return nil
}

// Close unmounts it; programs that still use it keep it alive unseen.
func (d *Disk) Close() error {
	if err := syscall.Unmount(d.Folder, syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("unmounting %s: %w", d.Folder, err)
	}
	return nil
}
