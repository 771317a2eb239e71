//go:build cluster

package cluster

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/recsys-benthos/recsys-benthos/tests/faults"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// astray is how long a clock is wrong.
const astray = 5 * time.Second

// jumpPipeline has the clock of a process jump, and jump back.
func jumpPipeline(name string, which func(*fleet) **process, ahead time.Duration) fault {
	return fault{fmt.Sprintf("clock jumps %+.0f h: %s", ahead.Hours(), name), astray, func(t *testing.T, _ *system, f *fleet) {
		pid := (*which(f)).Command.Process.Pid
		setClock(t, pid, ahead)
		time.Sleep(astray)
		setClock(t, pid, 0)
	}}
}

// jumpNode has the clock of a node jump, and jump back.
func jumpNode(name string, which pick, ahead time.Duration) fault {
	return fault{fmt.Sprintf("clock jumps %+.0f h: %s", ahead.Hours(), name), astray, func(t *testing.T, s *system, _ *fleet) {
		withNode(t, s, which, func(_ context.Context, node *servers.Node) error {
			setClock(t, node.Pid(), ahead)
			time.Sleep(astray)
			if node == s.cassandra.Nodes[0] && ahead > 0 { // a clock behind is hidden: its UUIDs only ever grow
				s.nodeIsAhead(t, node, ahead)
			}
			setClock(t, node.Pid(), 0)
			return nil
		})
	}}
}

// jumpController is jumpNode of the controller of Kafka, which is started again where
// its clock was behind: as a broker, Kafka 4.1 sends itself no heartbeats from then on
// ("the RPC got timed out before it could be sent"), and stays fenced.
func jumpController(ahead time.Duration) fault {
	f := jumpNode("the controller of Kafka", controller, ahead)
	f.inject = func(t *testing.T, s *system, _ *fleet) {
		withNode(t, s, controller, func(ctx context.Context, node *servers.Node) error {
			setClock(t, node.Pid(), ahead)
			time.Sleep(astray)
			setClock(t, node.Pid(), 0)
			if ahead > 0 {
				return nil
			}
			return errors.Join(node.Stop(ctx), node.Start(ctx))
		})
	}
	return f
}

// nodeIsAhead demands that a Cassandra node tells the time of the fault.
func (s *system) nodeIsAhead(t *testing.T, node *servers.Node, ahead time.Duration) {
	t.Helper()
	cluster := gocql.NewCluster(node.Address)
	cluster.DisableInitialHostLookup, cluster.IgnorePeerAddr, cluster.NumConns = true, true, 1
	cluster.ConnectTimeout, cluster.Timeout = 30*time.Second, 30*time.Second
	cluster.Logger = gocql.NewLogger(gocql.LogLevelNone)
	session, err := cluster.CreateSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	var told time.Time
	if err := session.Query("SELECT toTimestamp(now()) FROM system.local").Scan(&told); err != nil {
		t.Fatal(err)
	}
	if off := time.Until(told); (off - ahead).Abs() > 10*time.Minute {
		t.Errorf("%s is %s ahead instead of %s: the fault has not happened", node.Name, off, ahead)
	}
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
