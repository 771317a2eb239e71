package recsystest

import (
	"math"
	"math/rand/v2"
)

// Turned returns two lists of rows [n × rank] multiplied by a random orthogonal matrix,
// made by Gram and Schmidt: all products between rows stay but for rounding.
func Turned(rank int, seed uint64, a, b []float32) (turnedA, turnedB []float32) {
	r := rand.New(rand.NewPCG(seed, 9))
	q := make([][]float64, rank)
	for i := range q {
		q[i] = make([]float64, rank)
		for c := range q[i] {
			q[i][c] = r.NormFloat64()
		}
		for range 2 {
			for _, other := range q[:i] {
				dot := 0.0
				for c := range other {
					dot += other[c] * q[i][c]
				}
				for c := range other {
					q[i][c] -= dot * other[c]
				}
			}
		}
		norm := 0.0
		for _, v := range q[i] {
			norm += v * v
		}
		for c := range q[i] {
			q[i][c] /= math.Sqrt(norm)
		}
	}
	each := func(rows []float32) []float32 {
		out := make([]float32, len(rows))
		for from := 0; from < len(rows); from += rank {
			for i := range q {
				sum := 0.0
				for c, v := range rows[from : from+rank] {
					sum += q[i][c] * float64(v)
				}
				out[from+i] = float32(sum)
			}
		}
		return out
	}
	return each(a), each(b)
}
