package servers

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// Pid returns the process id of the server, 0 if it does not run.
func (n *Node) Pid() int {
	proc := n.process()
	if !proc.running() {
		return 0
	}
	if n.pidFile == "" {
		return proc.cmd.Process.Pid
	}
	text, err := os.ReadFile(n.pidFile)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(string(bytes.TrimSpace(text)))
	return pid
}

// RSS returns the memory the server has in use (resident set), in bytes; 0 if it does
// not run, or where there is no /proc.
func (n *Node) RSS() int64 {
	pid := n.Pid()
	if pid == 0 {
		return 0
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			kib, _ := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(" kB"))), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// LogTail returns the last n lines the server wrote, those of earlier runs included.
func (n *Node) LogTail(lines int) string {
	text, err := os.ReadFile(n.command.log)
	if err != nil {
		return err.Error()
	}
	return lastLines(text, lines)
}
