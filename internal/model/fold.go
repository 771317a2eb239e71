package model

import (
	"slices"
	"sync"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// folding folds users into the head of ratings, for predictions of users whom the
// model does not know. It shares the movies with the folders of lists.
type folding struct {
	base  *als.Folder
	rooms sync.Pool // of *foldingRoom
}

// foldingRoom belongs to one goroutine.
type foldingRoom struct {
	folder *als.Folder
	// preference is made when it is first needed.
	preference *als.PreferenceFolder
	history    []ratings.Rating
	rows       []int32
	values     []float32
	x          []float32 // [rank]
}

func newFolding(f *als.Factors) *folding {
	folding := &folding{base: als.NewFolder(f)}
	folding.rooms.New = func() any {
		return &foldingRoom{folder: folding.base.Clone(), x: make([]float32, f.Rank)}
	}
	return folding
}

// foldedStars predicts the movie in row i for a user whom m does not know, from
// what the user rated, the movie's own rating left out. The solution for all
// ratings is kept until they change, or until another model asks.
func (s *userState) foldedStars(m *Model, user int64, i, at int, known bool) float32 {
	if len(s.movies) == 0 {
		return m.scale.Clamp(float32(m.fixed(-1, i)))
	}
	if known {
		room := m.folding().rooms.Get().(*foldingRoom)
		defer m.folding().rooms.Put(room)
		bias := s.fold(m, room, at)
		if i >= 0 && m.isAdded(i) {
			y, ofMovie := m.without(user, i)
			bias += product(room.x, y)
			return m.scale.Clamp(m.factors.Mean + bias + ofMovie)
		}
		return m.foldedStars(room.x, bias, i)
	}
	if s.foldedBy != uint32(m.number) {
		room := m.folding().rooms.Get().(*foldingRoom)
		s.bias = s.fold(m, room, -1)
		s.folded = append(s.folded[:0], room.x...)
		s.foldedBy = uint32(m.number)
		m.folding().rooms.Put(room)
	}
	return m.foldedStars(s.folded, s.bias, i)
}

// foldedStars is the one sum for users with factors x who are folded in, in the
// order that lists use too.
func (m *Model) foldedStars(x []float32, bias float32, i int) float32 {
	value := m.factors.Mean + bias
	if i >= 0 {
		value += m.movieBias(i) + kernel.Dot(x, m.movieFactors(i))
	} else {
		value += product(x, m.average.movie)
	}
	return m.scale.Clamp(value)
}

// fold solves the user from the newest 2,000 ratings but the one at the place
// without, -1 for none, and writes the factors to the room. Where the model knows
// none of the movies that is the bias alone, of an average user.
func (s *userState) fold(m *Model, room *foldingRoom, without int) (bias float32) {
	room.rows, room.values = room.rows[:0], room.values[:0]
	if len(s.movies) > maxFolded {
		s.takeNewest(m, room, without)
	} else {
		for at, movie := range s.movies {
			if at != without {
				room.take(m, movie, s.rated[at].value)
			}
		}
	}
	if len(room.rows) > 0 {
		bias, _ = room.folder.FoldIn(room.rows, room.values, room.x) // fails only without ratings
		return bias
	}
	clear(room.x)
	copy(room.x, m.average.user)
	var sum residual
	n := 0
	for at := range s.movies {
		if at != without {
			sum += residualOf(s.rated[at].value, m.fixed(-1, -1))
			n++
		}
	}
	return float32(m.solve(-1, sum.stars(), n))
}

// AppendFactors appends a user's factors under m, all that is remembered folded in as
// training's own half-step would, and returns the bias with them; false if m knows
// none of the movies.
func (u *Users) AppendFactors(dst []float32, m *Model, user int64) (factors []float32, bias float32, ok bool) {
	room := m.folding().rooms.Get().(*foldingRoom)
	defer m.folding().rooms.Put(room)
	shard := u.shard(user)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	state := shard.users[user]
	if state == nil {
		return dst, 0, false
	}
	bias = state.fold(m, room, -1)
	if len(room.rows) == 0 {
		return dst, 0, false
	}
	return append(dst, room.x...), bias, true
}

func (r *foldingRoom) take(m *Model, movie int64, value float32) {
	if row := m.row(m.movies, movie); row >= 0 {
		r.rows, r.values = append(r.rows, int32(row)), append(r.values, value)
	}
}

// takeNewest takes the ratings that lists are made from.
func (s *userState) takeNewest(m *Model, room *foldingRoom, without int) {
	history := s.appendHistory(room.history[:0], 0)
	room.history = history
	if without >= 0 {
		history = slices.Delete(history, without, without+1)
	}
	for _, r := range newest(history) {
		room.take(m, r.Movie, r.Value)
	}
}

// known is the user as m may know it: a row, or -1.
func (a *answer) known(user int64) int {
	if a.Users != nil && a.Users.isErased(user) {
		return -1
	}
	return a.m.row(a.m.users, user)
}

// predict is the movie's predicted rating, by the way that predictions are made.
func (a *answer) predict(q *Query, movie int64) float32 {
	if len(a.members) > 0 { // their mean
		sum := float32(0)
		for _, user := range a.members {
			sum += a.predictFor(user, movie)
		}
		return sum / float32(len(a.members))
	}
	if q.Anonymous || len(q.Users) > 0 {
		return a.m.stars(&a.taste, a.m.movieRow(movie))
	}
	return a.predictFor(q.User, movie)
}

func (a *answer) predictFor(user, movie int64) float32 {
	if a.Users == nil {
		return a.m.Predict(user, movie).Value
	}
	return a.Users.Predict(a.m, user, movie).Value
}
