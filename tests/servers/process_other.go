//go:build !unix

package servers

import (
	"errors"
	"os/exec"
	"syscall"
)

// Missing says that nothing is started on such a system; these only let it compile.

func tryLockFile(string) (func(), error)    { return nil, errors.ErrUnsupported }
func setUser(*exec.Cmd, uint32)             {}
func ownGroup() *syscall.SysProcAttr        { return nil }
func awaitDeath(int)                        {}
func signalGroup(int, syscall.Signal) error { return errors.ErrUnsupported }

const (
	sigStop = syscall.SIGTERM
	sigCont = syscall.SIGTERM
)
