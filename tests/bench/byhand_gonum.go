package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// gonum times explicit ALS as one would write it with gonum: a row's gathered
// factors, SymOuterK, Cholesky, in two goroutines. One iteration is enough: it
// is slow and steady.
func (e *engine) gonum(ctx context.Context, rank int) ([]float64, error) {
	users, movies := mat.NewDense(len(e.matrix.Users), rank, nil), mat.NewDense(len(e.matrix.Movies), rank, nil)
	for u := range e.matrix.Users {
		for c := range rank {
			users.Set(u, c, 0.1*(rand.Float64()-0.5))
		}
	}
	began := time.Now()
	if err := gonumHalf(ctx, movies, users, e.matrix.Movie); err != nil {
		return nil, err
	}
	if err := gonumHalf(ctx, users, movies, e.matrix.User); err != nil {
		return nil, err
	}
	return []float64{time.Since(began).Seconds() * 1000}, nil
}

func gonumHalf(ctx context.Context, side, fixed *mat.Dense, of func(int) ([]int32, []float32)) error {
	rows, rank := side.Dims()
	var next atomic.Int64
	var group sync.WaitGroup
	var failed atomic.Bool
	for range 2 {
		group.Go(func() {
			for ctx.Err() == nil {
				row := int(next.Add(1)) - 1
				if row >= rows {
					return
				}
				if !gonumRow(side, fixed, row, rank, of) {
					failed.Store(true)
				}
			}
		})
	}
	group.Wait()
	if failed.Load() {
		return fmt.Errorf("gonum: a row's normal equations are not positive definite: %w", ratings.ErrBadRating)
	}
	return ctx.Err()
}

func gonumRow(side, fixed *mat.Dense, row, rank int, of func(int) ([]int32, []float32)) bool {
	others, values := of(row)
	n := len(others)
	y, r := mat.NewDense(n, rank, nil), mat.NewVecDense(n, nil)
	for k, at := range others {
		y.SetRow(k, fixed.RawRowView(int(at)))
		r.SetVec(k, float64(values[k]))
	}
	gram := mat.NewSymDense(rank, nil)
	gram.SymOuterK(1, y.T())
	for c := range rank {
		gram.SetSym(c, c, gram.At(c, c)+0.05*float64(n))
	}
	var right, x mat.VecDense
	right.MulVec(y.T(), r)
	var decomposition mat.Cholesky
	if !decomposition.Factorize(gram) || decomposition.SolveVecTo(&x, &right) != nil {
		return false
	}
	side.SetRow(row, x.RawVector().Data)
	return true
}
