package eval

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Predictor predicts a rating in stars, clamped as it would be served.
type Predictor func(user, movie int64) float64

// Comparison is how two models do on the same ratings.
type Comparison struct {
	Champion   float64 `json:"champion_rmse"`
	Challenger float64 `json:"challenger_rmse"`

	// Difference is challenger less champion: below 0 the challenger is better.
	Difference float64 `json:"difference"`

	// StandardError is of Difference, over users: ratings of one user are not
	// independent, so users are what was sampled.
	StandardError float64 `json:"standard_error"`

	Ratings int `json:"ratings"`
	Users   int `json:"users"`
}

// Compare predicts every test rating by both models. With e² the squared errors
// of either, the difference of mean squared errors D is a ratio of sums over
// users, whose standard error is that of Σ_u (d_u − D·n_u) / N, where user u
// has n_u of the N ratings and d_u is his sum of differences e²_challenger −
// e²_champion; the difference of root mean squared errors is D / (RMSE + RMSE),
// and its standard error follows (delta method).
//
// With a single user, users say nothing of the spread: the standard error is
// then |Difference|. It returns ratings.ErrNoRatings for an empty test part,
// and an error that names the pair if a prediction is not finite.
func Compare(champion, challenger Predictor, test []ratings.Rating) (Comparison, error) {
	if len(test) == 0 {
		return Comparison{}, fmt.Errorf("comparing models: %w", ratings.ErrNoRatings)
	}
	var old, young RMSE
	gains := map[int64]*userGain{}
	for _, r := range test {
		a, b, actual := champion(r.User, r.Movie), challenger(r.User, r.Movie), float64(r.Value)
		if sum := a + b + actual; math.IsNaN(sum) || math.IsInf(sum, 0) {
			return Comparison{}, fmt.Errorf("comparing models on movie %d by user %d: predictions %v and %v of rating %v are not all finite",
				r.Movie, r.User, a, b, actual)
		}
		old.Add(a, actual)
		young.Add(b, actual)
		if gains[r.User] == nil {
			gains[r.User] = &userGain{}
		}
		gains[r.User].difference += (b-actual)*(b-actual) - (a-actual)*(a-actual)
		gains[r.User].count++
	}
	c := Comparison{Champion: old.Value(), Challenger: young.Value(), Ratings: len(test), Users: len(gains)}
	c.Difference = c.Challenger - c.Champion
	c.StandardError = standardError(c, gains)
	return c, nil
}

type userGain struct {
	difference float64 // sum of differences of squared errors
	count      float64
}

func standardError(c Comparison, gains map[int64]*userGain) float64 {
	if c.Difference == 0 && c.Champion == 0 {
		return 0 // both are always right
	}
	if len(gains) < 2 {
		return math.Abs(c.Difference)
	}
	n := float64(c.Ratings)
	meanDifference := c.Challenger*c.Challenger - c.Champion*c.Champion
	residuals := make([]float64, 0, len(gains))
	for _, user := range sortedKeys(gains) {
		residuals = append(residuals, gains[user].difference-meanDifference*gains[user].count)
	}
	deviation := stat.StdDev(residuals, nil) * math.Sqrt(float64(len(gains))) / n
	return deviation / (c.Champion + c.Challenger)
}
