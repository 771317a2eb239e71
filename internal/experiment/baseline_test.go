package experiment

import (
	"math"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
)

func TestOnlineBiasesByHand(t *testing.T) {
	o := NewOnlineBias(&als.Factors{
		Mean: 3, Lambda: 1, Nu: 0.5,
		Users: []int64{7, 9}, UserBias: []float32{0.5, 9}, UserCounts: []int32{4, 0},
		Movies: []int64{1, 2}, MovieBias: []float32{0.25, -0.5}, MovieCounts: []int32{1, 1},
	})
	expect := func(user, movie int64, want float64) {
		t.Helper()
		if got := o.Predict(user, movie); math.Abs(got-want) > 1e-12 {
			t.Errorf("user %d, movie %d: got %v, want %v", user, movie, got, want)
		}
	}
	expect(7, 1, 3+0.25+0.5)
	expect(8, 1, 3.25)
	expect(9, 2, 2.5) // a row for what was tagged: no ratings
	expect(8, 5, 3)
	o.Learn(7, 2, 5)                                 // residual 2.5
	expect(7, 5, 3+(0.5*(4+2)+2.5)/(5+math.Sqrt(5))) // by all five ratings
	o.Learn(8, 5, 4)
	o.Learn(8, 1, 4.25)
	expect(8, 2, 2.5+2/(2+math.Sqrt2))
}
