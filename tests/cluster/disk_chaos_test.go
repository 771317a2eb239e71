//go:build cluster && chaos

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/tests/faults"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// systemWithDisks has a small one for the last node of each server.
func systemWithDisks(t *testing.T) *system {
	t.Helper()
	servers.ForTest(t)
	root, err := os.MkdirTemp("", "recsys-disks-")
	if err != nil {
		t.Fatal(err)
	}
	folder := func() string {
		name, err := os.MkdirTemp(root, "")
		if err == nil {
			err = errors.Join(os.Chmod(root, 0o755), os.Chmod(name, 0o777))
		}
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	t.Cleanup(func() {
		if err := closeShared(); err != nil {
			t.Error(err)
		}
		os.RemoveAll(root)
	})
	full, err := newDisks(folder)
	if errors.Is(err, faults.ErrMayNotMount) && os.Getenv("CI") == "" {
		t.Skipf("NOT TESTED with disks that are full: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return newShared(t, &system{nodes: 3, disks: full})
}

// TestADiskThatIsFullCostsNoMessage fills the disk of one of three nodes, frees it,
// and starts the broker again, as it has ended by itself.
func TestADiskThatIsFullCostsNoMessage(t *testing.T) {
	s := systemWithDisks(t)
	f := s.startFleet(t, 2)
	const lasts = 20 * time.Second
	// Not a Cassandra node: so little traffic fits into what its log has already.
	for i, server := range map[int]struct {
		name    string
		cluster *servers.Cluster
		says    string // once it has no room
		restart bool
	}{
		0: {"a broker", &s.kafka.Cluster, "all log dirs", true},
		2: {"an Elasticsearch node", &s.elasticsearch.Cluster, "No space left", false},
	} {
		node := server.cluster.Nodes[2]
		wrong := fault{"disk full: " + server.name, lasts, func(t *testing.T, s *system, _ *fleet) {
			if err := s.disks[i].Fill(); err != nil {
				t.Fatal(err)
			}
			filled := time.Now()
			eventually(t, time.Minute, func() error {
				if said := node.LogTail(1000); !strings.Contains(said, server.says) {
					return fmt.Errorf("%s has a full disk and does not say %q", node.Name, server.says)
				}
				return nil
			})
			t.Logf("%s noticed after %.1f s", node.Name, time.Since(filled).Seconds())
			time.Sleep(time.Until(filled.Add(lasts)))
			t.Logf("%s runs: %t", node.Name, node.Running())
			if err := s.disks[i].Free(); err != nil {
				t.Fatal(err)
			}
			if server.restart {
				restart(t, node)
			}
		}}
		t.Run(wrong.name, func(t *testing.T) { s.suffer(t, f, wrong) })
	}
	wrong := fault{"flood stage: all Elasticsearch nodes", lasts, func(t *testing.T, s *system, f *fleet) {
		s.watermarks(t, "10tb", "10tb", "10tb") // left, which no disk here has
		t.Log(f.index.says(t, "flood-stage watermark"))
		time.Sleep(lasts / 2)
		s.watermarks(t, "20mb", "15mb", "10mb")
	}}
	t.Run(wrong.name, func(t *testing.T) { s.suffer(t, f, wrong) })
}

// watermarks sets how much of a disk has to be left.
func (s *system) watermarks(t *testing.T, low, high, flood string) {
	t.Helper()
	const setting = "cluster.routing.allocation.disk.watermark."
	s.index.mustAsk(t, "PUT", "/_cluster/settings", map[string]any{"persistent": map[string]string{setting + "low": low, setting + "high": high, setting + "flood_stage": flood}})
}

// restart kills a node that may have ended by itself, and starts it.
func restart(t *testing.T, node *servers.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if err := errors.Join(node.Kill(), node.Start(ctx)); err != nil {
		t.Fatal(err)
	}
}
