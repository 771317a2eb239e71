package ratings_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// content lists a matrix by users, after checking that its columns say the same.
func content(t *testing.T, m *ratings.Matrix) []ratings.Rating {
	t.Helper()
	var byUser, byMovie []ratings.Rating
	for u, user := range m.Users {
		movies, values := m.User(u)
		for k, i := range movies {
			byUser = append(byUser, ratings.Rating{User: user, Movie: m.Movies[i], Value: values[k]})
		}
		if row, known := m.UserRow(user); !known || row != u {
			t.Errorf("user %d is said to be in row %d (%v), want %d", user, row, known, u)
		}
	}
	for i, movie := range m.Movies {
		users, values := m.Movie(i)
		if !slices.IsSorted(users) {
			t.Errorf("users of movie %d are %v, want them ascending", movie, users)
		}
		for k, u := range users {
			byMovie = append(byMovie, ratings.Rating{User: m.Users[u], Movie: movie, Value: values[k]})
		}
	}
	ratings.SortByTime(byMovie) // times are all 0: by user and movie
	if !slices.Equal(byUser, byMovie) {
		t.Errorf("rows hold %+v, columns %+v", byUser, byMovie)
	}
	if m.Len() != len(byUser) {
		t.Errorf("length is %d of %d ratings", m.Len(), len(byUser))
	}
	return byUser
}

func TestMatrixKeepsOneRatingAPair(t *testing.T) {
	cases := []struct {
		name string
		in   []ratings.Rating
		want []ratings.Rating
	}{
		{
			"rows and columns are in order of ids",
			[]ratings.Rating{{User: 9, Movie: 5, Value: 1}, {User: -2, Movie: 7, Value: 2}, {User: 9, Movie: 3, Value: 3}},
			[]ratings.Rating{{User: -2, Movie: 7, Value: 2}, {User: 9, Movie: 3, Value: 3}, {User: 9, Movie: 5, Value: 1}},
		},
		{
			"the newest rating of a pair wins, if it comes last",
			[]ratings.Rating{{User: 1, Movie: 1, Value: 5, Time: 1}, {User: 1, Movie: 1, Value: 2, Time: 2}},
			[]ratings.Rating{{User: 1, Movie: 1, Value: 2}},
		},
		{
			"the newest rating of a pair wins, if it comes first",
			[]ratings.Rating{{User: 1, Movie: 1, Value: 2, Time: 2}, {User: 1, Movie: 1, Value: 5, Time: 1}},
			[]ratings.Rating{{User: 1, Movie: 1, Value: 2}},
		},
		{
			"of equally new ones the greatest value wins",
			[]ratings.Rating{{User: 1, Movie: 1, Value: 2, Time: 1}, {User: 1, Movie: 1, Value: 5, Time: 1}, {User: 1, Movie: 1, Value: 3, Time: 1}},
			[]ratings.Rating{{User: 1, Movie: 1, Value: 5}},
		},
		{
			"ids may be small, large and negative at once",
			[]ratings.Rating{{User: 1 << 20, Movie: 0, Value: 1}, {User: 0, Movie: 1<<20 - 1, Value: 2}, {User: -1, Movie: 1 << 20, Value: 3}, {User: 1<<20 - 1, Movie: 3, Value: 4}, {User: 0, Movie: 2, Value: 5}},
			[]ratings.Rating{{User: -1, Movie: 1 << 20, Value: 3}, {User: 0, Movie: 2, Value: 5}, {User: 0, Movie: 1<<20 - 1, Value: 2}, {User: 1<<20 - 1, Movie: 3, Value: 4}, {User: 1 << 20, Movie: 0, Value: 1}},
		},
		{
			"ids may be as large as 64 bits",
			[]ratings.Rating{{User: math.MaxInt64, Movie: math.MinInt64, Value: 2}},
			[]ratings.Rating{{User: math.MaxInt64, Movie: math.MinInt64, Value: 2}},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m, err := ratings.NewMatrix(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := content(t, m); !slices.Equal(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestMatrixIsTheSameForAnyOrder(t *testing.T) {
	// Every tenth pair twice.
	all := recsystest.Ratings(300, 200, 0.5, 1)
	for _, r := range all[:len(all)/10] {
		r.Value, r.Time = 5.5-r.Value, r.Time+1-2*(r.Movie%2)
		all = append(all, r)
	}
	want, err := ratings.NewMatrix(all)
	if err != nil {
		t.Fatal(err)
	}
	content(t, want)
	random := rand.New(rand.NewPCG(1, 1))
	for range 3 {
		random.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
		got, err := ratings.NewMatrix(all)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Error("another order made another matrix")
		}
	}
}

func TestMatrixRefusesWhatCannotBeLearntFrom(t *testing.T) {
	if _, err := ratings.NewMatrix(nil); !errors.Is(err, ratings.ErrNoRatings) {
		t.Errorf("no ratings: got %v", err)
	}
	for _, value := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e7} {
		_, err := ratings.NewMatrix([]ratings.Rating{{User: 1, Movie: 2, Value: 3}, {User: 17, Movie: 23, Value: float32(value)}})
		if !errors.Is(err, ratings.ErrBadRating) || !strings.Contains(err.Error(), "movie 23 by user 17") {
			t.Errorf("value %v: got %v", value, err)
		}
	}
}

func TestMeanIsOfAllRatings(t *testing.T) {
	m, err := ratings.NewMatrix([]ratings.Rating{{User: 1, Movie: 1, Value: 1}, {User: 1, Movie: 2, Value: 2}, {User: 2, Movie: 1, Value: 4.5}})
	if err != nil {
		t.Fatal(err)
	}
	if m.Mean() != 2.5 {
		t.Errorf("mean is %v, want 2.5", m.Mean())
	}
}

func TestSortByTimeIsByTimeUserAndMovie(t *testing.T) {
	want := []ratings.Rating{
		{Time: -1, User: 9, Movie: 9, Value: 1},
		{Time: 0, User: 1, Movie: 8, Value: 1},
		{Time: 0, User: 2, Movie: 1, Value: 1},
		{Time: 0, User: 2, Movie: 3, Value: 1},
		{Time: 0, User: 2, Movie: 3, Value: 2},
		{Time: 5, User: 0, Movie: 0, Value: 1},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	ratings.SortByTime(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
