package chaos

import (
	"errors"
	"testing"
	"time"

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
			s.fault("clock jumps "+jump.name+": "+m.name, func() { s.setClock(m, jump.ahead) }, func() {})
			s.pass(time.Second)
			s.fault("clock jumps back from "+jump.name+": "+m.name, func() { s.setClock(m, 0) }, func() {})
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
