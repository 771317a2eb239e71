// Package faults makes what goes wrong in production happen on purpose, from
// outside of the programs it happens to: a network that is cut, half-open or
// slow (Proxy), a wall clock that jumps (SetClock) and a disk that runs full
// (Disk). It knows nothing of what it breaks.
package faults
