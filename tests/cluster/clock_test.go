//go:build cluster

package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/tests/faults"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// astray is how long a clock is wrong.
const astray = 5 * time.Second

// jumpPipeline has the clock of a process jump, and jump back.
func jumpPipeline(name string, which func(*fleet) **process, ahead time.Duration) fault {
	return fault{"clock jumps " + sign(ahead) + ": " + name, astray, func(t *testing.T, _ *system, f *fleet) {
		pid := (*which(f)).Command.Process.Pid
		setClock(t, pid, ahead)
		time.Sleep(astray)
		setClock(t, pid, 0)
	}}
}

// jumpNode has the clock of a node jump, and jump back.
func jumpNode(name string, which pick, ahead time.Duration) fault {
	return fault{"clock jumps " + sign(ahead) + ": " + name, astray, func(t *testing.T, s *system, _ *fleet) {
		withNode(t, s, which, func(_ context.Context, node *servers.Node) error {
			setClock(t, node.Pid(), ahead)
			time.Sleep(astray)
			setClock(t, node.Pid(), 0)
			return nil
		})
	}}
}

func sign(ahead time.Duration) string {
	if ahead > 0 {
		return "+" + ahead.String()
	}
	return ahead.String()
}

func setClock(t *testing.T, pid int, ahead time.Duration) {
	t.Helper()
	err := faults.SetClock(pid, ahead)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skipf("NOT TESTED with clocks that jump: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
