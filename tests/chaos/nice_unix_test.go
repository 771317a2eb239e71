//go:build unix

package chaos

import "syscall"

// politely has this process and those that it starts give way to others: suites that
// run at the same time measure.
func politely() { _ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 10) }
