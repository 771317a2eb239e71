package eval

import "math"

// RMSE is a running root mean squared error. The zero value is ready; it is not
// safe for concurrent use.
type RMSE struct {
	squares float64
	count   int64
}

// Add counts one prediction, in the unit of the ratings.
func (e *RMSE) Add(prediction, actual float64) {
	difference := prediction - actual
	e.squares += difference * difference
	e.count++
}

// Value is the root mean squared error of all that was added, and 0 if Count is.
func (e *RMSE) Value() float64 {
	if e.count == 0 {
		return 0
	}
	return math.Sqrt(e.squares / float64(e.count))
}

// Count is how many predictions were added.
func (e *RMSE) Count() int64 { return e.count }
