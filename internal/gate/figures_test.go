package gate

import (
	"math"
	"slices"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
)

// TestTheGainInRMSE by hand: of one user with errors 1, 1 and 2, 0, and one with 3
// and 1.
func TestTheGainInRMSE(t *testing.T) {
	champion, challenger, gain, interval := rootMeanSquares([]squares{{2, 4, 2}, {9, 1, 1}})
	if math.Abs(champion-math.Sqrt(11.0/3)) > 1e-12 || math.Abs(challenger-math.Sqrt(5.0/3)) > 1e-12 || math.Abs(gain-(champion-challenger)) > 1e-12 {
		t.Errorf("got %v and %v, a gain of %v", champion, challenger, gain)
	}
	if !(interval.Low <= gain && gain <= interval.High) || interval.High-interval.Low > 2*mostStars {
		t.Errorf("the interval of %v is %+v", gain, interval)
	}
	if _, _, gain, interval = rootMeanSquares([]squares{{0, 0, 2}, {0, 0, 1}}); gain != 0 || interval.Low != 0 || interval.High != 0 {
		t.Errorf("of two that are always right: %v in %+v", gain, interval)
	}
}

func listed(ndcg float64, movies ...int64) eval.Listed {
	return eval.Listed{Movies: movies, NDCG10: ndcg}
}

// sameFor repeats two lists for so many users.
func sameFor(users int, champion, challenger eval.Listed) (l lists) {
	for range users {
		l.champion, l.challenger = append(l.champion, champion), append(l.challenger, challenger)
	}
	return l
}

func TestGuardsOfLists(t *testing.T) {
	worse := sameFor(120, listed(0.5, 1, 2, 3, 4), listed(0.45, 1, 2, 3))
	if g := ndcgGuard(worse); math.Abs(g.Change.Low+0.1) > 1e-9 || g.Passed || !g.Decides || math.Abs(g.Champion-0.5) > 1e-9 || math.Abs(g.Challenger-0.45) > 1e-9 {
		t.Errorf("a tenth less NDCG: %+v", g)
	}
	if g := coverageGuard(worse, 8); math.Abs(g.Change.Low+0.25) > 1e-9 || g.Passed || g.Champion != 0.5 || g.Challenger != 0.375 {
		t.Errorf("three movies of four: %+v", g)
	}
	within := sameFor(99, listed(0.5, 1, 2), listed(0.476, 2, 3))
	if g := ndcgGuard(within); !g.Passed || g.Decides {
		t.Errorf("4.8 %% less, of 99 users: %+v", g)
	}
	if g := coverageGuard(within, 8); !g.Passed || g.Decides || g.Change.Low != 0 || g.Change.High != 0 {
		t.Errorf("as many other movies: %+v", g)
	}
	if g := ndcgGuard(lists{}); !g.Passed || g.Decides {
		t.Errorf("of nobody: %+v", g)
	}
	if g := coverageGuard(lists{}, 8); !g.Passed || g.Decides {
		t.Errorf("of nobody: %+v", g)
	}
	if g := ndcgGuard(sameFor(120, listed(0, 1), listed(0.1, 2))); !g.Passed {
		t.Errorf("where the champion hits nothing: %+v", g)
	}
}

// TestTheTestOfListsIsByHand: of two kinds of users, as many of either.
func TestTheTestOfListsIsByHand(t *testing.T) {
	l := sameFor(20, listed(0.5, 1), listed(0.6, 1))
	more := sameFor(20, listed(0.1, 1), listed(0.4, 1))
	l.champion, l.challenger = append(l.champion, more.champion...), append(l.challenger, more.challenger...)
	got := trial{name: "twins", listeners: slices.Repeat([]eval.Listener{{Relevant: []int64{1, 2}}}, 40)}.preferenceTest(l)
	if math.Abs(got.Champion-0.3) > 1e-12 || math.Abs(got.Challenger-0.5) > 1e-12 || math.Abs(got.Point-0.2) > 1e-12 ||
		got.Users != 40 || got.Effective != 40 || got.Ratings != 80 {
		t.Errorf("got %+v", got)
	}
	// The standard error is .1/√39, and few draws of 40 are far from normal.
	if half := 1.69 * 0.1 / math.Sqrt(39); math.Abs(got.Gain.Low-(0.2-half)) > 0.004 || math.Abs(got.Gain.High-(0.2+half)) > 0.004 {
		t.Errorf("the interval is %+v", got.Gain)
	}
}

// TestCoverageIsOfUsersNotOfLists: that half of the users see other movies is not
// certain from few.
func TestCoverageIsOfUsersNotOfLists(t *testing.T) {
	var l lists
	for user := range int64(200) {
		l.champion = append(l.champion, listed(0, user))         // a movie for each
		l.challenger = append(l.challenger, listed(0, user%150)) // a quarter shares theirs
	}
	g := coverageGuard(l, 1000)
	if g.Champion != 0.2 || g.Challenger != 0.15 || !(g.Change.Low < -0.1) || !(g.Change.High > g.Change.Low) || g.Passed {
		t.Errorf("got %+v", g)
	}
}

func TestTheGuardOfColdUsers(t *testing.T) {
	cold := func(champion, challenger float64) (of []squares) {
		for range 100 {
			of = append(of, squares{champion * champion, challenger * challenger, 1})
		}
		return of
	}
	if g := coldGuard(cold(1, 1.0099)); !g.Passed || !g.Decides || g.Users != 100 {
		t.Errorf("worse by .0099: %+v", g)
	}
	if g := coldGuard(cold(1, 1.0101)); g.Passed || math.Abs(g.Change.Low+0.0101) > 1e-6 {
		t.Errorf("worse by .0101: %+v", g)
	}
	if g := coldGuard(nil); g.Decides || !g.Passed {
		t.Errorf("of nobody: %+v", g)
	}
}
