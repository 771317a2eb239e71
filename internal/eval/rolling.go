package eval

import "math"

// Rolling is the RMSE of about the last Window errors: each counts e^(−k/Window) once k
// more have come. The zero value with a Window is ready. Not safe for concurrent use.
type Rolling struct {
	Window float64 // in errors, more than 0

	squares, weight float64
}

// Add adds n errors whose squares sum up to squares, and returns the RMSE; NaN while
// there was none. Those of one call count alike.
func (r *Rolling) Add(n int, squares float64) float64 {
	if n > 0 {
		fade := math.Exp(-float64(n) / r.Window)
		r.squares = r.squares*fade + squares
		r.weight = r.weight*fade + float64(n)
	}
	return math.Sqrt(r.squares / r.weight)
}
