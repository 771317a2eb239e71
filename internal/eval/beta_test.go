package eval

import (
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// TestBetaIsChosenInsideTraining: a run chooses the β that its training part
// leads to, whatever is in the test part.
func TestBetaIsChosenInsideTraining(t *testing.T) {
	all := recsystest.Ratings(80, 60, 0.5, 3)
	train, test := RandomSplit(all, 0.2, 1)
	p := als.DefaultParameters(als.ALS)
	p.Rank, p.Preference.Rank, p.Preference.ChooseBeta = 8, 8, true
	want, err := ChooseBeta(t.Context(), ratings.Log{Ratings: train}, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []float32{0, 5} { // added to none, or to all test ratings
		changed := make([]ratings.Rating, len(test))
		for k, r := range test {
			r.Value = max(r.Value-value, 0.5)
			changed[k] = r
		}
		result, err := Run(t.Context(), train, changed, p, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := result.Parameters.Preference.Beta; got != want {
			t.Errorf("beta is %v, want %v", got, want)
		}
	}
	p.Preference.ChooseBeta, p.Preference.Beta = false, 0.37
	result, err := Run(t.Context(), train, test, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := result.Parameters.Preference.Beta; got != 0.37 {
		t.Errorf("beta is %v, want what was given", got)
	}
}

func TestSampleHasWholeUsers(t *testing.T) {
	log := ratings.Log{Ratings: recsystest.Ratings(200, 50, 0.5, 3)}
	whole := map[int64]int{}
	for _, r := range log.Ratings {
		whole[r.User]++
		log.Choices = append(log.Choices, ratings.Choice{User: r.User, Movie: r.Movie, Kind: ratings.Viewed})
	}
	sample := sampleUsers(log, len(log.Ratings)/2)
	counts := map[int64]int{}
	for _, r := range sample.Ratings {
		counts[r.User]++
	}
	for user, count := range counts {
		if count != whole[user] {
			t.Errorf("user %d has %d of %d ratings", user, count, whole[user])
		}
	}
	if n := len(sample.Ratings); n != len(sample.Choices) || n < len(log.Ratings)/3 || n > 2*len(log.Ratings)/3 {
		t.Errorf("%d ratings and %d choices of %d", n, len(sample.Choices), len(log.Ratings))
	}
	if got := sampleUsers(log, len(log.Ratings)); len(got.Ratings) != len(log.Ratings) {
		t.Errorf("%d ratings of %d, of which all were asked for", len(got.Ratings), len(log.Ratings))
	}
}
