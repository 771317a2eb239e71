package als_test

import (
	"math"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// TestLossByHand: user 1 chose movie 10, for which 2 stars speak, and user 2 movie 20,
// for which less than nothing does; scores are 2·1, 2·0, 3·1 and 3·0.
//
//	(1 + 0.5·2)·(1 − 2)² + (0 − 0)² + (0 − 3)² + 1·(1 − 0)² + 0.1·(4 + 9 + 1) = 13.4
func TestLossByHand(t *testing.T) {
	choices, err := ratings.NewMatrix([]ratings.Rating{{User: 1, Movie: 10, Value: 2}, {User: 2, Movie: 20, Value: -1}})
	if err != nil {
		t.Fatal(err)
	}
	head := als.Preference{Rank: 1, UserFactors: []float32{2, 3}, MovieFactors: []float32{1, 0}, Alpha: 0.5, Lambda: 0.1}
	if got := head.Loss(choices); math.Abs(got-13.4) > 1e-12 { // rounding of a dozen doubles
		t.Errorf("got %v, want 13.4", got)
	}
}

// TestLossIsOverAllPairs compares it with what goes over all of them, after each
// iteration, which has to make it less.
func TestLossIsOverAllPairs(t *testing.T) {
	choices, err := ratings.NewMatrix(recsystest.Ratings(40, 30, 0.3, 1))
	if err != nil {
		t.Fatal(err)
	}
	p := als.DefaultPreference()
	p.Rank, p.Iterations, p.ChooseBeta = 5, 6, false
	var losses []float64
	_, err = als.TrainPreference(t.Context(), choices, p, 1, 1, func(at als.Progress) {
		head := at.Learnt()
		got, want := head.Loss(choices), lossOfAllPairs(head, choices)
		if math.Abs(got-want) > 1e-9*want { // sums of 1,200 doubles in another order
			t.Errorf("iteration %d: got %v, want %v", at.Iteration, got, want)
		}
		losses = append(losses, got)
	})
	if err != nil {
		t.Fatal(err)
	}
	for k := 1; k < len(losses); k++ {
		if losses[k] > losses[k-1]*(1+1e-3) { // of factors that may be bfloat16
			t.Errorf("the loss grows: %.3f", losses)
		}
	}
	if len(losses) != p.Iterations || losses[p.Iterations-1] > 0.99*losses[0] {
		t.Errorf("nothing was learnt: %.3f", losses)
	}
}

func lossOfAllPairs(head *als.Preference, choices *ratings.Matrix) float64 {
	loss := 0.0
	for _, factors := range [][]float32{head.UserFactors, head.MovieFactors} {
		for _, x := range factors {
			loss += head.Lambda * float64(x) * float64(x)
		}
	}
	for u := range choices.Users {
		chosen := map[int32]float64{}
		movies, values := choices.User(u)
		for k, i := range movies {
			chosen[i] = float64(values[k])
		}
		for i := range choices.Movies {
			score, confidence, preference := 0.0, 1.0, 0.0
			for c := range head.Rank {
				score += float64(head.UserFactors[u*head.Rank+c]) * float64(head.MovieFactors[i*head.Rank+c])
			}
			if value, found := chosen[int32(i)]; found {
				confidence, preference = 1+head.Alpha*value, 1
			}
			loss += confidence * (preference - score) * (preference - score)
		}
	}
	return loss
}
