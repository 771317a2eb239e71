//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"
)

// shares is which partitions of a topic each member of a group reads.
func (b *broker) shares(group, topic string) (map[string][]int32, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	described, err := b.admin.DescribeGroups(ctx, group)
	if err == nil {
		err = described.Error()
	}
	if err != nil {
		return nil, err
	}
	g := described[group]
	if g.State != "Stable" {
		return nil, fmt.Errorf("group %s is in state %s", group, g.State)
	}
	found := map[string][]int32{}
	for _, member := range g.Members {
		found[member.MemberID] = nil
		if assigned, ok := member.Assigned.AsConsumer(); ok {
			for _, t := range assigned.Topics {
				if t.Topic == topic {
					found[member.MemberID] = append(found[member.MemberID], t.Partitions...)
				}
			}
		}
	}
	return found, nil
}

// sharedAmong waits until so many members share the partitions of requests.
func (s *system) sharedAmong(t *testing.T, members int) (found map[string][]int32) {
	t.Helper()
	eventually(t, time.Minute, func() (err error) {
		if found, err = s.broker.shares("predict", "requests"); err != nil {
			return err
		}
		busy := 0
		for _, partitions := range found {
			if len(partitions) > 0 {
				busy++
			}
		}
		if len(found) != members || busy != members {
			return fmt.Errorf("the partitions are shared so: %v", found)
		}
		return nil
	})
	return found
}

// stream is requests that go on and on, and where each went.
type stream struct {
	b       *broker
	name    string
	stopped chan struct{}
	ended   sync.WaitGroup
	mu      sync.Mutex
	sent    map[string]sentRequest
}

type sentRequest struct {
	partition int32
	at        time.Time
}

// startStream sends 500 requests a second, until it is stopped.
func (s *system) startStream(name string) *stream {
	st := &stream{b: s.broker, name: name, stopped: make(chan struct{}), sent: map[string]sentRequest{}}
	st.ended.Go(func() {
		ticker := time.NewTicker(2 * time.Millisecond)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-st.stopped:
				return
			case <-ticker.C:
				st.send(i)
			}
		}
	})
	return st
}

func (st *stream) send(i int) {
	id, at := fmt.Sprintf("%s-%d", st.name, i), time.Now()
	value := fmt.Appendf(nil, `{"request_id":"%s","user_id":%d,"movie_id":296}`, id, 1+i%610)
	st.ended.Add(1)
	st.b.client.Produce(context.Background(), &kgo.Record{Topic: "requests", Key: fmt.Append(nil, 1+i%610), Value: value}, func(r *kgo.Record, err error) {
		defer st.ended.Done()
		if err == nil {
			st.mu.Lock()
			st.sent[id] = sentRequest{r.Partition, at}
			st.mu.Unlock()
		}
	})
}

// stop ends the requests, and returns when the broker has them all.
func (st *stream) stop() {
	close(st.stopped)
	st.ended.Wait()
}

// TestTheOtherPredictorTakesOver measures how soon the partitions of a predictor
// that died are served again.
func TestTheOtherPredictorTakesOver(t *testing.T) {
	s := sharedSystem(t, 3)
	s.healthy(t)
	for _, c := range []struct{ session, limit time.Duration }{{3 * time.Second, 5 * time.Second}, {6 * time.Second, 8 * time.Second}} {
		t.Run(fmt.Sprintf("sessions of %s", c.session), func(t *testing.T) { s.takeOver(t, c.session, c.limit) })
	}
}

func (s *system) takeOver(t *testing.T, session, limit time.Duration) {
	env := "RECSYS_SESSION_TIMEOUT=" + session.String()
	// Its predecessors' sessions may last on.
	eventually(t, time.Minute, func() error {
		found, err := s.broker.shares("predict", "requests")
		if err == nil || len(found) > 0 {
			return fmt.Errorf("the group has members: %v", found)
		}
		return nil
	})
	dies := s.predictor(t, env)
	defer dies.Kill()
	var first string
	for member := range s.sharedAmong(t, 1) {
		first = member
	}
	stays := s.predictor(t, env)
	defer stays.Kill()
	lost := s.sharedAmong(t, 2)[first]
	if len(lost) == 0 {
		t.Fatal("the first predictor has left its group")
	}

	before, letters := s.broker.mustEnds(t, "predictions"), s.broker.mustEnds(t, "dead_letters")
	requests := s.startStream(fmt.Sprintf("takeover-%s", session))
	eventually(t, time.Minute, func() error { // until both answer
		if n := total(s.broker.mustEnds(t, "predictions")) - total(before); n < 1000 {
			return fmt.Errorf("%d predictions", n)
		}
		return nil
	})
	killed := time.Now()
	dies.Kill()
	for members := range s.sharedAmong(t, 1) {
		t.Logf("%s has all partitions; %v were the other's", members, lost)
	}
	requests.stop()
	eventually(t, time.Minute, func() error { return s.broker.behind("predict", "requests") })

	took := time.Hour
	seen := map[string]int{}
	for _, r := range s.broker.records(t, "predictions", before) {
		id := gjson.GetBytes(r.Value, "request_id").Str
		seen[id]++
		if sent := requests.sent[id]; slices.Contains(lost, sent.partition) && sent.at.After(killed) {
			took = min(took, r.Timestamp.Sub(killed))
		}
	}
	var d differences
	again := 0
	for id := range requests.sent {
		again += max(0, seen[id]-1)
		if seen[id] == 0 {
			d.add("request %s has no prediction", id)
		}
	}
	if err := d.err("predictions"); err != nil {
		t.Error(err)
	}
	if n := total(s.broker.mustEnds(t, "dead_letters")) - total(letters); n > 0 {
		t.Errorf("%d dead letters", n)
	}
	t.Logf("%.2f s from kill -9 to the first prediction from partitions %v; %d requests, %d predicted again", took.Seconds(), lost, len(requests.sent), again)
	if took > limit {
		t.Errorf("it took more than %s", limit)
	}
}
