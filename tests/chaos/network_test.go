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
			s.fault(c.name+": "+m.name, func() {
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
			assigned := 0
			for until := time.Now().Add(lasting); time.Now().Before(until); {
				assigned += s.visit(group[0], group[1])
			}
			if assigned == 0 {
				t.Errorf("the visitor of group %s never had a partition: there was no rebalance", group[0])
			}
		}, func() {})
	}
}

// visit joins a group for a second, without doing its work, and leaves it for
// another. It returns how many partitions it was given.
func (s *system) visit(group, topic string) (assigned int) {
	s.t.Helper()
	given := make(chan int, 64)
	client, err := kgo.NewClient(kgo.SeedBrokers(s.address), kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
			given <- len(topics[topic])
		}))
	if err != nil {
		s.t.Fatal(err)
	}
	s.pass(time.Second)
	client.Close()
	s.pass(time.Second)
	for len(given) > 0 {
		assigned += <-given
	}
	return assigned
}
