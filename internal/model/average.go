package model

import (
	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// average is the factors that stand for a user or a movie that the model does not know.
// Where a model has biases, μ is the average, and both are nil: no factors. One without, as
// Spark's, would say 0 stars of what it does not know, and takes the means of its factors,
// so that it says x̄·y_i of a movie to an unknown user, and x̄·ȳ, the mean of all it can
// predict, of an unknown pair.
type average struct{ user, movie []float32 }

func newAverage(f *als.Factors) average {
	if !f.Unbiased {
		return average{}
	}
	return average{meanRow(f.UserFactors, f.Rank), meanRow(f.MovieFactors, f.Rank)}
}

// meanRow returns the mean of the rows of rank numbers each; nil if there are none.
func meanRow(rows []float32, rank int) []float32 {
	if len(rows) == 0 {
		return nil
	}
	sums := make([]float64, rank)
	for k, value := range rows {
		sums[k%rank] += float64(value)
	}
	mean := make([]float32, rank)
	for c, sum := range sums {
		mean[c] = float32(sum / float64(len(rows)/rank))
	}
	return mean
}

// product is x·y, and 0 where one of them is not there.
func product(x, y []float32) float32 {
	if x == nil || y == nil {
		return 0
	}
	return kernel.Dot(x, y)
}
