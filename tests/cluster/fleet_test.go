//go:build cluster

package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// fleet is the pipelines of a system, each a process of its own.
type fleet struct {
	s          *system
	predictors []*process
	ingest     *process
	index      *process
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
	predictions map[int32]int64
	deadLetters map[int32]int64
}

func (s *system) open(t testing.TB, f *traffic) *account {
	t.Helper()
	return &account{s: s, traffic: f, predictions: s.broker.mustEnds(t, "predictions"), deadLetters: s.broker.mustEnds(t, "dead_letters")}
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
	for _, letter := range a.letters(t) {
		t.Errorf("a dead letter: %s", letter)
	}
	seen := map[string]int{}
	for _, record := range a.s.broker.records(t, "predictions", a.predictions) {
		id := gjson.GetBytes(record.Value, "request_id").Str
		if seen[id]++; seen[id] > 1 {
			duplicates++
		}
	}
	var d differences
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
