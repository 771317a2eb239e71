package live

import (
	"math"
	"strconv"
)

// Number is a statistic as JSON: null where there is no data (NaN), and at most
// four decimals otherwise.
type Number float64

var none = Number(math.NaN())

// MarshalJSON never fails: what is not finite is null.
func (n Number) MarshalJSON() ([]byte, error) {
	f := float64(n)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, math.Round(f*1e4)/1e4, 'f', -1, 64), nil
}

// mean accumulates a mean.
type mean struct {
	n   int64
	sum float64
}

func (m *mean) add(x float64) { m.n++; m.sum += x }

func (m mean) value() Number {
	if m.n == 0 {
		return none
	}
	return Number(m.sum / float64(m.n))
}

// errorSum accumulates errors of predictions, in stars.
type errorSum struct {
	n             int64
	squares, size float64
}

func (e *errorSum) add(err float64) { e.n++; e.squares += err * err; e.size += math.Abs(err) }

func (e *errorSum) remove(err float64) { e.n--; e.squares -= err * err; e.size -= math.Abs(err) }

func (e *errorSum) merge(other errorSum) {
	e.n += other.n
	e.squares += other.squares
	e.size += other.size
}

func (e errorSum) accuracy() Accuracy {
	if e.n <= 0 {
		return Accuracy{RMSE: none, MAE: none}
	}
	n := float64(e.n)
	return Accuracy{Count: e.n, RMSE: Number(math.Sqrt(max(e.squares, 0) / n)), MAE: Number(e.size / n)}
}
