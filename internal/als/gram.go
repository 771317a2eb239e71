package als

import "math"

// Arithmetic is float64 here although factors are stored as float32: in plain
// Go, which has no vector instructions, it costs the same and saves all care
// about rounding.

// addGram adds P·Pᵀ to the lower triangle of the size×size matrix gram, where
// row i of P is packed[i·stride : i·stride+length]. size must be a multiple of
// 4. Entries above the diagonal are left with values of no meaning.
//
// It goes over tiles of 4×2 entries: their 8 sums, 6 operands and one product
// are what the 15 vector registers of amd64 can hold.
func addGram(gram []float64, size int, packed []float64, stride, length int) {
	for i := 0; i < size; i += 4 {
		a0 := packed[(i+0)*stride:][:length]
		a1 := packed[(i+1)*stride:][:length]
		a2 := packed[(i+2)*stride:][:length]
		a3 := packed[(i+3)*stride:][:length]
		g0 := gram[(i+0)*size:][:i+4]
		g1 := gram[(i+1)*size:][:i+4]
		g2 := gram[(i+2)*size:][:i+4]
		g3 := gram[(i+3)*size:][:i+4]
		for j := 0; j < i+4; j += 2 {
			b0 := packed[(j+0)*stride:][:length]
			b1 := packed[(j+1)*stride:][:length]
			s00, s01, s10, s11, s20, s21, s30, s31 := tile(a0, a1, a2, a3, b0, b1)
			g0[j] += s00
			g0[j+1] += s01
			g1[j] += s10
			g1[j+1] += s11
			g2[j] += s20
			g2[j+1] += s21
			g3[j] += s30
			g3[j+1] += s31
		}
	}
}

// tile returns the inner products of each a with each b; all have one length.
func tile(a0, a1, a2, a3, b0, b1 []float64) (s00, s01, s10, s11, s20, s21, s30, s31 float64) {
	a1, a2, a3 = a1[:len(a0)], a2[:len(a0)], a3[:len(a0)]
	b0, b1 = b0[:len(a0)], b1[:len(a0)]
	for r, p0 := range a0 {
		q0, q1 := b0[r], b1[r]
		p1, p2, p3 := a1[r], a2[r], a3[r]
		s00 += p0 * q0
		s01 += p0 * q1
		s10 += p1 * q0
		s11 += p1 * q1
		s20 += p2 * q0
		s21 += p2 * q1
		s30 += p3 * q0
		s31 += p3 * q1
	}
	return
}

// cholesky replaces the lower triangle of the leading n×n part of a (row-major
// with the given stride) by its Cholesky factor L, A = L·Lᵀ; the diagonal holds
// 1/L_ii.
//
// least is a lower bound of A's eigenvalues, greater than 0: here the
// regularization. Squared pivots are never less than it but by rounding, and
// are raised to it, so that no input can lead to a NaN.
func cholesky(a []float64, n, stride int, least float64) {
	for i := range n {
		row := a[i*stride:][:i+1]
		for j := range i {
			other := a[j*stride:][:j+1]
			row[j] = (row[j] - dot(row[:j], other[:j])) * other[j]
		}
		row[i] = 1 / math.Sqrt(max(row[i]-dot(row[:i], row[:i]), least))
	}
}

// substitute solves L·Lᵀ·x = b in place of b, with L as cholesky leaves it.
func substitute(l []float64, n, stride int, b []float64) {
	b = b[:n]
	for i := range b {
		row := l[i*stride:][:i+1]
		b[i] = (b[i] - dot(row[:i], b[:i])) * row[i]
	}
	for i := n - 1; i >= 0; i-- {
		row := l[i*stride:][:i+1]
		x := b[i] * row[i]
		b[i] = x
		for j, value := range row[:i] {
			b[j] -= value * x
		}
	}
}

// dot is the inner product of two slices of equal length.
func dot(a, b []float64) float64 {
	var s0, s1, s2, s3 float64
	b = b[:len(a)]
	for len(a) >= 4 {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	for c, value := range a {
		s0 += value * b[c]
	}
	return (s0 + s1) + (s2 + s3)
}
