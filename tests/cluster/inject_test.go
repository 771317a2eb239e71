//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// fault is something that goes wrong in the middle of traffic, and is mended.
type fault struct {
	name   string
	lasts  time.Duration // about
	inject func(t *testing.T, s *system, f *fleet)
}

// A node of a server, found at the moment of the fault.
type pick func(ctx context.Context, s *system) (*servers.Node, error)

func controller(ctx context.Context, s *system) (*servers.Node, error) {
	return s.kafka.Controller(ctx)
}

func master(ctx context.Context, s *system) (*servers.Node, error) {
	return s.elasticsearch.Master(ctx)
}

// cassandraNode is the one that the pipelines name first.
func cassandraNode(_ context.Context, s *system) (*servers.Node, error) {
	return s.cassandra.Nodes[0], nil
}

// withNode calls do with the node, which it names in the log.
func withNode(t *testing.T, s *system, which pick, do func(ctx context.Context, node *servers.Node) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	node, err := which(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("it is", node.Name)
	if err := do(ctx, node); err != nil {
		t.Fatal(err)
	}
}

// killNode is kill -9 of a node, which is started again after a while.
func killNode(name string, which pick) fault {
	const away = 4 * time.Second
	return fault{"kill -9 of " + name, away, func(t *testing.T, s *system, _ *fleet) {
		withNode(t, s, which, func(ctx context.Context, node *servers.Node) error {
			if err := node.Kill(); err != nil {
				return err
			}
			time.Sleep(away)
			return node.Start(ctx)
		})
	}}
}

// killPipeline is kill -9 of a process, which is started again after a while.
func killPipeline(name string, which func(*fleet) **process, files ...string) fault {
	const away = 4 * time.Second
	return fault{"kill -9 of " + name, away, func(t *testing.T, s *system, f *fleet) {
		p := which(f)
		(*p).Kill()
		time.Sleep(away)
		*p = s.pipelines(t, files)
	}}
}

func firstPredictor(f *fleet) **process { return &f.predictors[0] }
func ingestProcess(f *fleet) **process  { return &f.ingest }
func indexProcess(f *fleet) **process   { return &f.index }

// healthy waits until every server has all its copies, so that it can lose one.
func (s *system) healthy(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := s.cassandra.Start(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Minute, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		topics, err := s.broker.admin.ListTopicsWithInternal(ctx)
		if err != nil {
			return err
		}
		topics.EachPartition(func(p kadm.PartitionDetail) {
			if len(p.ISR) < len(p.Replicas) {
				err = fmt.Errorf("partition %d of %s has %d of %d copies", p.Partition, p.Topic, len(p.ISR), len(p.Replicas))
			}
		})
		return err
	})
	eventually(t, 2*time.Minute, func() error {
		health, err := s.index.ask("GET", "/_cluster/health?timeout=1s", nil)
		if err == nil && (health.Get("status").Str != "green" || int(health.Get("number_of_nodes").Int()) != s.nodes) {
			err = fmt.Errorf("Elasticsearch is %s with %s nodes", health.Get("status"), health.Get("number_of_nodes"))
		}
		return err
	})
}

// suffer sends traffic, has the fault happen in the middle of it, and demands
// that all arrives as if nothing had been.
func (s *system) suffer(t *testing.T, f *fleet, wrong fault) {
	t.Helper()
	s.healthy(t)
	traffic := s.newTraffic(messages(t))
	traffic.spoil(100)
	account := s.open(t, traffic)
	progress := s.watchProgress()
	before := total(account.predictions)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		traffic.send(s.broker, wrong.lasts+lead)
	}()
	flowing := min(int64(traffic.requests/5), int64(10*float64(traffic.requests)/(wrong.lasts+lead).Seconds())) // of ten seconds at most
	eventually(t, time.Minute, func() error {                                                                   // until it flows
		ends, err := s.broker.ends("predictions")
		if done := total(ends) - before; err == nil && done < flowing {
			err = fmt.Errorf("%d predictions", done)
		}
		return err
	})
	select {
	case <-sent:
		t.Error("all was sent before the fault")
	default:
	}
	f.account = account
	account.mark(t)
	wrong.inject(t, s, f)
	<-sent
	over := time.Now()
	account.arrive(t, 3*time.Minute)
	caughtUp := time.Since(over)
	r := recovery{fault: wrong.name, messages: traffic.requests, gaps: progress.stop(), caughtUp: caughtUp}
	r.duplicates = account.check(t)
	if !t.Failed() { // a row says that nothing was lost
		record(r)
	}
	t.Logf("longest gaps %v, all done %.1f s after the last message, %d predictions written again", r.gaps, caughtUp.Seconds(), r.duplicates)
	for _, p := range f.all() {
		for _, line := range p.problems() {
			t.Logf("%s said %.400s", p.name, line)
		}
		if !p.running() {
			t.Errorf("%s has ended: %s\n%s", p.name, p.Command.ProcessState, p.tail())
		}
	}
}
