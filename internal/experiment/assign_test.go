package experiment

import (
	"math"
	"testing"
)

const users = 100_000

// share returns the share of the users for whom yes holds, and tests it against
// want to half a point.
func share(t *testing.T, what string, want float64, yes func(user int64) bool) {
	t.Helper()
	n := 0
	for user := range int64(users) {
		if yes(user) {
			n++
		}
	}
	if got := float64(n) / users; math.Abs(got-want) > 0.005 { // of a fair coin 3.2 standard errors
		t.Errorf("%s: %.4f of the users, want %.4f", what, got, want)
	}
}

func TestAnExperimentServesItsShareOfTheUsers(t *testing.T) {
	for _, name := range []string{"previous", "bolder", "a", ""} {
		for _, p := range []float64{0, 0.01, 0.1, 0.5, 0.9, 1} {
			share(t, name, p, New(name, p).Serves)
			scattered := New(name, p)
			share(t, name+" of scattered ids", p, func(user int64) bool { return scattered.Serves(user * 1_000_003) })
		}
	}
	if New("a", math.NaN()).Serves(1) || New("a", -1).Serves(1) || !New("a", 2).Serves(1) {
		t.Error("a share that makes no sense")
	}
}

func TestExperimentsAreIndependentAndTheFirstWins(t *testing.T) {
	both := []Experiment{New("a", 0.3), New("b", 0.4)}
	share(t, "both", 0.3*0.4, func(user int64) bool { return both[0].Serves(user) && both[1].Serves(user) })
	share(t, "the first", 0.3, func(user int64) bool { return Assign(user, both) == 0 })
	share(t, "the second", 0.7*0.4, func(user int64) bool { return Assign(user, both) == 1 })
	share(t, "none", 0.7*0.6, func(user int64) bool { return Assign(user, both) == -1 })
}

func TestNobodyChangesSidesWhenAnotherExperimentDoes(t *testing.T) {
	before := []Experiment{New("b", 0.25)}
	after := []Experiment{New("b", 0.25), New("c", 0.5)}
	for user := range int64(users) {
		if Assign(user, before) == 0 && Assign(user, after) != 0 {
			t.Fatalf("user %d left experiment b when c began after it", user)
		}
		if New("b", 0.25).Serves(user) && !New("b", 0.26).Serves(user) {
			t.Fatalf("user %d left when the share was raised", user)
		}
	}
}

// TestPlacesNeverChange: what is written here was computed once, and later
// versions of this program have to agree with those that ran before. (A few lines
// of Python give the same numbers.)
func TestPlacesNeverChange(t *testing.T) {
	for _, test := range []struct {
		name string
		user int64
		want float64
	}{
		{"previous", 514, 0.0666366991},
		{"bolder", 0, 0.7867198912},
		{"bolder", math.MaxInt64, 0.2057964547},
	} {
		if got := New(test.name, 1).place(test.user); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("user %d in %s: %.10f, want %.10f", test.user, test.name, got, test.want)
		}
	}
}
