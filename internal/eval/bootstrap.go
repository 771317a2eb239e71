package eval

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Interval is the range between the 5 % and the 95 % quantile.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

const bootstrapDraws = 2000

// bootstrap returns the 90 % percentile interval of Σ value / Σ weight over
// users (Efron & Tibshirani 1993, chapter 13). Users are drawn, not ratings,
// because the ratings of one user are not independent; a user's sums are taken
// once, so that a draw costs one addition a user. The same seed draws the same
// users. Of no users it is 0 to 0.
func bootstrap(seed uint64, users int, of func(user int) (value, weight float64)) Interval {
	if users == 0 {
		return Interval{}
	}
	values, weights := make([]float64, users), make([]float64, users)
	for user := range users {
		values[user], weights[user] = of(user)
	}
	random := rand.New(rand.NewPCG(seed, 0))
	drawn := make([]float64, bootstrapDraws)
	for draw := range drawn {
		value, weight := 0.0, 0.0
		for range users {
			user := random.IntN(users)
			value += values[user]
			weight += weights[user]
		}
		drawn[draw] = value / weight
	}
	slices.Sort(drawn)
	return Interval{Low: stat.Quantile(0.05, stat.LinInterp, drawn, nil), High: stat.Quantile(0.95, stat.LinInterp, drawn, nil)}
}

// intervalOfRMSE is of the errors of all users.
func intervalOfRMSE(seed uint64, users map[int64]*RMSE) Interval {
	ids := sortedKeys(users)
	squares := bootstrap(seed, len(ids), func(at int) (float64, float64) {
		return users[ids[at]].squares, float64(users[ids[at]].count)
	})
	return Interval{Low: math.Sqrt(squares.Low), High: math.Sqrt(squares.High)}
}
