package gate

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

const (
	bootstrapSeed = 0x67617465
	sampleSeed    = 0x73616d70
)

// What a guard must not lose, and the users that it needs to decide.
const (
	mostNDCGLoss     = 0.05 // of the champion's
	mostCoverageLoss = 0.10 // of the champion's
	mostColdLoss     = 0.01 // stars
	guardUsers       = 100
)

// No difference is greater: of predictions on a scale from half a star to five, of
// shares, and of relative changes that anyone would believe.
const (
	mostStars    = 4.5
	mostNDCG     = 1
	mostRelative = 10
)

// rootMeanSquares are the RMSE of both, and the gain, RMSE less RMSE: the difference
// D of mean squared errors over the sum of both RMSE, by which D's interval is
// divided too (delta method).
func rootMeanSquares(of []squares) (champion, challenger, gain float64, interval message.Interval) {
	var total squares
	differences := make([]sums, len(of))
	for k, s := range of {
		total.champion += s.champion
		total.challenger += s.challenger
		total.count += s.count
		differences[k] = sums{s.champion - s.challenger, s.count}
	}
	if total.count > 0 {
		champion, challenger = math.Sqrt(total.champion/total.count), math.Sqrt(total.challenger/total.count)
	}
	scale := champion + challenger
	if scale == 0 {
		return 0, 0, 0, message.Interval{}
	}
	difference, interval := bootstrapT(bootstrapSeed, differences, mostStars*scale)
	return champion, challenger, difference / scale, message.Interval{Low: interval.Low / scale, High: interval.High / scale}
}

func (t trial) ratingTest(ctx context.Context, v versions, threads int) (message.Test, error) {
	of, err := v.errors(ctx, threads, t.before, t.steps, math.MaxInt32)
	if err != nil {
		return message.Test{}, err
	}
	test := message.Test{Name: t.name, Head: als.RatingHead, Users: len(of), Effective: effectiveUsers(usersOf(t.steps.Ratings))}
	test.Champion, test.Challenger, test.Point, test.Gain = rootMeanSquares(of)
	for _, s := range of {
		test.Ratings += int(s.count)
	}
	return test, nil
}

// lists are what both versions recommend to a trial's listeners.
type lists struct{ champion, challenger []eval.Listed }

func (t trial) lists(ctx context.Context, v versions, threads int) (l lists, err error) {
	if l.champion, err = v.champion.Lists(ctx, threads, t.before, t.listeners); err != nil {
		return l, fmt.Errorf("recommending by the champion: %w", err)
	}
	if l.challenger, err = v.challenger.Lists(ctx, threads, t.before, t.listeners); err != nil {
		return l, fmt.Errorf("recommending by the challenger: %w", err)
	}
	return l, nil
}

func (t trial) preferenceTest(l lists) message.Test {
	n := len(l.champion)
	test := message.Test{Name: t.name, Head: als.PreferenceHead, Users: n, Effective: float64(n)}
	differences := make([]sums, n)
	for k := range n {
		a, b := l.champion[k].NDCG10, l.challenger[k].NDCG10
		test.Champion += a / float64(n)
		test.Challenger += b / float64(n)
		differences[k] = sums{b - a, 1}
		test.Ratings += len(t.listeners[k].Relevant)
	}
	test.Point, test.Gain = bootstrapT(bootstrapSeed, differences, mostNDCG)
	return test
}

// guards are all of a trial.
func (t trial) guards(ctx context.Context, v versions, l lists, threads int) ([]message.Guard, error) {
	cold, err := v.errors(ctx, threads, t.coldBefore, t.cold, coldRatings)
	if err != nil {
		return nil, err
	}
	return []message.Guard{ndcgGuard(l), coverageGuard(l, v.catalogue), coldGuard(cold)}, nil
}

// closed fills in what follows from the others.
func closed(g message.Guard) message.Guard {
	g.Passed = g.Change.Low >= g.Limit
	g.Decides = g.Users >= guardUsers
	return g
}

func ndcgGuard(l lists) message.Guard {
	g := message.Guard{Name: "ndcg10", Relative: true, Limit: -mostNDCGLoss, Users: len(l.champion)}
	changes := make([]sums, len(l.champion))
	for k := range changes {
		a, b := l.champion[k].NDCG10, l.challenger[k].NDCG10
		g.Champion += a / float64(len(changes))
		g.Challenger += b / float64(len(changes))
		changes[k] = sums{b - a, a}
	}
	if g.Champion > 0 { // else nothing can be lost
		_, g.Change = bootstrapT(bootstrapSeed, changes, mostRelative)
	}
	return closed(g)
}

func coldGuard(cold []squares) message.Guard {
	g := message.Guard{Name: "cold_user_rmse", Limit: -mostColdLoss, Users: len(cold)}
	if len(cold) > 0 {
		g.Champion, g.Challenger, _, g.Change = rootMeanSquares(cold)
	}
	return closed(g)
}

// coverageGuard compares how many movies are among some user's first ten. The
// interval is that of the ratio of both counts over draws of users, which count for
// both: fewer movies are among the lists of a draw, but of both alike.
func coverageGuard(l lists, catalogue int) message.Guard {
	g := message.Guard{Name: "coverage10", Relative: true, Limit: -mostCoverageLoss, Users: len(l.champion)}
	if len(l.champion) == 0 {
		return closed(g)
	}
	rows := map[int64]int32{}
	champion, challenger := numbered(l.champion, rows), numbered(l.challenger, rows)
	everyone := make([]int, len(champion))
	for k := range everyone {
		everyone[k] = k
	}
	marks := make([]int32, len(rows))
	mark := int32(0)
	distinct := func(of [][]int32, users []int) float64 {
		mark++
		count := 0
		for _, user := range users {
			for _, movie := range of[user] {
				if marks[movie] != mark {
					marks[movie] = mark
					count++
				}
			}
		}
		return float64(count)
	}
	g.Champion, g.Challenger = distinct(champion, everyone)/float64(catalogue), distinct(challenger, everyone)/float64(catalogue)
	random := rand.New(rand.NewPCG(bootstrapSeed, 0))
	drawn := make([]float64, draws)
	for k := range drawn {
		for i := range everyone {
			everyone[i] = random.IntN(len(champion))
		}
		drawn[k] = distinct(challenger, everyone)/max(distinct(champion, everyone), 1) - 1
	}
	slices.Sort(drawn)
	g.Change.Low = stat.Quantile((1-confidence)/2, stat.LinInterp, drawn, nil)
	g.Change.High = stat.Quantile((1+confidence)/2, stat.LinInterp, drawn, nil)
	return closed(g)
}

// numbered are the lists with rows for movies, of which rows gets new ones.
func numbered(of []eval.Listed, rows map[int64]int32) [][]int32 {
	all := make([][]int32, len(of))
	for k, listed := range of {
		for _, movie := range listed.Movies {
			row, known := rows[movie]
			if !known {
				row = int32(len(rows))
				rows[movie] = row
			}
			all[k] = append(all[k], row)
		}
	}
	return all
}
