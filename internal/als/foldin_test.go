package als

import (
	"errors"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// TestFoldInIsTheLastHalfStep: stored user factors are, bit by bit, what folding
// in a user's ratings gives.
func TestFoldInIsTheLastHalfStep(t *testing.T) {
	m := matrix(t, recsystest.Ratings(80, 120, 0.3, 3))
	for _, rank := range []int{1, 10, 16, 64, 70} {
		f := train(t, m, Parameters{Algorithm: ALS, Rank: rank, Lambda: 1.25, Nu: 0.5, Iterations: 3, Seed: 2})
		folder := NewFolder(f).Clone()
		x := make([]float32, rank)
		for u := range m.Users {
			movies, values := m.User(u)
			bias, err := folder.FoldIn(movies, values, x)
			if err != nil {
				t.Fatal(err)
			}
			if bias != f.UserBias[u] {
				t.Fatalf("rank %d, user row %d: bias %v, stored %v", rank, u, bias, f.UserBias[u])
			}
			for c, value := range x {
				if stored := f.UserFactors[u*rank+c]; value != stored {
					t.Fatalf("rank %d, user row %d: factor %d is %v, stored %v", rank, u, c, value, stored)
				}
			}
		}
	}
}

// TestFoldInIsTheReference solves the same normal equations in float64, on rows
// of 1 to 20,000 ratings.
func TestFoldInIsTheReference(t *testing.T) {
	const rank, tolerance = 64, 1e-5
	m := matrix(t, recsystest.Ratings(300, 200, 0.5, 3))
	f := train(t, m, DefaultParameters(ALS))
	folder := NewFolder(f)
	each(t, func(t *testing.T) {
		for _, n := range []int{1, 2, 31, 32, 33, 50, 64, 128, 129, 1000, 8192, 8193, 20_000} {
			rows, values := make([]int32, n), make([]float32, n)
			z, target := mat.NewDense(n, rank+1, nil), mat.NewVecDense(n, nil)
			for k := range rows {
				i := int(mix(uint64(n*100_000+k)) % uint64(len(m.Movies)))
				rows[k], values[k] = int32(i), float32(mix(uint64(k))%10+1)/2
				for c := range rank {
					z.Set(k, c, float64(f.MovieFactors[i*rank+c]))
				}
				z.Set(k, rank, 1)
				target.SetVec(k, float64(values[k])-float64(f.Mean)-float64(f.MovieBias[i]))
			}
			var gram mat.SymDense
			gram.SymOuterK(1, z.T())
			reg := regularization(f.Lambda, f.Nu, n)
			for c := range rank + 1 {
				gram.SetSym(c, c, gram.At(c, c)+reg)
			}
			var right, want mat.VecDense
			right.MulVec(z.T(), target)
			var decomposition mat.Cholesky
			if !decomposition.Factorize(&gram) {
				t.Fatal("not positive definite")
			}
			if err := decomposition.SolveVecTo(&want, &right); err != nil {
				t.Fatal(err)
			}
			x := make([]float32, rank)
			bias, err := folder.FoldIn(rows, values, x)
			if err != nil {
				t.Fatal(err)
			}
			worst := math.Abs(float64(bias) - want.AtVec(rank))
			for c, value := range x {
				worst = max(worst, math.Abs(float64(value)-want.AtVec(c)))
			}
			if !(worst <= tolerance) {
				t.Errorf("%d ratings: differs from the reference by %.2g, want at most %.0g", n, worst, tolerance)
			}
		}
	})
}

// each runs a test with every kernel that this processor has.
func each(t *testing.T, test func(t *testing.T)) {
	before := kernel.Name()
	defer func() { _ = kernel.Use(before) }()
	for _, name := range kernel.Names() {
		if err := kernel.Use(name); err != nil {
			t.Fatal(err)
		}
		t.Run(name, test)
	}
}

// TestFoldInWithoutFactors: a model of biases alone folds in biases.
func TestFoldInWithoutFactors(t *testing.T) {
	m := matrix(t, recsystest.Ratings(20, 30, 0.5, 1))
	f, err := BiasOnly(t.Context(), m, 2, 0.5, 5)
	if err != nil {
		t.Fatal(err)
	}
	rows, values := m.User(3)
	bias, err := NewFolder(f).FoldIn(rows, values, nil)
	if want := f.UserBias[3]; err != nil || math.Abs(float64(bias-want)) > 1e-5 {
		t.Errorf("got bias %v, %v; want %v", bias, err, want)
	}
}

func TestFoldInOfNothing(t *testing.T) {
	f := train(t, matrix(t, recsystest.Ratings(5, 5, 0.5, 1)), Parameters{Algorithm: ALS, Rank: 3, Lambda: 1, Nu: 0.5, Iterations: 1})
	x := []float32{1, 2, 3}
	if _, err := NewFolder(f).FoldIn(nil, nil, x); !errors.Is(err, ErrNoKnownMovies) || x[0] != 1 {
		t.Errorf("got %v and factors %v, want ErrNoKnownMovies and factors as they were", err, x)
	}
}

func BenchmarkFoldIn(b *testing.B) {
	m := matrix(b, recsystest.Ratings(300, 2000, 0.1, 3))
	folder := NewFolder(train(b, m, DefaultParameters(ALS)))
	rows, values := make([]int32, 50), make([]float32, 50)
	for k := range rows {
		rows[k], values[k] = int32(37*k), float32(k%10+1)/2
	}
	x := make([]float32, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := folder.FoldIn(rows, values, x); err != nil {
			b.Fatal(err)
		}
	}
}
