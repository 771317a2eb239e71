//go:build cluster

package cluster

import "syscall"

// dieWithUs has the kernel kill a pipeline whose test has died.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
