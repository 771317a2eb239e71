package eval

import (
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// TestFoldsShareNothing: of five folds four are used, each of about a fifth, and
// the rest of each is all the others.
func TestFoldsShareNothing(t *testing.T) {
	all := recsystest.Ratings(60, 50, 0.5, 1)
	folds, err := newFolds(all, 42)
	if err != nil || len(folds) != 4 {
		t.Fatalf("%d folds, %v", len(folds), err)
	}
	type pair struct{ user, movie int64 }
	tested := map[pair]bool{}
	for k, f := range folds {
		// Binomial: four standard deviations of about 1,500 draws are 0.041.
		if share := float64(len(f.test)) / float64(len(all)); share < 0.159 || share > 0.241 {
			t.Errorf("fold %d is %.3f of all", k, share)
		}
		if f.train.Len()+len(f.test) != len(all) {
			t.Errorf("fold %d: %d and %d of %d", k, f.train.Len(), len(f.test), len(all))
		}
		for _, r := range f.test {
			if tested[pair{r.User, r.Movie}] {
				t.Fatalf("pair %d, %d is in two folds", r.User, r.Movie)
			}
			tested[pair{r.User, r.Movie}] = true
		}
	}
	// The test part of a random split with the same seed is no fold.
	_, test := RandomSplit(all, 0.2, 42)
	same := 0
	for _, r := range test {
		for _, held := range folds[0].test {
			if held.User == r.User && held.Movie == r.Movie {
				same++
			}
		}
	}
	if share := float64(same) / float64(len(test)); share > 0.35 { // a fifth, if they are independent
		t.Errorf("the first fold has %.2f of the split's test part", share)
	}
}
