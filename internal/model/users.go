package model

import (
	"math"
	"slices"
	"sync"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Users keeps the biases of users current between trainings. It remembers every
// user's ratings, which belong to no model version, and solves the bias with
// the factors held fixed, for whichever model asks:
//
//	b_u = Σ (r − μ − b_i − x_u·y_i) / (n + λ·n^ν)
//
// which is the user's own optimum of the training objective in b_u (Zhou et al.
// 2008, with biases as Koren et al. 2009); of a Bayesian model it is the mode of
// b_u. A user whom the model does not know
// has x_u = 0, so that a first rating already moves the second prediction.
//
// The sums of a few models are kept for every user, so that a champion and its
// challengers all predict in a time that does not grow with the user's history.
//
// It is safe for concurrent use.
type Users struct {
	shards  [64]userShard
	popular popular
}

type userShard struct {
	mu    sync.Mutex
	users map[int64]*userState
	_     [48]byte // keeps shards on cache lines of their own
}

type userState struct {
	movies []int64    // rated ones, ascending; apart, because they are searched
	rated  []rated    // what each got
	newest modelSum   // of the model that asked last
	others *modelSums // of those that asked before; nil while there is one model

	refreshed int64 // when Refresh read the ratings, Unix milliseconds
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

func (u *Users) shard(user int64) *userShard {
	return &u.shards[uint64(user)*0x9e3779b97f4a7c15>>58]
}

// Learn takes in one rating. The newest rating of a movie wins, on equal time
// the greater; learning one twice changes nothing.
func (u *Users) Learn(r ratings.Rating) {
	shard := u.shard(r.User)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	state := shard.state(r.User)
	at, known := slices.BinarySearch(state.movies, r.Movie)
	if state.learn(r, at, known) {
		state.newest, state.others = modelSum{}, nil
	}
}

func (s *userShard) state(user int64) *userState {
	state := s.users[user]
	if state == nil {
		state = &userState{}
		s.users[user] = state
	}
	return state
}

// learn takes in a rating whose movie is, or belongs, at the given place, and
// says whether that changed anything.
func (s *userState) learn(r ratings.Rating, at int, known bool) bool {
	if !known {
		s.movies = slices.Insert(s.movies, at, r.Movie)
		s.rated = slices.Insert(s.rated, at, rated{r.Time, r.Value})
		return true
	}
	old := &s.rated[at]
	if r.Time < old.time || r.Time == old.time && r.Value <= old.value {
		return false
	}
	old.time, old.value = r.Time, r.Value
	return true
}

// Predict predicts as m.Predict does, with the user's current bias in place of
// the trained one. The pair's own rating, if there is one, has no part in the
// bias: a prediction that is made again after its rating was learned is the
// same, and live accuracy is never measured on what was learned.
func (u *Users) Predict(m *Model, user, movie int64) Prediction {
	shard := u.shard(user)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	state := shard.users[user]
	if state == nil {
		return m.Predict(user, movie)
	}
	row, i := m.row(m.users, user), m.row(m.movies, movie)
	at, known := slices.BinarySearch(state.movies, movie)
	return state.predict(m, row, i, m.fixed(row, i), at, known)
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
		return predicted
	}
	row, i := m.row(m.users, r.User), m.row(m.movies, r.Movie)
	fixed := m.fixed(row, i)
	at, known := slices.BinarySearch(state.movies, r.Movie)
	predicted := state.predict(m, row, i, fixed, at, known)
	var before residual
	if known {
		before = residualOf(state.rated[at].value, fixed)
	}
	if state.learn(r, at, known) {
		state.newest.sum += residualOf(r.Value, fixed) - before
		state.others = nil // of what other models think of the rating nothing is known here
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
		row, i := m.row(m.users, r.User), m.row(m.movies, r.Movie)
		fixed := m.fixed(row, i)
		predicted[k] = state.predict(m, row, i, fixed, at, known)
		if n < len(kept) {
			kept[n] = modelSum{m.number, state.newest.sum + residualOf(r.Value, fixed)}
			if known {
				kept[n].sum -= residualOf(before, fixed)
			}
			n++
		}
	}
	if learn && state.learn(r, at, known) {
		state.keep(kept)
	}
}

// keep replaces all sums.
func (s *userState) keep(sums [keptSums]modelSum) {
	s.newest = sums[0]
	if sums[1].model == 0 {
		s.others = nil
		return
	}
	if s.others == nil {
		s.others = &modelSums{}
	}
	copy(s.others[:], sums[1:])
}

// predict predicts the pair of rows row and i, whose fixed part is given and
// whose place in the history is at. The sum of m is then the newest.
func (s *userState) predict(m *Model, row, i int, fixed float64, at int, known bool) Prediction {
	if s.newest.model != m.number {
		s.take(m, row)
	}
	sum, n := s.newest.sum, len(s.movies)
	if known {
		sum -= residualOf(s.rated[at].value, fixed)
		n--
	}
	return Prediction{
		Value:     m.scale.Clamp(float32(fixed + m.solve(row, sum.stars(), n))),
		ColdUser:  !isRated(m.factors.UserCounts, row),
		ColdMovie: !isRated(m.factors.MovieCounts, i),
	}
}

// take makes the sum of m the newest. It is among the others, or made from the
// ratings, and then the one that was asked for the longest ago makes room.
func (s *userState) take(m *Model, row int) {
	if s.newest.model == 0 {
		s.newest = modelSum{m.number, s.sum(m, row)}
		return
	}
	if s.others == nil {
		s.others = &modelSums{}
	}
	from := slices.IndexFunc(s.others[:], func(o modelSum) bool { return o.model == m.number })
	var taken modelSum
	if from >= 0 {
		taken = s.others[from]
	} else {
		from, taken = len(s.others)-1, modelSum{m.number, s.sum(m, row)}
	}
	copy(s.others[1:from+1], s.others[:from])
	s.others[0], s.newest = s.newest, taken
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

// Forget drops all that is remembered of a user.
func (u *Users) Forget(user int64) {
	shard := u.shard(user)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	delete(shard.users, user)
}
