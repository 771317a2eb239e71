package commands

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
)

// testProgress is one whose time the test moves.
func testProgress(total int64) (p *progress, out *bytes.Buffer, pass func(time.Duration)) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	out = &bytes.Buffer{}
	p = &progress{to: out, unit: "rows", total: total, now: func() time.Time { return now }, what: "loading", began: now, told: now}
	return p, out, func(d time.Duration) { now = now.Add(d) }
}

func TestProgressIsALineEveryTenSecondsWithRateAndTimeLeft(t *testing.T) {
	p, out, pass := testProgress(1000)
	p.add(50)
	pass(9 * time.Second)
	p.add(50)
	if out.Len() != 0 {
		t.Errorf("after 9 s it says %q", out)
	}
	pass(time.Second)
	p.add(100) // 200 in 10 s
	pass(5 * time.Second)
	p.set(600)
	pass(5 * time.Second)
	p.set(800) // in 20 s
	p.end()
	want := "loading: 200 of 1000 rows (20 %), 20.0/s, 40s left\nloading: 800 of 1000 rows (80 %), 40.0/s, 5s left\n"
	if out.String() != want {
		t.Errorf("it says %q, want %q", out, want)
	}
}

func TestProgressOfUnknownSizeHasARate(t *testing.T) {
	p, out, pass := testProgress(unknown)
	pass(10 * time.Second)
	p.add(4096)
	if want := "loading: 4096 rows, 410/s\n"; out.String() != want {
		t.Errorf("it says %q, want %q", out, want)
	}
	p.unit = ""
	pass(10 * time.Second)
	p.add(1)
	if want := "loading, for 20s\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("it says %q, want %q", out, want)
	}
}

// Ten thousand iterations of a tiny model take seconds: 10 µs each would be seen.
func BenchmarkProgressOfAnIteration(b *testing.B) {
	tell := iterations()
	for i := range b.N {
		tell(als.Progress{Head: als.RatingHead, Iteration: i + 1, Total: b.N + 2, RMSE: 0.9, Validation: math.NaN()})
	}
}
