package registry

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// races is how many promotions two trainers and three promoters race for.
const races = 1000

var racers = []string{"trainer", "trainer", "promoter", "promoter", "promoter"}

// lines collects what several write, each its own lines.
type lines struct {
	sync.Mutex
	bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.Lock()
	defer l.Unlock()
	return l.Buffer.Write(p)
}

// raceInProcess has goroutines race, each with a registry of its own.
func raceInProcess(t *testing.T, url string) {
	t.Helper()
	seed(t, url)
	told := &lines{}
	var all sync.WaitGroup
	began := time.Now()
	for _, name := range racers {
		all.Go(func() {
			if err := work(t.Context(), name, url, races, told); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	all.Wait()
	checkRace(t, url, told.String(), time.Since(began))
}

// raceOfProcesses is the same with processes.
func raceOfProcesses(t *testing.T, url string, env ...string) {
	t.Helper()
	seed(t, url)
	began := time.Now()
	var all []*run
	for _, name := range racers {
		all = append(all, start(t, name, url, races, env...))
	}
	var told strings.Builder
	for _, r := range all {
		for line := range r.told {
			fmt.Fprintln(&told, line)
		}
		if err := r.Wait(); err != nil {
			t.Errorf("a process ended: %v", err)
		}
	}
	checkRace(t, url, told.String(), time.Since(began))
}

// seed publishes what promoters begin with.
func seed(t *testing.T, url string) {
	t.Helper()
	r, err := registry.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := publish(t.Context(), r, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// checkRace looks whether each number has one winner, who was asked about the champion
// before, and whether the log says the same; and that no two had one lease.
func checkRace(t *testing.T, url, told string, took time.Duration) {
	t.Helper()
	r, err := registry.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	type winner struct{ nonce, asked string }
	winners, leases := map[int64]winner{}, map[int64]bool{}
	for line := range strings.Lines(told) {
		var number int64
		var w winner
		if n, _ := fmt.Sscanf(line, "recorded %d %s %q", &number, &w.nonce, &w.asked); n == 3 {
			if other, taken := winners[number]; taken {
				t.Errorf("promotion %d has two winners: %v, %v", number, other, w)
			}
			winners[number] = w
		}
		if n, _ := fmt.Sscanf(line, "leased %d", &number); n == 1 {
			if leases[number] {
				t.Errorf("lease %d was had twice", number)
			}
			leases[number] = true
		}
	}
	if len(winners) != races {
		t.Errorf("%d winners, want %d", len(winners), races)
	}
	champion := ""
	for number := int64(1); number <= races; number++ {
		p, ok, err := r.Next(number - 1)
		if w := winners[number]; err != nil || !ok || p.Nonce != w.nonce || p.Previous != champion || w.asked != champion {
			t.Fatalf("promotion %d is %+v, %v, %v; its winner says %+v, the champion before was %q", number, p, ok, err, w, champion)
		}
		champion = p.Version
	}
	if _, more, err := r.Next(races); more || err != nil {
		t.Errorf("the log goes on: %v", err)
	}
	for number := int64(1); number <= int64(len(leases)); number++ {
		if !leases[number] {
			t.Errorf("lease %d was never had, of %d", number, len(leases))
		}
	}
	report, err := r.Verify(t.Context())
	if err != nil || len(report.Problems) > 0 || len(report.Warnings) > 0 {
		t.Errorf("Verify found %q, %q, %v", report.Problems, report.Warnings, err)
	}
	t.Logf("%d promotions, %d leases, %d versions in %.1f s", races, len(leases), report.Versions, took.Seconds())
}

func TestRacersOfOneProcessHaveOneWinnerForEachNumber(t *testing.T) {
	raceInProcess(t, "file://"+t.TempDir())
}

func TestRacersOfSeveralProcessesHaveOneWinnerForEachNumber(t *testing.T) {
	raceOfProcesses(t, "file://"+t.TempDir())
}
