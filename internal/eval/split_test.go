package eval_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

func TestRandomSplitDoesNotDependOnTheOrder(t *testing.T) {
	all := recsystest.Ratings(100, 100, 0.5, 1)
	train, test := eval.RandomSplit(all, 0.2, 42)
	if len(train)+len(test) != len(all) {
		t.Fatalf("%d and %d of %d ratings", len(train), len(test), len(all))
	}
	// Binomial: four standard deviations of about 5000 draws are 0.023.
	if share := float64(len(test)) / float64(len(all)); math.Abs(share-0.2) > 0.023 {
		t.Errorf("the test part is %.3f of all, want 0.2", share)
	}
	reversed := slices.Clone(all)
	slices.Reverse(reversed)
	_, again := eval.RandomSplit(reversed, 0.2, 42)
	slices.Reverse(again)
	if !slices.Equal(again, test) {
		t.Error("another order of the ratings made another test part")
	}
	if _, other := eval.RandomSplit(all, 0.2, 43); slices.Equal(other, test) {
		t.Error("another seed made the same test part")
	}
	for _, r := range all {
		if eval.InTest(42, 0.1, r.User, r.Movie) && !eval.InTest(42, 0.2, r.User, r.Movie) {
			t.Errorf("pair %d, %d is in the test part of 0.1 but not of 0.2", r.User, r.Movie)
		}
	}
}

// TestInTestIsFixed pins the hash: a model's holdout must stay the same between
// versions of this program, or it would have been trained on.
func TestInTestIsFixed(t *testing.T) {
	var in []int64
	for movie := range int64(30) {
		if eval.InTest(42, 0.2, 7, movie) {
			in = append(in, movie)
		}
	}
	if want := []int64{4, 7, 8, 19, 21, 26, 27}; !slices.Equal(in, want) {
		t.Errorf("movies in the test part are %v, want %v", in, want)
	}
	if eval.InTest(1, 0, 1, 1) || !eval.InTest(1, 1, 1, 1) {
		t.Error("a share of 0 must hold nothing, a share of 1 everything")
	}
}

func TestTimeSplitTakesTheNewest(t *testing.T) {
	all := []ratings.Rating{{User: 3, Movie: 1, Time: 5}, {User: 1, Movie: 9, Time: 5}, {User: 1, Movie: 2, Time: 5}, {User: 9, Movie: 9, Time: 1}, {User: 1, Movie: 1, Time: 9}}
	before := slices.Clone(all)
	train, test := eval.TimeSplit(all, 0.4)
	if want := []ratings.Rating{{User: 9, Movie: 9, Time: 1}, {User: 1, Movie: 2, Time: 5}, {User: 1, Movie: 9, Time: 5}}; !slices.Equal(train, want) {
		t.Errorf("training part is %+v, want %+v", train, want)
	}
	if want := []ratings.Rating{{User: 3, Movie: 1, Time: 5}, {User: 1, Movie: 1, Time: 9}}; !slices.Equal(test, want) {
		t.Errorf("test part is %+v, want %+v", test, want)
	}
	if !slices.Equal(all, before) {
		t.Error("the given ratings were changed")
	}
}

func TestSplitsAreWrittenAsTheyAreRead(t *testing.T) {
	for _, c := range []struct {
		text string
		want eval.Split
	}{
		{"random:0.2", eval.Split{Way: eval.Random, Part: 0.2}},
		{"numpy:0.2", eval.Split{Way: eval.Numpy, Part: 0.2}},
		{"time:0.05", eval.Split{Way: eval.ByTime, Part: 0.05}},
	} {
		got, err := eval.ParseSplit(c.text)
		if err != nil || got != c.want || got.String() != c.text {
			t.Errorf("%q: got %+v (%s), %v; want %+v", c.text, got, got, err, c.want)
		}
	}
	for _, text := range []string{"", "random", "random:", "random:0", "random:1", "random:NaN", "time:-0.1", "Random:0.2", "user:0.2", "0.2"} {
		if _, err := eval.ParseSplit(text); !errors.Is(err, eval.ErrBadSplit) {
			t.Errorf("%q: got %v, want ErrBadSplit", text, err)
		}
	}
}

func TestSplitAppliesWhatItSays(t *testing.T) {
	all := recsystest.Ratings(10, 10, 0.5, 1)
	_, want := eval.RandomSplit(all, 0.3, 5)
	if _, got := (eval.Split{Way: eval.Random, Part: 0.3}).Apply(all, 5); !slices.Equal(got, want) {
		t.Error("the random split is not RandomSplit")
	}
	_, want = eval.NumpySplit(all, 0.3, 5)
	if _, got := (eval.Split{Way: eval.Numpy, Part: 0.3}).Apply(all, 5); !slices.Equal(got, want) {
		t.Error("NumPy's split is not NumpySplit")
	}
	_, want = eval.TimeSplit(all, 0.3)
	if _, got := (eval.Split{Way: eval.ByTime, Part: 0.3}).Apply(all, 5); !slices.Equal(got, want) {
		t.Error("the time split is not TimeSplit")
	}
}
