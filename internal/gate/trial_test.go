package gate

import (
	"math"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// TestATestIsThatOfItsPredictions: the champion's and the challenger's own, user by
// user.
func TestATestIsThatOfItsPredictions(t *testing.T) {
	c := newContest(t)
	n := len(c.all) - 300
	champion, challenger := c.fit(c.all[:n], parameters(1.25)), c.fit(c.all[:n], parameters(8))
	v, err := newVersions(champion, challenger)
	if err != nil {
		t.Fatal(err)
	}
	for _, trial := range []trial{window("newest ratings", c.all, n), hashed(c.all, twinSeed, twinShare)} {
		got, err := trial.ratingTest(t.Context(), v, 2)
		if err != nil {
			t.Fatal(err)
		}
		a, err := v.champion.Predict(t.Context(), 1, trial.before, trial.steps)
		if err != nil {
			t.Fatal(err)
		}
		b, err := v.challenger.Predict(t.Context(), 1, trial.before, trial.steps)
		if err != nil {
			t.Fatal(err)
		}
		var ofA, ofB eval.RMSE
		users := map[int64]bool{}
		for k, r := range trial.steps.Ratings {
			ofA.Add(float64(a[k].Stars), float64(r.Value))
			ofB.Add(float64(b[k].Stars), float64(r.Value))
			users[r.User] = true
		}
		if math.Abs(got.Champion-ofA.Value()) > 1e-9 || math.Abs(got.Challenger-ofB.Value()) > 1e-9 ||
			got.Ratings != len(trial.steps.Ratings) || got.Users != len(users) || math.Abs(got.Point-(got.Champion-got.Challenger)) > 1e-12 {
			t.Errorf("%s: got %+v, want %v and %v", trial.name, got, ofA.Value(), ofB.Value())
		}
	}
}

// TestNobodyIsPredictedFromWhatIsTestedOn: of hashed pairs, and of the future.
func TestNobodyIsPredictedFromWhatIsTestedOn(t *testing.T) {
	c := newContest(t)
	isTest := func(r ratings.Rating) bool { return eval.InTest(twinSeed, twinShare, r.User, r.Movie) }
	tr := hashed(c.all, twinSeed, twinShare)
	counts := map[int64]int{}
	for _, r := range c.all {
		if !isTest(r) {
			counts[r.User]++
		}
	}
	s, err := eval.NewServed(c.fit(c.unhashed(c.all), parameters(1.25)))
	if err != nil {
		t.Fatal(err)
	}
	predicted, err := s.Predict(t.Context(), 2, tr.before, tr.steps)
	if err != nil {
		t.Fatal(err)
	}
	for k, r := range tr.steps.Ratings {
		if !isTest(r) || tr.before.Count(r.User) != counts[r.User] || int(predicted[k].Known) != counts[r.User] {
			t.Fatalf("%+v is tested on, of a user with %d ratings, from %d, want %d", r, tr.before.Count(r.User), predicted[k].Known, counts[r.User])
		}
	}
	n := len(c.all) - 300
	tr = window("newest ratings", c.all, n)
	clear(counts)
	for _, r := range c.all[:n] {
		counts[r.User]++
	}
	for _, r := range tr.steps.Ratings {
		if tr.before.Count(r.User) != counts[r.User] {
			t.Fatalf("user %d begins with %d ratings, want %d", r.User, tr.before.Count(r.User), counts[r.User])
		}
	}
}

// TestColdUsersOfAWindow are those in their first five ratings.
func TestColdUsersOfAWindow(t *testing.T) {
	c := newContest(t)
	tr := window("newest ratings", c.all, 300)
	v, err := newVersions(c.fit(c.all[:300], parameters(1.25)), c.fit(c.all[:300], parameters(8)))
	if err != nil {
		t.Fatal(err)
	}
	of, err := v.errors(t.Context(), 1, tr.coldBefore, tr.cold, coldRatings)
	if err != nil {
		t.Fatal(err)
	}
	got, want := 0.0, 0.0
	for _, s := range of {
		got += s.count
	}
	known := usersOf(c.all[:300])
	for _, r := range c.all[300:] {
		if known[r.User] < coldRatings {
			want++
		}
		known[r.User]++
	}
	if got != want || want == 0 {
		t.Errorf("%v ratings count, want %v", got, want)
	}
}

// TestColdUsersOfTwins are predicted from none to four of their first ratings.
func TestColdUsersOfTwins(t *testing.T) {
	c := newContest(t)
	tr := hashed(c.all, twinSeed, twinShare)
	s, err := eval.NewServed(c.fit(c.unhashed(c.all), parameters(1.25)))
	if err != nil {
		t.Fatal(err)
	}
	predicted, err := s.Predict(t.Context(), 2, tr.coldBefore, tr.cold)
	if err != nil {
		t.Fatal(err)
	}
	first := map[int64][]ratings.Rating{}
	for _, r := range c.unhashed(c.all) {
		first[r.User] = append(first[r.User], r)
	}
	known, count := map[int32]int{}, 0
	got := map[ratings.Rating]eval.Predicted{}
	for k, r := range tr.cold.Ratings {
		if tr.cold.Predict(k) {
			got[r] = predicted[k]
			known[predicted[k].Known]++
			count++
		}
	}
	if count != len(tr.steps.Ratings) || len(got) != count || len(known) != coldRatings {
		t.Fatalf("%d predictions of %d pairs from %v ratings", count, len(tr.steps.Ratings), known)
	}
	asked := map[int64]int32{}
	for _, r := range tr.steps.Ratings {
		round := asked[r.User] % coldRatings
		asked[r.User]++
		h := eval.NewHistories(first[r.User][:round], func(int64) bool { return true }, nil)
		want, err := s.Predict(t.Context(), 1, h, eval.Steps{Ratings: []ratings.Rating{r}})
		if err != nil {
			t.Fatal(err)
		}
		if got[r] != want[0] || want[0].Known != round {
			t.Fatalf("%+v: %+v, want %+v", r, got[r], want[0])
		}
	}
}

// TestLargeTrialsAreSampled by users, all of whose pairs are in or out.
func TestLargeTrialsAreSampled(t *testing.T) {
	var all []ratings.Rating
	for user := range int64(2100) {
		for movie := range int64(100) {
			all = append(all, ratings.Rating{User: user, Movie: movie, Value: 3})
		}
	}
	test := pairs(all, func(ratings.Rating) bool { return true })
	if share := float64(len(test)) / mostPairs; share < 0.9 || share > 1.1 {
		t.Errorf("%d pairs", len(test))
	}
	for user, count := range usersOf(test) {
		if count != 100 {
			t.Fatalf("user %d has %d pairs of 100", user, count)
		}
	}
	listeners := make([]eval.Listener, 2*mostListeners)
	for k := range listeners {
		listeners[k].User = int64(k)
	}
	if got := some(listeners); len(got) != mostListeners || got[1].User != 2 || got[mostListeners-1].User != 2*mostListeners-2 {
		t.Errorf("%d of %d listeners", len(got), len(listeners))
	}
}
