package als

import "math"

// Starting factors are small, so that the first steps stay near the bias-only
// solution they start from, and their spread shrinks with the rank, so that x·y
// does not grow with it.
const startSpread = 0.3

// side tells rows of users from rows of movies among the random numbers.
type side uint64

const (
	userSide side = iota + 1
	movieSide
)

// startFactors fills a row of starting factors: independent, uniform, mean 0,
// standard deviation startSpread/√rank. They are counter-based (each is a hash
// of seed, side, id and column), so they depend neither on the other rows nor
// on the threads.
func startFactors(row []float32, seed uint64, of side, id int64) {
	width := startSpread * math.Sqrt(12/float64(len(row)))
	state := mix(mix(seed^mix(uint64(of))) ^ mix(uint64(id)))
	for c := range row {
		uniform := float64(mix(state+uint64(c)*goldenGamma)>>11) / (1 << 53)
		row[c] = float32(width * (uniform - 0.5))
	}
}

const goldenGamma = 0x9e3779b97f4a7c15

// mix is the output function of SplitMix64 (Steele, Lea & Flood 2014).
func mix(z uint64) uint64 {
	z += goldenGamma
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
