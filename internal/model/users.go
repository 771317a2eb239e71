package model

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Users keeps the biases of users current between trainings. It remembers every
// user's ratings, which belong to no model version, and solves the bias with
// the factors held fixed, for whichever model asks:
//
//	b_u = Σ (r − μ − b_i − x_u·y_i) / (n + λ·n^ν)
//
// which is the user's own optimum of the training objective in b_u (Zhou et al.
// 2008, with biases as Koren et al. 2009). A user whom the model does not know
// has x_u = 0, so that a first rating already moves the second prediction.
//
// It is safe for concurrent use.
type Users struct {
	shards [64]userShard
}

type userShard struct {
	mu    sync.Mutex
	users map[int64]*userState
	_     [48]byte // keeps shards on cache lines of their own
}

type userState struct {
	history []rated // ascending by movie
	model   *Model  // for which residuals is the sum; nil: not yet solved
	sum     float64 // Σ (r − μ − b_i − x_u·y_i) over history
}

type rated struct {
	movie int64
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
	state := shard.users[r.User]
	if state == nil {
		state = &userState{}
		shard.users[r.User] = state
	}
	state.learn(r)
}

func (s *userState) learn(r ratings.Rating) {
	at, known := s.find(r.Movie)
	if !known {
		s.history = slices.Insert(s.history, at, rated{r.Movie, r.Time, r.Value})
	} else {
		old := s.history[at]
		if r.Time < old.time || r.Time == old.time && r.Value <= old.value {
			return
		}
		s.history[at] = rated{r.Movie, r.Time, r.Value}
	}
	s.model = nil
}

func (s *userState) find(movie int64) (int, bool) {
	return slices.BinarySearchFunc(s.history, movie, func(r rated, movie int64) int { return cmp.Compare(r.movie, movie) })
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
	bias := state.bias(m, row, movie)
	return Prediction{
		Value:     m.scale.Clamp(float32(m.fixed(row, i) + bias)),
		ColdUser:  row < 0,
		ColdMovie: i < 0,
	}
}

// bias solves b_u over the history without the given movie.
func (s *userState) bias(m *Model, row int, movie int64) float64 {
	if s.model != m {
		s.sum = 0
		for _, r := range s.history {
			s.sum += float64(r.value) - m.fixed(row, m.row(m.movies, r.movie))
		}
		s.model = m
	}
	sum, n := s.sum, len(s.history)
	if at, known := s.find(movie); known {
		sum -= float64(s.history[at].value) - m.fixed(row, m.row(m.movies, movie))
		n--
	}
	if n == 0 {
		return 0
	}
	return sum / (float64(n) + m.factors.Lambda*math.Pow(float64(n), m.factors.Nu))
}

// Forget drops all that is remembered of a user.
func (u *Users) Forget(user int64) {
	shard := u.shard(user)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	delete(shard.users, user)
}
