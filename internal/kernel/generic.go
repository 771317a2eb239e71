package kernel

import "math"

// Gather copies rows of factors [· × stride] one after another into packed
// [len(rows) × stride].
func Gather(packed, factors []float32, stride int, rows []int32) {
	for k, row := range rows {
		copy(packed[k*stride:][:stride], factors[int(row)*stride:][:stride])
	}
}

// GatherScaled is Gather with row k multiplied by scale[k].
func GatherScaled(packed, factors []float32, stride int, rows []int32, scale []float32) {
	for k, row := range rows {
		from, to, by := factors[int(row)*stride:][:stride], packed[k*stride:][:stride], scale[k]
		for c, value := range from {
			to[c] = by * value
		}
	}
}

// AddGram adds PᵀP to the lower triangle of gram [stride × stride], with P the
// rows of packed [n × stride]. Entries above the diagonal are left with values
// of no meaning.
func AddGram(gram, packed []float32, stride, n int) {
	for k := range n {
		row := packed[k*stride:][:stride]
		for i, a := range row {
			to := gram[i*stride:][:i+1]
			for j, b := range row[:i+1] {
				to[j] += a * b
			}
		}
	}
}

// AddCombination adds Σ_k c_k·p_k to v [stride], with p_k the rows of packed
// [len(c) × stride].
func AddCombination(v, packed []float32, stride int, c []float32) {
	v = v[:stride]
	for k, by := range c {
		for i, value := range packed[k*stride:][:stride] {
			v[i] += by * value
		}
	}
}

// Products writes p_k·x into out[k], with p_k the rows of packed [len(out) ×
// stride] and x [stride].
func Products(out, packed []float32, stride int, x []float32) {
	for k := range out {
		out[k] = Dot(packed[k*stride:][:stride], x[:stride])
	}
}

// Dot is the inner product of two slices of equal length.
func Dot(x, y []float32) float32 {
	var s0, s1, s2, s3 float32
	y = y[:len(x)]
	for len(x) >= 4 {
		s0 += x[0] * y[0]
		s1 += x[1] * y[1]
		s2 += x[2] * y[2]
		s3 += x[3] * y[3]
		x, y = x[4:], y[4:]
	}
	for k := range x {
		s0 += x[k] * y[k]
	}
	return (s0 + s1) + (s2 + s3)
}

// Cholesky replaces the lower triangle of the leading n×n part of a [· ×
// stride] by its Cholesky factor L, A = L·Lᵀ, whose diagonal holds 1/L_ii.
//
// least is a lower bound of A's eigenvalues, greater than 0. Squared pivots are
// never less than it but by rounding, and are raised to it, so that no finite
// input leads to a NaN.
func Cholesky(a []float32, stride, n int, least float32) {
	for i := range n {
		row := a[i*stride:][:i+1]
		for j := range i {
			other := a[j*stride:][:j+1]
			row[j] = (row[j] - Dot(row[:j], other[:j])) * other[j]
		}
		row[i] = float32(1 / math.Sqrt(float64(max(row[i]-Dot(row[:i], row[:i]), least))))
	}
}

// SolveLower solves L·x = b in place of b [n], with L as Cholesky leaves it.
func SolveLower(l []float32, stride, n int, b []float32) {
	b = b[:n]
	for i := range b {
		row := l[i*stride:][:i+1]
		b[i] = (b[i] - Dot(row[:i], b[:i])) * row[i]
	}
}

// SolveUpper solves Lᵀ·x = b in place of b [n], with L as Cholesky leaves it.
func SolveUpper(l []float32, stride, n int, b []float32) {
	b = b[:n]
	for i := n - 1; i >= 0; i-- {
		row := l[i*stride:][:i+1]
		x := b[i] * row[i]
		b[i] = x
		for j, value := range row[:i] {
			b[j] -= value * x
		}
	}
}

// Invert writes the lower triangle of A⁻¹ into out [· × stride], with L [· ×
// stride] of A = L·Lᵀ as Cholesky leaves it, both n×n. out must not be l.
func Invert(out, l []float32, stride, n int) {
	// Rows of L⁻¹ first: M_ij = −(Σ_{j≤k<i} L_ik·M_kj) / L_ii.
	for i := range n {
		row, to := l[i*stride:][:i+1], out[i*stride:][:i+1]
		clear(to)
		for k := range i {
			by := row[k]
			for j, m := range out[k*stride:][:k+1] {
				to[j] -= by * m
			}
		}
		for j := range i {
			to[j] *= row[i]
		}
		to[i] = row[i]
	}
	// A⁻¹ = MᵀM: entry (i, j) needs rows k ≥ i of M, so rows are finished from the top.
	for i := range n {
		to := out[i*stride:][:i+1]
		first := to[i]
		for j := range to {
			to[j] *= first
		}
		for k := i + 1; k < n; k++ {
			m := out[k*stride:][:k+1]
			by := m[i]
			for j := range to {
				to[j] += by * m[j]
			}
		}
	}
}
