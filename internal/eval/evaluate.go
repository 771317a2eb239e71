package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Metrics is how well a model does on a test part.
type Metrics struct {
	Pairs     int     // test ratings
	ColdPairs int     // of them, those whose user or movie the model does not know
	RMSE      float64 // over all pairs, cold ones predicted by what is known, in stars
	MAE       float64 // mean absolute error over all pairs, in stars
	RMSEWarm  float64 // over pairs of known users and movies only, in stars; 0 if there are none
	Ranking   Ranking // of all movies unseen in training, by predicted rating
}

// Evaluate measures f, which was trained on train, on a test part. Predictions
// are those that would be served: clamped to the scale, and for an unknown user
// or movie made of the biases that are known. threads 0 means one per CPU; the
// result does not depend on it.
//
// It returns ratings.ErrNoRatings for an empty test part, an error that wraps
// ratings.ErrBadRating for a test rating that is not finite, or ctx's error.
func Evaluate(ctx context.Context, f *als.Factors, train *ratings.Matrix, test []ratings.Rating, scale model.Scale, threads int) (Metrics, error) {
	metrics, err := measureErrors(f, test, scale)
	if err != nil {
		return Metrics{}, err
	}
	metrics.Ranking, err = newAudience(f, train, test).byPrediction(ctx, threads)
	return metrics, err
}

func measureErrors(f *als.Factors, test []ratings.Rating, scale model.Scale) (Metrics, error) {
	if len(test) == 0 {
		return Metrics{}, fmt.Errorf("test part: %w", ratings.ErrNoRatings)
	}
	m, err := model.New(f, scale)
	if err != nil {
		return Metrics{}, err
	}
	metrics := Metrics{Pairs: len(test)}
	var all, warm RMSE
	absolute := 0.0
	for _, r := range test {
		actual := float64(r.Value)
		if math.IsNaN(actual) || math.IsInf(actual, 0) {
			return Metrics{}, fmt.Errorf("test rating %v of movie %d by user %d: %w", actual, r.Movie, r.User, ratings.ErrBadRating)
		}
		p := m.Predict(r.User, r.Movie)
		predicted := float64(p.Value)
		all.Add(predicted, actual)
		absolute += math.Abs(predicted - actual)
		if p.ColdUser || p.ColdMovie {
			metrics.ColdPairs++
		} else {
			warm.Add(predicted, actual)
		}
	}
	metrics.RMSE, metrics.RMSEWarm = all.Value(), warm.Value()
	metrics.MAE = absolute / float64(len(test))
	return metrics, nil
}
