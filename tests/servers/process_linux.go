package servers

import (
	"syscall"
	"unsafe"
)

// ownGroup puts a process in a group of its own, out of reach of a terminal's Ctrl-C,
// and has the kernel kill it when the thread that starts it ends.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitDeath returns when a child has died but leaves it as a zombie, whose id (that of
// its group too) the system cannot give to anyone else yet.
func awaitDeath(pid int) {
	const (
		byPid   = 1          // P_PID
		wExited = 0x4        // WEXITED
		noWait  = 0x01000000 // WNOWAIT
	)
	var info [128]byte
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, byPid, uintptr(pid), uintptr(unsafe.Pointer(&info)), wExited|noWait, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}
