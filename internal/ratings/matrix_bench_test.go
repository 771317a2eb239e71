package ratings_test

import (
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// BenchmarkNewMatrix makes a matrix of ratings in the order of users, and in that
// of time, as a store and a file give them.
func BenchmarkNewMatrix(b *testing.B) {
	byUser := recsystest.Ratings(20_000, 4_000, 0.02, 1)
	byTime := make([]ratings.Rating, len(byUser))
	copy(byTime, byUser)
	ratings.SortByTime(byTime)
	for name, all := range map[string][]ratings.Rating{"by user": byUser, "by time": byTime} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ratings.NewMatrix(all); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(all))*float64(b.N)/b.Elapsed().Seconds(), "ratings/s")
			b.ReportMetric(float64(len(all)), "ratings")
		})
	}
}
