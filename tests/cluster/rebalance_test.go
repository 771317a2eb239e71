//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// rebalances has a member join a group and leave it, every 2 s.
func rebalances(group, topic string, lasts time.Duration) fault {
	return fault{fmt.Sprintf("rebalances of %s every 2 s for %.0f s", group, lasts.Seconds()), lasts, func(t *testing.T, s *system, _ *fleet) {
		s.visits(t, group, topic, lasts)
	}}
}

func (s *system) visits(t *testing.T, group, topic string, lasts time.Duration) {
	t.Helper()
	n := 0
	for until := time.Now().Add(lasts); time.Now().Before(until) && !t.Failed(); n++ {
		s.visit(t, group, topic)
	}
	t.Logf("%d members came and went", n)
}

// visit joins a group for a second, or until it is given partitions, without doing
// its work, and leaves it for another.
func (s *system) visit(t *testing.T, group, topic string) {
	t.Helper()
	given := make(chan int, 64)
	client, err := kgo.NewClient(append(s.broker.options, kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
			given <- len(topics[topic])
		}))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	stays := time.After(time.Second)
	for deadline := time.After(time.Minute); ; { // it takes two rebalances
		select {
		case n := <-given:
			if n == 0 {
				continue
			}
		case <-deadline:
			t.Errorf("the visitor of group %s had no partition in a minute: there was no rebalance", group)
			return
		}
		break
	}
	<-stays
	client.Close()
	time.Sleep(time.Second)
}
