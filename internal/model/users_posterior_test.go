package model_test

import (
	"math"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// TestCurrentBiasesAreThoseOfTraining: a user who has rated nothing new has the
// bias that training found, with every solver.
func TestCurrentBiasesAreThoseOfTraining(t *testing.T) {
	all := recsystest.Ratings(60, 80, 0.3, 3)
	matrix, err := ratings.NewMatrix(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []string{als.ALS, als.VB, als.Bayes} {
		p := als.DefaultParameters(algorithm)
		p.Preference = nil
		f, err := als.Train(t.Context(), matrix, p, nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := model.New(f, model.Scale{Min: -100, Max: 100})
		if err != nil {
			t.Fatal(err)
		}
		rated := map[[2]int64]bool{}
		users := model.NewUsers()
		for _, r := range all {
			users.Learn(r)
			rated[[2]int64{r.User, r.Movie}] = true
		}
		for _, user := range f.Users {
			for _, movie := range f.Movies {
				if rated[[2]int64{user, movie}] {
					continue
				}
				want, got := m.Predict(user, movie).Value, users.Predict(m, user, movie).Value
				if math.Abs(float64(want-got)) > 1e-3 {
					t.Fatalf("%s, user %d, movie %d: %v with the current bias, %v with training's", algorithm, user, movie, got, want)
				}
			}
		}
	}
}
