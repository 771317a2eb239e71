package chaos

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/tests/faults"
)

func TestAClockThatJumpsLosesNothing(t *testing.T) {
	t.Parallel()
	random := choices(t, 5)
	broker, store, registry := folders(t)
	s := newSystem(t, broker, store, registry, 105)
	day := 24 * time.Hour
	for _, jump := range []struct {
		name  string
		ahead time.Duration
	}{
		{"+1 h", time.Hour},
		{"-1 h", -time.Hour},
		{"+1 day", day},
		{"-1 day", -day},
		{"+10 years", 3652 * day},
	} {
		chosen := s.members
		if !long() {
			i := random.IntN(len(chosen))
			chosen = chosen[i : i+1]
		}
		for _, m := range chosen {
			s.faultOf(m, "clock jumps "+jump.name, func() { s.setClock(m, jump.ahead) }, func() {})
			s.pass(time.Second)
			s.faultOf(m, "clock jumps back from "+jump.name, func() { s.setClock(m, 0) }, func() {})
		}
	}
}

func (s *system) setClock(m *member, ahead time.Duration) {
	s.t.Helper()
	err := faults.SetClock(m.process.Command.Process.Pid, ahead)
	if errors.Is(err, errors.ErrUnsupported) {
		s.t.Skipf("NOT TESTED with clocks that jump: %v", err)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestAnIngestWhoseClockIsBehindRejectsWhatIsNewAndSaysSo: max_future keeps ratings
// from the future out, which would win for ever, and believes the own clock.
func TestAnIngestWhoseClockIsBehindRejectsWhatIsNewAndSaysSo(t *testing.T) {
	t.Parallel()
	broker, store, registry := folders(t)
	s := newSystem(t, broker, store, registry, 107)
	ingest := s.member("ingest")
	s.fault("clock 1 h behind: ingest, events of this minute", func() {
		s.setClock(ingest, -time.Hour)
		s.traffic.now(20, true)
	}, func() {})
	s.fault("clock set right: ingest, events of this minute", func() {
		s.setClock(ingest, 0)
		s.traffic.now(20, false)
	}, func() {})
}

// now sends ratings of this second, which are to be rejected or stored.
func (f *traffic) now(n int, rejected bool) {
	f.mu.Lock()
	var records []*kgo.Record
	for range n {
		f.n++
		f.inFlight++
		user, at := int64(users+f.n), time.Now().Unix()
		event := fmt.Sprintf(`{"event_type":"rate","user_id":%d,"movie_id":1,"value":4,"timestamp":%d}`, user, at)
		if rejected {
			f.malformed[event] = 0
		} else {
			f.ratings[[2]int64{user, 1}] = rating{4, at * 1000}
		}
		records = append(records, &kgo.Record{Topic: "events", Key: strconv.AppendInt(nil, user, 10), Value: []byte(event)})
	}
	f.mu.Unlock()
	for _, record := range records {
		f.produce(f.t.Context(), record)
	}
}
