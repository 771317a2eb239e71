package als

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Progress tells how far training is, after each iteration.
type Progress struct {
	Iteration int           // done, 1 to Total
	Total     int           // iterations in all
	RMSE      float64       // over the training ratings, in stars, unclamped
	Elapsed   time.Duration // since training began
}

// trainExplicit is ALS as the package comment says. It starts from the bias-only
// solution with small random user factors; each iteration solves all movies and
// then all users.
func trainExplicit(ctx context.Context, m *ratings.Matrix, p Parameters, progress func(Progress)) (*Factors, error) {
	began := time.Now()
	t := newTrainer(m, p)
	if p.Algorithm == Spark {
		t.f.Mean, t.f.Unbiased = 0, true
	} else if err := t.f.solveBiases(ctx, m, startSweeps); err != nil {
		return nil, fmt.Errorf("learning biases: %w", err)
	}
	for iteration := range p.Iterations {
		if err := t.iterate(ctx); err != nil {
			return nil, fmt.Errorf("training iteration %d: %w", iteration+1, err)
		}
		if progress != nil {
			progress(Progress{Iteration: iteration + 1, Total: p.Iterations, RMSE: t.rmse(), Elapsed: time.Since(began)})
		}
	}
	return t.factors(), nil
}

type trainer struct {
	m                     *ratings.Matrix
	f                     *Factors // without its matrices until the end
	stride, threads       int
	users, movies         sideFactors
	solvers               []*rowSolver // one a worker
	userOrder, movieOrder []int32
	userErrors            []float64 // sums of squared errors, by user [users]
}

func newTrainer(m *ratings.Matrix, p Parameters) *trainer {
	t := &trainer{m: m, f: newFactors(m, p.Rank, p.Lambda, p.Nu), stride: kernel.Stride(p.Rank), threads: threadCount(p.Threads)}
	t.userOrder = heaviestFirst(t.f.UserCounts)
	t.movieOrder = heaviestFirst(t.f.MovieCounts)
	t.userErrors = make([]float64, len(m.Users))
	for range t.threads {
		t.solvers = append(t.solvers, newRowSolver(p.Rank, p.Algorithm == Spark))
	}
	t.users = sideFactors{t.f.UserBias, kernel.Aligned(len(m.Users) * t.stride)}
	t.movies = sideFactors{t.f.MovieBias, kernel.Aligned(len(m.Movies) * t.stride)}
	for u, id := range m.Users {
		startFactors(t.users.factors[u*t.stride:][:p.Rank], p.Seed, userSide, id)
	}
	return t
}

// factors returns what was learnt.
func (t *trainer) factors() *Factors {
	t.f.UserFactors, t.f.MovieFactors = stored(t.users.factors, t.f.Rank), stored(t.movies.factors, t.f.Rank)
	return t.f
}

// iterate solves all movies, then all users.
func (t *trainer) iterate(ctx context.Context) error {
	f, mean := t.f, float64(t.f.Mean)
	err := forRows(ctx, t.threads, t.movieOrder, func(worker, i int) {
		rows, values := t.m.Movie(i)
		reg := regularization(f.Lambda, f.Nu, len(rows))
		t.movies.bias[i], _ = t.solvers[worker].solve(t.users, mean, rows, values, reg, t.movies.factors[i*t.stride:][:t.stride])
	})
	if err != nil {
		return err
	}
	return forRows(ctx, t.threads, t.userOrder, func(worker, u int) {
		rows, values := t.m.User(u)
		reg := regularization(f.Lambda, f.Nu, len(rows))
		t.users.bias[u], t.userErrors[u] = t.solvers[worker].solve(t.movies, mean, rows, values, reg, t.users.factors[u*t.stride:][:t.stride])
	})
}

// rmse is the training error after the last user half-step. Sums of users are
// added in their order, so that it does not depend on the threads either.
func (t *trainer) rmse() float64 {
	sum := 0.0
	for _, sse := range t.userErrors {
		sum += sse
	}
	return math.Sqrt(sum / float64(t.m.Len()))
}
