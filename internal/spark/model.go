// Package spark reads and writes what Apache Spark saves of a trained
// org.apache.spark.ml.recommendation.ALSModel, a folder of
//
//	metadata/part-00000       one line of JSON: class, Spark's version, parameters, rank
//	userFactors/*.parquet     id INT, features list<float> [users × rank]
//	itemFactors/*.parquet     the same of items, here movies [movies × rank]
//
// which predicts r̂(u, i) = x_u·y_i, without mean and biases, for the users and items
// that it knows, and nothing for all others. It is the same from Spark 2.4 to 4.
package spark

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"
)

// ErrModel says that a folder is not a saved ALSModel, or a damaged one.
var ErrModel = errors.New("not a readable ALSModel of Spark")

// The parts of a saved model.
const (
	metadataFolder = "metadata"
	userFolder     = "userFactors"
	itemFolder     = "itemFactors"
)

// maxRank bounds what folding in has to solve: the cube of the rank.
const maxRank = 4096

// Model is what a saved ALSModel holds.
type Model struct {
	Rank     int
	Users    Side
	Items    Side
	Saved    time.Time // when it was saved
	Version  string    // of the Spark that saved it, such as 2.4.0
	Metadata []byte    // as it was read, one object of JSON
}

// Side is the users or the items.
type Side struct {
	IDs     []int32   // ascending [rows]
	Factors []float32 // row-major [rows × rank]
}

// origin tells from which file rows of a side come.
type origin struct {
	file string
	from int // first row
}

// ascending sorts rows that were read in any order. An id that comes twice is an
// error, which names the files.
func (s *Side) ascending(rank int, origins []origin) error {
	order := make([]int32, len(s.IDs))
	for row := range order {
		order[row] = int32(row)
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		return int(int64(s.IDs[a]) - int64(s.IDs[b]))
	})
	sorted := true
	for k, row := range order {
		sorted = sorted && int(row) == k
		if k > 0 && s.IDs[order[k-1]] == s.IDs[row] {
			return fmt.Errorf("%w: id %d is in %s and again in %s: two models were saved into one folder; save it again into an empty one",
				ErrModel, s.IDs[row], fileOf(origins, int(order[k-1])), fileOf(origins, int(row)))
		}
	}
	if sorted {
		return nil
	}
	ids, factors := make([]int32, len(s.IDs)), make([]float32, len(s.Factors))
	for k, row := range order {
		ids[k] = s.IDs[row]
		copy(factors[k*rank:], s.Factors[int(row)*rank:][:rank])
	}
	s.IDs, s.Factors = ids, factors
	return nil
}

func fileOf(origins []origin, row int) string {
	k := sort.Search(len(origins), func(k int) bool { return origins[k].from > row })
	return origins[k-1].file
}
