//go:build !(linux && amd64)

package faults

import (
	"errors"
	"fmt"
	"time"
)

// SetClock works on Linux on amd64 only.
func SetClock(pid int, _ time.Duration) error {
	return fmt.Errorf("setting the clock of process %d: %w", pid, errors.ErrUnsupported)
}
