package als

import (
	"errors"
	"math"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

func TestBiasesOfASmallMatrixAreThoseDoneByHand(t *testing.T) {
	// μ = 3; movie 1: (5−3 + 3−3)/(2+1) = 2/3; movie 2: (1−3)/(1+1) = −1; then
	// user 1: (5−3−2/3 + 1−3+1)/(2+1) = 1/9; user 2: (3−3−2/3)/(1+1) = −1/3.
	m := matrix(t, []ratings.Rating{{User: 1, Movie: 1, Value: 5}, {User: 1, Movie: 2, Value: 1}, {User: 2, Movie: 1, Value: 3}})
	f, err := BiasOnly(t.Context(), m, 1, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"mean", float64(f.Mean), 3},
		{"bias of movie 1", float64(f.MovieBias[0]), 2.0 / 3},
		{"bias of movie 2", float64(f.MovieBias[1]), -1},
		{"bias of user 1", float64(f.UserBias[0]), 1.0 / 9},
		{"bias of user 2", float64(f.UserBias[1]), -1.0 / 3},
		{"prediction of user 2 and movie 2", f.Predict(1, 1), 3 - 1.0/3 - 1},
		{"prediction of an unknown user", f.Predict(-1, 1), 2},
		{"prediction of an unknown movie", f.Predict(0, -1), 3 + 1.0/9},
		{"prediction of an unknown pair", f.Predict(-1, -1), 3},
	} {
		if math.Abs(c.got-c.want) > 1e-6 { // float32 rounding of numbers up to 4
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
		}
	}
	if f.Rank != 0 || len(f.UserFactors) != 0 || len(f.MovieFactors) != 0 {
		t.Errorf("bias-only factors have rank %d, want 0", f.Rank)
	}
}

func TestNothingToLearnFromIsAnError(t *testing.T) {
	empty := &ratings.Matrix{}
	if _, err := Train(t.Context(), empty, DefaultParameters(ALS), nil); !errors.Is(err, ratings.ErrNoRatings) {
		t.Errorf("Train returned %v", err)
	}
	if _, err := TrainReference(empty, DefaultParameters(ALS)); !errors.Is(err, ratings.ErrNoRatings) {
		t.Errorf("TrainReference returned %v", err)
	}
	if _, err := BiasOnly(t.Context(), empty, 1, 0.5, 1); !errors.Is(err, ratings.ErrNoRatings) {
		t.Errorf("BiasOnly returned %v", err)
	}
}
