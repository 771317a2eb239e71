package model

import (
	"math"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// unbiased is a model as Spark's ALS learns it: users 1 and 2, movies 10 and 20. The
// average user has factors (1, 1), the average movie (2, 1).
func unbiased(t *testing.T) *Model {
	t.Helper()
	return mustNew(t, &als.Factors{
		Rank: 2, Unbiased: true, Lambda: 0.1, Nu: 1,
		Users: []int64{1, 2}, UserBias: make([]float32, 2), UserFactors: []float32{2, 0, 0, 2}, UserCounts: []int32{3, 3},
		Movies: []int64{10, 20}, MovieBias: make([]float32, 2), MovieFactors: []float32{2.25, 0, 1.75, 2}, MovieCounts: []int32{3, 3},
	})
}

func TestWhatAModelWithoutBiasesDoesNotKnowIsAverage(t *testing.T) {
	m := unbiased(t)
	for pair, want := range map[[2]int64]float32{
		{1, 10}: 4.5, {2, 20}: 4, // known to it
		{9, 10}: 2.25, {9, 20}: 3.75, // an average user
		{1, 99}: 4, {2, 99}: 2, // an average movie
		{9, 99}: 3,
	} {
		got := m.Predict(pair[0], pair[1])
		if got.Value != want || got.ColdUser != (pair[0] == 9) || got.ColdMovie != (pair[1] == 99) {
			t.Errorf("of user %d and movie %d it says %+v, want %v", pair[0], pair[1], got, want)
		}
		if q := NewUsers().Predict(m, pair[0], pair[1]); q != got {
			t.Errorf("with nothing remembered of user %d and movie %d it says %+v, want %+v", pair[0], pair[1], q, got)
		}
	}
}

// TestRatingsOfUnknownMoviesMoveAModelWithoutBiasesAsMuchAsTheyDiffer from the average:
// as against 0 stars, each would move the user's bias up to the end of the scale.
func TestRatingsOfUnknownMoviesMoveAModelWithoutBiasesAsMuchAsTheyDiffer(t *testing.T) {
	m, users := unbiased(t), NewUsers()
	for movie := range int64(10) { // as user 2's average movie is rated
		users.Learn(ratings.Rating{User: 2, Movie: 100 + movie, Value: 2, Time: 1})
	}
	if got := users.Predict(m, 2, 20).Value; got != 4 {
		t.Errorf("after ratings as expected it says %v, want 4", got)
	}
	users.Learn(ratings.Rating{User: 2, Movie: 200, Value: 3, Time: 1})
	if got, want := float64(users.Predict(m, 2, 20).Value), 4+1/(11+0.1*11); math.Abs(got-want) > 1e-6 {
		t.Errorf("after one rating of a star more it says %v, want %v", got, want)
	}
	step := users.PredictAndLearn(m, ratings.Rating{User: 2, Movie: 201, Value: 2, Time: 1}).Value
	if want := float32(2 + 1/(11+0.1*11)); math.Abs(float64(step-want)) > 1e-6 {
		t.Errorf("of an unknown movie it says %v, want %v", step, want)
	}
}

func TestAUserWithUnknownMoviesAloneIsAverageButForABias(t *testing.T) {
	m, users := unbiased(t), NewUsers()
	for movie := range int64(4) {
		users.Learn(ratings.Rating{User: 9, Movie: 100 + movie, Value: 4, Time: 1}) // the average is 3
	}
	bias := 4 / (4 + 0.1*4)
	for movie, want := range map[int64]float64{10: 2.25 + bias, 20: 3.75 + bias, 99: 3 + bias} {
		if got := users.Predict(m, 9, movie).Value; math.Abs(float64(got)-want) > 1e-6 {
			t.Errorf("of movie %d it says %v, want %v", movie, got, want)
		}
	}
}
