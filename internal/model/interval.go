package model

import (
	"errors"
	"fmt"
	"math"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// ErrNoPosterior says that a model was not trained by a Bayesian solver.
var ErrNoPosterior = errors.New("the model has no posterior; train with als_bayes or als_vb")

func checkPosterior(f *als.Factors) error {
	p := f.Posterior
	if p == nil {
		return nil
	}
	size := als.Triangle(f.Rank + 1)
	if !(p.Alpha > 0) || math.IsInf(p.Alpha, 0) || !(p.Freedom > 0) || math.IsInf(p.Freedom, 0) {
		return fmt.Errorf("noise of the posterior, α=%v and ν=%v, is not usable", p.Alpha, p.Freedom)
	}
	for _, t := range []struct {
		name   string
		values []float32
		count  int
	}{
		{"user_weight", p.UserWeight, len(f.Users)},
		{"user_covariance", p.UserCovariance, len(f.Users) * size},
		{"movie_covariance", p.MovieCovariance, len(f.Movies) * size},
		{"user_precision", p.UserPrecision, size},
		{"movie_precision", p.MoviePrecision, size},
	} {
		if len(t.values) != t.count {
			return fmt.Errorf("tensor %s of the posterior has %d values at rank %d, want %d", t.name, len(t.values), f.Rank, t.count)
		}
		if i := notFinite(t.values); i >= 0 {
			return fmt.Errorf("value %d of tensor %s is %v", i, t.name, t.values[i])
		}
	}
	for u, weight := range p.UserWeight {
		if !(weight > 0) {
			return fmt.Errorf("noise weight of user %d is %v, want more than 0", f.Users[u], weight)
		}
	}
	return nil
}

// prior is what is known of users and movies that the model does not know:
// covariances of their factors and bias, packed as those of the posterior.
type prior struct {
	user, movie []float32
	zeros       []float32 // [rank]
}

func newPrior(f *als.Factors) (*prior, error) {
	if f.Posterior == nil {
		return nil, nil
	}
	user, err := als.InvertTriangle(f.Posterior.UserPrecision, f.Rank+1)
	if err != nil {
		return nil, fmt.Errorf("prior of users: %w", err)
	}
	movie, err := als.InvertTriangle(f.Posterior.MoviePrecision, f.Rank+1)
	if err != nil {
		return nil, fmt.Errorf("prior of movies: %w", err)
	}
	return &prior{user: user, movie: movie, zeros: make([]float32, f.Rank)}, nil
}

// StdDev returns the standard deviation of the rating that user will give movie,
// in stars, about the unclamped prediction. Its square is the sum of
//
//   - the user's noise, 1/(α·w_u) in expectation over w_u,
//   - what is not known of factors and biases, aᵀV_i·a + cᵀV_u·c + tr(V_x·V_y)
//     with a = (x, 1) and c = (y, 1), and prior covariances for what the model
//     does not know.
//
// It returns ErrNoPosterior for a model of a solver that knows no uncertainty,
// and does not allocate.
func (m *Model) StdDev(user, movie int64) (float64, error) {
	f, p := m.factors, m.factors.Posterior
	if p == nil {
		return 0, ErrNoPosterior
	}
	size := als.Triangle(f.Rank + 1)
	freedom, weight := p.Freedom, 1.0
	x, ofUser := m.prior.zeros, m.prior.user
	if u := m.row(m.users, user); u >= 0 {
		x, ofUser = m.userFactors(u), p.UserCovariance[u*size:][:size]
		freedom += float64(f.UserCounts[u])
		weight = float64(p.UserWeight[u])
	}
	y, ofMovie := m.prior.zeros, m.prior.movie
	switch i := m.movieRow(movie); {
	case i < 0:
	case m.isAdded(i):
		y, ofMovie = m.movieFactors(i), m.addedMovie(i).folded.Covariance
	default:
		y, ofMovie = m.movieFactors(i), p.MovieCovariance[i*size:][:size]
	}
	// E[1/w] of a Gamma with mean w and this freedom; without a second moment
	// the freedom is taken for 3.
	noise := freedom / max(freedom-2, freedom/3) / (p.Alpha * weight)
	return math.Sqrt(noise + quadratic(ofMovie, x) + quadratic(ofUser, y) + traceOfFactors(ofUser, ofMovie, f.Rank)), nil
}

// quadratic is aᵀVa with a = (x, 1) and V a packed lower triangle.
func quadratic(v, x []float32) float64 {
	total := float32(0)
	for a, xa := range x {
		row := v[:a+1]
		v = v[a+1:]
		total += xa * (2*kernel.Dot(row[:a], x[:a]) + row[a]*xa)
	}
	total += 2*kernel.Dot(v[:len(x)], x) + v[len(x)]
	return max(float64(total), 0)
}

// traceOfFactors is tr(V·W) over the factors' parts of two packed triangles.
func traceOfFactors(v, w []float32, rank int) float64 {
	total, diagonal := float32(0), float32(0)
	for a := range rank {
		total += kernel.Dot(v[:a], w[:a])
		diagonal += v[a] * w[a]
		v, w = v[a+1:], w[a+1:]
	}
	return max(float64(2*total+diagonal), 0)
}
