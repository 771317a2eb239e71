package binary

import "syscall"

// dieWithUs has the kernel kill a process whose test has died.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
