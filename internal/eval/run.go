package eval

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Result is an evaluation with its baselines, as `eval --json` prints it: names
// of fields stay as they are, new ones may come. Errors are in stars; times are
// in seconds; rankings are of all movies unseen in training.
type Result struct {
	Algorithm       string         `json:"algorithm"`
	Parameters      als.Parameters `json:"parameters"`
	TrainRatings    int            `json:"train_ratings"` // pairs
	TestRatings     int            `json:"test_ratings"`
	ColdPairs       int            `json:"cold_pairs"` // test ratings of a user or a movie unknown in training
	RMSE            float64        `json:"rmse"`       // over all test ratings
	RMSE90          Interval       `json:"rmse_90"`    // 90 % bootstrap interval over users
	MAE             float64        `json:"mae"`
	RMSEWarm        float64        `json:"rmse_warm"` // over test ratings that are not cold
	NDCG10          float64        `json:"ndcg10"`    // as in ranking
	NDCG90          Interval       `json:"ndcg10_90"` // 90 % bootstrap interval over users
	Recall20        float64        `json:"recall20"`  // as in ranking
	Ranking         Ranking        `json:"ranking"`   // as served: by the head that ranks with its share of the rating
	RankingByRating Ranking        `json:"ranking_by_rating"`
	Baselines       Baselines      `json:"baselines"`
	AveragedRMSE    float64        `json:"averaged_rmse,omitempty"` // of als_bayes: of predictions averaged over samples, unclamped
	ByActivity      []GroupError   `json:"by_activity"`             // quarters of users by their number of training ratings
	Calibration     []Calibration  `json:"calibration"`
	Intervals       *Intervals     `json:"intervals,omitempty"` // of models that state their uncertainty
	Tuning          *Tuning        `json:"tuning,omitempty"`    // how the parameters were chosen, if they were
	Seconds         Seconds        `json:"seconds"`
}

// Baselines are what a model has to beat on the same test part.
type Baselines struct {
	GlobalMean ErrorBaseline `json:"global_mean"` // μ for every pair
	BiasOnly   ErrorBaseline `json:"bias_only"`   // als.BiasOnly with the same λ and ν
	Popularity Ranking       `json:"popularity"`  // movies by number of training ratings
}

// ErrorBaseline is a baseline for predicted ratings.
type ErrorBaseline struct {
	RMSE float64 `json:"rmse"`
}

// Seconds is the time that each part took. Run leaves Read to whoever read the
// ratings.
type Seconds struct {
	Read     float64 `json:"read"`
	Train    float64 `json:"train"`
	Evaluate float64 `json:"evaluate"`
}

// biasSweeps is what the bias-only baseline takes to converge.
const biasSweeps = 20

// Run trains a model on the training part and measures it, and the baselines,
// on the test part, with ratings clamped to MovieLens' half a star to five. Where
// p asks for it, β is chosen inside the training part, see ChooseBeta.
// progress may be nil; see als.Train.
//
// It returns an error that wraps als.ErrBadParameters,
// ratings.ErrNoRatings, ratings.ErrBadRating, or ctx's error.
func Run(ctx context.Context, train, test []ratings.Rating, p als.Parameters, progress func(als.Progress)) (Result, error) {
	return RunWatched(ctx, train, test, p, Watch{Training: progress})
}

// Watch is told how far an evaluation is; either may be nil.
type Watch struct {
	Training func(als.Progress)
	// Ranking is told how many lists of how many are measured, of one kind after the
	// other, by several goroutines at once.
	Ranking func(done, total int)
}

// RunWatched is Run that tells of all that takes long.
func RunWatched(ctx context.Context, train, test []ratings.Rating, p als.Parameters, w Watch) (Result, error) {
	if len(test) == 0 {
		return Result{}, fmt.Errorf("test part: %w", ratings.ErrNoRatings)
	}
	began := time.Now()
	matrix, err := ratings.NewMatrix(train)
	if err != nil {
		return Result{}, fmt.Errorf("training part: %w", err)
	}
	if p.Preference != nil && p.Preference.ChooseBeta {
		head := *p.Preference
		if head.Beta, err = ChooseBeta(ctx, ratings.Log{Ratings: train}, p, w.Training); err != nil {
			return Result{}, err
		}
		p.Preference = &head
	}
	averaged := math.NaN()
	task := als.Task{Ratings: matrix, Parameters: p, Progress: func(at als.Progress) bool {
		if at.Head == als.RatingHead {
			averaged = at.Validation
		}
		if w.Training != nil {
			at.Validation = math.NaN() // it is the test part's
			w.Training(at)
		}
		return false
	}}
	if p.Algorithm == als.Bayes { // measured, and not learnt from
		task.Validation = test
	}
	f, err := task.Run(ctx)
	if err != nil {
		return Result{}, err
	}
	trained := time.Now()
	result, err := evaluate(ctx, f, matrix, test, p, w.Ranking)
	if p.Algorithm == als.Bayes {
		result.AveragedRMSE = averaged
	}
	result.Seconds = Seconds{Train: trained.Sub(began).Seconds(), Evaluate: time.Since(trained).Seconds()}
	return result, err
}

// evaluate measures a model and the baselines.
func evaluate(ctx context.Context, f *als.Factors, train *ratings.Matrix, test []ratings.Rating, p als.Parameters, ranked func(done, total int)) (Result, error) {
	scale := model.MovieLensScale
	metrics, err := evaluateModel(ctx, f, train, test, scale, p, ranked)
	if err != nil {
		return Result{}, err
	}
	popular, err := newAudience(f, train, test).byPopularity(ctx, p.Threads)
	if err != nil {
		return Result{}, fmt.Errorf("measuring popularity: %w", err)
	}
	biases, err := biasOnly(ctx, train, p)
	if err != nil {
		return Result{}, fmt.Errorf("measuring the bias-only baseline: %w", err)
	}
	biasRMSE, err := rmseOf(biases, test)
	if err != nil {
		return Result{}, err
	}
	m, err := model.New(f, scale)
	if err != nil {
		return Result{}, err
	}
	groups := newGrouping(train)
	intervals, err := groups.intervals(m, test)
	if err != nil {
		return Result{}, fmt.Errorf("measuring intervals: %w", err)
	}
	var global RMSE
	for _, r := range test {
		global.Add(float64(scale.Clamp(f.Mean)), float64(r.Value))
	}
	return Result{
		Algorithm: p.Algorithm, Parameters: p,
		TrainRatings: train.Len(), TestRatings: metrics.Pairs, ColdPairs: metrics.ColdPairs,
		RMSE: metrics.RMSE, RMSE90: metrics.RMSE90, MAE: metrics.MAE, RMSEWarm: metrics.RMSEWarm,
		NDCG10: metrics.Ranking.NDCG10, NDCG90: metrics.NDCG90, Recall20: metrics.Ranking.Recall20,
		Ranking: metrics.Ranking, RankingByRating: metrics.RankingByRating,
		Baselines: Baselines{
			GlobalMean: ErrorBaseline{RMSE: global.Value()},
			BiasOnly:   ErrorBaseline{RMSE: biasRMSE},
			Popularity: popular,
		},
		ByActivity: groups.byActivity(m, biases, test, p.Seed), Calibration: calibration(m, test), Intervals: intervals,
	}, nil
}

func biasOnly(ctx context.Context, train *ratings.Matrix, p als.Parameters) (*model.Model, error) {
	biases, err := als.BiasOnly(ctx, train, p.Lambda, p.Nu, biasSweeps)
	if err != nil {
		return nil, err
	}
	return model.New(biases, model.MovieLensScale)
}

// rmseOf is the error of what would be served.
func rmseOf(m *model.Model, test []ratings.Rating) (float64, error) {
	var e RMSE
	for _, r := range test {
		e.Add(float64(m.Predict(r.User, r.Movie).Value), float64(r.Value))
	}
	if value := e.Value(); !math.IsNaN(value) && !math.IsInf(value, 0) {
		return value, nil
	}
	return 0, fmt.Errorf("test part: %w", ratings.ErrBadRating)
}
