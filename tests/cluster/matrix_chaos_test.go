//go:build cluster && chaos

package cluster

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// defaultMessages is how many events, and how many requests, a fault is in the
// middle of.
const defaultMessages = 100_000

// lead is how much longer than the fault the traffic lasts.
const lead = 25 * time.Second

// faults are all of them.
func faults() []fault {
	return []fault{
		killNode("a broker that leads", leader),
		killNode("the controller of Kafka", controller),
		killNode("a Cassandra node", cassandraNode),
		killNode("the master of Elasticsearch", master),
		killPipeline("the first predictor", firstPredictor, "predict", "models"),
		killPipeline("the second predictor", secondPredictor, "predict", "models"),
		killPipeline("ingest", ingestProcess, "ingest"),
		killPipeline("index", indexProcess, "index"),
		freezeNode("a broker that leads", leader),
		freezeNode("the controller of Kafka", controller),
		freezeNode("a Cassandra node", cassandraNode),
		freezeNode("the master of Elasticsearch", master),
		freezePipeline("the first predictor", firstPredictor),
		freezePipeline("the second predictor", secondPredictor),
		freezePipeline("ingest", ingestProcess),
		freezePipeline("index", indexProcess),
	}
}

// Exactly once: how many requests, and kills in the middle of them.
const (
	onceRequests = 60_000
	onceKills    = 7 // one is no kill
)

// frozen is how long a SIGSTOP lasts.
const frozen = 20 * time.Second

func leader(ctx context.Context, s *system) (*servers.Node, error) {
	return s.kafka.Leader(ctx, "requests", 0)
}

// freezeNode is SIGSTOP of a node.
func freezeNode(name string, which pick) fault {
	return fault{"SIGSTOP 20 s of " + name, frozen, func(t *testing.T, s *system, _ *fleet) {
		withNode(t, s, which, func(_ context.Context, node *servers.Node) error {
			if err := node.Pause(); err != nil {
				return err
			}
			time.Sleep(frozen)
			return node.Resume()
		})
	}}
}

// freezePipeline is SIGSTOP of a process.
func freezePipeline(name string, which func(*fleet) **process) fault {
	return fault{"SIGSTOP 20 s of " + name, frozen, func(t *testing.T, _ *system, f *fleet) {
		p := *which(f)
		p.signal(t, syscall.SIGSTOP)
		time.Sleep(frozen)
		p.signal(t, syscall.SIGCONT)
	}}
}

func secondPredictor(f *fleet) **process { return &f.predictors[1] }
