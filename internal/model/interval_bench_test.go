package model

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// BenchmarkEvaluation is what als_predict's evaluate costs a rated prediction: the
// deviation and the baseline, of users and movies that are in no cache.
func BenchmarkEvaluation(b *testing.B) {
	for _, rank := range []int{15, 64} {
		b.Run(fmt.Sprint("rank ", rank), func(b *testing.B) {
			const n = 1000
			size := als.Triangle(rank + 1)
			f := &als.Factors{
				Rank: rank, Mean: 3.5, Lambda: 1, UserFactors: make([]float32, n*rank), MovieFactors: make([]float32, n*rank),
				UserBias: make([]float32, n), MovieBias: make([]float32, n), UserCounts: make([]int32, n), MovieCounts: make([]int32, n),
				Posterior: &als.Posterior{
					Alpha: 1, Freedom: 10, UserWeight: make([]float32, n), UserCovariance: make([]float32, n*size), MovieCovariance: make([]float32, n*size),
					UserPrecision: make([]float32, size), MoviePrecision: make([]float32, size),
				},
			}
			for k := range n {
				f.Users, f.Movies = append(f.Users, int64(k)), append(f.Movies, int64(k))
				f.UserCounts[k], f.MovieCounts[k], f.Posterior.UserWeight[k] = 1, 1, 1
			}
			for k := range rank + 1 {
				f.Posterior.UserPrecision[als.Triangle(k+1)-1], f.Posterior.MoviePrecision[als.Triangle(k+1)-1] = 1, 1
			}
			m, err := New(f, MovieLensScale)
			if err != nil {
				b.Fatal(err)
			}
			random := rand.New(rand.NewPCG(1, 1))
			var baseline Baseline
			for b.Loop() {
				r := ratings.Rating{User: random.Int64N(n), Movie: random.Int64N(n), Value: 4}
				if _, err := m.StdDev(r.User, r.Movie); err != nil {
					b.Fatal(err)
				}
				baseline.Observe(m, r)
			}
		})
	}
}
