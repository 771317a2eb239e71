package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Replay plays ratings in the order of time, as they would have come: a model is
// trained on the first of them, and each of the others is predicted before it is
// learned. A user is folded in anew from the full history before each
// prediction (als.Folder), so that factors follow each rating.
type Replay struct {
	Parameters als.Parameters // its Preference has no part in this
	Share      float64        // of the ratings that are predicted, the newest, between 0 and 1

	// RetrainEvery is after how many predicted ratings a new model is trained
	// on all that came before; 0 means never.
	RetrainEvery int

	// FoldMoviesEvery is after how many predicted ratings movies that the model
	// does not know, and that have five raters by then, are folded in from
	// these; 0 means never. Until then such a movie counts as an average one.
	FoldMoviesEvery int

	// Progress, which may be nil, is called with the number of ratings that are
	// predicted and of those that will be.
	Progress func(done, total int)
}

// ReplayResult is what a replay found, as `eval --replay --json` prints it.
// Errors are in stars over all predicted ratings, none left out.
type ReplayResult struct {
	Algorithm    string         `json:"algorithm"`
	Parameters   als.Parameters `json:"parameters"`
	TrainRatings int            `json:"train_ratings"`
	TestRatings  int            `json:"test_ratings"`
	ColdPairs    int            `json:"cold_pairs"` // test ratings of a user or a movie that the first model does not know
	RetrainEvery int            `json:"retrain_every"`
	FoldMovies   int            `json:"fold_movies_every"`
	Trainings    int            `json:"trainings"`
	FoldedUsers  int            `json:"folded_users"`  // how often a user was folded in
	FoldedMovies int            `json:"folded_movies"` // how often a movie was
	RMSE         float64        `json:"rmse"`
	RMSE90       Interval       `json:"rmse_90"` // 90 % bootstrap interval over users
	MAE          float64        `json:"mae"`
	FrozenRMSE   float64        `json:"frozen_rmse"`    // of the first model, which learns nothing
	BiasOnlyRMSE float64        `json:"bias_only_rmse"` // of biases alone, the user's learned as ratings come, retrained with the model
	Seconds      struct {
		Read    float64 `json:"read"`
		Train   float64 `json:"train"`
		Predict float64 `json:"predict"`
	} `json:"seconds"`
}

// foldedRaters is how many raters a movie needs to be folded in.
const foldedRaters = 5

// Run replays the ratings, ordered by (time, user, movie), which are left as
// they are. The result does not depend on the threads. Between retrainings and
// foldings of movies users do not depend on each other, and are spread over
// threads.
//
// It returns ratings.ErrNoRatings if either part is empty, an error that wraps
// als.ErrBadParameters or ratings.ErrBadRating, or ctx's error.
func (r Replay) Run(ctx context.Context, all []ratings.Rating) (ReplayResult, error) {
	train, test := TimeSplit(all, r.Share)
	if len(test) == 0 {
		return ReplayResult{}, fmt.Errorf("test part: %w", ratings.ErrNoRatings)
	}
	if _, err := ratings.NewMatrix(test); err != nil {
		return ReplayResult{}, fmt.Errorf("test part: %w", err)
	}
	if len(train) == 0 {
		return ReplayResult{}, fmt.Errorf("training part: %w", ratings.ErrNoRatings)
	}
	r.Parameters.Preference = nil
	run := newReplayRun(r, train, test)
	for run.done < len(test) {
		if err := run.block(ctx); err != nil {
			return ReplayResult{}, fmt.Errorf("replaying rating %d of %d: %w", run.done+1, len(test), err)
		}
		if r.Progress != nil {
			r.Progress(run.done, len(test))
		}
	}
	return run.summary(), nil
}

// replayRun is a replay under way.
type replayRun struct {
	Replay
	sorted    []ratings.Rating // all, by time
	first     int              // where the test part begins
	done      int              // test ratings predicted
	histories map[int64]*history
	live      *liveFactors
	biases    *als.Factors
	biasRows  map[int64]int32 // of movies in biases
	predicted []replayed      // of each test rating
	result    ReplayResult
}

// history is what one user rated, by ascending movie id, one rating a movie.
type history struct {
	movies []int64
	values []float32
}

func (h *history) learn(r ratings.Rating) {
	at, known := slices.BinarySearch(h.movies, r.Movie)
	if known {
		h.values[at] = r.Value
		return
	}
	h.movies = slices.Insert(h.movies, at, r.Movie)
	h.values = slices.Insert(h.values, at, r.Value)
}

// replayed is one test rating's predictions, in stars.
type replayed struct{ model, biases, frozen float32 }

func newReplayRun(r Replay, train, test []ratings.Rating) *replayRun {
	run := &replayRun{
		Replay: r, sorted: slices.Concat(train, test), first: len(train),
		histories: map[int64]*history{}, predicted: make([]replayed, len(test)),
	}
	for _, rating := range train {
		run.history(rating.User).learn(rating)
	}
	for _, rating := range test {
		run.history(rating.User) // so that goroutines only read the map
	}
	return run
}

func (r *replayRun) history(user int64) *history {
	h := r.histories[user]
	if h == nil {
		h = &history{}
		r.histories[user] = h
	}
	return h
}

// block trains or folds movies where it is time, and predicts the ratings up to
// the next time.
func (r *replayRun) block(ctx context.Context) error {
	switch {
	case r.done == 0 || r.RetrainEvery > 0 && r.done%r.RetrainEvery == 0:
		began := time.Now()
		if err := r.train(ctx); err != nil {
			return err
		}
		r.result.Seconds.Train += time.Since(began).Seconds()
	case r.FoldMoviesEvery > 0 && r.done%r.FoldMoviesEvery == 0:
		if err := r.foldMovies(ctx); err != nil {
			return err
		}
	}
	end := len(r.predicted)
	for _, every := range []int{r.RetrainEvery, r.FoldMoviesEvery} {
		if every > 0 {
			end = min(end, (r.done/every+1)*every)
		}
	}
	began := time.Now()
	err := r.predictTo(ctx, end)
	r.result.Seconds.Predict += time.Since(began).Seconds()
	return err
}

func (r *replayRun) train(ctx context.Context) error {
	matrix, err := ratings.NewMatrix(r.sorted[:r.first+r.done])
	if err != nil {
		return err
	}
	f, err := als.Train(ctx, matrix, r.Parameters, nil)
	if err != nil {
		return err
	}
	r.biases, err = als.BiasOnly(ctx, matrix, r.Parameters.Lambda, r.Parameters.Nu, biasSweeps)
	if err != nil {
		return err
	}
	r.biasRows = rowsOf(f.Movies)
	if r.live, err = newLiveFactors(f, len(f.Movies), nil); err != nil {
		return err
	}
	r.live.folder = als.NewFolder(r.live.f)
	r.result.Trainings++
	if r.done == 0 {
		return r.predictFrozen(f)
	}
	return nil
}

func (r *replayRun) predictFrozen(f *als.Factors) error {
	m, err := model.New(f, model.MovieLensScale)
	if err != nil {
		return err
	}
	for k, rating := range r.sorted[r.first:] {
		p := m.Predict(rating.User, rating.Movie)
		r.predicted[k].frozen = p.Value
		if p.ColdUser || p.ColdMovie {
			r.result.ColdPairs++
		}
	}
	return nil
}

// predictTo predicts and learns the test ratings up to end.
func (r *replayRun) predictTo(ctx context.Context, end int) error {
	groups := byUser(r.sorted[r.first+r.done:r.first+end], r.done)
	errs := make([]error, len(groups))
	err := inParallel(ctx, r.Parameters.Threads, len(groups), func() func(int) {
		folder := newUserFolder(r.live)
		return func(group int) {
			for _, k := range groups[group] {
				rating := r.sorted[r.first+k]
				h := r.histories[rating.User]
				if errs[group] = folder.fold(h); errs[group] != nil {
					return
				}
				r.predicted[k].model = folder.predict(rating.Movie)
				r.predicted[k].biases = r.predictByBiases(h, rating.Movie)
				h.learn(rating)
			}
		}
	})
	r.done = end
	return errors.Join(append(errs, err)...)
}

// byUser returns the places of the ratings of each user, in their order, counted
// from start; users of many ratings come first.
func byUser(of []ratings.Rating, start int) [][]int {
	places := map[int64][]int{}
	for k, rating := range of {
		places[rating.User] = append(places[rating.User], start+k)
	}
	groups := make([][]int, 0, len(places))
	for _, user := range sortedKeys(places) {
		groups = append(groups, places[user])
	}
	slices.SortStableFunc(groups, func(a, b []int) int { return len(b) - len(a) })
	return groups
}

// predictByBiases predicts with the user's bias from the full history.
func (r *replayRun) predictByBiases(h *history, movie int64) float32 {
	movieBias := func(movie int64) float64 {
		if row, known := r.biasRows[movie]; known {
			return float64(r.biases.MovieBias[row])
		}
		return 0
	}
	mean := float64(r.biases.Mean)
	bias := foldBias(len(h.movies), r.biases, func(k int) float64 { return float64(h.values[k]) - mean - movieBias(h.movies[k]) })
	return model.MovieLensScale.Clamp(float32(mean + bias + movieBias(movie)))
}

// foldBias is the user's bias Σ residual / (n + λ·n^ν) of n ratings.
func foldBias(n int, f *als.Factors, residual func(k int) float64) float64 {
	if n == 0 {
		return 0
	}
	sum := 0.0
	for k := range n {
		sum += residual(k)
	}
	return sum / (float64(n) + f.Lambda*math.Pow(float64(n), f.Nu))
}

func (r *replayRun) summary() ReplayResult {
	result := r.result
	result.Algorithm, result.Parameters = r.Parameters.Algorithm, r.Parameters
	result.TrainRatings, result.TestRatings = r.first, len(r.predicted)
	result.RetrainEvery, result.FoldMovies = r.RetrainEvery, r.FoldMoviesEvery
	result.FoldedUsers += len(r.predicted)
	var ours, frozen, biases RMSE
	users := map[int64]*RMSE{}
	for k, p := range r.predicted {
		rating := r.sorted[r.first+k]
		actual := float64(rating.Value)
		ours.Add(float64(p.model), actual)
		frozen.Add(float64(p.frozen), actual)
		biases.Add(float64(p.biases), actual)
		result.MAE += math.Abs(float64(p.model)-actual) / float64(len(r.predicted))
		if users[rating.User] == nil {
			users[rating.User] = &RMSE{}
		}
		users[rating.User].Add(float64(p.model), actual)
	}
	result.RMSE, result.FrozenRMSE, result.BiasOnlyRMSE = ours.Value(), frozen.Value(), biases.Value()
	result.RMSE90 = intervalOfRMSE(r.Parameters.Seed, users)
	return result
}
