package eval

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// Expected values are those of NumPy 2.4.6:
// numpy.random.PCG64(seed).random_raw(3), default_rng(seed).permutation(n).
func TestNumpysGenerator(t *testing.T) {
	for seed, want := range map[uint64][]uint64{
		0:              {0xa30febcfd9c2825f, 0x4510bdf882d9d721, 0x0a7d3da94ecde8b8},
		1:              {0x8306bdf37922e4ff, 0xf35196bbc152a866, 0x24e7a4f608ec18cd},
		42:             {0xc621fbcd16d92688, 0x705a5661a791ffc1, 0xdbcd12c26eda1624},
		1<<32 + 5:      {0xc6323ec321deb8d1, 0x78814821c73a0583, 0xb22536d8e0ec17c0},
		math.MaxUint64: {0xae163a7a8c47568f, 0xd86659f5f3382359, 0x01e52b195bc2d24a},
	} {
		random := newNumpyPCG64(seed)
		if got := []uint64{random.uint64(), random.uint64(), random.uint64()}; !slices.Equal(got, want) {
			t.Errorf("seed %d: got %x, want %x", seed, got, want)
		}
	}
}

func TestNumpysPermutations(t *testing.T) {
	cases := []struct {
		seed uint64
		want []int
	}{
		{0, []int{}},
		{0, []int{0}},
		{0, []int{0, 1}},
		{0, []int{2, 0, 1}},
		{0, []int{4, 6, 2, 7, 3, 5, 9, 0, 8, 1}},
		{0, []int{4, 19, 6, 2, 13, 16, 3, 11, 10, 8, 0, 12, 7, 5, 18, 17, 14, 9, 1, 15}},
		{42, []int{1, 0}},
		{42, []int{2, 1, 0}},
		{42, []int{5, 6, 0, 7, 3, 2, 4, 9, 1, 8}},
		{42, []int{15, 9, 14, 7, 12, 10, 6, 19, 3, 0, 16, 5, 11, 18, 2, 4, 17, 1, 13, 8}},
		{math.MaxUint64, []int{8, 7, 3, 0, 4, 6, 1, 2, 5, 9}},
		{math.MaxUint64, []int{2, 1, 9, 18, 13, 6, 5, 11, 7, 4, 14, 16, 3, 0, 8, 12, 19, 17, 10, 15}},
	}
	for _, c := range cases {
		if got := numpyPermutation(c.seed, len(c.want)); !slices.Equal(got, c.want) {
			t.Errorf("seed %d: got %v, want %v", c.seed, got, c.want)
		}
	}
}

// TestNumpysPermutationOfMovieLens compares SHA-256 of
// permutation(100836).astype('<i8').tobytes().
func TestNumpysPermutationOfMovieLens(t *testing.T) {
	for seed, want := range map[uint64]string{
		42: "94ccc0da01dab540037b31e8a9495a643f8d99f28a9cd353ca43b9f1721ad556",
		7:  "687d6dfb2d2712dda92d032ee88999d6417cc87967c9361d97a6dc0078b1e036",
	} {
		var raw []byte
		for _, i := range numpyPermutation(seed, 100836) {
			raw = binary.LittleEndian.AppendUint64(raw, uint64(i))
		}
		if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != want {
			t.Errorf("seed %d: SHA-256 is %x, want %s", seed, sum, want)
		}
	}
}

func TestNumpySplitKeepsTheRowsOfTheFile(t *testing.T) {
	var all []ratings.Rating
	for row := range int64(10) {
		all = append(all, ratings.Rating{User: row})
	}
	users := func(of []ratings.Rating) (ids []int64) {
		for _, r := range of {
			ids = append(ids, r.User)
		}
		return ids
	}
	train, test := NumpySplit(all, 0.2, 42)
	if got, want := users(train), []int64{5, 6, 0, 7, 3, 2, 4, 9}; !slices.Equal(got, want) {
		t.Errorf("training part is %v, want %v", got, want)
	}
	if got, want := users(test), []int64{1, 8}; !slices.Equal(got, want) {
		t.Errorf("test part is %v, want %v", got, want)
	}
	if train, test := NumpySplit(nil, 0.2, 42); len(train)+len(test) != 0 {
		t.Errorf("of nothing: got %v and %v", train, test)
	}
}

func TestNumpySplitOfMovieLens(t *testing.T) {
	all, err := ratings.ReadRatings(recsystest.DataDir(t))
	if err != nil {
		t.Fatal(err)
	}
	train, test := NumpySplit(all, 0.2, 42)
	matrix, err := ratings.NewMatrix(train)
	if err != nil {
		t.Fatal(err)
	}
	cold := 0
	for _, r := range test {
		_, user := matrix.UserRow(r.User)
		if _, movie := matrix.MovieRow(r.Movie); !user || !movie {
			cold++
		}
	}
	if len(train) != 80668 || len(test) != 20168 || cold != 762 {
		t.Errorf("%d for training, %d for the test, %d cold; NumPy makes it 80668, 20168, 762", len(train), len(test), cold)
	}
}
