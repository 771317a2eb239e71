//go:build unix

package servers

import (
	"os"
	"os/exec"
	"syscall"
)

// tryLockFile takes the lock of a file that need not exist, or returns errLocked. The
// system gives it back when the process ends.
func tryLockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, errLocked
	}
	return func() { f.Close() }, nil
}

// setUser has a command run as another user. Only root may.
func setUser(cmd *exec.Cmd, uid uint32) {
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
}

// signalGroup sends a signal to a process and those it started.
func signalGroup(pid int, signal syscall.Signal) error {
	return syscall.Kill(-pid, signal)
}

const (
	sigStop = syscall.SIGSTOP
	sigCont = syscall.SIGCONT
)
