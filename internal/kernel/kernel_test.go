package kernel_test

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// each runs a test with every implementation that this processor has; with
// RECSYS_KERNEL set, only with that.
func each(t *testing.T, test func(t *testing.T)) {
	before := kernel.Name()
	defer func() { _ = kernel.Use(before) }()
	for _, name := range kernel.Names() {
		if forced := os.Getenv("RECSYS_KERNEL"); forced != "" && forced != name {
			continue
		}
		if err := kernel.Use(name); err != nil {
			t.Fatal(err)
		}
		t.Run(name, test)
	}
}

func random(rng *rand.Rand, n int) []float32 {
	values := kernel.Aligned(n)
	for k := range values {
		values[k] = float32(rng.NormFloat64())
	}
	return values
}

// strides are all up to a rank of 256.
func strides() []int {
	var all []int
	for stride := kernel.Width; stride <= 256; stride += kernel.Width {
		all = append(all, stride)
	}
	return all
}

// close compares with a float64 sum of terms whose absolute values add up to
// size: rounding grows with those, not with the sum.
func closeTo(got float32, want, size float64) bool {
	return math.Abs(float64(got)-want) <= 2e-6*size+1e-6
}

func TestNames(t *testing.T) {
	names := kernel.Names()
	if names[len(names)-1] != "go" {
		t.Errorf("got %v, want plain Go last", names)
	}
	if err := kernel.Use("abacus"); err == nil {
		t.Error("an unknown kernel is accepted")
	}
}

func TestGather(t *testing.T) {
	each(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 1))
		for _, stride := range strides() {
			factors := random(rng, 50*stride)
			for _, n := range []int{0, 1, 7, 8, 9, 40} {
				rows, scale := make([]int32, n), random(rng, n)
				for k := range rows {
					rows[k] = rng.Int32N(50)
				}
				packed, scaled := kernel.Aligned((n+1)*stride), kernel.Aligned((n+1)*stride)
				kernel.Gather(packed, factors, stride, rows)
				kernel.GatherScaled(scaled, factors, stride, rows, scale)
				for k, row := range rows {
					for c := range stride {
						if want := factors[int(row)*stride+c]; packed[k*stride+c] != want || scaled[k*stride+c] != want*scale[k] {
							t.Fatalf("stride %d, row %d of %d, column %d: got %v and %v, want %v times 1 and %v",
								stride, k, n, c, packed[k*stride+c], scaled[k*stride+c], want, scale[k])
						}
					}
				}
				for c := range stride {
					if packed[n*stride+c] != 0 || scaled[n*stride+c] != 0 {
						t.Fatalf("stride %d, %d rows: wrote past the end", stride, n)
					}
				}
			}
		}
	})
}

func TestAddGram(t *testing.T) {
	each(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, stride := range strides() {
			for _, n := range []int{0, 1, 2, 7, 64, 133} {
				width := stride + kernel.Width*rng.IntN(2)
				gram, packed := random(rng, stride*width), random(rng, n*stride)
				want, size := mat.NewSymDense(stride, nil), mat.NewDense(stride, stride, nil)
				start := mat.NewSymDense(stride, nil)
				for i := range stride {
					for j := i; j < stride; j++ {
						start.SetSym(i, j, float64(gram[i*width+j]))
					}
				}
				want.CopySym(start)
				if n > 0 {
					p := dense(packed, n, stride, stride)
					want.SymRankK(start, 1, p.T())
					p.Apply(func(_, _ int, v float64) float64 { return math.Abs(v) }, p)
					size.Mul(p.T(), p)
				}
				right := append([]float32(nil), gram...)
				kernel.AddGram(gram, width, packed, stride, n)
				for i := range stride {
					for j := i; j < stride; j++ {
						if !closeTo(gram[i*width+j], want.At(i, j), 1+size.At(i, j)) {
							t.Fatalf("stride %d, width %d, %d rows: entry (%d, %d) is %v, want %v", stride, width, n, i, j, gram[i*width+j], want.At(i, j))
						}
					}
					for j := stride; j < width; j++ {
						if gram[i*width+j] != right[i*width+j] {
							t.Fatalf("stride %d, width %d, %d rows: wrote to (%d, %d), beyond the matrix", stride, width, n, i, j)
						}
					}
				}
			}
		}
	})
}

func dense(values []float32, rows, columns, stride int) *mat.Dense {
	d := mat.NewDense(rows, columns, nil)
	for i := range rows {
		for j := range columns {
			d.Set(i, j, float64(values[i*stride+j]))
		}
	}
	return d
}

func TestCombinationsAndProducts(t *testing.T) {
	each(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 3))
		for _, stride := range strides() {
			for _, n := range []int{0, 1, 3, 15, 16, 17, 50} {
				packed, c, x := random(rng, n*stride), random(rng, n), random(rng, stride)
				v, sum, also := random(rng, stride), random(rng, stride), random(rng, stride)
				wantV, wantSum, wantAlso, size := toFloat64(v), toFloat64(sum), toFloat64(also), make([]float64, stride)
				for k := range n {
					for i := range stride {
						p := float64(packed[k*stride+i])
						wantV[i] += float64(c[k]) * p
						wantAlso[i] += float64(c[k]) * p
						wantSum[i] += p
						size[i] += math.Abs(p) * max(1, math.Abs(float64(c[k])))
					}
				}
				kernel.AddCombination(v, packed, stride, c)
				kernel.AddSums(sum, also, packed, stride, c)
				for i := range stride {
					if !closeTo(v[i], wantV[i], 1+size[i]) || !closeTo(sum[i], wantSum[i], 1+size[i]) || !closeTo(also[i], wantAlso[i], 1+size[i]) {
						t.Fatalf("stride %d, %d rows, column %d: got %v, %v and %v, want %v, %v and %v",
							stride, n, i, v[i], sum[i], also[i], wantV[i], wantSum[i], wantAlso[i])
					}
				}
				out := make([]float32, n+1)
				columns := kernel.Width * (1 + rng.IntN(stride/kernel.Width))
				kernel.Products(out[:n], packed, stride, x[:columns])
				for k := range n {
					want, size := 0.0, 0.0
					for i := range columns {
						term := float64(packed[k*stride+i]) * float64(x[i])
						want += term
						size += math.Abs(term)
					}
					if !closeTo(out[k], want, size) {
						t.Fatalf("stride %d, %d columns: product %d of %d is %v, want %v", stride, columns, k, n, out[k], want)
					}
				}
				if out[n] != 0 {
					t.Fatalf("%d products: wrote past the end", n)
				}
			}
		}
		for n := range 70 {
			x, y := random(rng, n), random(rng, n)
			want, size := 0.0, 0.0
			for i := range x {
				want += float64(x[i]) * float64(y[i])
				size += math.Abs(float64(x[i]) * float64(y[i]))
			}
			if got := kernel.Dot(x, y); !closeTo(got, want, size) {
				t.Fatalf("dot of %d is %v, want %v", n, got, want)
			}
		}
	})
}

// TestPairs compares kernels for bfloat16 with float64, on rows rounded by plain
// arithmetic.
func TestPairs(t *testing.T) {
	each(t, func(t *testing.T) {
		if !kernel.HasBFloat16() {
			t.Skipf("%s has no bfloat16", kernel.Name())
		}
		rng := rand.New(rand.NewPCG(1, 9))
		for _, stride := range strides() {
			const rowsInAll = 40
			factors, halves := random(rng, rowsInAll*stride), make([]uint16, rowsInAll*stride)
			kernel.Halve(halves, factors)
			for k, value := range factors {
				rounded := math.Float32frombits(uint32(halves[k]) << 16)
				if math.Abs(float64(rounded-value)) > math.Abs(float64(value))/(1<<8) {
					t.Fatalf("%v is rounded to %v, which is not the nearest", value, rounded)
				}
				factors[k] = rounded
			}
			for _, n := range []int{0, 1, 2, 7, 64, 133} {
				width, pairs := stride+kernel.Width*rng.IntN(2), (n+1)/2
				rows, c := make([]int32, n), random(rng, n)
				packed := make([]uint32, (pairs+1)*stride)
				gram, size := mat.NewDense(stride, stride, nil), mat.NewDense(stride, stride, nil)
				sum, v, sumSize := make([]float64, stride), make([]float64, stride), make([]float64, stride)
				for k := range rows {
					rows[k] = rng.Int32N(rowsInAll)
					y := toFloat64(factors[int(rows[k])*stride:][:stride])
					row := mat.NewVecDense(stride, y)
					gram.RankOne(gram, 1, row, row)
					for i, value := range y {
						sum[i] += value
						v[i] += float64(c[k]) * value
						sumSize[i] += math.Abs(value) * max(1, math.Abs(float64(c[k])))
						y[i] = math.Abs(value)
					}
					size.RankOne(size, 1, row, row)
				}
				if n%3 == 0 {
					kernel.Pairs(packed, halves, stride, rows)
				} else {
					kernel.PairsScaled(packed, factors, stride, rows, slices.Repeat([]float32{-1}, n)) // which leaves the Gram matrix as it is
					for i := range sum {
						sum[i], v[i] = -sum[i], -v[i]
					}
				}
				for i := range stride {
					if packed[pairs*stride+i] != 0 {
						t.Fatalf("stride %d, %d rows: wrote past the end", stride, n)
					}
				}
				out, before := random(rng, stride*width), make([]float32, stride*width)
				copy(before, out)
				kernel.AddGramPairs(out, width, packed, stride, pairs)
				for i := range stride {
					for j := i; j < stride; j++ {
						if want := gram.At(i, j) + float64(before[i*width+j]); !closeTo(out[i*width+j], want, 1+size.At(i, j)) {
							t.Fatalf("stride %d, width %d, %d rows: entry (%d, %d) is %v, want %v", stride, width, n, i, j, out[i*width+j], want)
						}
					}
					for j := stride; j < width; j++ {
						if out[i*width+j] != before[i*width+j] {
							t.Fatalf("stride %d, width %d, %d rows: wrote to (%d, %d), beyond the matrix", stride, width, n, i, j)
						}
					}
				}
				whole := kernel.Stride(pairs) // of pairs
				if pairs > 0 {
					added := append([]float32(nil), before...)
					for i := range stride {
						clear(added[i*width+i&^(kernel.Width-1):][:stride-i&^(kernel.Width-1)])
					}
					kernel.AddGramPairs(added, width, packed, stride, pairs)
					kernel.SetGramPairs(before, width, packed, stride, pairs)
					for i := range stride {
						if !slices.Equal(before[i*width+i:(i+1)*width], added[i*width+i:(i+1)*width]) {
							t.Fatalf("stride %d, width %d, %d rows: row %d set is not what is added to zeros", stride, width, n, i)
						}
					}
				}
				high, low := make([]uint32, whole), make([]uint32, whole)
				kernel.SplitPairs(high, low, append(c, make([]float32, 2*whole-n)...))
				gotSum, gotV := kernel.Aligned(stride), kernel.Aligned(stride)
				kernel.AddSumsPairs(gotSum, gotV, packed, stride, high[:pairs], low[:pairs])
				for i := range stride {
					if !closeTo(gotSum[i], sum[i], 1+sumSize[i]) || math.Abs(float64(gotV[i])-v[i]) > sumSize[i]/(1<<15) {
						t.Fatalf("stride %d, %d rows, column %d: got %v and %v, want %v and %v", stride, n, i, gotSum[i], gotV[i], sum[i], v[i])
					}
				}
			}
		}
	})
}

func TestHalves(t *testing.T) {
	each(t, func(t *testing.T) {
		if !kernel.HasBFloat16() {
			t.Skipf("%s has no bfloat16", kernel.Name())
		}
		rng := rand.New(rand.NewPCG(1, 11))
		halved := func(values []float32) []uint16 {
			halves := make([]uint16, len(values))
			kernel.Halve(halves, values)
			for k, half := range halves {
				values[k] = math.Float32frombits(uint32(half) << 16)
			}
			return halves
		}
		for stride := kernel.HalfWidth; stride <= 256; stride += kernel.HalfWidth {
			factors, x := random(rng, 40*stride), random(rng, stride)
			halves, halfX := halved(factors), halved(x)
			for _, n := range []int{0, 1, 2, 3, 16, 31, 100} {
				size := kernel.Stride(n)
				rows, c, packed := make([]int32, n), random(rng, n), make([]uint16, (size+1)*stride)
				out, v := make([]float32, size+1), random(rng, stride)
				wantV, sizeV := toFloat64(v), make([]float64, stride)
				for k := range rows {
					rows[k] = rng.Int32N(40)
				}
				kernel.GatherHalves(packed, halves, stride, rows)
				weights := random(rng, size)
				kernel.ProductsHalves(out[:size], packed, stride, halfX, weights)
				kernel.AddCombinationHalves(v, packed, stride, c)
				for k, row := range rows {
					want, sizeWant := 0.0, 0.0
					for i := range stride {
						y := float64(factors[int(row)*stride+i])
						term := y * float64(x[i]) * float64(weights[k])
						want += term
						sizeWant += math.Abs(term)
						wantV[i] += float64(c[k]) * y
						sizeV[i] += math.Abs(float64(c[k]) * y)
					}
					if !closeTo(out[k], want, sizeWant) {
						t.Fatalf("stride %d, %d rows: product %d is %v, want %v", stride, n, k, out[k], want)
					}
				}
				for i := range stride {
					if !closeTo(v[i], wantV[i], 1+sizeV[i]) {
						t.Fatalf("stride %d, %d rows: combination at %d is %v, want %v", stride, n, i, v[i], wantV[i])
					}
				}
				if out[size] != 0 {
					t.Fatalf("stride %d, %d rows: wrote past the end", stride, n)
				}
			}
		}
	})
}

func TestWeights(t *testing.T) {
	each(t, func(t *testing.T) {
		for n := kernel.Width; n <= 3*kernel.Width; n += kernel.Width {
			values, scale, coefficient := random(rand.New(rand.NewPCG(1, 12)), n), make([]float32, n+1), make([]float32, n+1)
			values[0] = 0
			kernel.Weights(scale, coefficient, values)
			for k, value := range values {
				w := max(float64(value), 1e-12)
				if math.Abs(float64(scale[k])/math.Sqrt(w)-1) > 1e-6 || math.Abs(float64(coefficient[k])*math.Sqrt(w)/(1+w)-1) > 1e-6 {
					t.Fatalf("weight %v: got %v and %v, want %v and %v", w, scale[k], coefficient[k], math.Sqrt(w), (1+w)/math.Sqrt(w))
				}
			}
			if scale[n] != 0 || coefficient[n] != 0 {
				t.Fatalf("%d weights: wrote past the end", n)
			}
		}
	})
}

func TestTargets(t *testing.T) {
	each(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 10))
		bias := random(rng, 100)
		for n := range 70 {
			values, rows := random(rng, n), make([]int32, n)
			got := random(rng, kernel.Stride(n)+1)
			past := got[len(got)-1]
			want, wantSum, wantSquares := make([]float32, kernel.Stride(n)), 0.0, 0.0
			for k := range rows {
				rows[k] = rng.Int32N(100)
				want[k] = values[k] - 3.5 - bias[rows[k]]
				wantSum += float64(want[k])
				wantSquares += float64(want[k]) * float64(want[k])
			}
			sum, squares := kernel.Targets(got, values, rows, bias, 3.5)
			if !slices.Equal(got, append(want, past)) {
				t.Fatalf("%d targets: got %v, want %v", n, got, append(want, past))
			}
			if math.Abs(sum-wantSum) > 1e-12*wantSquares || math.Abs(squares-wantSquares) > 1e-12*wantSquares {
				t.Fatalf("%d targets: sums are %v and %v, want %v and %v", n, sum, squares, wantSum, wantSquares)
			}
		}
	})
}

func toFloat64(values []float32) []float64 {
	out := make([]float64, len(values))
	for k, value := range values {
		out[k] = float64(value)
	}
	return out
}

// TestSolve compares with gonum in float64, on matrices whose condition is that
// of training: 1e2 to 1e3, which loses so much of float32's 6e-8.
func TestSolve(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, n := range strides() {
			const tolerance = 2e-4
			rng := rand.New(rand.NewPCG(2, uint64(n)))
			width := 2*n + kernel.Width
			a, want := positive(rng, n, width)
			reference, right := mat.NewDense(n, 2, nil), make([]float32, n)
			for i := range n {
				for column := range 2 {
					value := rng.NormFloat64()
					a[i*width+2*n+column] = float32(value)
					reference.Set(i, column, value)
				}
			}
			var decomposition mat.Cholesky
			if !decomposition.Factorize(want) {
				t.Fatal("not positive definite")
			}
			var half, solution mat.Dense
			var upper mat.TriDense
			decomposition.UTo(&upper)
			if err := half.Solve(upper.T(), reference); err != nil {
				t.Fatal(err)
			}
			if err := decomposition.SolveTo(&solution, reference); err != nil {
				t.Fatal(err)
			}
			var inverse mat.SymDense
			if err := decomposition.InverseTo(&inverse); err != nil {
				t.Fatal(err)
			}
			out := random(rng, n*width)
			kernel.Invert(out, a, width, n, 1)
			for column := range 2 {
				for i := range right {
					right[i] = a[i*width+2*n+column]
					if d := float64(right[i]) - half.At(i, column); math.Abs(d) > tolerance {
						t.Fatalf("n %d, right side %d: L⁻¹b at %d differs by %v", n, column, i, d)
					}
				}
				kernel.SolveUpper(a, width, n, right)
				for i, value := range right {
					if d := float64(value) - solution.At(i, column); math.Abs(d) > tolerance {
						t.Fatalf("n %d, right side %d: solution at %d differs by %v", n, column, i, d)
					}
				}
			}
			for i := range n {
				for j := i; j < n; j++ {
					if d := float64(out[i*width+j]) - inverse.At(i, j); math.Abs(d) > tolerance {
						t.Fatalf("n %d: inverse (%d, %d) differs by %v", n, i, j, d)
					}
				}
			}
		}
	})
}

// positive returns a matrix of 3n random rows' Gram matrix and the unit matrix.
func positive(rng *rand.Rand, n, width int) ([]float32, *mat.SymDense) {
	packed, a := random(rng, 3*n*n), kernel.Aligned(n*width)
	for k := range packed {
		packed[k] /= 2
	}
	kernel.AddGram(a, width, packed, n, 3*n)
	want := mat.NewSymDense(n, nil)
	for i := range n {
		a[i*width+i]++
		for j := i; j < n; j++ {
			want.SetSym(i, j, float64(a[i*width+j]))
		}
	}
	return a, want
}

// TestSingularMatricesGiveNumbers: a matrix that rounding has left without a
// positive pivot is solved with the least that it could be.
func TestSingularMatricesGiveNumbers(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, n := range []int{16, 64} {
			a, b := kernel.Aligned(n*n), random(rand.New(rand.NewPCG(1, 4)), n)
			for k := range a {
				a[k] = 1e6
			}
			kernel.Cholesky(a, n, n, 1e-3)
			kernel.SolveUpper(a, n, n, b)
			for i, value := range b {
				if math.IsNaN(float64(value)) || math.IsInf(float64(value), 0) {
					t.Fatalf("n %d: solution at %d is %v", n, i, value)
				}
			}
		}
	})
}

// TestReachingMissesNothing compares bounds with products in float64: a row that
// reaches the threshold always has its bit, and few others have.
func TestReachingMissesNothing(t *testing.T) {
	each(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 8))
		for _, stride := range []int{16, 64, 80, 144} {
			for _, rows := range []int{1, 63, 64, 1000} {
				factors, bias, x := random(rng, rows*stride), random(rng, rows), random(rng, stride)
				if rows > 5 {
					clear(factors[5*stride:][:stride]) // a row of zeros
				}
				q := kernel.Quantize(factors, stride, bias)
				if q == nil {
					t.Skipf("%s does not quantize", kernel.Name())
				}
				var query kernel.Query
				query.Set(x)
				size := (rows + kernel.QuantizedRows - 1) / kernel.QuantizedRows * kernel.QuantizedRows
				masks := make([]uint16, size/16)
				threshold := 3 * float32(math.Sqrt(float64(stride))) // products' standard deviations
				q.Reaching(masks, 0, &query, threshold)
				reach, bits := 0, 0
				for row := range size {
					set := masks[row/16]>>(row%16)&1 == 1
					if row >= rows {
						if set {
							t.Fatalf("stride %d: row %d of %d has its bit", stride, row, rows)
						}
						continue
					}
					product := float64(bias[row])
					for c := range stride {
						product += float64(factors[row*stride+c]) * float64(x[c])
					}
					if set {
						bits++
					}
					if product >= float64(threshold) {
						reach++
						if !set {
							t.Fatalf("stride %d, row %d of %d: product %v reaches %v but has no bit", stride, row, rows, product, threshold)
						}
					}
				}
				if bits > reach+rows/10+3 {
					t.Errorf("stride %d: %d of %d rows have bits, but only %d reach", stride, bits, rows, reach)
				}
			}
		}
	})
}

func BenchmarkGram(b *testing.B) {
	for _, stride := range []int{16, 32, 64, 128} {
		const n = 128
		packed, gram := random(rand.New(rand.NewPCG(1, 5)), n*stride), kernel.Aligned(stride*stride)
		perImplementation(b, fmt.Sprint(stride), func(b *testing.B) {
			for b.Loop() {
				kernel.AddGram(gram, stride, packed, stride, n)
			}
			b.ReportMetric(float64(stride*(stride+1)*n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

func BenchmarkGramPairs(b *testing.B) {
	for _, stride := range []int{16, 32, 64, 128} {
		const pairs = 64
		packed, gram := make([]uint32, pairs*stride), kernel.Aligned(stride*stride)
		perImplementation(b, fmt.Sprint(stride), func(b *testing.B) {
			if !kernel.HasBFloat16() {
				b.Skip("no bfloat16")
			}
			for b.Loop() {
				kernel.AddGramPairs(gram, stride, packed, stride, pairs)
			}
			b.ReportMetric(float64(stride*(stride+1)*2*pairs)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

func BenchmarkSolve(b *testing.B) {
	for _, n := range []int{16, 32, 64, 128} {
		width := n + kernel.Width
		a, _ := positive(rand.New(rand.NewPCG(1, 6)), n, width)
		scratch, x := kernel.Aligned(len(a)), kernel.Aligned(n)
		perImplementation(b, fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				copy(scratch, a)
				kernel.Cholesky(scratch, width, n, 1)
				kernel.SolveUpper(scratch, width, n, x)
			}
		})
	}
}

func BenchmarkProducts(b *testing.B) {
	const rows = 512
	for _, stride := range []int{16, 64, 128} {
		packed, x, out := random(rand.New(rand.NewPCG(1, 7)), rows*stride), kernel.Aligned(stride), make([]float32, rows)
		perImplementation(b, fmt.Sprint(stride), func(b *testing.B) {
			for b.Loop() {
				kernel.Products(out, packed, stride, x)
			}
		})
	}
}

func perImplementation(b *testing.B, name string, bench func(b *testing.B)) {
	before := kernel.Name()
	defer func() { _ = kernel.Use(before) }()
	for _, implementation := range kernel.Names() {
		_ = kernel.Use(implementation)
		b.Run(name+"/"+implementation, bench)
	}
}

func BenchmarkReaching(b *testing.B) {
	const rows, stride = 60_032, 64
	rng := rand.New(rand.NewPCG(1, 13))
	q := kernel.Quantize(random(rng, rows*stride), stride, make([]float32, rows))
	if q == nil {
		b.Skipf("%s does not quantize", kernel.Name())
	}
	var query kernel.Query
	query.Set(random(rng, stride))
	masks := make([]uint16, rows/16)
	for _, sigma := range []float32{3, 3.5, 4, 9} {
		b.Run(fmt.Sprint(sigma), func(b *testing.B) {
			for b.Loop() {
				q.Reaching(masks, 0, &query, sigma*8)
			}
			set := 0
			for _, mask := range masks {
				set += bits.OnesCount16(mask)
			}
			b.ReportMetric(float64(set), "rows")
		})
	}
}
