package chaos

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// between is a random duration.
func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)))
}

func folders(t *testing.T) (broker, store, registry string) {
	return t.TempDir(), t.TempDir(), t.TempDir()
}

func TestKill9OfAnyProcessAtRandomMomentsLosesNothing(t *testing.T) {
	t.Parallel()
	random, kills := choices(t, 1), 8
	if long() {
		kills = 100
	}
	broker, store, registry := folders(t)
	s := newSystem(t, broker, store, registry, 101)
	for range kills {
		victim := s.members[random.IntN(len(s.members))]
		s.pass(between(random, 100*time.Millisecond, 2*time.Second))
		s.fault("kill -9 of "+victim.name, victim.process.Kill, func() {
			s.pass(between(random, 0, 2*time.Second))
			s.start(victim)
		})
	}
}

func TestAProcessThatStandsStillLosesNothing(t *testing.T) {
	t.Parallel()
	lasting := 5 * time.Second
	if long() {
		lasting = 30 * time.Second
	}
	broker, store, registry := folders(t)
	s := newSystem(t, broker, store, registry, 102)
	for _, m := range s.members {
		send := func(signal syscall.Signal) {
			if err := m.process.Command.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
		}
		s.fault("SIGSTOP of "+m.name+" for "+lasting.String(), func() {
			send(syscall.SIGSTOP)
			s.pass(lasting)
		}, func() { send(syscall.SIGCONT) })
	}
}
