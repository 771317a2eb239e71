package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Tuner chooses parameters by successive halving (Jamieson & Talwalkar 2016,
// "Non-stochastic Best Arm Identification and Hyperparameter Optimization") with
// folds of cross-validation as the resource: all candidates are measured on the
// first of five folds of the training part, the better third of them on a
// second one too, and the better third of these on four. The head that predicts
// ratings comes first, by RMSE; with it, the head that ranks, by NDCG@10.
//
// The parameters it starts from are always a candidate; the others are drawn
// from a grid. The result depends on the ratings, the parameters and their seed
// alone.
type Tuner struct {
	Candidates int                // of each head, at least 1
	Progress   func(TuneProgress) // may be nil
}

// TuneProgress is where tuning is, after each measurement.
type TuneProgress struct {
	Head  string // "ratings" or "ranking"
	Done  int    // measurements
	Total int
}

// Tuning is how parameters were chosen.
type Tuning struct {
	Folds   int     `json:"folds"`   // of the training part
	Ratings []Trial `json:"ratings"` // the best first; RMSE in stars
	Ranking []Trial `json:"ranking"` // the best first; NDCG@10, each with its best β
}

// Trial is one candidate. Only those measured on equally many folds compare.
type Trial struct {
	Parameters als.Parameters `json:"parameters"`
	Folds      int            `json:"folds"` // that it was measured on
	RMSE       float64        `json:"rmse,omitempty"`
	NDCG10     float64        `json:"ndcg10,omitempty"`
}

// tuneFolds is how many folds the training part has, and tuneRungs on how many
// of them the candidates that are left have been measured.
const tuneFolds = 5

var tuneRungs = []int{1, 2, 4}

// ErrNoCandidates says that there is nothing to choose from.
var ErrNoCandidates = errors.New("tuning needs at least one candidate")

// Tune returns p with better parameters for the ratings in train, which are all
// that it looks at. It returns ErrNoCandidates, ratings.ErrNoRatings if a fold
// would be empty, an error that wraps als.ErrBadParameters, or ctx's error.
func (t Tuner) Tune(ctx context.Context, train []ratings.Rating, p als.Parameters) (als.Parameters, Tuning, error) {
	if t.Candidates < 1 {
		return p, Tuning{}, ErrNoCandidates
	}
	if err := p.Validate(); err != nil {
		return p, Tuning{}, err
	}
	folds, err := newFolds(train, p.Seed)
	if err != nil {
		return p, Tuning{}, err
	}
	tuning := Tuning{Folds: tuneFolds}
	if p.Algorithm != als.Implicit { // which has biases alone
		if tuning.Ratings, err = t.tuneRatings(ctx, folds, p); err != nil {
			return p, Tuning{}, fmt.Errorf("tuning ratings: %w", err)
		}
		head := p.Preference
		p = tuning.Ratings[0].Parameters
		p.Preference = head
	}
	if p.Preference != nil {
		if tuning.Ranking, err = t.tuneRanking(ctx, folds, p); err != nil {
			return p, Tuning{}, fmt.Errorf("tuning rankings: %w", err)
		}
		p = tuning.Ranking[0].Parameters
	}
	return p, tuning, nil
}

// fold is one fold of the training part: what is held out, and the rest.
type fold struct {
	train *ratings.Matrix
	test  []ratings.Rating
}

// newFolds makes the folds by a hash of (seed, user, movie) other than that of
// RandomSplit, which has taken its part already.
func newFolds(all []ratings.Rating, seed uint64) ([]fold, error) {
	seed = mix(seed ^ 0x6f6c6473) // another seed than that of the split
	folds := make([]fold, tuneRungs[len(tuneRungs)-1])
	for k := range folds {
		var train []ratings.Rating
		for _, r := range all {
			if int(pairHash(seed, r.User, r.Movie)*tuneFolds) == k {
				folds[k].test = append(folds[k].test, r)
			} else {
				train = append(train, r)
			}
		}
		var err error
		if folds[k].train, err = ratings.NewMatrix(train); err != nil {
			return nil, fmt.Errorf("fold %d: %w", k+1, err)
		}
		if len(folds[k].test) == 0 {
			return nil, fmt.Errorf("fold %d: %w", k+1, ratings.ErrNoRatings)
		}
	}
	return folds, nil
}

func (t Tuner) tuneRatings(ctx context.Context, folds []fold, p als.Parameters) ([]Trial, error) {
	p.Preference = nil
	candidates := draw(ratingsGrid(p), p, t.Candidates, p.Seed)
	sums := make([]float64, len(candidates))
	order, counts, err := t.halve("ratings", len(candidates), func(c, k int) error {
		f, err := als.Train(ctx, folds[k].train, candidates[c], nil)
		if err != nil {
			return err
		}
		m, err := model.New(f, model.MovieLensScale)
		if err != nil {
			return err
		}
		e, err := rmseOf(m, folds[k].test)
		sums[c] += e
		return err
	}, func(c, folds int) float64 { return sums[c] / float64(folds) })
	trials := make([]Trial, 0, len(order))
	for _, c := range order {
		trials = append(trials, Trial{Parameters: candidates[c], Folds: counts[c], RMSE: sums[c] / float64(counts[c])})
	}
	return trials, err
}

// tuneRanking measures a candidate with each β at once: only the ranking score
// depends on it.
func (t Tuner) tuneRanking(ctx context.Context, folds []fold, p als.Parameters) ([]Trial, error) {
	candidates := draw(rankingGrid(p), p, t.Candidates, p.Seed)
	betas := append([]float64{p.Preference.Beta}, tuneBetas...)
	sums := make([][]float64, len(candidates))
	for c := range sums {
		sums[c] = make([]float64, len(betas))
	}
	models := make([]*als.Factors, len(folds)) // of ratings, the same for all candidates
	order, counts, err := t.halve("ranking", len(candidates), func(c, k int) error {
		f, err := rankingFactors(ctx, folds[k].train, candidates[c], &models[k])
		if err != nil {
			return err
		}
		users := newAudience(f, folds[k].train, folds[k].test)
		for at, beta := range betas {
			ranking, err := rankingWith(ctx, users, f, beta, p.Threads)
			if err != nil {
				return err
			}
			sums[c][at] += ranking.NDCG10
		}
		return nil
	}, func(c, folds int) float64 { return -slices.Max(sums[c]) / float64(folds) })
	trials := make([]Trial, 0, len(order))
	for _, c := range order {
		best := slices.Max(sums[c])
		head := *candidates[c].Preference
		head.Beta, head.ChooseBeta = betas[slices.Index(sums[c], best)], false
		candidates[c].Preference = &head
		trials = append(trials, Trial{Parameters: candidates[c], Folds: counts[c], NDCG10: best / float64(counts[c])})
	}
	return trials, err
}

// rankingFactors trains the head that ranks, and the ratings' where *trained is
// not there yet.
func rankingFactors(ctx context.Context, m *ratings.Matrix, p als.Parameters, trained **als.Factors) (*als.Factors, error) {
	if p.Algorithm == als.Implicit {
		return als.Train(ctx, m, p, nil)
	}
	var err error
	if *trained == nil {
		alone := p
		alone.Preference = nil
		if *trained, err = als.Train(ctx, m, alone, nil); err != nil {
			return nil, err
		}
	}
	f := **trained
	f.Preference, err = als.TrainPreference(ctx, m, *p.Preference, p.Seed, p.Threads, nil)
	return &f, err
}

// halve measures n candidates on as many folds as they live to see, and returns
// them best first, those of the last rung before the others, with how many folds
// each was measured on. loss is of a candidate that was measured on so many
// folds; of equal ones the first candidate is better.
func (t Tuner) halve(head string, n int, measure func(candidate, fold int) error, loss func(candidate, folds int) float64) (order, counts []int, err error) {
	progress := TuneProgress{Head: head}
	for rung, left := 0, n; rung < len(tuneRungs); rung, left = rung+1, (left+2)/3 {
		progress.Total += left * tuneRungs[rung]
		if rung > 0 {
			progress.Total -= left * tuneRungs[rung-1]
		}
	}
	counts = make([]int, n)
	for c := range n {
		order = append(order, c)
	}
	left := order
	for rung, folds := range tuneRungs {
		if rung > 0 {
			left = left[:(len(left)+2)/3]
		}
		for _, c := range left {
			for ; counts[c] < folds; counts[c]++ {
				if err := measure(c, counts[c]); err != nil {
					return nil, nil, err
				}
				progress.Done++
				if t.Progress != nil {
					t.Progress(progress)
				}
			}
		}
		slices.SortStableFunc(left, func(a, b int) int {
			if x, y := loss(a, folds), loss(b, folds); x != y {
				return int(math.Copysign(1, x-y))
			}
			return a - b
		})
	}
	return order, counts, nil
}

// draw returns up to count candidates: the first, and others from the grid.
func draw(grid []als.Parameters, first als.Parameters, count int, seed uint64) []als.Parameters {
	random := rand.New(rand.NewPCG(seed, 1))
	random.Shuffle(len(grid), func(a, b int) { grid[a], grid[b] = grid[b], grid[a] })
	return append([]als.Parameters{first}, grid[:min(count-1, len(grid))]...)
}

// tuneBetas are the shares of the predicted rating that are tried.
var tuneBetas = []float64{0, 0.1, 0.2, 0.4, 0.8}

// ratingsGrid is around what does well on MovieLens. Of the Bayesian solvers only
// the rank is tried: they learn what regularizes them.
func ratingsGrid(p als.Parameters) []als.Parameters {
	if p.Algorithm != als.VB && p.Algorithm != als.Bayes {
		return regularizedGrid(p)
	}
	var grid []als.Parameters
	for _, rank := range []int{7, 15, 23, 31} { // with the bias, multiples of eight
		if c := p; rank != p.Rank {
			c.Rank = rank
			grid = append(grid, c)
		}
	}
	return grid
}

// regularizedGrid is around what does well on MovieLens. strength is the λ of ν = ½
// that regularizes a row of 30 ratings as much.
func regularizedGrid(p als.Parameters) (grid []als.Parameters) {
	const usual = 30
	for _, rank := range []int{16, 32, 64, 96} {
		for _, strength := range []float64{0.6, 0.9, 1.25, 1.8, 2.5} {
			for _, nu := range []float64{0.25, 0.5, 0.75} {
				for _, iterations := range []int{6, 10, 16} {
					c := p
					c.Rank, c.Nu, c.Iterations = rank, nu, iterations
					c.Lambda = threeDigits(strength * math.Pow(usual, 0.5-nu))
					if c != p {
						grid = append(grid, c)
					}
				}
			}
		}
	}
	return grid
}

func threeDigits(value float64) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(value, 'g', 3, 64), 64)
	if err != nil {
		panic("eval: a number as it was written cannot be read")
	}
	return rounded
}

func rankingGrid(p als.Parameters) (grid []als.Parameters) {
	for _, rank := range []int{32, 64} {
		for _, lambda := range []float64{3, 10, 30, 60, 100, 200} {
			for _, alpha := range []float64{0.1, 0.3, 1, 3} {
				c, head := p, *p.Preference
				head.Rank, head.Lambda, head.Alpha = rank, lambda, alpha
				if c.Preference = &head; p.Algorithm == als.Implicit {
					c.Rank = rank
				}
				if head != *p.Preference {
					grid = append(grid, c)
				}
			}
		}
	}
	return grid
}
