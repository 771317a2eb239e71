package kernel

import "math"

// Quantized is a matrix whose rows are rounded to eight bits, each with a scale
// of its own: a quarter of the memory, from which comes fast what rows cannot
// have a great product with a vector. It is safe for concurrent use.
//
// For a row y ≈ ŷ and a vector x ≈ x̂, |x·y − x̂·ŷ| ≤ ‖x‖·‖y−ŷ‖ + ‖x−x̂‖·‖ŷ‖
// (Cauchy and Schwarz).
type Quantized struct {
	stride int
	data   []int8  // blocks of blockRows rows: for every four columns, four of each row
	offset []int32 // −128·Σ of a row's bytes, as queries are stored with 128 added
	scale  []float32
	bias   []float32
	errors []float32 // ‖y−ŷ‖
	norms  []float32 // ‖ŷ‖
}

const (
	blockRows = 16
	// QuantizedRows is what numbers of rows are rounded up to.
	QuantizedRows = 4 * blockRows
	greatest      = 127 // of a signed byte
)

// Quantize rounds factors [len(bias) × stride], or returns nil if the
// implementation in use has no use for it.
func Quantize(factors []float32, stride int, bias []float32) *Quantized {
	if chosen.bounds == nil || stride == 0 {
		return nil
	}
	rows := len(bias)
	size := (rows + QuantizedRows - 1) / QuantizedRows * QuantizedRows
	q := &Quantized{
		stride: stride, data: make([]int8, size*stride), offset: make([]int32, size),
		scale: Aligned(size), bias: Aligned(size), errors: Aligned(size), norms: Aligned(size),
	}
	for row := range size {
		if row >= rows {
			q.bias[row] = -math.MaxFloat32
			continue
		}
		q.bias[row] = bias[row]
		q.setRow(row, factors[row*stride:][:stride])
	}
	return q
}

func (q *Quantized) setRow(row int, y []float32) {
	block := q.data[row/blockRows*blockRows*q.stride:][:blockRows*q.stride]
	scale := scaleOf(y)
	q.scale[row] = scale
	sum, squares, errors, all := int32(0), 0.0, 0.0, 0.0
	for c, value := range y {
		rounded := round(value, scale)
		block[c/4*4*blockRows+row%blockRows*4+c%4] = rounded
		sum += int32(rounded)
		near := float64(rounded) * float64(scale)
		squares += near * near
		errors += (float64(value) - near) * (float64(value) - near)
		all += float64(value) * float64(value)
	}
	q.offset[row] = -128 * sum
	q.norms[row] = float32(math.Sqrt(squares) * 1.0001)
	// And what float32 rounds away, in the bound and in the product itself.
	q.errors[row] = float32(math.Sqrt(errors)*1.0001 + 1e-5*math.Sqrt(all))
}

func scaleOf(x []float32) float32 {
	largest := float32(0)
	for _, value := range x {
		largest = max(largest, value, -value)
	}
	return largest / greatest
}

func round(value, scale float32) int8 {
	if scale == 0 {
		return 0
	}
	return int8(min(max(math.RoundToEven(float64(value)/float64(scale)), -greatest), greatest))
}

// Query is a vector that rows of a Quantized are multiplied with. It may be used
// again, by one goroutine.
type Query struct {
	bytes []uint8
	terms [4]float32 // scale, norm, error and threshold
}

// Set rounds x [stride].
func (q *Query) Set(x []float32) {
	q.bytes = append(q.bytes[:0], make([]uint8, len(x))...)
	scale := scaleOf(x)
	norm, errors := 0.0, 0.0
	for c, value := range x {
		rounded := round(value, scale)
		q.bytes[c] = uint8(int(rounded) + 128)
		off := float64(value) - float64(rounded)*float64(scale)
		norm += float64(value) * float64(value)
		errors += off * off
	}
	q.terms = [4]float32{scale, float32(math.Sqrt(norm) * 1.0001), float32(math.Sqrt(errors) * 1.0001), 0}
}

// Reaching sets bit k%16 of masks[k/16] if the product of row from+k with the
// query, plus the row's bias, may be threshold or more; where the bit is not set
// it is less. from is a multiple of QuantizedRows, and rows from there on are as
// many as masks has bits, a multiple of QuantizedRows, or up to the last.
func (q *Quantized) Reaching(masks []uint16, from int, query *Query, threshold float32) {
	blocks := min(len(masks), (len(q.offset)-from)/blockRows)
	if blocks <= 0 {
		return
	}
	query.terms[3] = threshold
	chosen.bounds(masks[:blocks], q, from, query)
}
