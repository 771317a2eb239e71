package eval

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// TestIntervalsOfAWorldThatIsAsTheModelSays: where ratings are drawn from what the
// model states, coverage is what it is to be, and the transform is even.
func TestIntervalsOfAWorldThatIsAsTheModelSays(t *testing.T) {
	all := recsystest.Ratings(300, 100, 0.5, 1)
	matrix, err := ratings.NewMatrix(all)
	if err != nil {
		t.Fatal(err)
	}
	p := als.DefaultParameters(als.VB)
	p.Rank, p.Preference = 4, nil
	f, err := als.Train(t.Context(), matrix, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(f, model.Scale{Min: -100, Max: 100})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ wider, of90 float64 }{"as stated": {1, 0.9}, "twice as wide": {2, 0.589}} {
		random := rand.New(rand.NewPCG(1, 1))
		test, rounded := make([]ratings.Rating, len(all)), make([]ratings.Rating, len(all))
		for k, r := range all {
			deviation, err := m.StdDev(r.User, r.Movie)
			if err != nil {
				t.Fatal(err)
			}
			drawn := m.Mean(r.User, r.Movie) + c.wider*deviation*random.NormFloat64()
			r.Value = float32(drawn)
			test[k] = r
			r.Value = float32(math.Round(2*drawn) / 2)
			rounded[k] = r
		}
		got, err := newGrouping(matrix).intervals(m, test)
		if err != nil {
			t.Fatal(err)
		}
		inHalves, err := newGrouping(matrix).intervals(m, rounded)
		if err != nil {
			t.Fatal(err)
		}
		got.PIT = inHalves.PIT
		whole := got.Coverage[0]
		if whole.Group != "all" || whole.Pairs != len(all) || math.Abs(whole.Of90-c.of90) > 0.02 {
			t.Errorf("%s: coverage is %+v, want %v of 90 %%", name, whole, c.of90)
		}
		sum, most := 0.0, 0.0
		for _, share := range got.PIT {
			sum += share
			most = max(most, math.Abs(share*pitBins-1))
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("%s: the shares of the transform add up to %v", name, sum)
		}
		if even := most < 0.1; even != (c.wider == 1) {
			t.Errorf("%s: the transform is %.3f", name, got.PIT)
		}
	}
}

func TestGroupsAreOfEqualUsersAndKnownMovies(t *testing.T) {
	var all []ratings.Rating
	for user := range int64(8) { // user k has k+1 ratings
		for movie := range user + 1 {
			all = append(all, ratings.Rating{User: user, Movie: movie, Value: 3})
		}
	}
	matrix, err := ratings.NewMatrix(all)
	if err != nil {
		t.Fatal(err)
	}
	g := newGrouping(matrix)
	if want := (quarters{2, 4, 6, 8}); g.borders != want {
		t.Errorf("borders are %v, want %v", g.borders, want)
	}
	for count, want := range []int{0, 0, 0, 1, 1, 2, 2, 3, 3, 3} {
		if got := g.borders.of(int32(count)); got != want {
			t.Errorf("%d ratings are of quarter %d, want %d", count, got, want)
		}
	}
	for count, want := range map[int32]int{0: 0, 1: 1, 2: 1, 3: 2, 9: 2, 10: 3, 49: 3, 50: 4, 199: 4, 200: 5, 1e6: 5} {
		if got := ofMovies(count); got != want {
			t.Errorf("movies of %d ratings are in group %d, want %d", count, got, want)
		}
	}
	if ofUser, ofMovie := g.counts(ratings.Rating{User: 99, Movie: 7}); ofUser != 0 || ofMovie != 1 {
		t.Errorf("an unknown user and movie 7 have %d and %d ratings, want 0 and 1", ofUser, ofMovie)
	}
	if names, want := movieGroupNames(), len(movieGroups); len(names) != want {
		t.Errorf("%d names of %d groups: %q", len(names), want, names)
	}
}

func TestUniformsAreSpread(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      [4]float64
	}{
		{0, 1, [4]float64{0.25, 0.25, 0.25, 0.25}},
		{0.125, 0.375, [4]float64{0.5, 0.5, 0, 0}},
		{0.6, 0.6, [4]float64{0, 0, 1, 0}},
		{1, 1, [4]float64{0, 0, 0, 1}},
	} {
		bins := make([]float64, 4)
		addUniform(bins, c.low, c.high, 1)
		for k := range bins {
			if math.Abs(bins[k]-c.want[k]) > 1e-12 {
				t.Errorf("%v to %v: got %v, want %v", c.low, c.high, bins, c.want)
				break
			}
		}
	}
}
