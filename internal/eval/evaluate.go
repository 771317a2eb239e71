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

	// Rankings of all movies unseen in training: as they would be served, and by
	// predicted rating alone, which is the same for a model without a head that
	// ranks.
	Ranking, RankingByRating Ranking

	RMSE90, NDCG90 Interval // of RMSE, and of NDCG@10 as served; see bootstrap
}

// Evaluate measures f, which was trained on train, on a test part. Predictions
// and rankings are those that would be served: predictions clamped to the scale,
// and for an unknown user or movie made of the biases that are known. threads 0
// means one per CPU; the result does not depend on it. seed is of the intervals.
//
// It returns ratings.ErrNoRatings for an empty test part, an error that wraps
// ratings.ErrBadRating for a test rating that is not finite, or ctx's error.
func Evaluate(ctx context.Context, f *als.Factors, train *ratings.Matrix, test []ratings.Rating, scale model.Scale, seed uint64, threads int) (Metrics, error) {
	return evaluateModel(ctx, f, train, test, scale, als.Parameters{Seed: seed, Threads: threads}, nil)
}

// evaluateModel is Evaluate, of p's seed and threads, that tells of its rankings.
func evaluateModel(ctx context.Context, f *als.Factors, train *ratings.Matrix, test []ratings.Rating, scale model.Scale, p als.Parameters, ranked func(done, total int)) (Metrics, error) {
	seed, threads := p.Seed, p.Threads
	m, err := model.New(f, scale)
	if err != nil {
		return Metrics{}, err
	}
	metrics, err := measureErrors(m, test, seed)
	if err != nil {
		return Metrics{}, fmt.Errorf("measuring errors: %w", err)
	}
	users := newAudience(f, train, test)
	users.ranked = ranked
	var ndcg []float64
	if metrics.Ranking, ndcg, err = users.byModel(ctx, m, listDepth, threads); err != nil {
		return Metrics{}, fmt.Errorf("measuring rankings: %w", err)
	}
	metrics.NDCG90 = bootstrap(seed, len(ndcg), func(at int) (float64, float64) { return ndcg[at], 1 })
	metrics.RankingByRating = metrics.Ranking
	if f.Preference == nil {
		return metrics, nil
	}
	alone := *f
	alone.Preference = nil
	if m, err = model.New(&alone, scale); err != nil {
		return Metrics{}, err
	}
	if metrics.RankingByRating, _, err = users.byModel(ctx, m, listDepth, threads); err != nil {
		return Metrics{}, fmt.Errorf("measuring rankings by rating: %w", err)
	}
	return metrics, nil
}

func measureErrors(m *model.Model, test []ratings.Rating, seed uint64) (Metrics, error) {
	if len(test) == 0 {
		return Metrics{}, fmt.Errorf("test part: %w", ratings.ErrNoRatings)
	}
	metrics := Metrics{Pairs: len(test)}
	var all, warm RMSE
	absolute := 0.0
	users := map[int64]*RMSE{}
	for _, r := range test {
		actual := float64(r.Value)
		if math.IsNaN(actual) || math.IsInf(actual, 0) {
			return Metrics{}, fmt.Errorf("test rating %v of movie %d by user %d: %w", actual, r.Movie, r.User, ratings.ErrBadRating)
		}
		p := m.Predict(r.User, r.Movie)
		predicted := float64(p.Value)
		all.Add(predicted, actual)
		if users[r.User] == nil {
			users[r.User] = &RMSE{}
		}
		users[r.User].Add(predicted, actual)
		absolute += math.Abs(predicted - actual)
		if p.ColdUser || p.ColdMovie {
			metrics.ColdPairs++
		} else {
			warm.Add(predicted, actual)
		}
	}
	metrics.RMSE, metrics.RMSEWarm = all.Value(), warm.Value()
	metrics.MAE = absolute / float64(len(test))
	metrics.RMSE90 = intervalOfRMSE(seed, users)
	return metrics, nil
}
