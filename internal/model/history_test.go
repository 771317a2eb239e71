package model

import (
	"errors"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

func TestRefreshReadsAUsersRatingsOnceInAWhile(t *testing.T) {
	u := NewUsers()
	u.Learn(ratings.Rating{User: 7, Movie: 1, Value: 5, Time: 20}) // newer than what is stored
	reads := 0
	refresh := func(user, now int64, err error) error {
		return u.Refresh(user, now, func() ([]ratings.Rating, error) {
			reads++
			if user == 9 {
				return nil, err
			}
			return []ratings.Rating{{User: user, Movie: 1, Value: 3, Time: 10}, {User: user, Movie: 2, Value: 4, Time: 10}}, err
		})
	}
	expect := func(after string, want int, values ...float32) {
		t.Helper()
		if reads != want {
			t.Errorf("%s: %d reads, want %d", after, reads, want)
		}
		history := u.AppendHistory(nil, 7)
		if len(history) != len(values) {
			t.Fatalf("%s: %+v, want values %v", after, history, values)
		}
		for k, r := range history {
			if r.Value != values[k] {
				t.Errorf("%s: %+v, want values %v", after, history, values)
			}
		}
	}
	away := errors.New("away")
	if err := refresh(7, 1_000_000, away); !errors.Is(err, away) {
		t.Errorf("got %v", err)
	}
	expect("the store was away", 1, 5)
	for _, now := range []int64{1_000_000, 1_000_001, 1_000_000 + refreshAge - 1} {
		if err := refresh(7, now, nil); err != nil {
			t.Error(err)
		}
	}
	expect("three requests in a moment", 2, 5, 4)
	if err := refresh(7, 1_000_000+refreshAge, nil); err != nil {
		t.Error(err)
	}
	expect("a while later", 3, 5, 4)
	if err := refresh(9, 1_000_000, nil); err != nil || len(u.AppendHistory(nil, 9)) != 0 {
		t.Errorf("a user without ratings: %v", err)
	}
}
