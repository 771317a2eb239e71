package ratings_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const day = int64(24 * time.Hour / time.Millisecond)

func TestChoicesAreSummedByHand(t *testing.T) {
	log := ratings.Log{
		Ratings: []ratings.Rating{
			{User: 1, Movie: 10, Value: 2, Time: 0},
			{User: 1, Movie: 10, Value: 4, Time: 10 * day}, // counts instead
			{User: 2, Movie: 20, Value: 5, Time: 20 * day},
		},
		Choices: []ratings.Choice{
			{User: 1, Movie: 10, Kind: ratings.Viewed, Time: 0},
			{User: 1, Movie: 10, Kind: ratings.Viewed, Time: 10 * day},
			{User: 3, Movie: 10, Kind: ratings.Tagged, Time: 0},
			{User: 3, Movie: 10, Kind: ratings.Tagged, Time: 20 * day}, // another tag of the same movie
			{User: 3, Movie: 30, Kind: ratings.Viewed, Time: 20 * day},
		},
	}
	rated, chosen, err := log.Matrices(ratings.Weights{Tag: 3, View: 0.5, HalfLife: 10 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if users, movies := []int64{1, 2, 3}, []int64{10, 20, 30}; !slices.Equal(rated.Users, users) || !slices.Equal(chosen.Users, users) ||
		!slices.Equal(rated.Movies, movies) || !slices.Equal(chosen.Movies, movies) {
		t.Fatalf("rows are %v, %v and %v, %v, want %v, %v", rated.Users, rated.Movies, chosen.Users, chosen.Movies, users, movies)
	}
	if rated.Len() != 2 {
		t.Errorf("%d ratings, want 2", rated.Len())
	}
	if movies, _ := rated.User(2); len(movies) != 0 {
		t.Errorf("user 3, who rated nothing, has ratings of rows %v", movies)
	}
	for _, c := range []struct {
		user, movie int
		want        float64
	}{
		{0, 0, 4*0.5 + 0.5*0.25 + 0.5*0.5}, // ages: 10 days, 20 days, 10 days
		{1, 1, 5},
		{2, 0, 3},
		{2, 2, 0.5},
	} {
		movies, values := chosen.User(c.user)
		at := slices.Index(movies, int32(c.movie))
		if at < 0 || math.Abs(float64(values[at])-c.want) > 1e-6 {
			t.Errorf("user row %d, movie row %d: got %v of %v, want %v", c.user, c.movie, values, movies, c.want)
		}
	}
}

func TestRatingsAloneAreTheirOwnChoices(t *testing.T) {
	log := ratings.Log{
		Ratings: []ratings.Rating{{User: 1, Movie: 10, Value: 2}},
		Choices: []ratings.Choice{{User: 2, Movie: 10, Kind: ratings.Viewed}},
	}
	rated, chosen, err := log.Matrices(ratings.Weights{Tag: 3}) // views weigh nothing
	if err != nil || chosen != nil || len(rated.Users) != 1 {
		t.Errorf("got %+v, %+v, %v, want one user and no second matrix", rated, chosen, err)
	}
	if _, _, err := (ratings.Log{Choices: log.Choices}).Matrices(ratings.Weights{View: 1}); err != ratings.ErrNoRatings {
		t.Errorf("without ratings: got %v, want %v", err, ratings.ErrNoRatings)
	}
}

func TestChoicesThatAddUpToNoUsableNumberAreNamed(t *testing.T) {
	log := ratings.Log{Ratings: []ratings.Rating{{User: 1, Movie: 10, Value: 2}}}
	for range 200 {
		log.Choices = append(log.Choices, ratings.Choice{User: 7, Movie: 9, Kind: ratings.Viewed})
	}
	_, _, err := log.Matrices(ratings.Weights{View: 1e4})
	if !errors.Is(err, ratings.ErrBadRating) || !strings.Contains(err.Error(), "user 7 with movie 9") {
		t.Errorf("got %v", err)
	}
}
