package eval_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

var replayParameters = als.Parameters{Algorithm: als.ALS, Rank: 3, Lambda: 0.8, Nu: 0.5, Iterations: 3, Seed: 1}

// overTime are ratings with times, in which users and movies come up over time.
func overTime(t *testing.T) []ratings.Rating {
	t.Helper()
	random := rand.New(rand.NewPCG(7, 7))
	all := recsystest.Ratings(30, 25, 0.5, 3)
	for k := range all {
		all[k].Time = int64(100 * random.Float64())
		if all[k].Movie/10%6 == 0 || all[k].User > 27 {
			all[k].Time += 100
		}
	}
	return all
}

// naive is a replay as its definition says: one rating after the other, all that
// came before looked up anew, folding in by the normal equations.
type naive struct {
	t      *testing.T
	r      eval.Replay
	sorted []ratings.Rating
	f      *als.Factors
	movies map[int64][]float64 // factors and then the bias
}

func (n *naive) rmse() float64 {
	n.sorted = slices.Clone(n.sorted)
	ratings.SortByTime(n.sorted)
	first := len(n.sorted) - int(math.Round(n.r.Share*float64(len(n.sorted))))
	var e eval.RMSE
	for k := first; k < len(n.sorted); k++ {
		done := k - first
		if done == 0 || n.r.RetrainEvery > 0 && done%n.r.RetrainEvery == 0 {
			n.train(n.sorted[:k])
		} else if n.r.FoldMoviesEvery > 0 && done%n.r.FoldMoviesEvery == 0 {
			n.foldMovies(n.sorted[:k])
		}
		user := n.user(n.sorted[:k], n.sorted[k].User)
		e.Add(min(max(n.predict(user, n.movie(n.sorted[k].Movie)), 0.5), 5), float64(n.sorted[k].Value))
	}
	return e.Value()
}

func (n *naive) train(before []ratings.Rating) {
	matrix, err := ratings.NewMatrix(before)
	if err != nil {
		n.t.Fatal(err)
	}
	if n.f, err = als.Train(n.t.Context(), matrix, n.r.Parameters, nil); err != nil {
		n.t.Fatal(err)
	}
	n.movies = map[int64][]float64{}
	for i, id := range n.f.Movies {
		for _, y := range n.f.MovieFactors[i*n.f.Rank:][:n.f.Rank] {
			n.movies[id] = append(n.movies[id], float64(y))
		}
		n.movies[id] = append(n.movies[id], float64(n.f.MovieBias[i]))
	}
}

func (n *naive) movie(id int64) []float64 {
	if known := n.movies[id]; known != nil {
		return known
	}
	return make([]float64, n.f.Rank+1)
}

func (n *naive) predict(user, movie []float64) float64 {
	value := float64(n.f.Mean) + user[n.f.Rank] + movie[n.f.Rank]
	for c := range n.f.Rank {
		value += user[c] * movie[c]
	}
	return value
}

func (n *naive) user(before []ratings.Rating, id int64) []float64 {
	var others [][]float64
	var values []float64
	for _, r := range before {
		if r.User == id {
			others, values = append(others, n.movie(r.Movie)), append(values, float64(r.Value))
		}
	}
	return n.solve(others, values)
}

// foldMovies has all movies that are not trained, and have five raters, folded
// in at once.
func (n *naive) foldMovies(before []ratings.Rating) {
	folded := map[int64][]float64{}
	for _, rating := range before {
		if _, trained := slices.BinarySearch(n.f.Movies, rating.Movie); trained {
			continue
		}
		var others [][]float64
		var values []float64
		for _, r := range before {
			if r.Movie == rating.Movie {
				others, values = append(others, n.user(before, r.User)), append(values, float64(r.Value))
			}
		}
		if len(values) >= 5 {
			folded[rating.Movie] = n.solve(others, values)
		}
	}
	for id, movie := range folded {
		n.movies[id] = movie
	}
}

// solve returns factors and then the bias of a row with these ratings.
func (n *naive) solve(others [][]float64, values []float64) []float64 {
	rank := n.f.Rank
	out := make([]float64, rank+1)
	if len(values) == 0 {
		return out
	}
	a, b := mat.NewDense(rank+1, rank+1, nil), mat.NewVecDense(rank+1, nil)
	for k, other := range others {
		z := mat.NewVecDense(rank+1, append(slices.Clone(other[:rank]), 1))
		a.RankOne(a, 1, z, z)
		b.AddScaledVec(b, values[k]-float64(n.f.Mean)-other[rank], z)
	}
	for c := range rank + 1 {
		a.Set(c, c, a.At(c, c)+n.f.Lambda*math.Pow(float64(len(values)), n.f.Nu))
	}
	if err := mat.NewVecDense(rank+1, out).SolveVec(a, b); err != nil {
		n.t.Fatal(err)
	}
	return out
}

func TestReplayEqualsItsDefinition(t *testing.T) {
	all := overTime(t)
	seen := map[float64]bool{}
	for _, c := range []struct {
		name               string
		retrain, fold      int
		trainings, folding int // at least so many foldings of movies
	}{
		{"one model", 0, 0, 1, 0},
		{"retrained", 30, 0, 4, 0},
		{"movies folded in", 0, 20, 1, 1},
		{"retrained and movies folded in", 45, 20, 3, 1},
		{"both at once", 60, 30, 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := eval.Replay{Parameters: replayParameters, Share: 110 / float64(len(all)), RetrainEvery: c.retrain, FoldMoviesEvery: c.fold}
			want := (&naive{t: t, r: r, sorted: all}).rmse()
			var last float64
			for _, threads := range []int{1, 3} {
				r.Parameters.Threads = threads
				got, err := r.Run(t.Context(), all)
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(got.RMSE-want) > 1e-4 { // factors are float32
					t.Errorf("RMSE %.6f, want %.6f", got.RMSE, want)
				}
				if got.Trainings != c.trainings || got.FoldedMovies < c.folding || c.folding == 0 && got.FoldedMovies > 0 || got.TestRatings != 110 {
					t.Errorf("got %+v", got)
				}
				if threads > 1 && got.RMSE != last {
					t.Errorf("RMSE is %v with %d threads, %v with one", got.RMSE, threads, last)
				}
				last = got.RMSE
			}
			if seen[last] {
				t.Errorf("RMSE %v is that of another way", last)
			}
			seen[last] = true
		})
	}
}

// TestReplayByHand: μ = 3 of a movie that four users rated 3; then user 9 rates
// it 5, another movie 5, the first again 1, and a third. With λ = 1 and ν = 0
// the bias is the sum of the distances to 3 over one more than their number.
func TestReplayByHand(t *testing.T) {
	all := []ratings.Rating{
		{User: 1, Movie: 1, Value: 3, Time: 1},
		{User: 2, Movie: 1, Value: 3, Time: 2},
		{User: 3, Movie: 1, Value: 3, Time: 3},
		{User: 4, Movie: 1, Value: 3, Time: 3},
		{User: 9, Movie: 1, Value: 5, Time: 4},
		{User: 9, Movie: 2, Value: 5, Time: 5},
		{User: 9, Movie: 1, Value: 1, Time: 6},
		{User: 9, Movie: 3, Value: 2, Time: 7},
	}
	p := als.Parameters{Algorithm: als.ALS, Rank: 1, Lambda: 1, Iterations: 1}
	var steps []int
	r := eval.Replay{Parameters: p, Share: 0.5, Progress: func(done, total int) { steps = append(steps, done, total) }}
	got, err := r.Run(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	// Predicted: 3, nothing known; 3 + 2/2; 3 + 4/3; of 5 and 1, the newer rating, 3 + 0/3. Factors are all 0.
	errs := []float64{2, 1, 2 + 4.0/3, 1}
	squares := 0.0
	for _, e := range errs {
		squares += e * e
	}
	if want := math.Sqrt(squares / 4); !near(got.RMSE, want) || !near(got.BiasOnlyRMSE, want) {
		t.Errorf("RMSE %v, of biases alone %v, want %v", got.RMSE, got.BiasOnlyRMSE, want)
	}
	if want := math.Sqrt((4 + 4 + 4 + 1) / 4.0); !near(got.FrozenRMSE, want) || got.ColdPairs != 4 || got.TrainRatings != 4 || got.TestRatings != 4 {
		t.Errorf("frozen RMSE %v, want %v: %+v", got.FrozenRMSE, want, got)
	}
	if !near(got.MAE, mean(errs)) || !slices.Equal(steps, []int{4, 4}) {
		t.Errorf("MAE %v, progress %v", got.MAE, steps)
	}
}

// TestMoviesNeedFiveRatersToBeFoldedIn: movies 1 to 5 get a rating each by so
// many users, and are folded in before the last rating only.
func TestMoviesNeedFiveRatersToBeFoldedIn(t *testing.T) {
	all := overTime(t)
	for k := range all {
		all[k].Time = 0
	}
	known := len(all)
	for movie, raters := range map[int64]int64{1: 3, 2: 4, 3: 5, 4: 6} {
		for user := range raters {
			all = append(all, ratings.Rating{User: user + 1, Movie: movie, Value: 4, Time: 1})
		}
	}
	all = append(all, ratings.Rating{User: 1, Movie: 9, Value: 4, Time: 2})
	rated := len(all) - known
	r := eval.Replay{Parameters: replayParameters, Share: float64(rated) / float64(len(all)), FoldMoviesEvery: rated - 1}
	got, err := r.Run(t.Context(), all)
	if err != nil || got.FoldedMovies != 2 || got.FoldedUsers != rated+6 {
		t.Errorf("%d movies and %d users folded in, want 2 and %d; %v", got.FoldedMovies, got.FoldedUsers, rated+6, err)
	}
}

func TestReplayOfEveryAlgorithm(t *testing.T) {
	for _, algorithm := range als.Algorithms() {
		p := replayParameters
		p.Algorithm = algorithm
		got, err := eval.Replay{Parameters: p, Share: 0.2, FoldMoviesEvery: 10}.Run(t.Context(), overTime(t))
		if err != nil || !(got.RMSE > 0 && got.RMSE < 2) {
			t.Errorf("%s: RMSE %v, %v", algorithm, got.RMSE, err)
		}
	}
}

func TestReplayRefusesWhatItCannotPlay(t *testing.T) {
	all := overTime(t)
	bad := slices.Clone(all)
	for k := range bad {
		bad[k].Value = float32(math.NaN())
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, c := range []struct {
		name  string
		ctx   context.Context
		all   []ratings.Rating
		share float64
		want  error
	}{
		{"no ratings", t.Context(), nil, 0.2, ratings.ErrNoRatings},
		{"no test part", t.Context(), all[:2], 0.1, ratings.ErrNoRatings},
		{"no training part", t.Context(), all[:2], 0.9, ratings.ErrNoRatings},
		{"ratings that are no numbers", t.Context(), bad, 0.2, ratings.ErrBadRating},
		{"an ended context", ended, all, 0.2, context.Canceled},
	} {
		r := eval.Replay{Parameters: replayParameters, Share: c.share}
		if _, err := r.Run(c.ctx, c.all); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

// TestReplayOfMovieLens is what folding in promises between trainings.
func TestReplayOfMovieLens(t *testing.T) {
	if testing.Short() || underRace {
		t.Skip("SKIPPED: 20,000 users are folded in, which takes minutes with the race detector; small replays are not skipped")
	}
	all, err := ratings.ReadRatings(recsystest.DataDir(t))
	if err != nil {
		t.Fatal(err)
	}
	got, err := eval.Replay{Parameters: als.DefaultParameters(als.ALS), Share: 0.2}.Run(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", got)
	if got.RMSE > 0.858 || math.Abs(got.FrozenRMSE-1.012) > 0.005 || got.RMSE > got.BiasOnlyRMSE-0.01 {
		t.Errorf("RMSE %.4f, frozen %.4f, biases alone %.4f; want at most .858, about 1.012, and .01 below biases",
			got.RMSE, got.FrozenRMSE, got.BiasOnlyRMSE)
	}
}
