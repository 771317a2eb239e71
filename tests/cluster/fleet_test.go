//go:build cluster

package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"
)

// fleet is the pipelines of a system, each a process of its own.
type fleet struct {
	s          *system
	predictors []*process
	ingest     *process
	index      *process
	account    *account // of the traffic that is under way
}

// startFleet starts so many predictors, ingest and index, and waits until they
// have what they need. The test ends them.
func (s *system) startFleet(t *testing.T, predictors int) *fleet {
	t.Helper()
	f := &fleet{s: s}
	for range predictors {
		f.predictors = append(f.predictors, s.predictor(t))
	}
	f.ingest = s.pipelines(t, []string{"ingest"})
	f.index = s.pipelines(t, []string{"index"})
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(f.tails())
		}
		f.kill()
	})
	for _, p := range f.predictors {
		p.says(t, "The movie catalog has")
	}
	return f
}

// predictor starts a process that answers requests.
func (s *system) predictor(t testing.TB, env ...string) *process {
	t.Helper()
	return s.pipelines(t, []string{"predict", "models"}, env...)
}

func (f *fleet) all() []*process {
	return append([]*process{f.ingest, f.index}, f.predictors...)
}

func (f *fleet) kill() {
	for _, p := range f.all() {
		p.Kill()
	}
}

func (f *fleet) tails() string {
	text := ""
	for _, p := range f.all() {
		text += p.tail() + "\n"
	}
	return text
}

// idle waits until all three groups have acknowledged all there is.
func (s *system) idle(t testing.TB) {
	t.Helper()
	for _, arrow := range [][2]string{{"predict", "requests"}, {"ingest", "events"}, {"index", "predictions"}} {
		eventually(t, time.Minute, func() error { return s.broker.behind(arrow[0], arrow[1]) })
	}
}

// account is where the topics stood before a test's traffic.
type account struct {
	s           *system
	traffic     *traffic
	requests    map[int32]int64
	predictions map[int32]int64
	deadLetters map[int32]int64
	marks       []mark
}

// mark is what predictors had committed at a moment.
type mark struct {
	at        time.Time
	committed map[int32]int64
}

func (s *system) open(t testing.TB, f *traffic) *account {
	t.Helper()
	return &account{
		s: s, traffic: f, requests: s.broker.mustEnds(t, "requests"),
		predictions: s.broker.mustEnds(t, "predictions"), deadLetters: s.broker.mustEnds(t, "dead_letters"),
	}
}

// mark notes what is committed: nothing of it may be predicted again from now on.
func (a *account) mark(t testing.TB) {
	t.Helper()
	var m mark
	eventually(t, time.Minute, func() (err error) {
		m.committed, err = a.s.broker.committed("predict", "requests")
		return err
	})
	m.at = time.Now()
	a.marks = append(a.marks, m)
}

// arrive waits until everything that was sent is acknowledged by all pipelines
// and found in the index.
func (a *account) arrive(t testing.TB, limit time.Duration) {
	t.Helper()
	s := a.s
	eventually(t, limit, func() error {
		if err := s.broker.behind("predict", "requests"); err != nil {
			return err
		}
		return s.broker.behind("ingest", "events")
	})
	eventually(t, limit, func() error {
		n, err := s.index.count(a.traffic.name)
		if err == nil && n != a.traffic.requests {
			err = fmt.Errorf("%d of %d requests have a document", n, a.traffic.requests)
		}
		return err
	})
}

// check demands that nothing is lost, doubled, wrong or dead, and returns how
// many predictions were written more than once.
func (a *account) check(t testing.TB) (duplicates int) {
	t.Helper()
	if n := a.traffic.failed.Load(); n > 0 {
		t.Errorf("%d records could not be produced", n)
	}
	if err := a.s.checkStore(a.traffic); err != nil {
		t.Error(err)
	}
	if err := a.s.checkIndex(t, a.traffic); err != nil {
		t.Error(err)
	}
	a.checkLetters(t)
	return a.checkPredictions(t)
}

// checkLetters demands each malformed message among the dead letters, and nothing
// else.
func (a *account) checkLetters(t testing.TB) {
	t.Helper()
	missing := map[string]bool{}
	for _, record := range a.traffic.malformed {
		missing[string(record.Value)] = true
	}
	var d differences
	for _, record := range a.s.broker.records(t, "dead_letters", a.deadLetters) {
		if _, sent := missing[string(record.Value)]; !sent {
			d.add("%.200s %s", record.Value, headers(record))
		}
		missing[string(record.Value)] = false
	}
	for value, lost := range missing {
		if lost {
			d.add("none of %s", value)
		}
	}
	if err := d.err("dead letters"); err != nil {
		t.Error(err)
	}
}

// checkPredictions demands one for each request, and none again of what was
// committed at a mark. It returns how many were written more than once.
func (a *account) checkPredictions(t testing.TB) (duplicates int) {
	t.Helper()
	asked := map[string]*kgo.Record{}
	if len(a.marks) > 0 {
		for _, record := range a.s.broker.records(t, "requests", a.requests) {
			asked[gjson.GetBytes(record.Value, "request_id").Str] = record
		}
	}
	seen := map[string]int{}
	var d differences
	for _, record := range a.s.broker.records(t, "predictions", a.predictions) {
		id := gjson.GetBytes(record.Value, "request_id").Str
		if seen[id]++; seen[id] == 1 {
			continue
		}
		duplicates++
		for _, m := range a.marks {
			if r := asked[id]; r != nil && record.Timestamp.After(m.at) && r.Offset < m.committed[r.Partition] {
				d.add("request %s, offset %d of partition %d, was predicted again, and %d was committed before", id, r.Offset, r.Partition, m.committed[r.Partition])
			}
		}
	}
	for i := range a.traffic.requests {
		if id := a.traffic.requestID(i); seen[id] == 0 {
			d.add("request %s has no prediction", id)
		}
	}
	if err := d.err("topic predictions"); err != nil {
		t.Error(err)
	}
	return duplicates
}

// letters is the dead letters since the account was opened, the first few.
func (a *account) letters(t testing.TB) (found []string) {
	t.Helper()
	for _, record := range a.s.broker.records(t, "dead_letters", a.deadLetters) {
		if len(found) == 5 {
			return append(found, "and more")
		}
		found = append(found, fmt.Sprintf("%.200s %s", record.Value, headers(record)))
	}
	return found
}
