package ratings

import (
	"errors"
	"slices"
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
// that is not finite, or whose magnitude is over a million. While it is made it
// takes no more than the 16 bytes a rating that it takes then.
func NewMatrix(ratings []Rating) (*Matrix, error) {
	e := events{ratings: ratings}
	ids, err := e.ids()
	if err != nil {
		return nil, err
	}
	return e.matrix(ids)
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
