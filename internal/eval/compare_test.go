package eval_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

func constant(value float64) eval.Predictor { return func(_, _ int64) float64 { return value } }

func TestCompareByHand(t *testing.T) {
	// User 1: actual 3 and 4, user 2: actual 3. Champion says 4, challenger 3:
	// squared errors 1, 0, 1 against 0, 1, 0, so RMSE √⅔ and √⅓. Differences of
	// users are 0 of 2 ratings and −1 of 1, D = −⅓; residuals ⅔ and −⅔,
	// deviation ⅔·√2·√2/3 = 4/9.
	test := []ratings.Rating{{User: 1, Movie: 1, Value: 3}, {User: 1, Movie: 2, Value: 4}, {User: 2, Movie: 1, Value: 3}}
	got, err := eval.Compare(constant(4), constant(3), test)
	if err != nil {
		t.Fatal(err)
	}
	a, b := math.Sqrt(2.0/3), math.Sqrt(1.0/3)
	if !near(got.Champion, a) || !near(got.Challenger, b) || !near(got.Difference, b-a) || !near(got.StandardError, 4.0/9/(a+b)) ||
		got.Ratings != 3 || got.Users != 2 {
		t.Errorf("got %+v", got)
	}
}

// TestStandardErrorIsTheSpreadOverSamplesOfUsers repeats the comparison on new
// users, each of whom has a leaning of his own.
func TestStandardErrorIsTheSpreadOverSamplesOfUsers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var differences, errs []float64
	for range 300 {
		var test []ratings.Rating
		for user := range int64(100) {
			leaning := random.NormFloat64()
			for movie := range int64(1 + random.IntN(20)) {
				test = append(test, ratings.Rating{User: user, Movie: movie, Value: float32(leaning + 0.5*random.NormFloat64())})
			}
		}
		c, err := eval.Compare(constant(0.3), constant(-0.1), test)
		if err != nil {
			t.Fatal(err)
		}
		differences, errs = append(differences, c.Difference), append(errs, c.StandardError)
	}
	spread, said := deviation(differences), mean(errs)
	// 300 repetitions give the spread to 4 %; four of these, and the delta method's own error.
	if math.Abs(said/spread-1) > 0.18 {
		t.Errorf("standard error is %.4f, the spread over samples is %.4f", said, spread)
	}
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, value := range values {
		sum += value
	}
	return sum / float64(len(values))
}

func deviation(values []float64) float64 {
	sum, m := 0.0, mean(values)
	for _, value := range values {
		sum += (value - m) * (value - m)
	}
	return math.Sqrt(sum / float64(len(values)-1))
}

func TestCompareAtTheEdges(t *testing.T) {
	one := []ratings.Rating{{User: 1, Movie: 1, Value: 3}}
	if _, err := eval.Compare(constant(3), constant(3), nil); !errors.Is(err, ratings.ErrNoRatings) {
		t.Errorf("nothing to compare on: got %v", err)
	}
	if _, err := eval.Compare(constant(3), constant(math.NaN()), one); err == nil || !strings.Contains(err.Error(), "movie 1 by user 1") {
		t.Errorf("a prediction that is no number: got %v", err)
	}
	if c, err := eval.Compare(constant(3), constant(3), one); err != nil || c.Difference != 0 || c.StandardError != 0 {
		t.Errorf("models that are always right: got %+v, %v", c, err)
	}
	if c, err := eval.Compare(constant(3), constant(4), one); err != nil || c.Difference != 1 || c.StandardError != 1 {
		t.Errorf("a single user: got %+v, %v", c, err)
	}
	two := append(one, ratings.Rating{User: 2, Movie: 1, Value: 5})
	if c, err := eval.Compare(constant(4), constant(4), two); err != nil || c.Difference != 0 || c.StandardError != 0 {
		t.Errorf("equal models: got %+v, %v", c, err)
	}
}
