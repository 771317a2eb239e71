package ratings

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
)

// Building a matrix.
var (
	// ErrNoRatings says that there is nothing to learn from or to measure on.
	ErrNoRatings = errors.New("no ratings")

	// ErrBadRating says that a value is NaN, infinite or absurdly large.
	ErrBadRating = errors.New("rating is not a usable number")

	// ErrTooManyRatings says that a matrix would outgrow its int32 indices.
	ErrTooManyRatings = errors.New("too many ratings for one matrix")
)

// maxValue bounds a rating's magnitude, so that no sum of them overflows.
const maxValue = 1e6

// Matrix is a sparse matrix of ratings [users × movies] held twice: by user
// (compressed sparse rows) and by movie (compressed sparse columns). Its
// content depends only on the set of ratings, never on their order. It takes 16
// bytes a rating, is immutable, and safe for concurrent use.
type Matrix struct {
	Users  []int64 // ids, ascending [users]
	Movies []int64 // ids, ascending [movies]

	userStart   []int64   // [users+1]
	userMovies  []int32   // movie rows, ascending in each user [ratings]
	userValues  []float32 // stars [ratings]
	movieStart  []int64   // [movies+1]
	movieUsers  []int32   // user rows, ascending in each movie [ratings]
	movieValues []float32 // stars [ratings]
}

// NewMatrix returns the matrix of the given ratings, in any order. Of several
// ratings of one pair the newest is kept, and of equally new ones the one with
// the greatest value, as a Store does. It returns ErrNoRatings if there are
// none, and an error that wraps ErrBadRating and names the pair for a value
// that is not finite.
func NewMatrix(ratings []Rating) (*Matrix, error) {
	var builder MatrixBuilder
	if err := builder.Add(ratings); err != nil {
		return nil, err
	}
	return builder.Matrix()
}

// Len is the number of ratings.
func (m *Matrix) Len() int { return len(m.userValues) }

// User returns the ratings of the user in row u: rows of movies, ascending, and
// values in stars. The slices must not be changed.
func (m *Matrix) User(u int) (movies []int32, values []float32) {
	from, to := m.userStart[u], m.userStart[u+1]
	return m.userMovies[from:to:to], m.userValues[from:to:to]
}

// Movie returns the ratings of the movie in row i: rows of users, ascending,
// and values in stars. The slices must not be changed.
func (m *Matrix) Movie(i int) (users []int32, values []float32) {
	from, to := m.movieStart[i], m.movieStart[i+1]
	return m.movieUsers[from:to:to], m.movieValues[from:to:to]
}

// UserRow returns the row of the user with this id, and whether it has one.
func (m *Matrix) UserRow(id int64) (int, bool) { return slices.BinarySearch(m.Users, id) }

// MovieRow returns the row of the movie with this id, and whether it has one.
func (m *Matrix) MovieRow(id int64) (int, bool) { return slices.BinarySearch(m.Movies, id) }

// Mean is μ, the mean of all ratings in stars.
func (m *Matrix) Mean() float64 {
	// Summed user by user, so that rounding stays small for any number of them.
	total := 0.0
	for u := range m.Users {
		_, values := m.User(u)
		sum := 0.0
		for _, value := range values {
			sum += float64(value)
		}
		total += sum
	}
	return total / float64(m.Len())
}

// MatrixBuilder gathers ratings in batches, so that a store can be read without
// holding all its ratings as structs. It takes 20 bytes a rating (12 for the
// rating, 8 for its time), and the 16 of the matrix come on top while it is
// made. The zero value is ready; it is not safe for concurrent use.
type MatrixBuilder struct {
	blocks []*matrixBlock
	count  int
	users  idTable
	movies idTable
}

const blockSize = 1 << 14

// matrixBlock holds ratings without padding; blocks never move as they grow.
type matrixBlock struct {
	users  [blockSize]int32 // in order of first appearance
	movies [blockSize]int32
	values [blockSize]float32
	times  [blockSize]int64
}

// Add gathers ratings; the slice is not kept. It returns an error that wraps
// ErrBadRating and names the pair for a value that is not finite, or whose
// magnitude is over a million.
func (b *MatrixBuilder) Add(ratings []Rating) error {
	for _, r := range ratings {
		if value := float64(r.Value); !(math.Abs(value) <= maxValue) {
			return fmt.Errorf("rating %v of movie %d by user %d: %w", value, r.Movie, r.User, ErrBadRating)
		}
		if b.count == math.MaxInt32 {
			return fmt.Errorf("adding a rating to %d: %w", b.count, ErrTooManyRatings)
		}
		at := b.count % blockSize
		if at == 0 {
			b.blocks = append(b.blocks, new(matrixBlock))
		}
		block := b.blocks[len(b.blocks)-1]
		block.users[at] = b.users.row(r.User)
		block.movies[at] = b.movies.row(r.Movie)
		block.values[at] = r.Value
		block.times[at] = r.Time
		b.count++
	}
	return nil
}

// know gives all users and movies of other a row, whether they have ratings or not.
func (b *MatrixBuilder) know(other *MatrixBuilder) {
	for _, user := range other.users.ids {
		b.users.row(user)
	}
	for _, movie := range other.movies.ids {
		b.movies.row(movie)
	}
}

// Matrix returns the matrix of what was added, and empties the builder. It
// returns ErrNoRatings if nothing was.
func (b *MatrixBuilder) Matrix() (*Matrix, error) {
	if b.count == 0 {
		return nil, ErrNoRatings
	}
	m := &Matrix{}
	var userRows, movieRows []int32
	m.Users, userRows = b.users.sorted()
	m.Movies, movieRows = b.movies.sorted()
	m.fillUsers(b.blocks, b.orderByUser(userRows), movieRows)
	*b = MatrixBuilder{}
	m.fillMovies()
	return m, nil
}

// orderByUser returns for each user row the positions of its ratings.
func (b *MatrixBuilder) orderByUser(userRows []int32) [][]int32 {
	counts := make([]int32, len(userRows))
	b.each(func(_ int, block *matrixBlock, at int) { counts[userRows[block.users[at]]]++ })
	positions := make([]int32, b.count)
	rows := make([][]int32, len(counts))
	for u, count := range counts {
		rows[u], positions = positions[:0:count], positions[count:]
	}
	b.each(func(position int, block *matrixBlock, at int) {
		u := userRows[block.users[at]]
		rows[u] = append(rows[u], int32(position))
	})
	return rows
}

func (b *MatrixBuilder) each(fn func(position int, block *matrixBlock, at int)) {
	for position := range b.count {
		fn(position, b.blocks[position/blockSize], position%blockSize)
	}
}

// fillUsers makes the rows of users, in order of movies, one rating a pair.
func (m *Matrix) fillUsers(blocks []*matrixBlock, rows [][]int32, movieRows []int32) {
	type entry struct {
		movie int32
		value float32
		time  int64
	}
	total := 0
	for _, row := range rows {
		total += len(row)
	}
	m.userStart = make([]int64, len(rows)+1)
	m.userMovies = make([]int32, 0, total)
	m.userValues = make([]float32, 0, total)
	var entries []entry
	for u, row := range rows {
		entries = entries[:0]
		for _, position := range row {
			block, at := blocks[position/blockSize], position%blockSize
			entries = append(entries, entry{movieRows[block.movies[at]], block.values[at], block.times[at]})
		}
		slices.SortFunc(entries, func(a, b entry) int {
			switch {
			case a.movie != b.movie:
				return int(a.movie) - int(b.movie)
			case a.time != b.time:
				if a.time < b.time {
					return -1
				}
				return 1
			case a.value < b.value:
				return -1
			case a.value > b.value:
				return 1
			}
			return 0
		})
		for k, e := range entries {
			if k+1 < len(entries) && entries[k+1].movie == e.movie {
				continue // a later one, or an equally new and greater one, follows
			}
			m.userMovies = append(m.userMovies, e.movie)
			m.userValues = append(m.userValues, e.value)
		}
		m.userStart[u+1] = int64(len(m.userValues))
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

// idTable numbers ids in the order in which they first appear.
type idTable struct {
	rows   map[int64]int32
	ids    []int64
	last   int64 // ratings of one user mostly come together
	lastAt int32
}

func (t *idTable) row(id int64) int32 {
	if len(t.ids) > 0 && t.last == id {
		return t.lastAt
	}
	at, known := t.rows[id]
	if !known {
		if t.rows == nil {
			t.rows = make(map[int64]int32)
		}
		at = int32(len(t.ids))
		t.rows[id] = at
		t.ids = append(t.ids, id)
	}
	t.last, t.lastAt = id, at
	return at
}

// sorted returns the ids ascending, and for each number its place there.
func (t *idTable) sorted() (ids []int64, places []int32) {
	order := make([]int32, len(t.ids))
	for k := range order {
		order[k] = int32(k)
	}
	sort.Slice(order, func(a, b int) bool { return t.ids[order[a]] < t.ids[order[b]] })
	ids = make([]int64, len(order))
	places = make([]int32, len(order))
	for place, k := range order {
		ids[place] = t.ids[k]
		places[k] = int32(place)
	}
	return ids, places
}
