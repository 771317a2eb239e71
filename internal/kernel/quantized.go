package kernel

import "math"

// Quantized is a matrix whose rows are rounded to four bits, each with a scale of
// its own: an eighth of the memory, from which comes fast what rows cannot have a
// great product with a vector. It is safe for concurrent use.
//
// For a row y ≈ ŷ and a vector x ≈ x̂, |x·y − x̂·ŷ| ≤ ‖x‖·‖y−ŷ‖ + ‖x−x̂‖·‖ŷ‖
// (Cauchy and Schwarz).
type Quantized struct {
	stride int
	rows   int     // with those that fill the last block
	data   []uint8 // blocks of blockRows rows, as bounds512 says
	norm   float32 // greatest ‖ŷ‖
}

const (
	blockRows = 16
	// QuantizedRows is what numbers of rows are rounded up to.
	QuantizedRows = 4 * blockRows

	greatestNibble = 7 // stored with 8 added
	greatestByte   = 127
)

// Quantize rounds factors [len(bias) × stride], or returns nil if the
// implementation in use has no use for it.
func Quantize(factors []float32, stride int, bias []float32) *Quantized {
	if chosen.bounds == nil || stride == 0 {
		return nil
	}
	q := &Quantized{stride: stride, rows: (len(bias) + QuantizedRows - 1) / QuantizedRows * QuantizedRows}
	q.data = alignedBytes(q.rows / blockRows * q.blockBytes())
	for row := range q.rows {
		if row >= len(bias) {
			q.terms(row, 1, 0, -math.MaxFloat32)
			continue
		}
		q.set(row, factors[row*stride:][:stride], bias[row])
	}
	return q
}

// blockBytes are the nibbles of blockRows rows, two lines of their scales, errors
// and biases.
func (q *Quantized) blockBytes() int { return blockRows*q.stride/2 + 2*blockRows*4 }

// terms stores what else is known of a row. Scale and error are bfloat16.
func (q *Quantized) terms(row int, scale, off, bias float32) {
	at := q.data[row/blockRows*q.blockBytes()+blockRows*q.stride/2+row%blockRows*4:]
	put(at, math.Float32bits(scale)>>16|math.Float32bits(off)&^0xffff)
	put(at[blockRows*4:], math.Float32bits(bias))
}

func put(to []uint8, value uint32) {
	to[0], to[1], to[2], to[3] = uint8(value), uint8(value>>8), uint8(value>>16), uint8(value>>24)
}

func (q *Quantized) set(row int, y []float32, bias float32) {
	block := q.data[row/blockRows*q.blockBytes():]
	scale := bestScale(y)
	squares, errors, all := 0.0, 0.0, 0.0
	for c, value := range y {
		rounded := round(value, scale, greatestNibble)
		block[c/8*4*blockRows+row%blockRows*4+c%4] |= uint8(rounded+8) << (c % 8 / 4 * 4)
		near := float64(rounded) * float64(scale)
		squares += near * near
		errors += (float64(value) - near) * (float64(value) - near)
		all += float64(value) * float64(value)
	}
	q.norm = max(q.norm, float32(math.Sqrt(squares)*1.0001))
	// And what float32 rounds away, in the bound and in the product itself.
	q.terms(row, scale, upBFloat16(math.Sqrt(errors)*1.0001+1e-5*math.Sqrt(all)), bias)
}

// bestScale returns the scale, a bfloat16, of those tried that leaves the least
// of y: clipping the largest values may leave less than a coarse scale does.
func bestScale(y []float32) float32 {
	largest := largestOf(y)
	best, least := float32(0), math.Inf(1)
	for _, share := range []float32{1, 0.9, 0.8, 0.7} {
		scale := upBFloat16(float64(share * largest / greatestNibble))
		left := 0.0
		for _, value := range y {
			off := float64(value) - float64(round(value, scale, greatestNibble))*float64(scale)
			left += off * off
		}
		if left < least {
			best, least = scale, left
		}
	}
	return best
}

// upBFloat16 rounds up, to a bfloat16 that is not less than value ≥ 0.
func upBFloat16(value float64) float32 {
	return math.Float32frombits((math.Float32bits(float32(value)*(1+1.0/(1<<22))) + 0xffff) &^ 0xffff)
}

func largestOf(x []float32) float32 {
	largest := float32(0)
	for _, value := range x {
		largest = max(largest, value, -value)
	}
	return largest
}

// round returns the nearest multiple of scale, as a number of −most to most.
func round(value, scale, most float32) int8 {
	if scale == 0 {
		return 0
	}
	return int8(min(max(math.RoundToEven(float64(value)/float64(scale)), -float64(most)), float64(most)))
}

// Query is a vector that rows of a Quantized are multiplied with. It may be used
// again, by one goroutine.
type Query struct {
	bytes      []int8
	offset     int32   // −8·Σ of the bytes, as nibbles are stored with 8 added
	scale, off float32 // of the bytes; ‖x−x̂‖
	norm       float32 // ‖x‖
	terms      [3]float32
}

// Set rounds x [stride].
func (q *Query) Set(x []float32) {
	q.bytes = q.bytes[:0]
	q.scale, q.offset = largestOf(x)/greatestByte, 0
	norm, errors := 0.0, 0.0
	inverse := float32(0)
	if q.scale > 0 {
		inverse = 1 / q.scale
	}
	for _, value := range x {
		rounded := int8(math.RoundToEven(float64(min(max(value*inverse, -greatestByte), greatestByte))))
		q.bytes = append(q.bytes, rounded)
		q.offset -= 8 * int32(rounded)
		off := float64(value) - float64(rounded)*float64(q.scale)
		norm += float64(value) * float64(value)
		errors += off * off
	}
	q.norm, q.off = float32(math.Sqrt(norm)*1.0001), float32(math.Sqrt(errors)*1.0001)
}

// Norm is ‖x‖, or slightly more.
func (q *Query) Norm() float32 { return q.norm }

// Reaching sets bit k%16 of masks[k/16] if the product of row from+k with the
// query, plus the row's bias, may be threshold or more; where the bit is not set
// it is less. from is a multiple of QuantizedRows, and rows from there on are as
// many as masks has bits, a multiple of QuantizedRows, or up to the last.
func (q *Quantized) Reaching(masks []uint16, from int, query *Query, threshold float32) {
	blocks := min(len(masks), (q.rows-from)/blockRows)
	if blocks > 0 {
		query.terms = [3]float32{query.scale, query.norm, threshold - query.off*q.norm}
		chosen.bounds(masks[:blocks], q.data[from/blockRows*q.blockBytes():], q.stride, query)
	}
}
