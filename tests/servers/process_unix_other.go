//go:build unix && !linux

package servers

import "syscall"

// ownGroup puts a process in a group of its own, out of reach of a terminal's Ctrl-C.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitDeath is for Linux; elsewhere cmd.Wait alone waits.
func awaitDeath(int) {}
