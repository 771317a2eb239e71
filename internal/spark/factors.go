package spark

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

// ErrID says that an id is not one that Spark can have.
var ErrID = errors.New("not an id of Spark's ALS")

// Explicit returns a model of explicit ratings as als_spark learns it: neither mean nor
// biases, so that predictions are Spark's before they are clamped. lambda is Spark's
// regParam, by which users and movies are folded in. rated are the ratings whose
// numbers by user and movie are told, nil where there are none: then all have one.
func (m *Model) Explicit(rated *ratings.Matrix, lambda float64) *als.Factors {
	f := m.empty(rated)
	f.Rank, f.Unbiased, f.Lambda, f.Nu = m.Rank, true, lambda, 1 // Spark's λ·n
	f.UserFactors, f.MovieFactors = m.Users.Factors, m.Items.Factors
	return f
}

// Implicit returns a model of implicit preferences as als_implicit learns it: the head
// that ranks is Spark's, and ratings are predicted by biases alone, which are learned
// from rated; without any, the middle of the scale is predicted to everybody. head has
// α and λ by which users are folded in; its β is not taken.
func (m *Model) Implicit(ctx context.Context, rated *ratings.Matrix, head als.PreferenceParameters) (*als.Factors, error) {
	f := m.empty(rated)
	p := als.DefaultParameters(als.Implicit)
	f.Lambda, f.Nu = p.Lambda, p.Nu
	f.Mean = (model.MovieLensScale.Min + model.MovieLensScale.Max) / 2
	if rated != nil {
		biases, err := als.BiasOnly(ctx, rated, p.Lambda, p.Nu, p.Iterations)
		if err != nil {
			return nil, fmt.Errorf("learning biases: %w", err)
		}
		f.Mean = biases.Mean
		matched(f.Users, biases.Users, func(row, of int) { f.UserBias[row] = biases.UserBias[of] })
		matched(f.Movies, biases.Movies, func(row, of int) { f.MovieBias[row] = biases.MovieBias[of] })
	}
	f.Preference = &als.Preference{
		Rank: m.Rank, UserFactors: m.Users.Factors, MovieFactors: m.Items.Factors, Alpha: head.Alpha, Lambda: head.Lambda,
	}
	return f, nil
}

// empty returns factors with ids and counts alone.
func (m *Model) empty(rated *ratings.Matrix) *als.Factors {
	f := &als.Factors{
		Users: wide(m.Users.IDs), Movies: wide(m.Items.IDs),
		UserBias: make([]float32, len(m.Users.IDs)), MovieBias: make([]float32, len(m.Items.IDs)),
		UserCounts: ones(len(m.Users.IDs)), MovieCounts: ones(len(m.Items.IDs)), // Spark knows whom it has seen
	}
	if rated == nil {
		return f
	}
	matched(f.Users, rated.Users, func(row, of int) {
		movies, _ := rated.User(of)
		f.UserCounts[row] = max(1, int32(len(movies)))
	})
	matched(f.Movies, rated.Movies, func(row, of int) {
		users, _ := rated.Movie(of)
		f.MovieCounts[row] = max(1, int32(len(users)))
	})
	return f
}

// matched calls for the rows of both that have the same id. Both are ascending.
func matched(ids, others []int64, each func(row, other int)) {
	other := 0
	for row, id := range ids {
		for other < len(others) && others[other] < id {
			other++
		}
		if other < len(others) && others[other] == id {
			each(row, other)
		}
	}
}

func wide(ids []int32) []int64 {
	all := make([]int64, len(ids))
	for row, id := range ids {
		all[row] = int64(id)
	}
	return all
}

func ones(n int) []int32 { return slices.Repeat([]int32{1}, n) }

// FromRatings returns what Spark is to predict ratings by as f does before they are
// clamped: where f has biases, two ranks are added, users being [x, b_u + μ, 1] and
// movies [y, 1, b_i]. An id that Spark cannot have is an error that wraps ErrID.
func FromRatings(f *als.Factors, saved time.Time) (*Model, error) {
	if f.Unbiased {
		return newModel(f, f.Rank, f.UserFactors, f.MovieFactors, saved)
	}
	rank := f.Rank + 2
	users, movies := make([]float32, 0, len(f.Users)*rank), make([]float32, 0, len(f.Movies)*rank)
	for u, bias := range f.UserBias {
		users = append(append(users, f.UserFactors[u*f.Rank:][:f.Rank]...), bias+f.Mean, 1)
	}
	for i, bias := range f.MovieBias {
		movies = append(append(movies, f.MovieFactors[i*f.Rank:][:f.Rank]...), 1, bias)
	}
	return newModel(f, rank, users, movies, saved)
}

// FromPreference returns the head of f that ranks, by whose x·y Spark recommends. f
// must have one.
func FromPreference(f *als.Factors, saved time.Time) (*Model, error) {
	p := f.Preference
	return newModel(f, p.Rank, p.UserFactors, p.MovieFactors, saved)
}

func newModel(f *als.Factors, rank int, users, movies []float32, saved time.Time) (*Model, error) {
	m := &Model{Rank: rank, Users: Side{Factors: users}, Items: Side{Factors: movies}, Saved: saved}
	var err error
	if m.Users.IDs, err = narrow("user", f.Users); err != nil {
		return nil, err
	}
	if m.Items.IDs, err = narrow("movie", f.Movies); err != nil {
		return nil, err
	}
	return m, nil
}

func narrow(side string, ids []int64) ([]int32, error) {
	all := make([]int32, len(ids))
	for row, id := range ids {
		if id < math.MinInt32 || id > math.MaxInt32 {
			return nil, fmt.Errorf("%w: %s %d lies outside %d to %d; give ids of that range, and train again", ErrID, side, id, math.MinInt32, math.MaxInt32)
		}
		all[row] = int32(id)
	}
	return all, nil
}

// Lost tells what of a model FromPreference, if ranking, or else FromRatings leaves
// out, for people.
func Lost(f *als.Factors, ranking bool) []string {
	lost := []string{"predictions for users and movies that it does not know", "the bounds of the scale", "numbers of ratings, regularization and whoever was folded in since"}
	if ranking {
		return append(lost, "predicted ratings")
	}
	if f.Preference != nil {
		lost = append(lost, "the head that ranks")
	}
	if f.Posterior != nil {
		lost = append(lost, "how sure it is")
	}
	return lost
}
