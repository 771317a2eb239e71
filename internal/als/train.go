package als

import (
	"context"
	"fmt"
	"math"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// trainExplicit is ALS as the package comment says. It starts from the bias-only
// solution with small random user factors; each iteration solves all movies and
// then all users.
func trainExplicit(ctx context.Context, r *run) (*Factors, error) {
	t := newTrainer(r.Ratings, r.Parameters)
	if r.Parameters.Algorithm == Spark {
		t.f.Mean, t.f.Unbiased = 0, true
	} else if err := t.f.solveBiases(ctx, r.Ratings, startSweeps); err != nil {
		return nil, fmt.Errorf("learning biases: %w", err)
	}
	t.start(r.Start)
	for iteration := range r.Parameters.Iterations {
		last := iteration == r.Parameters.Iterations-1
		if err := t.iterate(ctx, last); err != nil {
			return nil, fmt.Errorf("training iteration %d: %w", iteration+1, err)
		}
		if r.report(iteration, t.rmse(), t.predict) && !last {
			t.movies.halves = nil
			if err := t.solveUsers(ctx); err != nil {
				return nil, fmt.Errorf("training iteration %d: %w", iteration+1, err)
			}
			break
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
	t.users = sideFactors{bias: t.f.UserBias, factors: kernel.Aligned(len(m.Users) * t.stride)}
	t.movies = sideFactors{bias: t.f.MovieBias, factors: kernel.Aligned(len(m.Movies) * t.stride)}
	if kernel.HasBFloat16() && p.Algorithm != Spark {
		t.users.halves, t.movies.halves = make([]uint16, len(t.users.factors)), make([]uint16, len(t.movies.factors))
	}
	for u, id := range m.Users {
		startFactors(t.users.factors[u*t.stride:][:p.Rank], p.Seed, userSide, id)
		t.users.halve(u, t.stride)
	}
	return t
}

// start takes over the users of an earlier model; movies are solved first.
func (t *trainer) start(from *Factors) {
	if from == nil || from.Rank != t.f.Rank || from.Unbiased != t.f.Unbiased {
		return
	}
	inherited(t.m.Users, from.Users, func(u, earlier int) {
		t.users.bias[u] = from.UserBias[earlier] + from.Mean - t.f.Mean
		copy(t.users.factors[u*t.stride:], from.UserFactors[earlier*from.Rank:][:from.Rank])
		t.users.halve(u, t.stride)
	})
}

// predict is Factors.Predict of the present rows.
func (t *trainer) predict(user, movie int) float64 {
	value := float64(t.f.Mean)
	if user >= 0 {
		value += float64(t.users.bias[user])
	}
	if movie >= 0 {
		value += float64(t.movies.bias[movie])
	}
	if user < 0 || movie < 0 {
		return value
	}
	return value + float64(kernel.Dot(t.users.factors[user*t.stride:][:t.stride], t.movies.factors[movie*t.stride:][:t.stride]))
}

// halve brings a row's bfloat16 up to date, if there are any.
func (s *sideFactors) halve(row, stride int) {
	if s.halves != nil {
		kernel.Halve(s.halves[row*stride:][:stride], s.factors[row*stride:][:stride])
	}
}

// factors returns what was learnt.
func (t *trainer) factors() *Factors {
	t.f.UserFactors, t.f.MovieFactors = stored(t.users.factors, t.f.Rank, t.stride), stored(t.movies.factors, t.f.Rank, t.stride)
	return t.f
}

// iterate solves all movies, then all users. The last time it takes movies with
// all of their precision: users are then what folding in would make of them.
func (t *trainer) iterate(ctx context.Context, last bool) error {
	f, mean := t.f, float64(t.f.Mean)
	err := forRows(ctx, t.threads, t.movieOrder, func(worker, i int) {
		rows, values := t.m.Movie(i)
		reg := regularization(f.Lambda, f.Nu, len(rows))
		t.movies.bias[i], _ = t.solvers[worker].solve(t.users, mean, rows, values, reg, t.movies.factors[i*t.stride:][:t.stride])
		t.movies.halve(i, t.stride)
	})
	if err != nil {
		return err
	}
	if last {
		t.movies.halves = nil
	}
	return t.solveUsers(ctx)
}

func (t *trainer) solveUsers(ctx context.Context) error {
	f, mean := t.f, float64(t.f.Mean)
	return forRows(ctx, t.threads, t.userOrder, func(worker, u int) {
		rows, values := t.m.User(u)
		reg := regularization(f.Lambda, f.Nu, len(rows))
		t.users.bias[u], t.userErrors[u] = t.solvers[worker].solve(t.movies, mean, rows, values, reg, t.users.factors[u*t.stride:][:t.stride])
		t.users.halve(u, t.stride)
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
