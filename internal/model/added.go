package model

import (
	"cmp"
	"context"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// added are movies that a model does not know and that were rated since, folded in
// with the model's users held fixed. They stand behind the model's rows, and have a
// part in what is predicted and listed, but none in what users are folded in from.
// It never changes.
type added struct {
	first  int             // row of the first: the model's number of movies
	rows   map[int64]int32 // of a movie id, from first on
	movies []addedMovie    // ascending by id
	solve  *movieSolver
}

type addedMovie struct {
	id     int64
	count  int32 // ratings that are remembered
	folded als.FoldedMovie
	users  []int64     // who it was folded in from, ascending
	raters []als.Rater // the same
	values []float32   // what they gave
}

// maxRaters is how many users, those who rated last, a movie is folded in from: as
// many as say what it is like, and few enough that all is done within a moment.
const maxRaters = 256

// movieSolver folds movies in, for one model.
type movieSolver struct {
	base  *als.MovieFolder
	rooms sync.Pool // of *als.MovieFolder
}

func newMovieSolver(f *als.Factors) *movieSolver {
	s := &movieSolver{}
	s.base, _ = als.NewMovieFolder(context.Background(), f, runtime.GOMAXPROCS(0)) // fails only if ctx ends
	s.rooms.New = func() any { return s.base.Clone() }
	return s
}

func (s *movieSolver) foldIn(raters []als.Rater, values []float32) als.FoldedMovie {
	folder := s.rooms.Get().(*als.MovieFolder)
	defer s.rooms.Put(folder)
	return folder.FoldIn(raters, values)
}

// with returns the model with these movies in addition. Everything else is shared,
// and what is kept by the model's number is true of both.
func (m *Model) with(a *added) *Model {
	c := *m
	c.added = a
	return &c
}

// movieRow is the row of a movie, also of one that was added, or -1.
func (m *Model) movieRow(id int64) int {
	if row, ok := m.movies[id]; ok {
		return int(row)
	}
	if m.added != nil {
		if row, ok := m.added.rows[id]; ok {
			return int(row)
		}
	}
	return -1
}

// isAdded reports whether a row is of a movie that was added.
func (m *Model) isAdded(i int) bool { return i >= len(m.factors.Movies) }

func (m *Model) addedMovie(i int) *addedMovie { return &m.added.movies[i-m.added.first] }

func (m *Model) movieFactors(i int) []float32 {
	if m.isAdded(i) {
		return m.addedMovie(i).folded.Factors
	}
	return m.factors.MovieFactors[i*m.factors.Rank:][:m.factors.Rank]
}

func (m *Model) movieBias(i int) float32 {
	if m.isAdded(i) {
		return m.addedMovie(i).folded.Bias
	}
	return m.factors.MovieBias[i]
}

// movieCount is the number of ratings the movie in row i was made from, 0 for -1:
// models may have a row for what was tagged or viewed.
func (m *Model) movieCount(i int) int {
	switch {
	case i < 0:
		return 0
	case m.isAdded(i):
		return int(m.addedMovie(i).count)
	}
	return int(m.factors.MovieCounts[i])
}

// headFactors are the factors of the movie in row i in the head that ranks.
func (m *Model) headFactors(i int) []float32 {
	p := m.factors.Preference
	switch {
	case p == nil:
		return m.movieFactors(i)
	case m.isAdded(i):
		return m.addedMovie(i).folded.Preference
	}
	return p.MovieFactors[i*p.Rank:][:p.Rank]
}

// learned is the fixed part of a prediction, see fixed, as it has a part in what is
// learned of the user in row u: that of an added movie changes from moment to moment, so
// that it counts as an unknown one.
func (m *Model) learned(fixed float64, u, i int) float64 {
	if i >= 0 && m.isAdded(i) {
		return m.fixed(u, -1)
	}
	return fixed
}

// fixedWithout is fixed of a movie that the user in row u has rated: an added movie
// is made again without this rating.
func (m *Model) fixedWithout(user int64, u, i int, fixed float64) float64 {
	if i < 0 || !m.isAdded(i) {
		return fixed
	}
	y, bias := m.without(user, i)
	return float64(m.factors.Mean) + float64(bias) + float64(product(m.userFactors(u), y))
}

// without is an added movie folded in without a user's rating; an average one where that
// is all there is.
func (m *Model) without(user int64, i int) (y []float32, bias float32) {
	movie := m.addedMovie(i)
	at, rated := slices.BinarySearch(movie.users, user)
	switch {
	case !rated:
		return movie.folded.Factors, movie.folded.Bias
	case len(movie.users) == 1:
		return m.average.movie, 0
	}
	folded := m.added.solve.foldIn(slices.Delete(slices.Clone(movie.raters), at, at+1), slices.Delete(slices.Clone(movie.values), at, at+1))
	return folded.Factors, folded.Bias
}

func (m *Model) eachAdded(fn func(i int, movie int64)) {
	if m.added == nil {
		return
	}
	for k := range m.added.movies {
		fn(m.added.first+k, m.added.movies[k].id)
	}
}

// fresh is which movies were rated that a model does not know, and by whom. It is
// safe for concurrent use.
type fresh struct {
	of     atomic.Pointer[Model] // nil until it is asked for
	mu     sync.Mutex            // is taken last
	movies map[int64]*raters
	all    bool // more than the dirty ones have changed
}

// raters of one movie.
type raters struct {
	by    map[int64]int64 // when users rated it; of many those who did last
	count int             // those who are not in by, too
	dirty bool            // changed since it was asked for
}

// note takes notice of a rating that was learned or taken back.
func (f *fresh) note(user, movie, time int64) {
	of := f.of.Load()
	if of == nil || of.row(of.movies, movie) >= 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.movies[movie]
	if r == nil {
		r = &raters{by: map[int64]int64{}}
		f.movies[movie] = r
	}
	if _, known := r.by[user]; !known {
		r.count++
	}
	r.by[user], r.dirty = time, true
	if len(r.by) > 2*maxRaters {
		for _, user := range r.newest()[maxRaters:] {
			delete(r.by, user)
		}
	}
}

// newest are the users, those who rated last first.
func (r *raters) newest() []int64 {
	users := slices.Collect(maps.Keys(r.by))
	slices.SortFunc(users, func(a, b int64) int { return cmp.Or(cmp.Compare(r.by[b], r.by[a]), cmp.Compare(a, b)) })
	return users
}

// touch takes notice of an erasure, of whatever it was.
func (f *fresh) touch() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = true
}

// toFold is a movie that is to be folded in.
type toFold struct {
	movie   int64
	users   []int64 // those who rated it last
	count   int32   // all who did
	changed bool    // since it was folded in last
}

// takeFresh returns the movies that were rated and that m does not know, and whether
// there is anything new of them; with all, everything is taken for new. A model that
// was not asked for is compared with all that Users remember.
func (u *Users) takeFresh(m *Model, all bool) (movies []toFold, changed bool) {
	f := &u.fresh
	if of := f.of.Load(); of == nil || of.number != m.number {
		f.mu.Lock()
		f.movies, f.all = map[int64]*raters{}, true
		f.mu.Unlock()
		f.of.Store(m)
		u.findFresh(m) // what is learned meanwhile is noted, and perhaps found too
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	changed = f.all || all
	for movie, r := range f.movies {
		one := toFold{movie: movie, count: int32(r.count), changed: r.dirty || f.all || all}
		if one.changed {
			one.users, changed = r.newest(), true
			one.users = one.users[:min(len(one.users), maxRaters)]
		}
		r.dirty = false
		movies = append(movies, one)
	}
	f.all = false
	slices.SortFunc(movies, func(a, b toFold) int { return cmp.Compare(a.movie, b.movie) })
	return movies, changed
}

func (u *Users) findFresh(m *Model) {
	var found []ratings.Rating
	for k := range u.shards {
		shard := &u.shards[k]
		found = found[:0]
		shard.mu.Lock()
		for user, state := range shard.users {
			for at, movie := range state.movies {
				if m.row(m.movies, movie) < 0 {
					found = append(found, ratings.Rating{User: user, Movie: movie, Time: state.rated[at].time})
				}
			}
		}
		shard.mu.Unlock()
		for _, r := range found {
			u.fresh.note(r.User, r.Movie, r.Time)
		}
	}
}

// foldInMovies returns the version with those movies that its model does not know.
// What did not change is as in before, which may be nil and is of the same model.
func (u *Users) foldInMovies(v *Version, movies []toFold, before *added) *Version {
	m := v.Model
	a := &added{first: len(m.factors.Movies), rows: map[int64]int32{}, solve: m.movieSolver()}
	users := map[int64]als.Rater{}
	for _, fold := range movies {
		if m.row(m.movies, fold.movie) >= 0 {
			continue
		}
		if !fold.changed && before != nil {
			if row, ok := before.rows[fold.movie]; ok {
				a.add(before.movies[int(row)-before.first])
			}
			continue
		}
		one := addedMovie{id: fold.movie, count: fold.count}
		for _, r := range u.ratingsOf(fold.movie, fold.users) {
			rater, known := users[r.User]
			if !known {
				rater = u.rater(v, r.User)
				users[r.User] = rater
			}
			if rater.Factors != nil {
				one.users, one.raters, one.values = append(one.users, r.User), append(one.raters, rater), append(one.values, r.Value)
			}
		}
		if len(one.users) > 0 {
			one.folded = a.solve.foldIn(one.raters, one.values)
			a.add(one)
		}
	}
	extended := *v
	extended.Model = m.with(a)
	return &extended
}

func (a *added) add(movie addedMovie) {
	a.rows[movie.id] = int32(a.first + len(a.movies))
	a.movies = append(a.movies, movie)
}

// ratingsOf are the ratings that users gave a movie, ascending by user, so that sums
// over them are the same in every process.
func (u *Users) ratingsOf(movie int64, users []int64) (found []ratings.Rating) {
	for _, user := range sortedIDs(users) {
		shard := u.shard(user)
		shard.mu.Lock()
		if state := shard.users[user]; state != nil {
			if at, rated := slices.BinarySearch(state.movies, movie); rated {
				found = append(found, ratings.Rating{User: user, Movie: movie, Value: state.rated[at].value, Time: state.rated[at].time})
			}
		}
		shard.mu.Unlock()
	}
	return found
}

// rater is the user as the version's own model has the user: as trained, or folded in.
// It has no factors where the model knows nothing of the user.
func (u *Users) rater(v *Version, user int64) als.Rater {
	m, f := v.Model, v.Model.factors
	if row := m.row(m.users, user); row >= 0 && !u.isErased(user) {
		r := als.Rater{Factors: m.userFactors(row), Bias: f.UserBias[row]}
		if p := f.Preference; p != nil {
			r.Preference = p.UserFactors[row*p.Rank:][:p.Rank]
		}
		if p := f.Posterior; p != nil {
			size := als.Triangle(f.Rank + 1)
			r.Covariance, r.Weight = p.UserCovariance[row*size:][:size], p.UserWeight[row]
		}
		return r
	}
	room := m.folding().rooms.Get().(*foldingRoom)
	defer m.folding().rooms.Put(room)
	room.rows, room.values = room.rows[:0], room.values[:0]
	for _, r := range newest(u.AppendHistory(nil, user)) {
		room.take(m, r.Movie, r.Value)
	}
	if len(room.rows) == 0 {
		return als.Rater{}
	}
	r := room.folder.Rater(room.rows, room.values)
	if f.Preference != nil {
		if room.preference == nil {
			room.preference = m.preferenceFolder().Clone()
		}
		r.Preference = make([]float32, f.Preference.Rank)
		_ = room.preference.FoldIn(room.rows, room.values, r.Preference) // fails only without ratings
	}
	return r
}
