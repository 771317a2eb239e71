package model

import (
	"math"
	"slices"
	"sync"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Users keeps what is known of users current between trainings. It remembers every
// user's ratings, which belong to no model version, and solves what a prediction
// needs for whichever model asks. Of a user whom the model knows that is the bias,
// with the factors held fixed:
//
//	b_u = Σ (r − μ − b_i − x_u·y_i) / (n + λ·n^ν)
//
// which is the user's own optimum of the training objective in b_u (Zhou et al.
// 2008, with biases as Koren et al. 2009); of a Bayesian model it is the mode of
// b_u. The sums of a few models are kept for every user, so that a champion and its
// challengers all predict in a time that does not grow with the user's history. A
// user whom the model does not know is folded in, see fold.
//
// What is remembered is a set that converges: ratings, ratings that were taken back
// and erasures lead to the same whatever the order in which they come, and however
// often. See docs/decisions/019-folded-in-users.md.
//
// It is safe for concurrent use.
type Users struct {
	shards  [64]userShard
	popular popular
	fresh   fresh
}

type userShard struct {
	mu     sync.Mutex
	users  map[int64]*userState
	erased map[int64]struct{} // those of users who were; nil without any
	_      [40]byte           // keeps shards on cache lines of their own
}

type userState struct {
	movies []int64   // rated ones, ascending; apart, because they are searched
	rated  []rated   // what each got
	newest modelSum  // of the model that asked last
	rare   *rare     // what few users have; nil for nothing
	folded []float32 // factors of the model foldedBy, which does not know the user [rank]

	revision  uint32  // how often the ratings changed
	foldedBy  uint32  // 0 for none
	bias      float32 // with the factors in folded
	refreshed uint32  // when the ratings were read or followed, Unix seconds, rounded up; 0 for never
}

// rare is what only some users have. Its zero value says nothing.
type rare struct {
	sums   modelSums   // of models that asked before, while there are several
	back   []takenBack // movies whose ratings were taken back, ascending
	erased bool
	until  int64 // what is not newer was erased, Unix milliseconds
}

// modelSum is the sum of a user's residuals under the model with a number, which
// is 0 if nothing is summed.
type modelSum struct {
	model uint64
	sum   residual
}

// modelSums are sums of other models, those that asked later first.
type modelSums [keptSums - 1]modelSum

// keptSums is how many models may take turns at no cost. A line-up of more is
// right all the same: the sum that was not asked for the longest is made again.
const keptSums = 4

// residual is r − μ − b_i − x_u·y_i, or a sum of such, in 2^-32 stars. Whole
// numbers make a sum that was kept up rating by rating the same, bit by bit, as
// one from scratch, in whatever order.
type residual int64

const (
	residualsPerStar = 1 << 32
	largestResidual  = 1 << 12 // stars; of no model that is any good. A sum of 2^19 of them has room.
)

func residualOf(value float32, fixed float64) residual {
	stars := min(max(float64(value)-fixed, -largestResidual), largestResidual)
	return residual(math.Round(stars * residualsPerStar))
}

func (r residual) stars() float64 { return float64(r) / residualsPerStar }

type rated struct {
	time  int64
	value float32
}

// NewUsers returns an empty Users.
func NewUsers() *Users {
	u := &Users{}
	for i := range u.shards {
		u.shards[i].users = map[int64]*userState{}
	}
	return u
}

// shard has the user. Learning is in remember.go, folding in fold.go.
func (u *Users) shard(user int64) *userShard {
	return &u.shards[uint64(user)*0x9e3779b97f4a7c15>>58]
}

// row is the row in which m has the user, or -1: where it does not know the user or
// must not, because the user was erased. Nobody can tell for sure that a version was
// trained after an erasure, so somebody erased is folded in for all versions.
func (s *userState) row(m *Model, user int64) int {
	if s.isErased() {
		return -1
	}
	return m.row(m.users, user)
}

func (s *userState) isErased() bool { return s.rare != nil && s.rare.erased }

// Predict predicts as m.Predict does, with the user's current bias in place of
// the trained one, or with the factors of a user who is folded in. The pair's own
// rating, if there is one, has no part in them: a prediction that is made again
// after its rating was learned is the same, and live accuracy is never measured on
// what was learned.
func (u *Users) Predict(m *Model, user, movie int64) Prediction {
	shard := u.shard(user)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	state := shard.users[user]
	if state == nil {
		return m.Predict(user, movie)
	}
	row, i := state.row(m, user), m.movieRow(movie)
	at, known := slices.BinarySearch(state.movies, movie)
	return state.predict(m, user, row, i, m.fixed(row, i), at, known)
}

// PredictAndLearn is Predict of the rating's pair and then Learn, in one step
// that does not grow with the user's history.
func (u *Users) PredictAndLearn(m *Model, r ratings.Rating) Prediction {
	shard := u.shard(r.User)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	state := shard.users[r.User]
	if state == nil {
		predicted := m.Predict(r.User, r.Movie)
		shard.state(r.User).learn(r, 0, false)
		u.fresh.note(r.User, r.Movie, r.Time)
		return predicted
	}
	row, i := state.row(m, r.User), m.movieRow(r.Movie)
	fixed := m.fixed(row, i)
	at, known := slices.BinarySearch(state.movies, r.Movie)
	predicted := state.predict(m, r.User, row, i, fixed, at, known)
	fixed = m.learned(fixed, row, i)
	var before residual
	if known {
		before = residualOf(state.rated[at].value, fixed)
	}
	sum := state.newest
	if !state.learn(r, at, known) {
		return predicted
	}
	u.fresh.note(r.User, r.Movie, r.Time)
	if row >= 0 { // of what other models think of the rating nothing is known here
		sum.sum += residualOf(r.Value, fixed) - before
		state.newest = sum
	}
	return predicted
}

// PredictEach predicts the rating's pair by each version, into predicted, which
// has a place for each, and then learns the rating if learn is true: no version
// knows it before all have predicted.
func (u *Users) PredictEach(versions []*Version, r ratings.Rating, learn bool, predicted []Prediction) {
	shard := u.shard(r.User)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	state := shard.users[r.User]
	if state == nil {
		for k, v := range versions {
			predicted[k] = v.Model.Predict(r.User, r.Movie)
		}
		if learn {
			shard.state(r.User).learn(r, 0, false)
			u.fresh.note(r.User, r.Movie, r.Time)
		}
		return
	}
	at, known := slices.BinarySearch(state.movies, r.Movie)
	var before float32
	if known {
		before = state.rated[at].value
	}
	var kept [keptSums]modelSum // as they are once the rating is learned
	n := 0
	for k, v := range versions {
		m := v.Model
		row, i := state.row(m, r.User), m.movieRow(r.Movie)
		fixed := m.fixed(row, i)
		predicted[k] = state.predict(m, r.User, row, i, fixed, at, known)
		fixed = m.learned(fixed, row, i)
		if row >= 0 && n < len(kept) {
			kept[n] = modelSum{m.number, state.newest.sum + residualOf(r.Value, fixed)}
			if known {
				kept[n].sum -= residualOf(before, fixed)
			}
			n++
		}
	}
	if learn && state.learn(r, at, known) {
		state.keep(kept)
		u.fresh.note(r.User, r.Movie, r.Time)
	}
}

// keep replaces all sums.
func (s *userState) keep(sums [keptSums]modelSum) {
	s.newest = sums[0]
	if sums[1].model == 0 && s.rare == nil {
		return
	}
	copy(s.rarely().sums[:], sums[1:])
}

// predict predicts the pair of rows row and i, whose fixed part is given and
// whose place in the history is at. The sum of m is then the newest.
func (s *userState) predict(m *Model, user int64, row, i int, fixed float64, at int, known bool) Prediction {
	if row < 0 {
		return Prediction{Value: s.foldedStars(m, user, i, at, known), ColdUser: true, ColdMovie: m.movieCount(i) == 0}
	}
	if s.newest.model != m.number {
		s.take(m, row)
	}
	predicted := Prediction{ColdUser: !isRated(m.factors.UserCounts, row), ColdMovie: m.movieCount(i) == 0}
	if len(s.movies) == 0 { // nothing is remembered: what training knew is all
		predicted.Value = m.scale.Clamp(float32(fixed + float64(m.factors.UserBias[row])))
		return predicted
	}
	sum, n := s.newest.sum, len(s.movies)
	if known {
		sum -= residualOf(s.rated[at].value, m.learned(fixed, row, i))
		n--
		fixed = m.fixedWithout(user, row, i, fixed)
	}
	predicted.Value = m.scale.Clamp(float32(fixed + m.solve(row, sum.stars(), n)))
	return predicted
}

// take makes the sum of m the newest. It is among the others, or made from the
// ratings, and then the one that was asked for the longest ago makes room.
func (s *userState) take(m *Model, row int) {
	if s.newest.model == 0 {
		s.newest = modelSum{m.number, s.sum(m, row)}
		return
	}
	others := &s.rarely().sums
	from := slices.IndexFunc(others[:], func(o modelSum) bool { return o.model == m.number })
	var taken modelSum
	if from >= 0 {
		taken = others[from]
	} else {
		from, taken = len(others)-1, modelSum{m.number, s.sum(m, row)}
	}
	copy(others[1:from+1], others[:from])
	others[0], s.newest = s.newest, taken
}

// sum returns the sum of all residuals under m, which has the user in row.
func (s *userState) sum(m *Model, row int) (sum residual) {
	for at, movie := range s.movies {
		sum += residualOf(s.rated[at].value, m.fixed(row, m.row(m.movies, movie)))
	}
	return sum
}

// solve returns the bias of the user in row, -1 for an unknown one, with n ratings
// whose residuals add up to sum. With a posterior it is the mode given the
// factors, under the user's noise and the prior, in which the two are correlated.
func (m *Model) solve(row int, sum float64, n int) float64 {
	f := m.factors
	switch {
	case n == 0:
		return 0
	case f.Posterior == nil:
		return sum / (float64(n) + f.Lambda*math.Pow(float64(n), f.Nu))
	}
	precision := f.Posterior.UserPrecision[als.Triangle(f.Rank):] // of the bias and each factor, and last of itself
	noise := f.Posterior.Alpha
	if row >= 0 {
		noise *= float64(f.Posterior.UserWeight[row])
	}
	pull := noise * sum
	if row >= 0 {
		pull -= float64(kernel.Dot(m.userFactors(row), precision))
	}
	return pull / (noise*float64(n) + float64(precision[f.Rank]))
}
