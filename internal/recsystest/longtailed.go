package recsystest

import (
	"math"
	"math/rand/v2"
	"sort"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// LongTailed returns a matrix of about count ratings with the long tails of real
// ones: lognormal numbers of ratings by user, at least 20, and movies drawn by
// Zipf's law with an offset. Values are those of a model of rank 3 with noise.
// MovieLens 1M has the shape 6,040 × 3,706 with 1,000,209 ratings, 25M the shape
// 162,541 × 59,047 with 25,000,095. The same seed gives the same matrix.
func LongTailed(users, movies, count int, seed uint64) (*ratings.Matrix, error) {
	random := rand.New(rand.NewPCG(seed, 1))
	popularity := make([]float64, movies) // cumulated
	total := 0.0
	for i := range popularity {
		total += math.Pow(float64(i)+float64(movies)/40, -1.1)
		popularity[i] = total
	}
	activity := make([]float64, users)
	sum := 0.0
	for u := range activity {
		activity[u] = math.Exp(1.1 * random.NormFloat64())
		sum += activity[u]
	}
	movieVectors := vectors(random, movies)
	seen := make([]int32, movies) // by whom last
	var all []ratings.Rating
	const least = 20
	for u := range users {
		n := least + int(activity[u]/sum*float64(count-least*users))
		n = min(n, movies/2)
		vector := vectors(random, 1)[0]
		for from := len(all); len(all) < from+n; {
			i := sort.SearchFloat64s(popularity, random.Float64()*total)
			if i == movies || seen[i] == int32(u+1) {
				continue
			}
			seen[i] = int32(u + 1)
			all = append(all, ratings.Rating{
				User: int64(u + 1), Movie: int64(movieIDSteps * (i + 1)),
				Value: stars(vector, movieVectors[i], 0.3*random.NormFloat64()), Time: firstTime,
			})
		}
	}
	return ratings.NewMatrix(all)
}
