package training

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// describe tells what was trained on. Ratings are in the order of time, of which the
// checksum is.
func (j Job) describe(log ratings.Log, matrix *ratings.Matrix) registry.Data {
	sum := sha256.New()
	var record [28]byte
	for _, r := range log.Ratings {
		binary.LittleEndian.PutUint64(record[0:], uint64(r.User))
		binary.LittleEndian.PutUint64(record[8:], uint64(r.Movie))
		binary.LittleEndian.PutUint64(record[16:], uint64(r.Time))
		binary.LittleEndian.PutUint32(record[24:], math.Float32bits(r.Value))
		sum.Write(record[:])
	}
	first, last := log.Ratings[0].Time, log.Ratings[len(log.Ratings)-1].Time
	return registry.Data{
		Source: j.Source, Simulated: j.Simulated, Revision: j.Revision, Ratings: int64(len(log.Ratings)), Choices: int64(len(log.Choices)),
		Users: len(matrix.Users), Movies: len(matrix.Movies),
		From: time.UnixMilli(first).UTC(), Until: time.UnixMilli(last).UTC(),
		Checksum: "sha256:" + hex.EncodeToString(sum.Sum(nil)),
	}
}

// firstRatings is the log before its rating n, by the order of time.
func firstRatings(log ratings.Log, n int) ratings.Log {
	if n == len(log.Ratings) {
		return log
	}
	return ratings.Log{Ratings: log.Ratings[:n:n], Choices: choicesBefore(log.Choices, log.Ratings[n].Time)}
}

// until is the log up to a time, that one included.
func until(log ratings.Log, last int64) ratings.Log {
	n := sort.Search(len(log.Ratings), func(k int) bool { return log.Ratings[k].Time > last })
	return ratings.Log{Ratings: log.Ratings[:n:n], Choices: choicesBefore(log.Choices, last+1)}
}

func choicesBefore(all []ratings.Choice, end int64) []ratings.Choice {
	return slices.DeleteFunc(slices.Clone(all), func(c ratings.Choice) bool { return c.Time >= end })
}

// withoutHashed leaves out the pairs of a random split, their choices too.
func withoutHashed(log ratings.Log, share float64) (rest ratings.Log, hashed []ratings.Rating) {
	train, hashed := eval.RandomSplit(log.Ratings, share, holdoutSeed)
	return eval.TrainingPart(ratings.Log{Ratings: train, Choices: log.Choices}, holdoutSeed, share), hashed
}
