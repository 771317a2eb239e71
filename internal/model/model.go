// Package model holds a trained model as predictors use it: an immutable Model
// that predicts and ranks, its file format, the current biases of users who go
// on rating, and the Live model that is swapped while traffic flows.
package model

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
)

// Scale is the range to which predictions are clamped, in stars.
type Scale struct{ Min, Max float32 }

// MovieLensScale is half a star to five stars.
var MovieLensScale = Scale{Min: 0.5, Max: 5}

// Clamp returns the value of the scale that is nearest to rating.
func (s Scale) Clamp(rating float32) float32 { return min(max(rating, s.Min), s.Max) }

// Model is a trained model of ratings. It is immutable and safe for concurrent
// use.
type Model struct {
	factors *als.Factors
	ranker  func() *ranker  // made when a list is first asked for
	folding func() *folding // made when a user is first folded in
	// preferenceFolder is of the head that ranks, made when a user is first folded into it.
	preferenceFolder func() *als.PreferenceFolder
	// answering is made when a query first comes.
	answering func() *answering
	mostRated int32 // ratings of the movie that has most
	scale     Scale
	users     map[int64]int32 // row of a user id
	movies    map[int64]int32 // row of a movie id
	prior     *prior          // of a model with a posterior
	average   average         // of a model without biases
	number    uint64          // tells it from other models of this process, without keeping them alive; above 0

	added       *added              // movies that were rated since training; nil for none
	movieSolver func() *movieSolver // made when a movie is first folded in
}

var modelNumbers atomic.Uint64

// New returns the model that factors describe; they must not change after. It
// fails if shapes do not fit, ids are not ascending or a number is not finite.
func New(factors *als.Factors, scale Scale) (*Model, error) {
	if err := check(factors, scale); err != nil {
		return nil, err
	}
	prior, err := newPrior(factors)
	if err != nil {
		return nil, err
	}
	m := &Model{
		factors: factors,
		prior:   prior,
		average: newAverage(factors),
		ranker:  sync.OnceValue(func() *ranker { return newRanker(factors) }),
		folding: sync.OnceValue(func() *folding { return newFolding(factors) }),
		preferenceFolder: sync.OnceValue(func() *als.PreferenceFolder {
			folder, _ := als.NewPreferenceFolder(context.Background(), factors.Preference, 0) // fails only if ctx ends
			return folder
		}),
		scale:  scale,
		users:  make(map[int64]int32, len(factors.Users)),
		movies: make(map[int64]int32, len(factors.Movies)),
		number: modelNumbers.Add(1),
	}
	m.movieSolver = sync.OnceValue(func() *movieSolver { return newMovieSolver(factors) })
	m.answering = sync.OnceValue(func() *answering { return newAnswering(m, m.ranker()) })
	for _, count := range factors.MovieCounts {
		m.mostRated = max(m.mostRated, count)
	}
	for row, id := range factors.Users {
		m.users[id] = int32(row)
	}
	for row, id := range factors.Movies {
		m.movies[id] = int32(row)
	}
	return m, nil
}

func check(f *als.Factors, scale Scale) error {
	if !(scale.Min < scale.Max) {
		return fmt.Errorf("rating scale %v to %v is empty", scale.Min, scale.Max)
	}
	if f.Rank < 0 {
		return fmt.Errorf("rank %d is negative", f.Rank)
	}
	if mean := float64(f.Mean); math.IsNaN(mean) || math.IsInf(mean, 0) {
		return fmt.Errorf("mean %v is not finite", f.Mean)
	}
	if f.Lambda < 0 || math.IsNaN(f.Lambda) || math.IsNaN(f.Nu) {
		return fmt.Errorf("regularization λ=%v, ν=%v is not usable", f.Lambda, f.Nu)
	}
	if err := checkSide("user", f.Users, f.UserBias, f.UserFactors, f.UserCounts, f.Rank); err != nil {
		return err
	}
	if err := checkSide("movie", f.Movies, f.MovieBias, f.MovieFactors, f.MovieCounts, f.Rank); err != nil {
		return err
	}
	if err := checkPosterior(f); err != nil {
		return err
	}
	return checkPreference(f)
}

func checkPreference(f *als.Factors) error {
	p := f.Preference
	if p == nil {
		return nil
	}
	if p.Rank < 1 || len(p.UserFactors) != len(f.Users)*p.Rank || len(p.MovieFactors) != len(f.Movies)*p.Rank {
		return fmt.Errorf("preference tensors do not fit: rank %d, %d factors of %d users, %d of %d movies",
			p.Rank, len(p.UserFactors), len(f.Users), len(p.MovieFactors), len(f.Movies))
	}
	if i := notFinite(p.UserFactors); i >= 0 {
		return fmt.Errorf("preference factor %d of user %d is %v", i%p.Rank, f.Users[i/p.Rank], p.UserFactors[i])
	}
	if i := notFinite(p.MovieFactors); i >= 0 {
		return fmt.Errorf("preference factor %d of movie %d is %v", i%p.Rank, f.Movies[i/p.Rank], p.MovieFactors[i])
	}
	if sum := p.Alpha + p.Lambda + p.Beta; math.IsNaN(sum) || math.IsInf(sum, 0) {
		return fmt.Errorf("preference parameters α=%v, λ=%v, β=%v are not finite", p.Alpha, p.Lambda, p.Beta)
	}
	return nil
}

func checkSide(side string, ids []int64, bias, factors []float32, counts []int32, rank int) error {
	if len(ids) > math.MaxInt32 {
		return fmt.Errorf("%d %ss are more than a model can hold", len(ids), side)
	}
	if len(bias) != len(ids) || len(factors) != len(ids)*rank || len(counts) != len(ids) {
		return fmt.Errorf("%s tensors do not fit together: %d ids, %d biases, %d factors at rank %d, %d counts",
			side, len(ids), len(bias), len(factors), rank, len(counts))
	}
	for i := 1; i < len(ids); i++ {
		if ids[i-1] >= ids[i] {
			return fmt.Errorf("%s ids are not ascending at row %d: %d, %d", side, i, ids[i-1], ids[i])
		}
	}
	if i := notFinite(bias); i >= 0 {
		return fmt.Errorf("bias of %s %d is %v", side, ids[i], bias[i])
	}
	if i := notFinite(factors); i >= 0 {
		return fmt.Errorf("factor %d of %s %d is %v", i%rank, side, ids[i/rank], factors[i])
	}
	return nil
}

// notFinite returns the index of the first NaN or infinity, or -1.
func notFinite(values []float32) int {
	return slices.IndexFunc(values, func(v float32) bool { return v-v != 0 })
}

// Factors returns what the model is made of. It must not be changed.
func (m *Model) Factors() *als.Factors { return m.factors }

// Scale returns the range of the model's predictions.
func (m *Model) Scale() Scale { return m.scale }

// Prediction is a predicted rating.
type Prediction struct {
	Value     float32 // stars, clamped to the scale
	ColdUser  bool    // the model knows no ratings of the user
	ColdMovie bool    // the model knows no ratings of the movie
}

// Predict returns μ + b_u + b_i + x_u·y_i, clamped. What the model does not
// know counts as average, so that a cold pair is predicted from the rest.
func (m *Model) Predict(user, movie int64) Prediction {
	u, i := m.row(m.users, user), m.movieRow(movie)
	return Prediction{Value: m.scale.Clamp(float32(m.mean(u, i))), ColdUser: !isRated(m.factors.UserCounts, u), ColdMovie: m.movieCount(i) == 0}
}

// Mean returns the prediction as it is before it is clamped.
func (m *Model) Mean(user, movie int64) float64 {
	return m.mean(m.row(m.users, user), m.movieRow(movie))
}

// mean is Mean of rows u and i, -1 meaning unknown.
func (m *Model) mean(u, i int) float64 {
	value := m.fixed(u, i)
	if u >= 0 {
		value += float64(m.factors.UserBias[u])
	}
	return value
}

// isRated reports whether the row, -1 if there is none, has ratings: others may have
// a row for what was tagged or viewed.
func isRated(counts []int32, row int) bool { return row >= 0 && counts[row] > 0 }

// row returns the row of id, or -1 where it is unknown.
func (m *Model) row(rows map[int64]int32, id int64) int {
	if row, ok := rows[id]; ok {
		return int(row)
	}
	return -1
}

// fixed returns μ + b_i + x_u·y_i of rows u and i, -1 meaning unknown: the part
// of a prediction that the user's bias is not in.
func (m *Model) fixed(u, i int) float64 {
	value := float64(m.factors.Mean)
	x, y := m.average.user, m.average.movie
	if u >= 0 {
		x = m.userFactors(u)
	}
	if i >= 0 {
		y = m.movieFactors(i)
		value += float64(m.movieBias(i))
	}
	return value + float64(product(x, y))
}

func (m *Model) userFactors(u int) []float32 {
	return m.factors.UserFactors[u*m.factors.Rank:][:m.factors.Rank]
}
