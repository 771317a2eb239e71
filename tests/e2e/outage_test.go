package e2e

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// outage is how long something is away.
func outage() time.Duration {
	if long() {
		return 2 * time.Minute
	}
	return 8 * time.Second
}

// shutdown is how long the pipelines may take to stop: shutdown_timeout of
// config/service.yaml, and what Benthos adds before it gives up.
const shutdown = 4*time.Second + 2*time.Second

// separate is broker and pipelines as processes of their own, as one runs them
// without up.
type separate struct {
	t                     *testing.T
	state, folder, broker string
	settings              []string
	streams, brokerRuns   *process
}

// newSeparate writes the pipelines out and starts the broker; the settings are
// environment variables.
func newSeparate(t *testing.T, settings ...string) *separate {
	t.Helper()
	s := &separate{t: t, state: t.TempDir(), folder: t.TempDir(), broker: freeAddress(t), settings: settings}
	runBinary(t, s.folder, "init")
	s.startBroker()
	return s
}

func (s *separate) startBroker() { s.brokerRuns = startBroker(s.t, s.state, s.broker) }

// startStreams runs the pipelines with the standard command.
func (s *separate) startStreams() {
	s.t.Helper()
	s.streams = start(s.t, launch{
		dir: s.folder,
		env: append([]string{
			"KAFKA_BROKERS=" + s.broker,
			"RECSYS_STATE=" + s.state,
			"RECSYS_REGISTRY=file://" + filepath.Join(s.state, "registry"),
			"RECSYS_LISTEN=" + freeAddress(s.t),
			"RECSYS_ADMIN=" + freeAddress(s.t),
			"LOG_LEVEL=WARN",
		}, s.settings...),
		args: []string{"streams", "-o", "config/service.yaml", "-r", "config/embedded.yaml", "pipelines"},
	})
}

// stopStreams asks the pipelines to stop and demands that they do in time.
func (s *separate) stopStreams() {
	s.t.Helper()
	asked := time.Now()
	s.streams.signal(syscall.SIGTERM)
	code := s.streams.wait(shutdown)
	s.t.Logf("SIGTERM: ended with code %d after %.2f s", code, time.Since(asked).Seconds())
}

// pass lets the time pass, and demands that the pipelines go on.
func (s *separate) pass(d time.Duration) {
	s.t.Helper()
	select {
	case <-s.streams.Done:
		s.t.Fatalf("the pipelines ended in the outage\n%s", s.streams.tail())
	case <-time.After(d):
	}
}

// underLoad waits until predictions flow.
func (s *separate) underLoad() {
	s.t.Helper()
	eventually(s.t, time.Minute, s.streams, func() error {
		if n := len(liveIn(s.state)); n < 1000 {
			return fmt.Errorf("%d predictions are in the index", n)
		}
		return nil
	})
}

// load is data of which half are history. The rest is played in about 11 s if
// nothing is in the way, as with the broker away, or if lasting throughout the
// outage.
func load(t *testing.T, lasting bool) (events []played, settings []string) {
	t.Helper()
	data, rate := recsystest.DataDir(t), "300"
	if !lasting || !long() {
		data, rate = smallData(t, data, 120), "800"
	}
	return timeline(t, data), []string{
		"RECSYS_DATA=" + data, "RECSYS_MOVIES=" + data, "RECSYS_HISTORY=0.5", "RECSYS_RATE=" + rate,
	}
}

// everythingArrives waits for every event and every prediction, and demands
// that there is no dead letter.
func (s *separate) everythingArrives(events []played) {
	s.t.Helper()
	requests, stored := liveRequests(events, len(events)/2, len(events)), ratingRows(events)
	store, err := openExisting(filepath.Join(s.state, "ratings.db"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	back := time.Now()
	eventually(s.t, 3*time.Minute, s.streams, func() error {
		if n := count(store, "SELECT count(*) FROM ratings"); n != int64(len(stored)) {
			return fmt.Errorf("%d ratings of %d are in the store", n, len(stored))
		}
		if n := len(liveIn(s.state)); n != len(requests) {
			return fmt.Errorf("%d predictions of %d are in the index", n, len(requests))
		}
		return nil
	})
	s.t.Logf("everything is there %.1f s after the outage", time.Since(back).Seconds())
	sameRows(s.t, "rating store", dump(s.t, s.state, "ratings.db")["ratings"], stored)
	sameRows(s.t, "request ids in the prediction index",
		rows(s.t, openDatabase(s.t, s.state, "predictions.db"), "SELECT request_id FROM predictions ORDER BY request_id"), requests)
	for _, letter := range connect(s.t, s.broker).records(s.t, "dead_letters") {
		s.t.Errorf("dead letter %q: %v", letter.Value, letter.Headers)
	}
}

func TestABrokerThatIsAwayCostsNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		signal       syscall.Signal
		stopPipeline bool
	}{
		{"killed", syscall.SIGKILL, false},
		{"killed, and the pipelines are stopped meanwhile", syscall.SIGKILL, true},
		{"frozen, and the pipelines are stopped meanwhile", syscall.SIGSTOP, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			events, settings := load(t, false)
			s := newSeparate(t, settings...)
			s.startStreams()
			s.underLoad()
			s.brokerRuns.signal(c.signal)
			s.pass(outage() / 2)
			if c.stopPipeline {
				s.stopStreams()
				s.startStreams() // that the broker is away must not keep it from starting
			}
			s.pass(outage() / 2)
			if c.signal == syscall.SIGSTOP {
				s.brokerRuns.signal(syscall.SIGCONT)
			} else {
				s.brokerRuns.Kill()
				s.startBroker()
			}
			s.everythingArrives(events)
		})
	}
}

func TestAStoreThatIsAwayCostsNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		store        string
		stopPipeline bool
	}{
		{"ratings.db", false},
		{"ratings.db", true},
		{"predictions.db", false},
		{"predictions.db", true},
	} {
		t.Run(fmt.Sprintf("%s locked, pipelines stopped meanwhile %t", c.store, c.stopPipeline), func(t *testing.T) {
			t.Parallel()
			events, settings := load(t, true)
			s := newSeparate(t, settings...)
			s.startStreams()
			s.underLoad()
			unlock := lockDatabase(t, s.state, c.store)
			s.pass(outage() / 2)
			if c.stopPipeline {
				s.stopStreams()
				s.startStreams()
			}
			s.pass(outage() / 2)
			unlock()
			s.everythingArrives(events)
		})
	}
}
