//go:build cluster

package cluster

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestTransactionsPredictExactlyOnce kills predictors that work in transactions
// and demands that a consumer of what is committed sees every prediction once.
func TestTransactionsPredictExactlyOnce(t *testing.T) {
	exactlyOnce(t, onceKills*5*time.Second, func(_ *system, predictors []*process, start func(i int) *process) {
		random := choices(t, 2)
		for i := range onceKills {
			time.Sleep(3*time.Second + time.Duration(random.Int64N(int64(2*time.Second))))
			if i == 2 { // not dead, but taken for it: when it wakes up, it must not commit
				predictors[i%2].signal(t, syscall.SIGSTOP)
				time.Sleep(2 * shortSession)
				predictors[i%2].signal(t, syscall.SIGCONT)
				continue
			}
			predictors[i%2].Kill()
			predictors[i%2] = start(i % 2)
		}
	})
}

// TestTransactionsPredictExactlyOnceWhileMembersComeAndGo has the group share out
// its partitions anew in the middle of transactions.
func TestTransactionsPredictExactlyOnceWhileMembersComeAndGo(t *testing.T) {
	exactlyOnce(t, visited, func(s *system, _ []*process, _ func(int) *process) {
		s.visits(t, "predict", "requests", visited)
	})
}

// exactlyOnce has two predictors work in transactions while they are disturbed.
func exactlyOnce(t *testing.T, lasts time.Duration, disturb func(s *system, predictors []*process, start func(i int) *process)) {
	t.Helper()
	s := sharedSystem(t, 3)
	s.healthy(t)
	traffic := s.newTraffic(onceRequests)
	traffic.events = nil
	account := s.open(t, traffic)
	start := func(i int) *process {
		return s.predictor(t, fmt.Sprintf("RECSYS_TRANSACTIONAL_ID=predict-%d", i))
	}
	predictors := []*process{start(0), start(1)}
	t.Cleanup(func() {
		for _, p := range predictors {
			if t.Failed() {
				t.Log(p.tail())
			}
			p.Kill()
		}
	})
	s.sharedAmong(t, 2)

	sent := make(chan struct{})
	go func() {
		defer close(sent)
		traffic.send(s.broker, lasts)
	}()
	disturb(s, predictors, start)
	<-sent
	over := time.Now()
	eventually(t, 2*time.Minute, func() error { return s.broker.behind("predict", "requests") })
	caughtUp := time.Since(over)

	written := s.broker.records(t, "predictions", account.predictions)
	seen := map[string]int{}
	for _, r := range s.broker.records(t, "predictions", account.predictions, kgo.FetchIsolationLevel(kgo.ReadCommitted())) {
		seen[gjson.GetBytes(r.Value, "request_id").Str]++
	}
	var d differences
	for i := range traffic.requests {
		if id := traffic.requestID(i); seen[id] != 1 {
			d.add("request %s has %d committed predictions", id, seen[id])
		}
	}
	if err := d.err("predictions"); err != nil {
		t.Error(err)
	}
	if letters := account.letters(t); len(letters) > 0 {
		t.Errorf("dead letters: %v", letters)
	}
	t.Logf("%d requests: %d distinct committed predictions, %d more were written and aborted; done %.1f s after the last request",
		traffic.requests, len(seen), len(written)-len(seen), caughtUp.Seconds())
}
