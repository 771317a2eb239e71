package model

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// TestAListOfNowIsAsIfNothingHadBeenKept: after ratings, ratings taken back and
// erasures, for more users than tastes are kept of.
func TestAListOfNowIsAsIfNothingHadBeenKept(t *testing.T) {
	f := withCounts(random(50, 120, 16, 1), 16, 1)
	r := rand.New(rand.NewPCG(1, 4))
	users := NewUsers()
	of := Recommender{&Version{Model: mustNew(t, f)}, users}
	for user := range int64(keptTastes + 500) {
		users.Learn(ratings.Rating{User: user, Movie: f.Movies[user%120], Value: 4, Time: 1})
		of.Recommend(&Query{User: user, N: 1})
	}
	if n := len(of.Version.Model.answering().tastes.kept); n != keptTastes {
		t.Errorf("%d tastes are kept, want %d", n, keptTastes)
	}
	for n := range int64(600) {
		user := r.Int64N(keptTastes + 500)
		switch n % 3 {
		case 0:
			users.Learn(ratings.Rating{User: user, Movie: f.Movies[r.IntN(120)], Value: float32(1 + r.IntN(5)), Time: 2 + n})
		case 1:
			users.Unrate(ratings.Unrated{User: user, Movie: f.Movies[user%120], Time: 2 + n})
		case 2:
			users.Forget(ratings.Forgotten{User: user, Time: n})
		}
		q := &Query{User: user, N: 8, Offset: int(n % 5)}
		got := fmt.Sprint(of.Recommend(q))
		afresh := Recommender{&Version{Model: mustNew(t, f)}, users}
		if want := fmt.Sprint(afresh.Recommend(q)); got != want || fmt.Sprint(of.Recommend(q)) != want {
			t.Fatalf("change %d, user %d:\n%s\n%s", n, user, got, want)
		}
	}
}
