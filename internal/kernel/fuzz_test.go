package kernel_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// floats reads numbers from data, over and over: of any sign and size, but not so
// great that sums of squares leave float32.
func floats(data []byte, n int) []float32 {
	out := kernel.Aligned(n)
	for k := range out {
		var four [4]byte
		for at := range four {
			if len(data) > 0 {
				four[at] = data[(4*k+at)%len(data)]
			}
		}
		value := math.Float32frombits(binary.LittleEndian.Uint32(four[:]))
		if size := math.Abs(float64(value)); size > 1e15 || size < 1e-15 || value != value {
			value = float32(int8(four[0])) / 16
		}
		out[k] = value
	}
	return out
}

// FuzzSums compares sums of products with float64, for any shape and numbers.
func FuzzSums(f *testing.F) {
	f.Add(uint8(1), uint8(1), []byte{0, 0, 128, 63})
	f.Add(uint8(4), uint8(133), []byte("many numbers of many sizes, and some that are not any"))
	f.Add(uint8(5), uint8(16), []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 250, 251, 252, 253, 254, 255})
	f.Fuzz(func(t *testing.T, lines, count uint8, data []byte) {
		stride, n := kernel.Width*(int(lines)%8+1), int(count)
		packed, c := floats(data, n*stride), floats(append(data, 7), n)
		want, size := mat.NewDense(stride, stride, nil), mat.NewDense(stride, stride, nil)
		combination, sizes := make([]float64, stride), make([]float64, stride)
		for k := range n {
			row := mat.NewVecDense(stride, toFloat64(packed[k*stride:][:stride]))
			want.RankOne(want, 1, row, row)
			for i := range stride {
				combination[i] += float64(c[k]) * row.AtVec(i)
				sizes[i] += math.Abs(float64(c[k]) * row.AtVec(i))
				row.SetVec(i, math.Abs(row.AtVec(i)))
			}
			size.RankOne(size, 1, row, row)
		}
		each(t, func(t *testing.T) {
			gram, v := kernel.Aligned(stride*stride), kernel.Aligned(stride)
			kernel.AddGram(gram, stride, packed, stride, n)
			kernel.AddCombination(v, packed, stride, c)
			for i := range stride {
				if math.Abs(float64(v[i])-combination[i]) > 1e-4*sizes[i]+1e-30 {
					t.Fatalf("stride %d, %d rows: combination at %d is %v, want %v", stride, n, i, v[i], combination[i])
				}
				for j := i; j < stride; j++ {
					if math.Abs(float64(gram[i*stride+j])-want.At(i, j)) > 1e-4*size.At(i, j)+1e-30 {
						t.Fatalf("stride %d, %d rows: entry (%d, %d) is %v, want %v", stride, n, i, j, gram[i*stride+j], want.At(i, j))
					}
				}
			}
		})
	})
}

// FuzzSolve solves regularized normal equations of any numbers: the result is
// always finite, and where regularization is a thousandth of the matrix or more it
// is the solution.
func FuzzSolve(f *testing.F) {
	f.Add(uint8(1), uint8(3), 1.0, []byte{0, 0, 128, 63})
	f.Add(uint8(4), uint8(133), 1e-6, []byte("the numbers of a matrix that is nearly singular"))
	f.Add(uint8(8), uint8(0), 1e3, []byte{9, 8, 7})
	f.Fuzz(func(t *testing.T, lines, count uint8, regularization float64, data []byte) {
		if !(regularization >= 1e-6 && regularization <= 1e6) {
			t.Skip("outside of what training accepts")
		}
		n := kernel.Width * (int(lines)%8 + 1)
		width := n + kernel.Width
		packed, right := floats(data, int(count)*n), random(rand.New(rand.NewPCG(1, uint64(count))), n)
		each(t, func(t *testing.T) {
			a, x := kernel.Aligned(n*width), kernel.Aligned(n)
			kernel.AddGram(a, width, packed, n, int(count))
			want, largest := mat.NewSymDense(n, nil), 0.0
			for i := range n {
				a[i*width+i] += float32(regularization)
				a[i*width+n] = right[i]
				for j := i; j < n; j++ {
					want.SetSym(i, j, float64(a[i*width+j]))
				}
				largest = max(largest, want.At(i, i))
			}
			kernel.Cholesky(a, width, n, float32(regularization))
			for i := range x {
				x[i] = a[i*width+n]
			}
			kernel.SolveUpper(a, width, n, x)
			for i, value := range x {
				if value-value != 0 {
					t.Fatalf("n %d, %d rows, regularization %v: solution at %d is %v", n, count, regularization, i, value)
				}
			}
			if largest > 1000*regularization {
				return
			}
			var decomposition mat.Cholesky
			if !decomposition.Factorize(want) {
				t.Skip("not positive definite in float32")
			}
			var solution mat.VecDense
			if err := decomposition.SolveVecTo(&solution, mat.NewVecDense(n, toFloat64(right))); err != nil {
				t.Fatal(err)
			}
			off, norm := 0.0, mat.Norm(&solution, 2)
			for i, value := range x {
				off += (float64(value) - solution.AtVec(i)) * (float64(value) - solution.AtVec(i))
			}
			if math.Sqrt(off) > 1e-2*norm {
				t.Fatalf("n %d, %d rows, regularization %v: solution is off by %v of %v", n, count, regularization, math.Sqrt(off), norm)
			}
		})
	})
}
