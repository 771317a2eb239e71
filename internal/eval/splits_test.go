package eval_test

import (
	"errors"
	"math"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

func TestSeveralSplitsAreThatManyRuns(t *testing.T) {
	all := recsystest.Ratings(60, 40, 0.5, 1)
	p := als.Parameters{Algorithm: als.ALS, Rank: 3, Lambda: 0.5, Nu: 0.5, Iterations: 3, Seed: 9}
	for _, split := range []eval.Split{{Way: eval.Random, Part: 0.2}, {Way: eval.Numpy, Part: 0.3}} {
		calls := 0
		got, err := eval.RunSplits(t.Context(), all, split, 5, 3, p, func(eval.SplitResult) { calls++ })
		if err != nil || len(got.Splits) != 3 || calls != 3 {
			t.Fatalf("%d splits, %d calls, %v", len(got.Splits), calls, err)
		}
		var errs, differences []float64
		for k, s := range got.Splits {
			train, test := split.Apply(all, uint64(5+k))
			want, err := eval.Run(t.Context(), train, test, p, nil)
			if err != nil {
				t.Fatal(err)
			}
			if s.Seed != uint64(5+k) || s.RMSE != want.RMSE || s.NDCG10 != want.NDCG10 || s.TestRatings != len(test) {
				t.Errorf("%s: split %d is %+v, want %+v", split, k, s, want)
			}
			errs = append(errs, want.RMSE)
			differences = append(differences, want.RMSE-want.Baselines.BiasOnly.RMSE)
		}
		if !near(got.RMSE.Mean, mean(errs)) || !near(got.RMSE.StandardError, deviation(errs)/math.Sqrt(3)) ||
			!near(got.Difference.Mean, mean(differences)) || !near(got.Difference.StandardError, deviation(differences)/math.Sqrt(3)) || got.RMSE.StandardError == 0 {
			t.Errorf("%s: got %+v and %+v of %v and %v", split, got.RMSE, got.Difference, errs, differences)
		}
	}
	for _, split := range []eval.Split{{Way: eval.ByTime, Part: 0.2}, {Way: eval.Random, Part: 0.2}} {
		count := map[eval.Way]int{eval.ByTime: 3, eval.Random: 1}[split.Way]
		if _, err := eval.RunSplits(t.Context(), all, split, 5, count, p, nil); !errors.Is(err, eval.ErrBadSplit) {
			t.Errorf("%d splits %s: got %v, want ErrBadSplit", count, split, err)
		}
	}
}
