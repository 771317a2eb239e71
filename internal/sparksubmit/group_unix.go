//go:build unix

package sparksubmit

import (
	"os/exec"
	"syscall"
)

// inOwnGroup makes the command the leader of a process group: spark-submit starts a
// Java virtual machine, and that one Python, and all are to end together.
func inOwnGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func terminateGroup(leader int) { _ = syscall.Kill(-leader, syscall.SIGTERM) }
func killGroup(leader int)      { _ = syscall.Kill(-leader, syscall.SIGKILL) }
