package als

import (
	"context"
	"strconv"
	"testing"
	"time"

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

// BenchmarkPosterior is of whole sweeps and iterations of the Bayesian solvers.
func BenchmarkPosterior(b *testing.B) {
	m, err := recsystest.LongTailed(6040, 3706, 1_000_209, 1)
	if err != nil {
		b.Fatal(err)
	}
	for _, algorithm := range []string{Bayes, VB} {
		for _, rank := range []int{15, 31} {
			b.Run(algorithm+"/"+strconv.Itoa(rank), func(b *testing.B) {
				p := DefaultParameters(algorithm)
				p.Rank, p.Iterations, p.BurnIn, p.Preference = rank, 11, 0, nil
				for b.Loop() {
					var first, last time.Duration
					if _, err := Train(b.Context(), m, p, func(progress Progress) {
						if last = progress.Elapsed; progress.Iteration == 1 {
							first = last
						}
					}); err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64((last-first).Microseconds())/10000, "ms/iteration")
				}
			})
		}
	}
}
