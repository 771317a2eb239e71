package als

import (
	"fmt"

	"gonum.org/v1/gonum/mat"
)

// Triangle is the number of entries of a symmetric matrix dim × dim.
func Triangle(dim int) int { return dim * (dim + 1) / 2 }

// packTriangle writes the lower triangle, row by row, of a matrix [dim × dim]
// given by its upper one.
func packTriangle(out, v []float32, dim, stride int) {
	k := 0
	for a := range dim {
		for c := range a + 1 {
			out[k] = v[c*stride+a]
			k++
		}
	}
}

// unpackTriangle is the reverse.
func unpackTriangle(v, packed []float32, dim, stride int) {
	k := 0
	for a := range dim {
		for c := range a + 1 {
			v[c*stride+a] = packed[k]
			k++
		}
	}
}

// InvertTriangle returns the inverse of a symmetric matrix dim × dim, both as
// packed lower triangles. It fails if the matrix is not positive definite.
func InvertTriangle(packed []float32, dim int) ([]float32, error) {
	inverse := mat.NewSymDense(dim, nil)
	var decomposition mat.Cholesky
	if !decomposition.Factorize(unpackSymmetric(packed, dim)) {
		return nil, errNotPositive
	}
	if err := decomposition.InverseTo(inverse); err != nil {
		return nil, fmt.Errorf("inverting a precision: %w", err)
	}
	return packSymmetric(inverse), nil
}

// unpackSymmetric is the reverse of packSymmetric.
func unpackSymmetric(packed []float32, dim int) *mat.SymDense {
	full := mat.NewSymDense(dim, nil)
	for a := range dim {
		for c := range a + 1 {
			full.SetSym(a, c, float64(packed[Triangle(a)+c]))
		}
	}
	return full
}

func packSymmetric(p *mat.SymDense) []float32 {
	var out []float32
	for a := range p.SymmetricDim() {
		for c := range a + 1 {
			out = append(out, float32(p.At(a, c)))
		}
	}
	return out
}
