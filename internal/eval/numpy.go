package eval

import (
	"math/bits"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// NumpySplit is the split of a script that says
//
//	order = numpy.random.default_rng(seed).permutation(n)
//	train, test = order[:int((1 - p) * n)], order[int((1 - p) * n):]
//
// of the n ratings as they stand in their file. Both parts are in the order of
// the permutation. Unlike RandomSplit it depends on the order of the ratings,
// and one rating more changes all of it.
func NumpySplit(all []ratings.Rating, p float64, seed uint64) (train, test []ratings.Rating) {
	shuffled := make([]ratings.Rating, len(all))
	for to, from := range numpyPermutation(seed, len(all)) {
		shuffled[to] = all[from]
	}
	cut := min(max(int((1-p)*float64(len(all))), 0), len(all))
	return shuffled[:cut:cut], shuffled[cut:]
}

// numpyPermutation is numpy.random.default_rng(seed).permutation(n): Fisher and
// Yates' shuffle from the end (Durstenfeld 1964) with bounded numbers by masks
// and rejection, as NumPy 1.17 and later draw them.
func numpyPermutation(seed uint64, n int) []int {
	random := newNumpyPCG64(seed)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	for i := n - 1; i >= 1; i-- {
		j := random.upTo(uint64(i))
		order[i], order[j] = order[j], order[i]
	}
	return order
}

// numpyPCG64 is PCG-XSL-RR 128/64 (O'Neill 2014), NumPy's default generator.
// The one of math/rand/v2 has another output function.
type numpyPCG64 struct {
	high, low       uint64 // state
	incHigh, incLow uint64
	half            uint32 // the upper half of the last number, if it is unused
	hasHalf         bool
}

const (
	pcgMultiplierHigh = 2549297995355413924
	pcgMultiplierLow  = 4865540595714422341
)

func newNumpyPCG64(seed uint64) *numpyPCG64 {
	words := numpySeed(seed)
	r := &numpyPCG64{incHigh: words[2]<<1 | words[3]>>63, incLow: words[3]<<1 | 1}
	r.step()
	r.add(words[0], words[1])
	r.step()
	return r
}

func (r *numpyPCG64) add(high, low uint64) {
	var carry uint64
	r.low, carry = bits.Add64(r.low, low, 0)
	r.high, _ = bits.Add64(r.high, high, carry)
}

func (r *numpyPCG64) step() {
	high, low := bits.Mul64(r.low, pcgMultiplierLow)
	high += r.high*pcgMultiplierLow + r.low*pcgMultiplierHigh
	r.high, r.low = high, low
	r.add(r.incHigh, r.incLow)
}

func (r *numpyPCG64) uint64() uint64 {
	r.step()
	return bits.RotateLeft64(r.high^r.low, -int(r.high>>58))
}

// uint32 gives the lower half of a number, and then the upper.
func (r *numpyPCG64) uint32() uint32 {
	if r.hasHalf {
		r.hasHalf = false
		return r.half
	}
	value := r.uint64()
	r.half, r.hasHalf = uint32(value>>32), true
	return uint32(value)
}

// upTo returns a number from 0 to most, which is above 0.
func (r *numpyPCG64) upTo(most uint64) uint64 {
	mask := uint64(1)<<bits.Len64(most) - 1
	for {
		var value uint64
		if most>>32 == 0 {
			value = uint64(r.uint32()) & mask
		} else {
			value = r.uint64() & mask
		}
		if value <= most {
			return value
		}
	}
}

// numpySeed is numpy.random.SeedSequence(seed).generate_state(4, numpy.uint64):
// O'Neill's seed_seq_fe128 over a pool of four words.
func numpySeed(seed uint64) (out [4]uint64) {
	const (
		initA, multiplyA  = 0x43b0d7e5, 0x931e8875
		initB, multiplyB  = 0x8b51f9dd, 0x58f38ded
		mixLeft, mixRight = 0xca01f9dd, 0x4973f715
		shift             = 16
	)
	a := uint32(initA)
	hash := func(value uint32) uint32 {
		value ^= a
		a *= multiplyA
		value *= a
		return value ^ value>>shift
	}
	pool := [4]uint32{uint32(seed), uint32(seed >> 32)} // missing words count as 0
	for i := range pool {
		pool[i] = hash(pool[i])
	}
	for from := range pool {
		for to := range pool {
			if from != to {
				value := pool[to]*mixLeft - hash(pool[from])*mixRight
				pool[to] = value ^ value>>shift
			}
		}
	}
	b := uint32(initB)
	for i := range 2 * len(out) {
		value := pool[i%len(pool)] ^ b
		b *= multiplyB
		value *= b
		out[i/2] |= uint64(value^value>>shift) << (32 * (i % 2))
	}
	return out
}
