package eval

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// ErrBadSplit says that a split is not written as ParseSplit reads it.
var ErrBadSplit = errors.New(`a split is "random:P", "numpy:P" or "time:P" with 0 < P < 1, such as random:0.2`)

// Way is how ratings are parted.
type Way string

// Ways to part ratings.
const (
	Random Way = "random" // see RandomSplit
	Numpy  Way = "numpy"  // see NumpySplit
	ByTime Way = "time"   // see TimeSplit
)

// Split says how ratings are parted.
type Split struct {
	Way  Way
	Part float64 // the share of the test part, between 0 and 1
}

// ParseSplit reads "random:0.2", "numpy:0.2" or "time:0.2". Its error wraps
// ErrBadSplit.
func ParseSplit(text string) (Split, error) {
	name, number, _ := strings.Cut(text, ":")
	way := Way(name)
	part, err := strconv.ParseFloat(number, 64)
	if err != nil || !(part > 0 && part < 1) || !slices.Contains([]Way{Random, Numpy, ByTime}, way) {
		return Split{}, fmt.Errorf("split %q: %w", text, ErrBadSplit)
	}
	return Split{Way: way, Part: part}, nil
}

// String is what ParseSplit reads.
func (s Split) String() string { return string(s.Way) + ":" + strconv.FormatFloat(s.Part, 'g', -1, 64) }

// Seeded reports whether another seed makes another split.
func (s Split) Seeded() bool { return s.Way != ByTime }

// Apply parts the ratings, which it leaves as they are. The split by time has no
// use for the seed.
func (s Split) Apply(all []ratings.Rating, seed uint64) (train, test []ratings.Rating) {
	switch s.Way {
	case ByTime:
		return TimeSplit(all, s.Part)
	case Numpy:
		return NumpySplit(all, s.Part, seed)
	}
	return RandomSplit(all, s.Part, seed)
}

// RandomSplit puts about a share p of all (user, movie) pairs into the test
// part, those that InTest tells: the same ones in any order of the ratings.
// Both parts keep that order.
func RandomSplit(all []ratings.Rating, p float64, seed uint64) (train, test []ratings.Rating) {
	for _, r := range all {
		if InTest(seed, p, r.User, r.Movie) {
			test = append(test, r)
		} else {
			train = append(train, r)
		}
	}
	return train, test
}

// TimeSplit puts the last share p of the ratings by (time, user, movie) into
// the test part, rounded to a whole number. Both parts are in that order.
func TimeSplit(all []ratings.Rating, p float64) (train, test []ratings.Rating) {
	sorted := slices.Clone(all)
	ratings.SortByTime(sorted)
	cut := len(sorted) - int(math.Round(p*float64(len(sorted))))
	cut = min(max(cut, 0), len(sorted))
	return sorted[:cut:cut], sorted[cut:]
}

// InTest reports whether a pair belongs to the test part of a random split with
// share p. It is a hash of (seed, user, movie): as ratings come and go, every
// pair stays where it is, and the test part of a smaller p is within that of a
// greater one.
func InTest(seed uint64, p float64, user, movie int64) bool {
	return pairHash(seed, user, movie) < p
}

// pairHash is a number from 0 to less than 1.
func pairHash(seed uint64, user, movie int64) float64 {
	hash := mix(mix(mix(seed)^uint64(user)) ^ uint64(movie))
	return float64(hash>>11) / (1 << 53)
}

// mix is one step of SplitMix64 (Steele, Lea & Flood 2014).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
