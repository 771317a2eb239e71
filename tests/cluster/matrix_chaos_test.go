//go:build cluster && chaos

package cluster

import (
	"context"
	"fmt"
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

// matrix is all of them.
func matrix() []fault {
	all := []fault{
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
	all = append(all, networkFaults()...)
	all = append(all, clockFaults()...)
	return append(all,
		stutterNode("a broker that leads", leader),
		stutterNode("a Cassandra node", cassandraNode),
		stutterNode("the master of Elasticsearch", master),
		rebalances("predict", "requests", visited),
		rebalances("ingest", "events", visited),
		killsAtRandom(100),
	)
}

func clockFaults() (all []fault) {
	for _, ahead := range []time.Duration{time.Hour, -time.Hour} {
		all = append(all,
			jumpPipeline("a predictor", firstPredictor, ahead),
			jumpPipeline("ingest", ingestProcess, ahead),
			jumpPipeline("index", indexProcess, ahead),
			jumpNode("a broker that leads", leader, ahead),
			jumpController(ahead),
			jumpNode("a Cassandra node", cassandraNode, ahead),
		)
	}
	return all
}

// visited is how long members come and go.
const visited = time.Minute

// severed is how long a network fails.
const severed = 15 * time.Second

func networkFaults() (all []fault) {
	for _, of := range []server{kafka, cassandra, elasticsearch} {
		for _, h := range []harm{cutBoth, cutThere, cutBack, halfOpen, reset, slowedDown} {
			all = append(all, severNode(h, of, severed))
		}
		for _, h := range []harm{cutBoth, halfOpen, reset} {
			all = append(all, severAll(h, of, severed))
		}
	}
	return all
}

// Exactly once: how many requests, and kills in the middle of them.
const (
	onceRequests = 60_000
	onceKills    = 7 // one is no kill
)

// frozen is how long a SIGSTOP lasts.
const frozen = 30 * time.Second

func leader(ctx context.Context, s *system) (*servers.Node, error) {
	return s.kafka.Leader(ctx, "requests", 0)
}

// freezeNode is SIGSTOP of a node.
func freezeNode(name string, which pick) fault {
	return fault{"SIGSTOP 30 s of " + name, frozen, func(t *testing.T, s *system, _ *fleet) {
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
	return fault{"SIGSTOP 30 s of " + name, frozen, func(t *testing.T, _ *system, f *fleet) {
		p := *which(f)
		p.signal(t, syscall.SIGSTOP)
		time.Sleep(frozen)
		p.signal(t, syscall.SIGCONT)
	}}
}

// stutterNode has a node run every other 100 ms only.
func stutterNode(name string, which pick) fault {
	const lasts = 20 * time.Second
	return fault{"SIGSTOP and SIGCONT every 100 ms for 20 s of " + name, lasts, func(t *testing.T, s *system, _ *fleet) {
		withNode(t, s, which, func(_ context.Context, node *servers.Node) error {
			for until := time.Now().Add(lasts); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
				if err := node.Pause(); err != nil {
					return err
				}
				time.Sleep(100 * time.Millisecond)
				if err := node.Resume(); err != nil {
					return err
				}
			}
			return nil
		})
	}}
}

// killsAtRandom is kill -9 of any process of ours, so many times in one stretch of
// traffic; a process may die while it starts.
func killsAtRandom(times int) fault {
	const apart = 3 * time.Second // on average
	return fault{fmt.Sprintf("kill -9 of any process of ours, %d times", times), time.Duration(times) * apart, func(t *testing.T, s *system, f *fleet) {
		random := choices(t, 1)
		victims := []struct {
			which func(*fleet) **process
			files []string
		}{
			{firstPredictor, []string{"predict", "models"}},
			{secondPredictor, []string{"predict", "models"}},
			{ingestProcess, []string{"ingest"}},
			{indexProcess, []string{"index"}},
		}
		for range times {
			victim := victims[random.IntN(len(victims))]
			time.Sleep(time.Duration(random.Int64N(int64(2 * apart))))
			p := victim.which(f)
			f.account.mark(t)
			(*p).Kill()
			*p = s.pipelines(t, victim.files)
		}
	}}
}

func secondPredictor(f *fleet) **process { return &f.predictors[1] }
