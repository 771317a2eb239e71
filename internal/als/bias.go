package als

import (
	"context"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// startSweeps is how often Train alternates between the biases of movies and of
// users before it learns factors; more change nothing that shows.
const startSweeps = 10

// BiasOnly learns μ, b_u and b_i alone: Factors of rank 0, the baseline that
// factors have to beat, and the solution that Train starts from. Biases are
// those of Koren et al. 2009, each step minimizing Σ (r − μ − b_other − b)² +
// λ·n^ν·b².
//
// It returns ratings.ErrNoRatings for an empty matrix, an error that wraps
// ErrBadParameters, or ctx's error.
func BiasOnly(ctx context.Context, m *ratings.Matrix, lambda, nu float64, iterations int) (*Factors, error) {
	p := Parameters{Algorithm: ALS, Rank: 1, Lambda: lambda, Nu: nu, Iterations: iterations}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if m.Len() == 0 {
		return nil, ratings.ErrNoRatings
	}
	f := newFactors(m, 0, lambda, nu)
	return f, f.solveBiases(ctx, m, iterations)
}

// newFactors returns Factors with all that is known before learning, and without
// matrices.
func newFactors(m *ratings.Matrix, rank int, lambda, nu float64) *Factors {
	f := &Factors{
		Rank: rank, Lambda: lambda, Nu: nu,
		Mean:  float32(m.Mean()),
		Users: m.Users, Movies: m.Movies,
		UserBias: make([]float32, len(m.Users)), MovieBias: make([]float32, len(m.Movies)),
		UserCounts: make([]int32, len(m.Users)), MovieCounts: make([]int32, len(m.Movies)),
	}
	for u := range m.Users {
		_, values := m.User(u)
		f.UserCounts[u] = int32(len(values))
	}
	for i := range m.Movies {
		_, values := m.Movie(i)
		f.MovieCounts[i] = int32(len(values))
	}
	return f
}

// solveBiases alternates between movie and user biases, from zero.
func (f *Factors) solveBiases(ctx context.Context, m *ratings.Matrix, sweeps int) error {
	for range sweeps {
		if err := ctx.Err(); err != nil {
			return err
		}
		f.solveSideBiases(f.MovieBias, f.UserBias, m.Movie)
		f.solveSideBiases(f.UserBias, f.MovieBias, m.User)
	}
	return nil
}

func (f *Factors) solveSideBiases(bias, other []float32, ratingsOf func(int) ([]int32, []float32)) {
	for row := range bias {
		others, values := ratingsOf(row)
		sum := 0.0
		for k, at := range others {
			sum += float64(values[k]) - float64(f.Mean) - float64(other[at])
		}
		n := len(others)
		if n == 0 {
			continue
		}
		bias[row] = float32(sum / (float64(n) + regularization(f.Lambda, f.Nu, n)))
	}
}
