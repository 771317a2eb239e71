package als

import (
	"context"
	"strconv"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// BenchmarkIteration is of ratings with the shape of MovieLens 1M.
func BenchmarkIteration(b *testing.B) {
	m, err := recsystest.LongTailed(6040, 3706, 1_000_209, 1)
	if err != nil {
		b.Fatal(err)
	}
	for _, rank := range []int{10, 64, 128} {
		p := DefaultParameters(ALS)
		p.Rank = rank
		t := newTrainer(m, p)
		_ = t.f.solveBiases(context.Background(), m, 3)
		_ = t.iterate(context.Background(), false)
		run := func(name string) {
			b.Run(strconv.Itoa(rank)+name, func(b *testing.B) {
				for b.Loop() {
					_ = t.iterate(context.Background(), false)
				}
			})
		}
		if kernel.HasBFloat16() {
			run("/bfloat16")
		}
		t.users.halves, t.movies.halves = nil, nil
		run("/float32")
	}
}

// BenchmarkImplicitIteration takes three steps of conjugate gradients.
func BenchmarkImplicitIteration(b *testing.B) {
	m, err := recsystest.LongTailed(6040, 3706, 1_000_209, 1)
	if err != nil {
		b.Fatal(err)
	}
	for _, rank := range []int{10, 64, 128} {
		p := DefaultPreference()
		p.Rank, p.CG = rank, 3
		t := newImplicitTrainer(m, p, 1, threadCount(0))
		_ = t.iterate(context.Background(), false)
		b.Run(strconv.Itoa(rank), func(b *testing.B) {
			for b.Loop() {
				_ = t.iterate(context.Background(), false)
			}
		})
	}
}
