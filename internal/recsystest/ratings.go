// Package recsystest holds fixtures and fakes for the tests of other packages:
// ratings with structure to learn, MovieLens data where it is at hand, a rating
// store in memory, and the contract that every rating store must fulfil.
package recsystest

import (
	"math"
	"math/rand/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const (
	fixtureRank  = 3
	firstTime    = 1_500_000_000_000 // July 2017, in Unix milliseconds
	timeStep     = 60_000            // a rating a minute
	movieIDSteps = 10
)

// Ratings returns ratings of half a star to five by a model of rank 3 with
// biases and noise, so that there is structure to learn, in order of time. A
// pair is rated with probability density, but every user and every movie has a
// rating. Users have ids 1 to users, movies 10, 20, … to 10·movies, so that a
// mistaken row for an id shows. The same seed gives the same ratings.
func Ratings(users, movies int, density float64, seed uint64) []ratings.Rating {
	random := rand.New(rand.NewPCG(seed, 0))
	userVectors, movieVectors := vectors(random, users), vectors(random, movies)
	var all []ratings.Rating
	for u := range users {
		for i := range movies {
			needed := i == u%movies || u == i%users // so that none is without
			if random.Float64() >= density && !needed {
				continue
			}
			all = append(all, ratings.Rating{
				User: int64(u + 1), Movie: int64(movieIDSteps * (i + 1)),
				Value: stars(userVectors[u], movieVectors[i], 0.3*random.NormFloat64()),
			})
		}
	}
	random.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
	for k := range all {
		all[k].Time = firstTime + int64(k)*timeStep
	}
	return all
}

// vectors draws a bias and factors for each row.
func vectors(random *rand.Rand, rows int) [][fixtureRank + 1]float64 {
	all := make([][fixtureRank + 1]float64, rows)
	for row := range all {
		for c := range all[row] {
			all[row][c] = 0.6 * random.NormFloat64()
		}
	}
	return all
}

func stars(x, y [fixtureRank + 1]float64, noise float64) float32 {
	rating := 3.5 + x[0] + y[0] + noise
	for c := 1; c <= fixtureRank; c++ {
		rating += x[c] * y[c]
	}
	return float32(min(max(math.Round(2*rating)/2, 0.5), 5))
}
