package kernel

import (
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestFactorSolveAndInvert compares with gonum in float64, on matrices whose
// condition is that of training: 1e2 to 1e3, which loses so much of float32's 6e-8.
func TestFactorSolveAndInvert(t *testing.T) {
	const tolerance = 2e-4
	for _, n := range []int{1, 2, 3, 10, 15, 16, 17, 31, 33, 64, 100} {
		stride := Stride(n)
		rng := rand.New(rand.NewPCG(1, uint64(n)))
		packed, gram := Aligned(3*n*stride), Aligned(stride*stride)
		for k := range 3 * n {
			for c := range n {
				packed[k*stride+c] = float32(rng.NormFloat64()) / 2
			}
		}
		AddGram(gram, packed, stride, 3*n)
		want := mat.NewSymDense(n, nil)
		for i := range n {
			gram[i*stride+i]++
			for j := range i + 1 {
				want.SetSym(i, j, float64(gram[i*stride+j]))
			}
		}
		b, reference := make([]float32, n), mat.NewVecDense(n, nil)
		for i := range b {
			b[i] = float32(rng.NormFloat64())
			reference.SetVec(i, float64(b[i]))
		}
		var decomposition mat.Cholesky
		if !decomposition.Factorize(want) {
			t.Fatal("not positive definite")
		}
		var solution mat.VecDense
		if err := decomposition.SolveVecTo(&solution, reference); err != nil {
			t.Fatal(err)
		}
		var inverse mat.SymDense
		if err := decomposition.InverseTo(&inverse); err != nil {
			t.Fatal(err)
		}
		Cholesky(gram, stride, n, 1)
		SolveLower(gram, stride, n, b)
		SolveUpper(gram, stride, n, b)
		out := Aligned(stride * stride)
		Invert(out, gram, stride, n)
		for i := range n {
			if d := float64(b[i]) - solution.AtVec(i); d > tolerance || d < -tolerance {
				t.Errorf("n %d: solution %d differs by %v", n, i, d)
			}
			for j := range i + 1 {
				if d := float64(out[i*stride+j]) - inverse.At(i, j); d > tolerance || d < -tolerance {
					t.Errorf("n %d: inverse (%d, %d) differs by %v", n, i, j, d)
				}
			}
		}
	}
}
