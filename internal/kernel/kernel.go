package kernel

import (
	"fmt"
	"os"
	"strings"
)

// implementation is one way to do all kernels. Its functions may rely on slices
// that are long enough, on widths that are multiples of Width, and on counts
// above 0.
type implementation struct {
	name           string
	gather         func(packed, factors []float32, stride int, rows []int32)
	gatherScaled   func(packed, factors []float32, stride int, rows []int32, scale []float32)
	addGram        func(gram []float32, width int, packed []float32, stride, columns, n int)
	addCombination func(v, packed []float32, stride int, c []float32)
	addSums        func(sum, v, packed []float32, stride int, c []float32)
	products       func(out, packed []float32, stride int, x []float32)
	dot            func(x, y []float32) float32
	targets        func(targets, values []float32, rows []int32, bias []float32, mean float32) (sum, squares float64)
	weights        func(scale, coefficient, weights []float32)
	cholesky       func(a []float32, width, n int, least float32)
	solveUpper     func(a []float32, width, n int, b []float32)
	bounds         func(masks []uint16, data []uint8, stride int, query *Query) // nil: not faster than products
	bfloats        *bfloats                                                     // nil: not faster than float32
}

// implementations are those that this processor can run, fastest first.
var implementations = append(native(), generic)

var chosen = &implementations[0]

// environment forces an implementation by its name.
const environment = "RECSYS_KERNEL"

func init() {
	if name := os.Getenv(environment); name != "" {
		if err := Use(name); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v; using %s\n", environment, err, Name())
		}
	}
}

// Name is that of the implementation in use.
func Name() string { return chosen.name }

// Names are those of the implementations that this processor can run, fastest
// first.
func Names() []string {
	names := make([]string, len(implementations))
	for k := range implementations {
		names[k] = implementations[k].name
	}
	return names
}

// Use chooses an implementation by its name, one of Names. It is for tests and
// measurements, and not to be called while kernels run: what one implementation
// has begun no other may go on with.
func Use(name string) error {
	for k := range implementations {
		if implementations[k].name == name {
			chosen = &implementations[k]
			return nil
		}
	}
	return fmt.Errorf("kernel %q is not one that this processor can run: %s", name, strings.Join(Names(), ", "))
}

// Gather copies rows of factors [· × stride] one after another into packed
// [len(rows) × stride]. Rows have to be there: vector kernels do not look.
func Gather(packed, factors []float32, stride int, rows []int32) {
	if len(rows) > 0 && stride > 0 {
		chosen.gather(packed[:len(rows)*stride], factors, stride, rows)
	}
}

// GatherScaled is Gather with row k multiplied by scale[k].
func GatherScaled(packed, factors []float32, stride int, rows []int32, scale []float32) {
	if len(rows) > 0 && stride > 0 {
		chosen.gatherScaled(packed[:len(rows)*stride], factors, stride, rows, scale[:len(rows)])
	}
}

// AddGram adds PᵀP to the upper triangle of gram [stride × width], width ≥
// stride, with P [n × stride] the packed rows. Entries below the diagonal are
// left with values of no meaning.
func AddGram(gram []float32, width int, packed []float32, stride, n int) {
	if n > 0 && stride > 0 {
		chosen.addGram(gram[:(stride-1)*width+stride], width, packed[:n*stride], stride, stride, n)
	}
}

// AddCombination adds Σ_k c_k·p_k to v [stride], with p_k the rows of packed
// [len(c) × stride].
func AddCombination(v, packed []float32, stride int, c []float32) {
	if len(c) > 0 && stride > 0 {
		chosen.addCombination(v[:stride], packed[:len(c)*stride], stride, c)
	}
}

// AddSums is AddCombination that also adds Σ_k p_k to sum [stride].
func AddSums(sum, v, packed []float32, stride int, c []float32) {
	if len(c) > 0 && stride > 0 {
		chosen.addSums(sum[:stride], v[:stride], packed[:len(c)*stride], stride, c)
	}
}

// Products writes p_k·x into out[k], with p_k the first columns of the rows of
// packed [len(out) × stride], as many as x has, a multiple of Width.
func Products(out, packed []float32, stride int, x []float32) {
	switch {
	case len(x) == 0:
		clear(out)
	case len(out) > 0:
		chosen.products(out, packed[:(len(out)-1)*stride+len(x)], stride, x)
	}
}

// Dot is the inner product of x and y, which is as long.
func Dot(x, y []float32) float32 {
	if len(x) == 0 {
		return 0
	}
	return chosen.dot(x, y[:len(x)])
}

// Targets writes values[k] − mean − bias[rows[k]] into targets[k], and zeros up to
// the next multiple of Width. It returns the sums of these and of their squares.
// Rows have to be there: vector kernels do not look.
func Targets(targets, values []float32, rows []int32, bias []float32, mean float32) (sum, squares float64) {
	if len(rows) == 0 {
		return 0, 0
	}
	return chosen.targets(targets[:Stride(len(rows))], values[:len(rows)], rows, bias, mean)
}

// leastWeight is what weights are at least: too little to show, and not 0, by
// which nothing could be divided.
const leastWeight = 1e-12

// Weights writes √w into scale and (1+w)/√w into coefficient, with w each weight,
// or 1e-12 if that is less. All are of the same length, a multiple of Width.
func Weights(scale, coefficient, weights []float32) {
	if n := len(weights); n > 0 {
		chosen.weights(scale[:n], coefficient[:n], weights)
	}
}

// Cholesky factors the leading n×n part of a [n × width], of which it reads the
// upper triangle, into UᵀU = LLᵀ, and replaces whatever stands in the columns B
// to the right of it by L⁻¹B. n and width are multiples of Width. What is left
// in the n×n part is for SolveUpper.
//
// least is a lower bound of the matrix's eigenvalues, greater than 0. Squared
// pivots are never less than it but by rounding, and are raised to it. Where
// rounding may do more than least, so that the matrix might not be positive
// definite in float32, that much is added to the diagonal: no finite matrix leads
// to a NaN.
func Cholesky(a []float32, width, n int, least float32) {
	if n == 0 {
		return
	}
	largest := float32(0)
	for i := range n {
		if entry := a[i*width+i]; entry > largest {
			largest = entry
		}
	}
	const (
		epsilon = 1.0 / (1 << 23)
		summed  = 1024 // what sums of so many products, of which the matrix was made, may be off by
	)
	if rounding := float32(n+summed) * epsilon * largest; least < rounding { // after Higham 2002, "Accuracy and Stability of Numerical Algorithms", theorem 10.7
		for i := range n {
			a[i*width+i] += rounding
		}
		least = rounding
	}
	chosen.cholesky(a[:n*width], width, n, least)
}

// SolveUpper solves U·x = b in place of b [n], with U in a [n × width] as
// Cholesky leaves it.
func SolveUpper(a []float32, width, n int, b []float32) {
	if n > 0 {
		chosen.solveUpper(a[:n*width], width, n, b[:n])
	}
}

// Invert writes the upper triangle of A⁻¹ into out [n × width]. a [n × width],
// width ≥ 2n, has A in its first n columns, and is overwritten: A as Cholesky
// does it, the n columns to the right by L⁻¹, and columns beyond, B, by L⁻¹B.
func Invert(out, a []float32, width, n int, least float32) {
	for i := range n {
		row := a[i*width+n:][:n]
		clear(row)
		row[i] = 1
	}
	Cholesky(a, width, n, least)
	for i := range n {
		clear(out[i*width:][:n])
	}
	// A⁻¹ = (L⁻¹)ᵀ·L⁻¹
	chosen.addGram(out[:(n-1)*width+n], width, a[n:n*width], width, n, n)
}
