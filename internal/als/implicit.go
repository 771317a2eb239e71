package als

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// PreferenceParameters are those of the head that ranks, of implicit ALS.
type PreferenceParameters struct {
	Rank       int     `json:"rank"`         // columns of the factor matrices, 1 to 1024
	Alpha      float64 `json:"alpha"`        // what speaks for a choice with r stars gives it the confidence 1 + α·r
	Lambda     float64 `json:"lambda"`       // regularization, the same for every row
	Iterations int     `json:"iterations"`   // of one movie and one user half-step each, at least 1
	CG         int     `json:"cg,omitempty"` // steps of conjugate gradients a row; 0 solves exactly
	Beta       float64 `json:"beta"`         // share of the predicted rating in the ranking score, see Preference

	TagWeight  float64 `json:"tag_weight"`     // how much a tag speaks for a choice, in stars, 0 to 1e4
	ViewWeight float64 `json:"view_weight"`    // how much a view does
	HalfLife   float64 `json:"half_life_days"` // after which an event counts half, 0 for never

	ChooseBeta bool `json:"-"` // for who trains: choose β inside the training part, see eval.ChooseBeta
}

// Weights are those of events.
func (p PreferenceParameters) Weights() ratings.Weights {
	return ratings.Weights{Tag: p.TagWeight, View: p.ViewWeight, HalfLife: time.Duration(p.HalfLife * 24 * float64(time.Hour))}
}

// DefaultPreference are one rule for all data sets.
func DefaultPreference() PreferenceParameters {
	return PreferenceParameters{Rank: 64, Alpha: 1, Lambda: 30, Iterations: 10, Beta: 0.2, TagWeight: 3, ViewWeight: 1, ChooseBeta: true}
}

const (
	maxAlpha    = 1e4
	maxHalfLife = 36_500 // days
)

// Validate returns an error that wraps ErrBadParameters and says which
// parameter is wrong, and what it may be.
func (p PreferenceParameters) Validate() error {
	switch {
	case p.Rank < 1 || p.Rank > maxRank:
		return fmt.Errorf("preference rank is %d, want 1 to %d: %w", p.Rank, maxRank, ErrBadParameters)
	case p.Iterations < 1 || p.Iterations > maxIterations:
		return fmt.Errorf("preference iterations is %d, want 1 to %d: %w", p.Iterations, maxIterations, ErrBadParameters)
	case !(p.Alpha > 0 && p.Alpha <= maxAlpha):
		return fmt.Errorf("preference alpha is %v, want more than 0 and at most %v: %w", p.Alpha, float64(maxAlpha), ErrBadParameters)
	case !(p.Lambda >= minLambda && p.Lambda <= maxLambda):
		return fmt.Errorf("preference lambda is %v, want %v to %v: %w", p.Lambda, minLambda, maxLambda, ErrBadParameters)
	case p.CG < 0 || p.CG > maxRank:
		return fmt.Errorf("preference cg is %d, want 0 (exact) to %d: %w", p.CG, maxRank, ErrBadParameters)
	case !(p.TagWeight >= 0 && p.TagWeight <= maxAlpha):
		return fmt.Errorf("preference tag weight is %v, want 0 to %v: %w", p.TagWeight, float64(maxAlpha), ErrBadParameters)
	case !(p.ViewWeight >= 0 && p.ViewWeight <= maxAlpha):
		return fmt.Errorf("preference view weight is %v, want 0 to %v: %w", p.ViewWeight, float64(maxAlpha), ErrBadParameters)
	case !(p.HalfLife == 0 || p.HalfLife >= 1e-3 && p.HalfLife <= maxHalfLife):
		return fmt.Errorf("preference half-life is %v days, want 0 (none) or 0.001 to %v: %w", p.HalfLife, maxHalfLife, ErrBadParameters)
	case math.IsNaN(p.Beta) || math.IsInf(p.Beta, 0):
		return fmt.Errorf("preference beta is %v, want a number: %w", p.Beta, ErrBadParameters)
	}
	return nil
}

// trainImplicit learns the head that ranks, with p's rank and iterations, and of
// ratings the biases alone.
func trainImplicit(ctx context.Context, r *run) (*Factors, error) {
	p, head := r.Parameters, DefaultPreference()
	if p.Preference != nil {
		head = *p.Preference
	}
	head.Rank, head.Iterations = p.Rank, p.Iterations
	f, err := BiasOnly(ctx, r.Ratings, p.Lambda, p.Nu, startSweeps)
	if err != nil {
		return nil, fmt.Errorf("learning biases: %w", err)
	}
	f.Preference, err = trainPreference(ctx, r, head)
	return f, err
}

// TrainPreference learns what users choose from what they rated (Hu, Koren &
// Volinsky 2008, "Collaborative Filtering for Implicit Feedback Datasets"):
//
//	min Σ_ui c_ui·(p_ui − x_u·y_i)² + λ·(Σ‖x_u‖² + Σ‖y_i‖²)
//
// over all pairs, with p = 1 and c = 1 + α·r for rated pairs and p = 0 and c = 1
// for all others; r is the value in m, negative ones counting as 0. Rows are
// solved exactly by Cholesky factors, or with CG > 0 and a rank above 32 by
// so many steps of conjugate gradients from the row's previous solution (Takács, Pilászy & Tikk
// 2011, "Applications of the Conjugate Gradient Method for Implicit Feedback
// Collaborative Filtering"). It ends with a user half-step.
//
// Bits, progress, which has no RMSE, cancellation and errors are as with Train.
func TrainPreference(ctx context.Context, m *ratings.Matrix, p PreferenceParameters, seed uint64, threads int, progress func(Progress)) (*Preference, error) {
	return trainPreference(ctx, newRun(Task{
		Ratings: m, Choices: m, Parameters: Parameters{Seed: seed, Threads: threads}, Progress: neverStop(progress),
	}), p)
}

func trainPreference(ctx context.Context, r *run, p PreferenceParameters) (*Preference, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if r.Choices.Len() == 0 {
		return nil, ratings.ErrNoRatings
	}
	t := newImplicitTrainer(r.Choices, p, r.Parameters.Seed, threadCount(r.Parameters.Threads))
	t.start(r.Choices.Users, r.Start)
	for iteration := range p.Iterations {
		if err := t.iterate(ctx, iteration == p.Iterations-1); err != nil {
			return nil, fmt.Errorf("training preferences, iteration %d: %w", iteration+1, err)
		}
		if r.Progress != nil {
			r.Progress(Progress{
				Head: PreferenceHead, Iteration: iteration + 1, Total: p.Iterations,
				RMSE: math.NaN(), Validation: math.NaN(), Elapsed: time.Since(r.began), Learnt: t.preference,
			})
		}
	}
	return t.preference(), nil
}

// implicitSide is the users or the movies.
type implicitSide struct {
	sideFactors           // without biases
	order       []int32   // rows, heaviest first
	starts      []int     // of rows in weights [rows+1]
	weights     []float32 // of choices, their confidence above 1, and zeros to fill whole vectors
	chosen      func(row int) ([]int32, []float32)
}

type implicitTrainer struct {
	p             PreferenceParameters
	stride        int
	users, movies implicitSide
	rows          []*implicitRow // one a worker
}

func newImplicitTrainer(m *ratings.Matrix, p PreferenceParameters, seed uint64, threads int) *implicitTrainer {
	t := &implicitTrainer{p: p, stride: kernel.Stride(p.Rank)}
	if kernel.HasBFloat16() && !p.isExact() {
		t.stride = (p.Rank + kernel.HalfWidth - 1) / kernel.HalfWidth * kernel.HalfWidth
	}
	side := func(rows int, of func(int) ([]int32, []float32)) implicitSide {
		counts, starts, weights := make([]int32, rows), make([]int, rows+1), make([]float32, 0, m.Len()+2*kernel.Width)
		for row := range counts {
			others, values := of(row)
			counts[row], starts[row+1] = int32(len(others)), starts[row]+len(others)
			for _, value := range values {
				if value < 0 {
					value = 0
				}
				weights = append(weights, float32(p.Alpha)*value)
			}
		}
		factors := sideFactors{factors: kernel.Aligned(rows * t.stride)}
		if kernel.HasBFloat16() {
			factors.halves = make([]uint16, rows*t.stride)
		}
		return implicitSide{factors, heaviestFirst(counts), starts, weights[:cap(weights)], of}
	}
	t.users, t.movies = side(len(m.Users), m.User), side(len(m.Movies), m.Movie)
	for u, id := range m.Users {
		startFactors(t.users.factors[u*t.stride:][:p.Rank], seed, userSide, id)
		t.users.halve(u, t.stride)
	}
	for range threads {
		t.rows = append(t.rows, newImplicitRow(p, t.stride))
	}
	return t
}

// start takes over the users of an earlier model; movies are solved first.
func (t *implicitTrainer) start(users []int64, from *Factors) {
	if from == nil || from.Preference == nil || from.Preference.Rank != t.p.Rank {
		return
	}
	rank := t.p.Rank
	inherited(users, from.Users, func(u, earlier int) {
		copy(t.users.factors[u*t.stride:], from.Preference.UserFactors[earlier*rank:][:rank])
		t.users.halve(u, t.stride)
	})
}

// iterate solves all movies, then all users, the last time with all of the movies'
// precision.
func (t *implicitTrainer) iterate(ctx context.Context, last bool) error {
	if err := t.solve(ctx, t.movies, t.users); err != nil {
		return err
	}
	if last {
		t.movies.halves = nil
	}
	return t.solve(ctx, t.users, t.movies)
}

func (t *implicitTrainer) solve(ctx context.Context, side, fixed implicitSide) error {
	gram, err := t.gramOfAll(ctx, fixed.factors)
	if err != nil {
		return err
	}
	return forRows(ctx, len(t.rows), side.order, func(worker, row int) {
		others, _ := side.chosen(row)
		t.rows[worker].solve(gram, fixed.sideFactors, others, side.weights[side.starts[row]:], side.factors[row*t.stride:][:t.stride])
		side.halve(row, t.stride)
	})
}

// gramBlock is how many rows one float32 Gram matrix sums before it is added to
// the total in float64.
const gramBlock = 2048

// gramOfAll returns YᵀY + λ·I of all rows of factors, both triangles. Blocks are
// added in their order, whoever summed them.
func (t *implicitTrainer) gramOfAll(ctx context.Context, factors []float32) ([]float32, error) {
	stride := t.stride
	rows := len(factors) / stride
	blocks := (rows + gramBlock - 1) / gramBlock
	order, sums := make([]int32, blocks), make([][]float32, blocks)
	for k := range order {
		order[k] = int32(k)
	}
	err := forRows(ctx, len(t.rows), order, func(_, k int) {
		sum := kernel.Aligned(stride * stride)
		n := min(gramBlock, rows-k*gramBlock)
		kernel.AddGram(sum, stride, factors[k*gramBlock*stride:][:n*stride], stride, n)
		sums[k] = sum
	})
	if err != nil {
		return nil, err
	}
	gram := kernel.Aligned(stride * stride)
	for i := range stride {
		for j := i; j < stride; j++ {
			total := 0.0
			for _, sum := range sums {
				total += float64(sum[i*stride+j])
			}
			if i == j {
				total += t.p.Lambda
			}
			gram[i*stride+j], gram[j*stride+i] = float32(total), float32(total)
		}
	}
	return gram, nil
}

// preference returns what was learnt, without padding.
func (t *implicitTrainer) preference() *Preference {
	return &Preference{
		Rank: t.p.Rank, UserFactors: stored(t.users.factors, t.p.Rank, t.stride), MovieFactors: stored(t.movies.factors, t.p.Rank, t.stride),
		Alpha: t.p.Alpha, Lambda: t.p.Lambda, Beta: t.p.Beta,
	}
}
