package als

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// brief are parameters that train in a moment.
func brief(algorithm string) Parameters {
	p := DefaultParameters(algorithm)
	p.Rank, p.Iterations, p.BurnIn = 8, 8, 0
	p.Preference.Rank, p.Preference.Iterations = 8, 8
	return p
}

// TestWarmStartGoesOn: the first iteration from a trained model is nearer to the
// end than the first from scratch.
func TestWarmStartGoesOn(t *testing.T) {
	m := matrix(t, recsystest.Ratings(120, 80, 0.4, 1))
	for _, algorithm := range []string{ALS, Spark} {
		p := brief(algorithm)
		var cold []float64
		trained, err := Task{Ratings: m, Parameters: p, Progress: func(p Progress) bool {
			if p.Head == RatingHead {
				cold = append(cold, p.RMSE)
			}
			return false
		}}.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		last := cold[len(cold)-1]
		again := p
		again.Iterations = 1
		warm := math.NaN()
		if _, err := (Task{Ratings: m, Parameters: again, Start: trained, Progress: func(p Progress) bool {
			if p.Head == RatingHead {
				warm = p.RMSE
			}
			return false
		}}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !(math.Abs(warm-last) < math.Abs(cold[0]-last)/4) {
			t.Errorf("%s: training errors from scratch are %.4f, the first from the end of these %.4f", algorithm, cold, warm)
		}
	}
}

// TestWarmStartOfThePreference converges on the same factors: its first iteration
// moves them by less than from scratch.
func TestWarmStartOfThePreference(t *testing.T) {
	m := matrix(t, recsystest.Ratings(120, 80, 0.4, 1))
	p := brief(Implicit)
	p.Iterations = 30
	trained := train(t, m, p)
	p.Iterations = 1
	warm, err := Task{Ratings: m, Parameters: p, Start: trained}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := distance(warm.Preference.UserFactors, trained.Preference.UserFactors); d > 0.05 {
		t.Errorf("users moved by %v of their norm", d)
	}
}

func distance(a, b []float32) float64 {
	off, norm := 0.0, 0.0
	for k := range a {
		off += (float64(a[k]) - float64(b[k])) * (float64(a[k]) - float64(b[k]))
		norm += float64(b[k]) * float64(b[k])
	}
	return math.Sqrt(off / norm)
}

// TestWarmStartOfOthers: users and movies come and go, and a model of another
// rank is none to start from.
func TestWarmStartOfOthers(t *testing.T) {
	all := recsystest.Ratings(120, 80, 0.4, 1)
	var early, late []ratings.Rating
	movieStep := all[0].Movie
	for _, r := range all {
		movieStep = min(movieStep, r.Movie)
	}
	for _, r := range all {
		if r.User%3 != 0 {
			early = append(early, r)
		}
		if r.User%3 != 1 && r.Movie/movieStep%5 != 0 {
			late = append(late, r)
		}
	}
	for _, algorithm := range Algorithms() {
		p := brief(algorithm)
		start := train(t, matrix(t, early), p)
		m := matrix(t, late)
		f, err := Task{Ratings: m, Parameters: p, Start: start}.Run(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		checkFinite(t, f)
		p.Rank, p.Preference.Rank = 9, 9
		other, err := Task{Ratings: m, Parameters: p, Start: start}.Run(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		if cold := train(t, m, p); !slices.Equal(other.UserFactors, cold.UserFactors) || !slices.Equal(other.Preference.UserFactors, cold.Preference.UserFactors) {
			t.Errorf("%s: a model of another rank changed what was learnt", algorithm)
		}
	}
}

func checkFinite(t *testing.T, f *Factors) {
	t.Helper()
	for _, values := range [][]float32{f.UserBias, f.MovieBias, f.UserFactors, f.MovieFactors, f.Preference.UserFactors, f.Preference.MovieFactors} {
		for _, v := range values {
			if v-v != 0 {
				t.Fatalf("a factor is %v", v)
			}
		}
	}
}

// TestStoppedTrainingEndsWithUsers: who stops early gets users as folding them in
// would make them.
func TestStoppedTrainingEndsWithUsers(t *testing.T) {
	m := matrix(t, recsystest.Ratings(60, 50, 0.5, 1))
	for _, algorithm := range []string{ALS, VB} {
		p := brief(algorithm)
		seen := 0
		f, err := Task{Ratings: m, Parameters: p, Progress: func(p Progress) bool {
			if p.Head == RatingHead {
				seen = p.Iteration
			}
			return p.Iteration == 3
		}}.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if seen != 3 {
			t.Errorf("%s: the last iteration is %d, want 3", algorithm, seen)
		}
		folder, x := NewFolder(f), make([]float32, p.Rank)
		for u := range m.Users {
			movies, values := m.User(u)
			bias, err := folder.FoldIn(movies, values, x)
			if err != nil {
				t.Fatal(err)
			}
			if d := math.Abs(float64(bias - f.UserBias[u])); d > 1e-5 {
				t.Fatalf("%s: bias of user row %d differs by %v from folding in", algorithm, u, d)
			}
			for c, want := range x {
				if d := math.Abs(float64(f.UserFactors[u*p.Rank+c] - want)); d > 1e-5 {
					t.Fatalf("%s: factor %d of user row %d differs by %v from folding in", algorithm, c, u, d)
				}
			}
		}
	}
}

// TestValidationIsMeasuredAsPredicted, cold pairs and all.
func TestValidationIsMeasuredAsPredicted(t *testing.T) {
	all := recsystest.Ratings(60, 50, 0.5, 1)
	var training, validation []ratings.Rating
	for k, r := range all {
		if k%5 == 0 {
			validation = append(validation, r)
		} else {
			training = append(training, r)
		}
	}
	validation = append(validation, ratings.Rating{User: 1e9, Movie: all[0].Movie, Value: 1}, ratings.Rating{User: all[0].User, Movie: 1e9, Value: 5})
	m := matrix(t, training)
	p := brief(ALS)
	p.Preference = nil
	got := math.NaN()
	f, err := Task{Ratings: m, Validation: validation, Parameters: p, Progress: func(p Progress) bool {
		got = p.Validation
		return false
	}}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	row := func(at int, known bool) int {
		if !known {
			return -1
		}
		return at
	}
	sum := 0.0
	for _, r := range validation {
		e := float64(r.Value) - f.Predict(row(m.UserRow(r.User)), row(m.MovieRow(r.Movie)))
		sum += e * e
	}
	if want := math.Sqrt(sum / float64(len(validation))); math.Abs(got-want) > 1e-5 {
		t.Errorf("validation is %v, want %v", got, want)
	}
}

// TestChoicesAloneMakeNoRating: who tagged or viewed, but rated nothing, has
// preferences, and predictions as an unknown user has.
func TestChoicesAloneMakeNoRating(t *testing.T) {
	log := ratings.Log{Ratings: recsystest.Ratings(40, 30, 0.5, 1)}
	for _, movie := range []int64{log.Ratings[0].Movie, log.Ratings[1].Movie, 777} {
		log.Choices = append(log.Choices, ratings.Choice{User: 12345, Movie: movie, Kind: ratings.Viewed})
	}
	for _, algorithm := range Algorithms() {
		p := brief(algorithm)
		rated, chosen, err := log.Matrices(p.Preference.Weights())
		if err != nil {
			t.Fatal(err)
		}
		f, err := Task{Ratings: rated, Choices: chosen, Parameters: p}.Run(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		checkFinite(t, f)
		u, _ := rated.UserRow(12345)
		i, _ := rated.MovieRow(777)
		for movie := range f.Movies {
			if a, b := f.Predict(u, movie), f.Predict(-1, movie); math.Abs(a-b) > 1e-5 {
				t.Fatalf("%s: movie row %d is predicted as %v, for an unknown user as %v", algorithm, movie, a, b)
			}
		}
		if a, b := f.Predict(0, i), f.Predict(0, -1); math.Abs(a-b) > 1e-5 {
			t.Errorf("%s: a movie that was only viewed is predicted as %v, an unknown one as %v", algorithm, a, b)
		}
		if norm := distance(f.Preference.UserFactors[u*8:][:8], make([]float32, 8)); !(norm > 0) {
			t.Errorf("%s: the user's preferences are %v", algorithm, f.Preference.UserFactors[u*8:][:8])
		}
	}
}

func TestWarmStartEndsWithItsContext(t *testing.T) {
	m := matrix(t, recsystest.Ratings(60, 50, 0.5, 1))
	for _, algorithm := range Algorithms() {
		p := brief(algorithm)
		start := train(t, m, p)
		ctx, cancel := context.WithCancel(t.Context())
		p.Iterations = 1000
		_, err := Task{Ratings: m, Parameters: p, Start: start, Progress: func(p Progress) bool {
			if p.Iteration == 2 {
				cancel()
			}
			return false
		}}.Run(ctx)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want %v", algorithm, err, context.Canceled)
		}
		cancel()
	}
}
