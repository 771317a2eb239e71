package eval

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestBootstrapIntervalIsThatOfTheMean compares with the normal interval of a
// mean, which for many users is the same: mean ± 1.645 standard errors.
func TestBootstrapIntervalIsThatOfTheMean(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	values, sum, squares := make([]float64, 1000), 0.0, 0.0
	for user := range values {
		values[user] = random.NormFloat64()
		sum += values[user]
		squares += values[user] * values[user]
	}
	n := float64(len(values))
	mean := sum / n
	width := 1.645 * math.Sqrt((squares/n-mean*mean)/n)
	got := bootstrap(42, len(values), func(user int) (float64, float64) { return values[user], 1 })
	// 2,000 draws give either quantile to about 5 % of the half width.
	if math.Abs(got.Low-(mean-width)) > 0.15*width || math.Abs(got.High-(mean+width)) > 0.15*width {
		t.Errorf("got %v, want %v to %v", got, mean-width, mean+width)
	}
	if again := bootstrap(42, len(values), func(user int) (float64, float64) { return values[user], 1 }); again != got {
		t.Errorf("the same seed gave %v and %v", got, again)
	}
	if other := bootstrap(43, len(values), func(user int) (float64, float64) { return values[user], 1 }); other == got {
		t.Error("another seed gave the same draws")
	}
}

func TestBootstrapAtTheEdges(t *testing.T) {
	if got := bootstrap(1, 0, nil); got != (Interval{}) {
		t.Errorf("no users: got %v", got)
	}
	if got := bootstrap(1, 1, func(int) (float64, float64) { return 6, 3 }); got != (Interval{2, 2}) {
		t.Errorf("one user with mean 2: got %v", got)
	}
	// A user of many ratings counts as many: 0 of 99 and 1 of 1 can be 0, .01 or 1.
	got := bootstrap(1, 2, func(user int) (float64, float64) { return float64(user), []float64{99, 1}[user] })
	if got != (Interval{0, 1}) {
		t.Errorf("two users of 99 and 1 ratings: got %v, want 0 to 1", got)
	}
	// One user off by 3 stars twice, √(9·2/2), and √0 of nobody's.
	if got := intervalOfRMSE(1, map[int64]*RMSE{7: {squares: 18, count: 2}}); got != (Interval{3, 3}) {
		t.Errorf("of one user: got %v, want 3 to 3", got)
	}
}
