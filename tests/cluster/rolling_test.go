//go:build cluster && chaos

package cluster

import (
	"context"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// TestARollingRestartUnderTraffic stops and starts every node of every server,
// one after the other, as an upgrade does.
func TestARollingRestartUnderTraffic(t *testing.T) {
	s := sharedSystem(t, 3)
	f := s.startFleet(t, 2)
	s.suffer(t, f, fault{"rolling restart of all nine nodes", 4 * time.Minute, func(t *testing.T, s *system, _ *fleet) {
		for _, cluster := range []*servers.Cluster{&s.kafka.Cluster, &s.cassandra.Cluster, &s.elasticsearch.Cluster} {
			for _, node := range cluster.Nodes {
				began := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
				defer cancel()
				if err := node.Stop(ctx); err != nil {
					t.Fatal(err)
				}
				if err := node.Start(ctx); err != nil {
					t.Fatal(err)
				}
				s.healthy(t)
				t.Logf("%s: %.1f s", node.Name, time.Since(began).Seconds())
			}
		}
	}})
}
