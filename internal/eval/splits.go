package eval

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Repeated are evaluations on several random splits, as `eval --splits K --json`
// prints them. Standard errors are over splits: they tell how much the choice of
// the split matters. As the splits share their ratings, they say nothing of
// other users; the 90 % intervals of the results do.
type Repeated struct {
	Splits     []SplitResult `json:"splits"`
	RMSE       Spread        `json:"rmse"`
	Difference Spread        `json:"difference"` // RMSE less that of biases alone on the same split
	NDCG10     Spread        `json:"ndcg10"`
	Recall20   Spread        `json:"recall20"`
}

// SplitResult is the evaluation on one of several splits.
type SplitResult struct {
	Seed uint64 `json:"split_seed"`
	Result
}

// Spread is a mean over splits with its standard error, s/√K of K splits.
type Spread struct {
	Mean          float64 `json:"mean"`
	StandardError float64 `json:"standard_error"`
}

// RunSplits is Run on count ≥ 2 splits, with seeds seed, seed+1, and so on. The
// starting factors keep p.Seed. each, which may be nil, is called after each
// split. It returns an error that wraps ErrBadSplit for a split without seed or
// too few of them, or those of Run.
func RunSplits(ctx context.Context, all []ratings.Rating, split Split, seed uint64, count int, p als.Parameters, each func(SplitResult)) (Repeated, error) {
	if !split.Seeded() || count < 2 {
		return Repeated{}, fmt.Errorf("%d splits %s: several splits are at least two random ones: %w", count, split, ErrBadSplit)
	}
	var r Repeated
	var rmse, differences, ndcg, recall []float64
	for k := range uint64(count) {
		train, test := split.Apply(all, seed+k)
		result, err := Run(ctx, train, test, p, nil)
		if err != nil {
			return Repeated{}, fmt.Errorf("split of seed %d: %w", seed+k, err)
		}
		r.Splits = append(r.Splits, SplitResult{Seed: seed + k, Result: result})
		if each != nil {
			each(r.Splits[k])
		}
		rmse, differences = append(rmse, result.RMSE), append(differences, result.RMSE-result.Baselines.BiasOnly.RMSE)
		ndcg, recall = append(ndcg, result.NDCG10), append(recall, result.Recall20)
	}
	r.RMSE, r.Difference, r.NDCG10, r.Recall20 = spread(rmse), spread(differences), spread(ndcg), spread(recall)
	return r, nil
}

func spread(values []float64) Spread {
	mean, deviation := stat.MeanStdDev(values, nil)
	return Spread{Mean: mean, StandardError: deviation / math.Sqrt(float64(len(values)))}
}
