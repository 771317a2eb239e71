//go:build !unix

package sparksubmit

import (
	"os"
	"os/exec"
)

// inOwnGroup has no groups to make here: only spark-submit itself is ended.
func inOwnGroup(*exec.Cmd) {}

func terminateGroup(leader int) { killGroup(leader) }

func killGroup(leader int) {
	if process, err := os.FindProcess(leader); err == nil {
		_ = process.Kill()
	}
}
