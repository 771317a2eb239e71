package experiment

import (
	"math"
	"slices"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
)

// OnlineBias predicts by biases alone, the user's kept current rating by rating: what
// a model has to beat in the same window. It begins with the biases that a model was
// trained to. With residuals e = r − μ − b_i of the n ratings that came since, and n₀
// ratings of the user in training,
//
//	b_u = (b_u⁰·(n₀ + λ·n₀^ν) + Σ e) / (n₀ + n + λ·(n₀ + n)^ν)
//
// It remembers two numbers of each user who rated since, and is not safe for
// concurrent use.
type OnlineBias struct {
	f     *als.Factors
	users map[int64]*biasSum
}

type biasSum struct{ sum, count float64 }

// NewOnlineBias begins with the biases of f.
func NewOnlineBias(f *als.Factors) *OnlineBias {
	return &OnlineBias{f: f, users: map[int64]*biasSum{}}
}

// Predict returns μ + b_u + b_i in stars, unclamped.
func (o *OnlineBias) Predict(user, movie int64) float64 {
	s := o.user(user)
	predicted := o.fixed(movie)
	if s.count > 0 {
		predicted += s.sum / o.weight(s.count)
	}
	return predicted
}

// Learn takes one rating in.
func (o *OnlineBias) Learn(user, movie int64, value float64) {
	s := o.users[user]
	if s == nil {
		begun := o.user(user)
		s = &begun
		o.users[user] = s
	}
	s.sum += value - o.fixed(movie)
	s.count++
}

// user is what is known of one, from training if nothing came since.
func (o *OnlineBias) user(user int64) biasSum {
	if s := o.users[user]; s != nil {
		return *s
	}
	row, known := slices.BinarySearch(o.f.Users, user)
	if !known || o.f.UserCounts[row] == 0 {
		return biasSum{}
	}
	count := float64(o.f.UserCounts[row])
	return biasSum{float64(o.f.UserBias[row]) * o.weight(count), count}
}

func (o *OnlineBias) weight(count float64) float64 {
	return count + o.f.Lambda*math.Pow(count, o.f.Nu)
}

func (o *OnlineBias) fixed(movie int64) float64 {
	if row, known := slices.BinarySearch(o.f.Movies, movie); known {
		return float64(o.f.Mean) + float64(o.f.MovieBias[row])
	}
	return float64(o.f.Mean)
}
