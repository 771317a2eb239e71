package training

import (
	"bytes"
	"math"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// TestTheCurveIsOfTrainingsCutShort: what it says after k iterations is what a
// training of k iterations ends with, of either head.
func TestTheCurveIsOfTrainingsCutShort(t *testing.T) {
	all := recsystest.Ratings(60, 40, 0.5, 1)
	j := job(4)
	head := als.DefaultPreference()
	head.Rank, head.Iterations, head.ChooseBeta, head.Beta = 4, 3, false, 0
	j.Parameters.Preference, j.Curve = &head, &Curve{}
	train(t, j, all)
	c := *j.Curve
	if len(c.Rating) != j.Parameters.Iterations || len(c.Preference) != head.Iterations {
		t.Fatalf("%d and %d points, want %d and %d", len(c.Rating), len(c.Preference), j.Parameters.Iterations, head.Iterations)
	}
	part, held := withoutHashed(ratings.Log{Ratings: all}, j.Holdout)
	if c.Held != len(held) || c.Ratings != len(part.Ratings) || c.Listeners == 0 {
		t.Errorf("of %d ratings, %d held out, %d listeners; want %d, %d", c.Ratings, c.Held, c.Listeners, len(part.Ratings), len(held))
	}
	for k := range max(len(c.Rating), len(c.Preference)) {
		cut, short := head, j.Parameters
		cut.Iterations, short.Iterations, short.Preference = min(k+1, head.Iterations), k+1, &cut
		matrix, f, err := j.fit(t.Context(), part, short, nil)
		if err != nil {
			t.Fatal(err)
		}
		if k < len(c.Rating) {
			checkRating(t, c.Rating[k], f, matrix, part.Ratings, held)
		}
		if k < len(c.Preference) {
			checkPreference(t, c.Preference[k], f, matrix, held)
		}
	}
}

// checkRating allows for the bfloat16 of all iterations but a training's last.
func checkRating(t *testing.T, got RatingPoint, f *als.Factors, matrix *ratings.Matrix, trained, held []ratings.Rating) {
	t.Helper()
	want := func(of []ratings.Rating) float64 {
		sum := 0.0
		for _, r := range of {
			user, movie := -1, -1
			if row, known := matrix.UserRow(r.User); known {
				user = row
			}
			if row, known := matrix.MovieRow(r.Movie); known {
				movie = row
			}
			e := f.Predict(user, movie) - float64(r.Value)
			sum += e * e
		}
		return math.Sqrt(sum / float64(len(of)))
	}
	if a, b := want(trained), want(held); math.Abs(got.Trained-a) > 5e-3 || math.Abs(got.Held-b) > 5e-3 {
		t.Errorf("after %d iterations RMSE %.5f in training and %.5f held out, want %.5f and %.5f", got.Iteration, got.Trained, got.Held, a, b)
	}
}

func checkPreference(t *testing.T, got PreferencePoint, f *als.Factors, matrix *ratings.Matrix, held []ratings.Rating) {
	t.Helper()
	loss := f.Preference.Loss(matrix) / float64(matrix.Len())
	ndcg, err := eval.NewPreferenceTest(matrix, held, 1).NDCG10(t.Context(), f.Preference)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(got.Loss-loss) > 1e-2*loss || math.Abs(got.NDCG10-ndcg) > 0.02 {
		t.Errorf("after %d iterations loss %.5f and NDCG@10 %.4f, want %.5f and %.4f", got.Iteration, got.Loss, got.NDCG10, loss, ndcg)
	}
}

// TestTheCurveChangesNothingThatIsLearnt, with any algorithm, and without a holdout.
func TestTheCurveChangesNothingThatIsLearnt(t *testing.T) {
	all := recsystest.Ratings(60, 40, 0.5, 1)
	for _, algorithm := range als.Algorithms() {
		for _, holdout := range []float64{0.2, 0} {
			j := job(4)
			j.Parameters = als.DefaultParameters(algorithm)
			j.Holdout, j.Parameters.Rank, j.Parameters.Iterations = holdout, 4, 6
			if algorithm == als.Bayes {
				j.Parameters.BurnIn = 2
			}
			head := als.DefaultPreference()
			head.Rank, head.Iterations, head.ChooseBeta = 4, 3, false
			j.Parameters.Preference = &head
			plain := train(t, j, all)
			j.Curve = &Curve{}
			measured := train(t, j, all)
			var a, b bytes.Buffer
			if _, err := plain.Model.WriteTo(&a); err != nil {
				t.Fatal(err)
			}
			if _, err := measured.Model.WriteTo(&b); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
				t.Errorf("%s: another model, %v", algorithm, err)
			}
			c := j.Curve
			if algorithm != als.Implicit && len(c.Rating) != 6 || len(c.Preference) == 0 || (c.Held > 0) != (holdout > 0) {
				t.Errorf("%s, holdout %v: got %+v", algorithm, holdout, c)
			}
			for _, p := range c.Rating {
				if math.IsNaN(p.Trained) || math.IsNaN(p.Held) != (holdout == 0) {
					t.Errorf("%s, holdout %v: got %+v", algorithm, holdout, p)
				}
			}
			for _, p := range c.Preference {
				if !(p.Loss > 0) || math.IsNaN(p.NDCG10) != (holdout == 0) {
					t.Errorf("%s, holdout %v: got %+v", algorithm, holdout, p)
				}
			}
			if last := c.Rating; holdout > 0 && (c.RMSE != measured.Manifest.Metrics.RMSE || algorithm == als.ALS && math.Abs(last[5].Held-c.RMSE) > 0.05) {
				t.Errorf("%s: ends with %+v, and %v is served", algorithm, last, c.RMSE)
			}
		}
	}
}
