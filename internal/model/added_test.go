package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// newMovie is one that no model of these tests knows.
const newMovie = 900_001

// liveWith is a model of the given solver, and who rates a new movie afterwards: users
// as trained, and one whom the model does not know.
func liveWith(t *testing.T, algorithm string, preference bool) (*Live, []ratings.Rating) {
	t.Helper()
	all := recsystest.Ratings(60, 80, 0.4, 3)
	matrix, err := ratings.NewMatrix(all)
	if err != nil {
		t.Fatal(err)
	}
	p := als.DefaultParameters(algorithm)
	p.Rank, p.Iterations = 5, 4
	if preference {
		head := als.DefaultPreference()
		head.Rank, head.Iterations = 16, 3
		p.Preference = &head
	} else {
		p.Preference = nil
	}
	f, err := als.Train(t.Context(), matrix, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	live := NewLive()
	for _, r := range all {
		live.Users.Learn(r)
	}
	const newcomer = 700_001
	live.Users.Learn(ratings.Rating{User: newcomer, Movie: f.Movies[3], Value: 4.5, Time: 1})
	live.Swap(NewLineUp(1, &Version{Model: mustNew(t, f), Name: "v1", Until: 1 << 50}, nil))
	var new []ratings.Rating
	for k, user := range append([]int64{newcomer}, f.Users[:12]...) {
		new = append(new, ratings.Rating{User: user, Movie: newMovie, Value: float32(k%5 + 1), Time: int64(k + 1)})
	}
	return live, new
}

func TestAMovieThatWasRatedSinceTrainingIsFoldedIn(t *testing.T) {
	for _, algorithm := range []string{als.ALS, als.VB} {
		for _, preference := range []bool{false, true} {
			t.Run(fmt.Sprint(algorithm, preference), func(t *testing.T) {
				live, new := liveWith(t, algorithm, preference)
				if n := live.FoldInMovies(); n != 0 {
					t.Fatalf("%d movies before one was rated", n)
				}
				for _, r := range new {
					live.Users.Learn(r)
				}
				if n := live.FoldInMovies(); n != 1 {
					t.Fatalf("%d movies, want one", n)
				}
				checkAdded(t, live, new)
			})
		}
	}
}

// checkAdded compares with the movie folded in by hand.
func checkAdded(t *testing.T, live *Live, new []ratings.Rating) {
	t.Helper()
	v, base := live.LineUp().Champion, live.Loaded().Champion
	m, f := v.Model, v.Model.Factors()
	folder, err := als.NewMovieFolder(t.Context(), f, 1)
	if err != nil {
		t.Fatal(err)
	}
	fold := func(without int64) als.FoldedMovie {
		var raters []als.Rater
		var values []float32
		for _, user := range append(append([]int64{}, f.Users[:12]...), new[0].User) { // ascending
			for _, r := range new {
				if r.User == user && user != without {
					raters, values = append(raters, live.Users.rater(base, user)), append(values, r.Value)
				}
			}
		}
		return folder.FoldIn(raters, values)
	}
	want := fold(-1)
	i := m.movieRow(newMovie)
	if got := m.movieFactors(i); fmt.Sprint(got) != fmt.Sprint(want.Factors) || m.movieBias(i) != want.Bias {
		t.Errorf("factors are %v, %v, want %v, %v", got, m.movieBias(i), want.Factors, want.Bias)
	}
	stranger := f.Users[40] // who has not rated it
	predicted := live.Users.Predict(m, stranger, newMovie)
	if predicted.ColdMovie || predicted.Value == live.Users.Predict(base.Model, stranger, newMovie).Value {
		t.Errorf("predicted %+v as if the movie were unknown", predicted)
	}
	rater := f.Users[5]
	without := fold(rater)
	fixed := float64(f.Mean) + float64(without.Bias)
	for c, y := range without.Factors {
		fixed += float64(f.UserFactors[5*f.Rank+c]) * float64(y)
	}
	before := fixed + float64(live.Users.Predict(base.Model, rater, newMovie).Value) - float64(f.Mean) // b_u is the rest where the movie is unknown
	if got := float64(live.Users.Predict(m, rater, newMovie).Value); math.Abs(got-float64(m.scale.Clamp(float32(before)))) > 1e-5 {
		t.Errorf("who has rated it: predicted %v, want %v: the rating itself must have no part", got, before)
	}
	of := Recommender{v, live.Users}
	list := of.Recommend(&Query{User: stranger, N: 200, WithSeen: true})
	var place int
	var found Item
	for k, item := range list.Items {
		if item.Movie == newMovie {
			place, found = k+1, item
		}
	}
	if place == 0 || found.Prediction != predicted.Value {
		t.Fatalf("place %d in the list of all %d, as %+v", place, len(list.Items), found)
	}
	one := of.Recommend(&Query{User: stranger, N: 5, Candidates: []int64{newMovie}})
	if len(one.Items) != 1 || one.Items[0].Score != found.Score || one.Unknown != nil {
		t.Errorf("as a candidate %+v, in the list %+v", one, found)
	}
	if seen := of.Recommend(&Query{User: rater, N: 200}); containsItem(seen.Items, newMovie) {
		t.Error("who has rated it is recommended it")
	}
	e := of.Explain(&Query{User: stranger, Movie: newMovie})
	sum := e.Base + e.Rest
	for _, c := range e.Contributions {
		sum += c.Score
	}
	if e.ColdMovie || len(e.Contributions) == 0 || math.Abs(sum-e.Score) > 1e-4 || math.Abs(e.Rest) > 1e-3 {
		t.Errorf("explained as %+v, which sums to %v", e, sum)
	}
	if similar := of.Similar(&Query{Movie: newMovie, N: 3}); similar.Cold || len(similar.Items) != 3 {
		t.Errorf("similar: %+v", similar)
	}
	if similar := of.Similar(&Query{Movie: f.Movies[0], N: 200}); len(similar.Items) != len(f.Movies) {
		t.Errorf("%d movies are similar to another, want all others and the new one", len(similar.Items))
	}
	if f.Posterior != nil {
		if deviation, err := m.StdDev(stranger, newMovie); err != nil || !(deviation > 0 && deviation < 5) {
			t.Errorf("standard deviation %v, %v", deviation, err)
		}
	}
	of.Recommend(&Query{User: stranger, N: 20, Diversity: 0.5, Reasons: true, MinCount: 2, WithSeen: true})
}

func containsItem(items []Item, movie int64) bool {
	for _, item := range items {
		if item.Movie == movie {
			return true
		}
	}
	return false
}

func TestAddedMoviesAreTheSameInWhateverOrderTheirRatingsCame(t *testing.T) {
	var texts [2]string
	for k := range texts {
		live, new := liveWith(t, als.ALS, true)
		r := rand.New(rand.NewPCG(uint64(k), 1))
		r.Shuffle(len(new), func(a, b int) { new[a], new[b] = new[b], new[a] })
		for at, one := range new {
			live.Users.Learn(one)
			if at == 4*k+3 {
				live.FoldInMovies()
			}
		}
		live.FoldInMovies()
		m := live.LineUp().Champion.Model
		texts[k] = fmt.Sprint(m.movieFactors(m.movieRow(newMovie)), m.headFactors(m.movieRow(newMovie)), m.movieCount(m.movieRow(newMovie)))
	}
	if texts[0] != texts[1] {
		t.Errorf("%s\n%s", texts[0], texts[1])
	}
}

func TestAMovieWhoseRatingsAreTakenBackIsUnknownAgain(t *testing.T) {
	live, new := liveWith(t, als.ALS, false)
	for _, r := range new[:2] {
		live.Users.Learn(r)
	}
	live.FoldInMovies()
	live.Users.Unrate(ratings.Unrated{User: new[0].User, Movie: newMovie, Time: 100})
	live.Users.Forget(ratings.Forgotten{User: new[1].User, Time: 100})
	if n := live.FoldInMovies(); n != 0 {
		t.Errorf("%d movies are left", n)
	}
}

func TestASwapKeepsAddedMovies(t *testing.T) {
	live, new := liveWith(t, als.ALS, false)
	for _, r := range new {
		live.Users.Learn(r)
	}
	live.FoldInMovies()
	before := live.LineUp().Champion.Model
	other := mustNew(t, random(60, 80, 5, 9))
	live.Swap(NewLineUp(2, &Version{Model: other, Name: "v2"}, []Challenger{{Version: live.Loaded().Champion, Role: "challenger:x", Share: 0.5}}))
	versions := live.LineUp().Versions()
	if versions[0].Model.movieRow(newMovie) < 0 || versions[1].Model.movieRow(newMovie) < 0 || versions[0].Name != "v2" {
		t.Fatal("after the swap a version does not know the new movie")
	}
	challenger := versions[1].Model
	if fmt.Sprint(challenger.movieFactors(challenger.movieRow(newMovie))) != fmt.Sprint(before.movieFactors(before.movieRow(newMovie))) {
		t.Error("the challenger has the movie otherwise than as champion")
	}
	if at := live.Loaded().Champion.Model; at != other {
		t.Error("what was loaded is not what was swapped in")
	}
	if live.FoldInMovies(); live.LineUp().Champion.Model != versions[0].Model {
		t.Error("without news the line-up is another one")
	}
}
