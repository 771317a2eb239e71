package eval

import (
	"context"
	"fmt"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const (
	betaShare   = 0.1       // of the training ratings, to choose β by
	betaRatings = 2_000_000 // about as many are looked at, whatever there are
	betaSeed    = 0x62657461
)

// chosenBetas are tried in their order; of equally good ones the first is taken.
var chosenBetas = []float64{0, 0.05, 0.1, 0.2, 0.4, 0.8}

// ChooseBeta returns the share of the predicted rating in the ranking score that
// ranks best, by NDCG@10 on a tenth of the pairs of log, which is held out for
// that: the training part is all that it looks at. Of many ratings it takes those
// of some users. Where nothing relevant is held out it returns the β of p.
//
// It trains both heads once: it takes as long as training does, but for at most
// two million ratings. progress may be nil; see als.Task.
func ChooseBeta(ctx context.Context, log ratings.Log, p als.Parameters, progress func(als.Progress)) (float64, error) {
	log = sampleUsers(log, betaRatings)
	train, test := RandomSplit(log.Ratings, betaShare, betaSeed)
	rated, chosen, err := TrainingPart(ratings.Log{Ratings: train, Choices: log.Choices}, betaSeed, betaShare).Matrices(p.Preference.Weights())
	if err != nil {
		return 0, fmt.Errorf("choosing beta: %w", err)
	}
	task := als.Task{Ratings: rated, Choices: chosen, Parameters: p}
	if progress != nil {
		task.Progress = func(at als.Progress) bool {
			progress(at)
			return false
		}
	}
	f, err := task.Run(ctx)
	if err != nil {
		return 0, fmt.Errorf("choosing beta: %w", err)
	}
	users := newAudience(f, rated, test)
	if len(users.users) == 0 {
		return p.Preference.Beta, nil
	}
	best, most := 0.0, -1.0
	for _, beta := range chosenBetas {
		ranking, err := rankingWith(ctx, users, f, beta, p.Threads)
		if err != nil {
			return 0, fmt.Errorf("choosing beta: %w", err)
		}
		if ranking.NDCG10 > most {
			best, most = beta, ranking.NDCG10
		}
	}
	return best, nil
}

// rankingWith measures the rankings of f with another β.
func rankingWith(ctx context.Context, users *audience, f *als.Factors, beta float64, threads int) (Ranking, error) {
	head := *f.Preference
	head.Beta = beta
	with := *f
	with.Preference = &head
	m, err := model.New(&with, model.MovieLensScale)
	if err != nil {
		return Ranking{}, err
	}
	ranking, _, err := users.byModel(ctx, m, topDepth, threads)
	return ranking, err
}

// TrainingPart leaves the choices of pairs out that are in the test part: who
// tagged a movie has seen it.
func TrainingPart(log ratings.Log, seed uint64, share float64) ratings.Log {
	var choices []ratings.Choice
	for _, c := range log.Choices {
		if !InTest(seed, share, c.User, c.Movie) {
			choices = append(choices, c)
		}
	}
	return ratings.Log{Ratings: log.Ratings, Choices: choices}
}

// sampleUsers returns all that some users did, about so many ratings.
func sampleUsers(log ratings.Log, count int) ratings.Log {
	if len(log.Ratings) <= count {
		return log
	}
	share := float64(count) / float64(len(log.Ratings))
	var sample ratings.Log
	for _, r := range log.Ratings {
		if InTest(betaSeed, share, r.User, 0) {
			sample.Ratings = append(sample.Ratings, r)
		}
	}
	for _, c := range log.Choices {
		if InTest(betaSeed, share, c.User, 0) {
			sample.Choices = append(sample.Choices, c)
		}
	}
	return sample
}
