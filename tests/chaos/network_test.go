package chaos

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/tests/faults"
)

func TestANetworkThatFailsLosesNothing(t *testing.T) {
	t.Parallel()
	random, lasting := choices(t, 3), 4*time.Second
	if long() {
		lasting = 15 * time.Second
	}
	broker, store, registry := folders(t)
	s := newSystem(t, broker, store, registry, 103)
	for _, c := range []struct {
		name string
		harm func(*faults.Proxy)
	}{
		{"network cut in both directions", func(p *faults.Proxy) { p.Cut(faults.Both) }},
		{"network cut towards the broker", func(p *faults.Proxy) { p.Cut(faults.ToServer) }},
		{"network cut from the broker", func(p *faults.Proxy) { p.Cut(faults.ToClient) }},
		{"half-open connections", (*faults.Proxy).HalfOpen},
		{"connections reset and refused", (*faults.Proxy).Reset},
		{"network slow (200 ms, 100 kB/s)", func(p *faults.Proxy) { p.Slow(200*time.Millisecond, 100_000) }},
	} {
		behind := s.members[1:]
		if !long() {
			i := random.IntN(len(behind))
			behind = behind[i : i+1]
		}
		for _, m := range behind {
			if m.proxy.Counts().ToClient == 0 {
				t.Fatalf("%s has its broker behind another network", m.name)
			}
			s.faultOf(m, c.name, func() {
				c.harm(m.proxy)
				s.pass(lasting)
			}, m.proxy.Mend)
		}
	}
}

func TestRebalancesEveryTwoSecondsLoseNothing(t *testing.T) {
	t.Parallel()
	lasting := 10 * time.Second
	if long() {
		lasting = time.Minute
	}
	broker, store, registry := folders(t)
	s := newSystem(t, broker, store, registry, 104)
	for _, group := range [][2]string{{"predict", "requests"}, {"ingest", "events"}} {
		s.fault("rebalances of "+group[0]+" every 2 s for "+lasting.String(), func() {
			for until := time.Now().Add(lasting); time.Now().Before(until) && !t.Failed(); {
				s.visit(group[0], group[1])
			}
		}, func() {})
	}
}

// visit joins a group for a second, or until it is given partitions, without doing
// its work, and leaves it for another.
func (s *system) visit(group, topic string) {
	s.t.Helper()
	assigned := 0
	given := make(chan int, 64)
	client, err := kgo.NewClient(kgo.SeedBrokers(s.address), kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
			given <- len(topics[topic])
		}))
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	s.pass(time.Second)
	for deadline := time.After(patience); assigned == 0; { // it takes two rebalances
		select {
		case n := <-given:
			assigned += n
		case <-deadline:
			s.t.Errorf("the visitor of group %s had no partition in %s: there was no rebalance\n%s", group, patience, s.tails())
			return
		}
	}
	client.Close()
	s.pass(time.Second)
}
