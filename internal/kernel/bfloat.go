package kernel

// bfloats are the kernels for rows in bfloat16, the upper half of a float32: two
// rows are taken at once, and a product costs half of what it does in float32.
type bfloats struct {
	halve          func(to []uint16, from []float32)
	pairs          func(packed []uint32, factors []uint16, stride int, rows []int32)
	pairsScaled    func(packed []uint32, factors []float32, stride int, rows []int32, scale []float32)
	gramPairs      func(gram []float32, width int, packed []uint32, stride, pairs int, overwrite bool)
	sumsPairs      func(sum, v []float32, packed []uint32, stride int, high, low []uint32)
	splitPairs     func(high, low []uint32, c []float32)
	gather         func(packed, factors []uint16, stride int, rows []int32)
	products       func(out []float32, packed []uint16, stride int, x []uint16, weights []float32)
	addCombination func(v []float32, packed []uint16, stride int, c []float32)
}

// HasBFloat16 reports whether the implementation in use has kernels for
// bfloat16. Without them those whose names have Pairs or Halve in them are not to
// be called.
func HasBFloat16() bool { return chosen.bfloats != nil }

// Halve rounds from to bfloat16, to the nearest, ties to even. Both are of the
// same length, a multiple of Width.
func Halve(to []uint16, from []float32) {
	if len(from) > 0 {
		chosen.bfloats.halve(to[:len(from)], from)
	}
}

// Pairs copies rows of factors [· × stride], in bfloat16, two at a time, into
// packed [⌈len(rows)/2⌉ × stride]: each entry has a column of the first row in
// its lower and of the second row in its upper half. A last row without a second
// has zeros there. Rows have to be there: vector kernels do not look.
func Pairs(packed []uint32, factors []uint16, stride int, rows []int32) {
	if stride == 0 {
		return
	}
	pairs := len(rows) / 2
	if pairs > 0 {
		chosen.bfloats.pairs(packed[:pairs*stride], factors, stride, rows[:2*pairs])
	}
	if 2*pairs < len(rows) {
		to := packed[pairs*stride:][:stride]
		for c, half := range factors[int(rows[2*pairs])*stride:][:stride] {
			to[c] = uint32(half)
		}
	}
}

// PairsScaled is Pairs of rows in float32, row k times scale[k].
func PairsScaled(packed []uint32, factors []float32, stride int, rows []int32, scale []float32) {
	if stride == 0 {
		return
	}
	pairs := len(rows) / 2
	scale = scale[:len(rows)]
	if pairs > 0 {
		chosen.bfloats.pairsScaled(packed[:pairs*stride], factors, stride, rows[:2*pairs], scale)
	}
	if 2*pairs < len(rows) { // the last with itself, times 0
		rows, scale := [2]int32{rows[2*pairs], rows[2*pairs]}, [2]float32{scale[2*pairs]}
		chosen.bfloats.pairsScaled(packed[pairs*stride:][:stride], factors, stride, rows[:], scale[:])
	}
}

// AddGramPairs is AddGram of rows as Pairs leaves them. Products of bfloat16 are
// exact, sums are in float32.
func AddGramPairs(gram []float32, width int, packed []uint32, stride, pairs int) {
	if pairs > 0 && stride > 0 {
		chosen.bfloats.gramPairs(gram[:(stride-1)*width+stride], width, packed[:pairs*stride], stride, pairs, false)
	}
}

// SetGramPairs is AddGramPairs to zeros, of at least one pair.
func SetGramPairs(gram []float32, width int, packed []uint32, stride, pairs int) {
	chosen.bfloats.gramPairs(gram[:(stride-1)*width+stride], width, packed[:pairs*stride], stride, pairs, true)
}

// AddSumsPairs is AddSums of rows as Pairs leaves them, with coefficients as
// SplitPairs leaves them.
func AddSumsPairs(sum, v []float32, packed []uint32, stride int, high, low []uint32) {
	if len(high) > 0 && stride > 0 {
		chosen.bfloats.sumsPairs(sum[:stride], v[:stride], packed[:len(high)*stride], stride, high, low[:len(high)])
	}
}

// SplitPairs makes of each coefficient the sum of two bfloat16, which is right to
// 2⁻¹⁵ of it, and writes them in pairs into high and low [len(c)/2]. len(c) is a
// multiple of 2·Width.
func SplitPairs(high, low []uint32, c []float32) {
	if len(c) > 0 {
		chosen.bfloats.splitPairs(high[:len(c)/2], low[:len(c)/2], c)
	}
}

// HalfWidth is how many bfloat16 a row of GatherHalves, ProductsHalves and
// AddCombinationHalves is a multiple of.
const HalfWidth = 2 * Width

// GatherHalves is Gather of rows in bfloat16.
func GatherHalves(packed, factors []uint16, stride int, rows []int32) {
	if len(rows) > 0 && stride > 0 {
		chosen.bfloats.gather(packed[:len(rows)*stride], factors, stride, rows)
	}
}

// ProductsHalves is Products of rows and a vector [stride] in bfloat16, each times
// its weight. len(out) is a multiple of Width.
func ProductsHalves(out []float32, packed []uint16, stride int, x []uint16, weights []float32) {
	if len(out) > 0 && stride > 0 {
		chosen.bfloats.products(out, packed[:len(out)*stride], stride, x[:stride], weights[:len(out)])
	}
}

// AddCombinationHalves is AddCombination of rows in bfloat16.
func AddCombinationHalves(v []float32, packed []uint16, stride int, c []float32) {
	if len(c) > 0 && stride > 0 {
		chosen.bfloats.addCombination(v[:stride], packed[:len(c)*stride], stride, c)
	}
}
