package kernel

import "math"

// generic is plain Go: for processors without kernels of their own, and what
// those are easiest compared with.
var generic = implementation{
	name:           "go",
	gather:         gather,
	gatherScaled:   gatherScaled,
	addGram:        addGram,
	addCombination: addCombination,
	addSums:        addSums,
	products:       products,
	dot:            dot,
	targets:        targets,
	weights:        weights,
	cholesky:       cholesky,
	solveUpper:     solveUpper,
}

func gather(packed, factors []float32, stride int, rows []int32) {
	for k, row := range rows {
		copy(packed[k*stride:][:stride], factors[int(row)*stride:][:stride])
	}
}

func gatherScaled(packed, factors []float32, stride int, rows []int32, scale []float32) {
	for k, row := range rows {
		from, to, by := factors[int(row)*stride:][:stride], packed[k*stride:][:stride], scale[k]
		for c, value := range from {
			to[c] = by * value
		}
	}
}

// addGram takes four rows at a time, so that sums are loaded and stored once for
// four products.
func addGram(gram []float32, width int, packed []float32, stride, columns, n int) {
	k := 0
	for ; k+4 <= n; k += 4 {
		p0, p1 := packed[(k+0)*stride:][:columns], packed[(k+1)*stride:][:columns]
		p2, p3 := packed[(k+2)*stride:][:columns], packed[(k+3)*stride:][:columns]
		for i := range columns {
			a0, a1, a2, a3 := p0[i], p1[i], p2[i], p3[i]
			to := gram[i*width+i:][:columns-i]
			q0, q1, q2, q3 := p0[i:][:len(to)], p1[i:][:len(to)], p2[i:][:len(to)], p3[i:][:len(to)]
			for j := range to {
				to[j] += (a0*q0[j] + a1*q1[j]) + (a2*q2[j] + a3*q3[j])
			}
		}
	}
	for ; k < n; k++ {
		row := packed[k*stride:][:columns]
		for i, by := range row {
			addScaled(gram[i*width+i:][:columns-i], by, row[i:])
		}
	}
}

// addScaled adds by·x to v, which is as long.
func addScaled(v []float32, by float32, x []float32) {
	x = x[:len(v)]
	for i := range v {
		v[i] += by * x[i]
	}
}

func addCombination(v, packed []float32, stride int, c []float32) {
	for k, by := range c {
		addScaled(v, by, packed[k*stride:])
	}
}

func addSums(sum, v, packed []float32, stride int, c []float32) {
	for k, by := range c {
		row := packed[k*stride:][:len(v)]
		sum := sum[:len(v)]
		for i, value := range row {
			sum[i] += value
			v[i] += by * value
		}
	}
}

func products(out, packed []float32, stride int, x []float32) {
	for k := range out {
		out[k] = dot(x, packed[k*stride:][:len(x)])
	}
}

func dot(x, y []float32) float32 {
	var s0, s1, s2, s3 float32
	for len(x) >= 4 && len(y) >= 4 {
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

func targets(targets, values []float32, rows []int32, bias []float32, mean float32) (sum, squares float64) {
	clear(targets[len(values):])
	targets, rows = targets[:len(values)], rows[:len(values)]
	var sums, ofSquares [2]float64 // of even and of odd ratings, which do not wait for each other
	k := 0
	for ; k+2 <= len(values); k += 2 {
		t0, t1 := values[k]-mean-bias[rows[k]], values[k+1]-mean-bias[rows[k+1]]
		targets[k], targets[k+1] = t0, t1
		even, odd := float64(t0), float64(t1)
		sums[0], sums[1] = sums[0]+even, sums[1]+odd
		ofSquares[0], ofSquares[1] = ofSquares[0]+even*even, ofSquares[1]+odd*odd
	}
	for ; k < len(values); k++ {
		targets[k] = values[k] - mean - bias[rows[k]]
		last := float64(targets[k])
		sums[0], ofSquares[0] = sums[0]+last, ofSquares[0]+last*last
	}
	return sums[0] + sums[1], ofSquares[0] + ofSquares[1]
}

func weights(scale, coefficient, weights []float32) {
	scale, coefficient = scale[:len(weights)], coefficient[:len(weights)]
	for k, weight := range weights {
		if weight < leastWeight {
			weight = leastWeight
		}
		root := float32(math.Sqrt(float64(weight)))
		scale[k], coefficient[k] = root, (1+weight)/root
	}
}

// cholesky leaves the rows of U, with 1/U_ii on the diagonal.
func cholesky(a []float32, width, n int, least float32) {
	for k := range n {
		row := a[k*width:][:width]
		by := float32(1 / math.Sqrt(float64(max(row[k], least))))
		row[k] = by
		for j := k + 1; j < width; j++ {
			row[j] *= by
		}
		for i := k + 1; i < n; i++ {
			addScaled(a[i*width+i:(i+1)*width], -row[i], row[i:])
		}
	}
}

func solveUpper(a []float32, width, n int, b []float32) {
	for i := n - 1; i >= 0; i-- {
		row := a[i*width:][:n]
		b[i] = (b[i] - dot(row[i+1:], b[i+1:])) * row[i]
	}
}
