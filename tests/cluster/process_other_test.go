//go:build cluster && !linux

package cluster

import "syscall"

func dieWithUs() *syscall.SysProcAttr { return nil }
