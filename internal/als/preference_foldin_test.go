package als

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// TestFoldingIntoTheHeadThatRanksIsItsLastHalfStep, for ranks that fill vectors
// and ranks that do not.
func TestFoldingIntoTheHeadThatRanksIsItsLastHalfStep(t *testing.T) {
	m, err := ratings.NewMatrix(recsystest.Ratings(60, 220, 0.6, 3)) // more than one packed chunk a user
	if err != nil {
		t.Fatal(err)
	}
	for _, rank := range []int{3, 16, 20} {
		p := DefaultPreference()
		p.Rank, p.Iterations = rank, 3
		head, err := TrainPreference(t.Context(), m, p, 1, 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		folder, err := NewPreferenceFolder(t.Context(), head, 3)
		if err != nil {
			t.Fatal(err)
		}
		folder = folder.Clone()
		x := make([]float32, rank)
		for u := range m.Users {
			rows, values := m.User(u)
			if err := folder.FoldIn(rows, values, x); err != nil {
				t.Fatal(err)
			}
			for c, want := range head.UserFactors[u*rank:][:rank] {
				// The same sums, but of movies rounded to float32 once more.
				if math.Abs(float64(x[c]-want)) > 2e-4 {
					t.Fatalf("rank %d, user %d: factor %d is %v, training had %v", rank, u, c, x[c], want)
				}
			}
		}
		if err := folder.FoldIn(nil, nil, x); !errors.Is(err, ErrNoKnownMovies) {
			t.Errorf("of no movies: %v", err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	head, _ := TrainPreference(t.Context(), m, PreferenceParameters{Rank: 2, Alpha: 1, Lambda: 1, Iterations: 1}, 1, 1, nil)
	if _, err := NewPreferenceFolder(ended, head, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("after ctx ended: %v", err)
	}
}
