package ratings

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
)

// events are what a matrix is made of. They are read where they are, several
// times, rather than copied: a training's ratings fill the memory already.
type events struct {
	ratings []Rating
	choices []Choice

	// weigh says what an event adds to the value of its pair; kind is 0 of a
	// rating. nil leaves ratings as they are.
	weigh func(kind ChoiceKind, value float32, time int64) float64
}

// entry is an event in the row of its user.
type entry struct {
	movie int32
	kind  ChoiceKind
	value float32
	time  int64
}

// ids are the rows of both sides.
type ids struct{ users, movies idTable }

// ids finds all users and movies.
func (e events) ids() (*ids, error) {
	if int64(len(e.ratings))+int64(len(e.choices)) > math.MaxInt32 {
		return nil, fmt.Errorf("%d ratings and %d other events: %w", len(e.ratings), len(e.choices), ErrTooManyRatings)
	}
	var known ids
	for _, r := range e.ratings {
		if value := float64(r.Value); !(math.Abs(value) <= maxValue) {
			return nil, fmt.Errorf("rating %v of movie %d by user %d: %w", value, r.Movie, r.User, ErrBadRating)
		}
		known.users.add(r.User)
		known.movies.add(r.Movie)
	}
	for _, c := range e.choices {
		known.users.add(c.User)
		known.movies.add(c.Movie)
	}
	known.users.sort()
	known.movies.sort()
	return &known, nil
}

// matrix returns the matrix of the events, with a row for each of the ids.
func (e events) matrix(known *ids) (*Matrix, error) {
	if len(e.ratings)+len(e.choices) == 0 {
		return nil, ErrNoRatings
	}
	m := &Matrix{Users: slices.Clone(known.users.ids), Movies: slices.Clone(known.movies.ids)}
	if err := e.fillUsers(m, known); err != nil {
		return nil, err
	}
	m.fillMovies()
	return m, nil
}

// orderByUser returns the places of the events, ratings before choices, by the
// rows of their users, and where each row ends.
func (e events) orderByUser(known *ids) (order []int32, ends []int) {
	ends = make([]int, len(known.users.ids)+1)
	each := func(fn func(place, user int)) {
		for k := range e.ratings {
			fn(k, int(known.users.row(e.ratings[k].User)))
		}
		for k := range e.choices {
			fn(len(e.ratings)+k, int(known.users.row(e.choices[k].User)))
		}
	}
	each(func(_, user int) { ends[user+1]++ })
	for u := 1; u < len(ends); u++ {
		ends[u] += ends[u-1]
	}
	order = make([]int32, len(e.ratings)+len(e.choices))
	each(func(place, user int) {
		order[ends[user]] = int32(place)
		ends[user]++
	})
	return order, ends[:len(ends)-1]
}

func (e events) entry(place int32, known *ids) entry {
	if int(place) < len(e.ratings) {
		r := &e.ratings[place]
		return entry{known.movies.row(r.Movie), 0, r.Value, r.Time}
	}
	c := &e.choices[int(place)-len(e.ratings)]
	return entry{known.movies.row(c.Movie), c.Kind, 0, c.Time}
}

// fillUsers makes the rows of users, in order of movies, one value a pair.
func (e events) fillUsers(m *Matrix, known *ids) error {
	order, ends := e.orderByUser(known)
	m.userStart = make([]int64, len(ends)+1)
	m.userMovies = make([]int32, 0, len(order))
	m.userValues = make([]float32, 0, len(order))
	var row userRow
	begin := 0
	for u, end := range ends {
		row.clear()
		for _, place := range order[begin:end] {
			row.add(e.entry(place, known))
		}
		begin = end
		for movie, pair := range row.pairs() {
			value := e.value(pair)
			if !(value <= maxValue) {
				return fmt.Errorf("the events of user %d with movie %d add up to %v: %w", m.Users[u], m.Movies[movie], value, ErrBadRating)
			}
			m.userMovies = append(m.userMovies, movie)
			m.userValues = append(m.userValues, value)
		}
		m.userStart[u+1] = int64(len(m.userValues))
	}
	return nil
}

// value is that of a pair with the given entries. Of ratings and of tags the newest
// counts, of equally new ones the greatest; of views all do.
func (e events) value(pair []entry) (sum float32) {
	for k, at := range pair {
		switch {
		case at.kind != Viewed && k+1 < len(pair) && pair[k+1].kind == at.kind:
		case e.weigh == nil:
			sum = at.value
		default:
			sum += float32(e.weigh(at.kind, at.value, at.time))
		}
	}
	return sum
}

// userRow puts the entries of a user in order of movies. Numbers are sorted, not
// entries: that is several times as fast, and few pairs have several entries.
type userRow struct {
	entries []entry
	order   []uint64 // movie, and place in entries
	pair    []entry
}

func (r *userRow) clear() { r.entries, r.order = r.entries[:0], r.order[:0] }

func (r *userRow) add(e entry) {
	r.order = append(r.order, uint64(e.movie)<<32|uint64(len(r.entries)))
	r.entries = append(r.entries, e)
}

// pairs yields the movies, ascending, each with its entries by kind, time and value.
func (r *userRow) pairs() iter.Seq2[int32, []entry] {
	return func(yield func(int32, []entry) bool) {
		slices.Sort(r.order)
		for k := 0; k < len(r.order); {
			movie := int32(r.order[k] >> 32)
			r.pair = r.pair[:0]
			for ; k < len(r.order) && int32(r.order[k]>>32) == movie; k++ {
				r.pair = append(r.pair, r.entries[uint32(r.order[k])])
			}
			if len(r.pair) > 1 {
				slices.SortFunc(r.pair, func(a, b entry) int {
					return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.time, b.time), cmp.Compare(a.value, b.value))
				})
			}
			if !yield(movie, r.pair) {
				return
			}
		}
	}
}

// fillMovies makes the columns of movies from the rows of users. Going through
// users in order leaves each column in order of users.
func (m *Matrix) fillMovies() {
	m.movieStart = make([]int64, len(m.Movies)+1)
	m.movieUsers = make([]int32, m.Len())
	m.movieValues = make([]float32, m.Len())
	for _, i := range m.userMovies {
		m.movieStart[i+1]++
	}
	for i := range m.Movies {
		m.movieStart[i+1] += m.movieStart[i]
	}
	next := slices.Clone(m.movieStart[:len(m.Movies)])
	for u := range m.Users {
		movies, values := m.User(u)
		for k, i := range movies {
			m.movieUsers[next[i]] = int32(u)
			m.movieValues[next[i]] = values[k]
			next[i]++
		}
	}
}

// idTable gives ids rows: first they are added, then it is sorted, and then each
// has its row, in order of ids.
type idTable struct {
	ids   []int64 // in order of first appearance, ascending once sorted
	small []int32 // row+1 of each id from 0 to denseIDs, 0 if there is none
	rows  map[int64]int32

	last int64 // added; ratings of one user mostly come together
}

// denseIDs is how many ids are looked up in an array, which is several times as
// fast as in a map.
const denseIDs = 1 << 20

func (t *idTable) add(id int64) {
	if len(t.ids) > 0 && t.last == id {
		return
	}
	t.last = id
	if t.row(id) >= 0 {
		return
	}
	t.ids = append(t.ids, id)
	t.put(id, int32(len(t.ids)-1))
}

func (t *idTable) put(id int64, row int32) {
	if id < 0 || id >= denseIDs {
		if t.rows == nil {
			t.rows = map[int64]int32{}
		}
		t.rows[id] = row
		return
	}
	if need := int(id) + 1 - len(t.small); need > 0 {
		t.small = append(t.small, make([]int32, max(need, min(len(t.small), denseIDs-len(t.small))))...)
	}
	t.small[id] = row + 1
}

// row returns the row of an id, -1 if it has none.
func (t *idTable) row(id int64) int32 {
	if id >= 0 && id < int64(len(t.small)) {
		return t.small[id] - 1
	}
	if row, known := t.rows[id]; known {
		return row
	}
	return -1
}

func (t *idTable) sort() {
	slices.Sort(t.ids)
	for row, id := range t.ids {
		t.put(id, int32(row))
	}
}
