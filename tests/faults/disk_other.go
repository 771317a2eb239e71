//go:build !linux

package faults

import "errors"

// ErrMayNotMount: file systems are mounted on Linux only.
var ErrMayNotMount = errors.New("mounting a file system works on Linux only")

// Disk is a small file system of its own that can be filled, on Linux.
type Disk struct{ Folder string }

// NewDisk returns ErrMayNotMount.
func NewDisk(string, int64) (*Disk, error) { return nil, ErrMayNotMount }

// Fill cannot be called, as there is no Disk.
func (*Disk) Fill() error { return ErrMayNotMount }

// Free cannot be called, as there is no Disk.
func (*Disk) Free() error { return ErrMayNotMount }

// Close cannot be called, as there is no Disk.
func (*Disk) Close() error { return ErrMayNotMount }
