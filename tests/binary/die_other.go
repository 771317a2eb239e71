//go:build !linux

package binary

import "syscall"

func dieWithUs() *syscall.SysProcAttr { return nil }
