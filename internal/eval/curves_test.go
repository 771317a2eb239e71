package eval_test

import (
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// TestCurvesByHand: user 1's list is 50, 30, 40, of which 40 is relevant and one
// that nobody knows is too; user 2's is 10, 20, of which 10 is.
func TestCurvesByHand(t *testing.T) {
	f, train := small(t)
	test := []ratings.Rating{{User: 1, Movie: 40, Value: 5}, {User: 1, Movie: 99, Value: 4}, {User: 2, Movie: 10, Value: 4}}
	got, err := eval.Evaluate(t.Context(), f, train, test, model.MovieLensScale, 42, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := got.Ranking
	if len(r.PrecisionAt) != 50 || len(r.RecallAt) != 50 {
		t.Fatalf("%d and %d points, want 50", len(r.PrecisionAt), len(r.RecallAt))
	}
	for k, want := range map[int][2]float64{ // means of the two users
		1: {(0 + 1.0) / 2, (0 + 1.0) / 2}, 2: {(0 + 1.0/2) / 2, (0 + 1.0) / 2}, 3: {(1.0/3 + 1.0/3) / 2, (1.0/2 + 1) / 2}, 50: {(1.0/50 + 1.0/50) / 2, (1.0/2 + 1) / 2},
	} {
		if !near(r.PrecisionAt[k-1], want[0]) || !near(r.RecallAt[k-1], want[1]) {
			t.Errorf("precision@%d %v, recall@%d %v; want %v", k, r.PrecisionAt[k-1], k, r.RecallAt[k-1], want)
		}
	}
}

// TestCurvesPassThroughTheFiguresThatArePrinted: precision@10 and recall@20, of the
// model and of popularity.
func TestCurvesPassThroughTheFiguresThatArePrinted(t *testing.T) {
	train, test := eval.RandomSplit(recsystest.Ratings(150, 80, 0.5, 1), 0.2, 1)
	head := als.DefaultPreference()
	head.Rank, head.ChooseBeta = 4, false
	p := als.Parameters{Algorithm: als.ALS, Rank: 6, Lambda: 0.5, Nu: 0.5, Iterations: 3, Preference: &head}
	got, err := eval.Run(t.Context(), train, test, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]eval.Ranking{"served": got.Ranking, "by rating": got.RankingByRating, "popular": got.Baselines.Popularity} {
		if r.Precision10 == 0 || !near(r.PrecisionAt[9], r.Precision10) || !near(r.RecallAt[19], r.Recall20) {
			t.Errorf("%s: the curve says %v and %v, the table %v and %v", name, r.PrecisionAt[9], r.RecallAt[19], r.Precision10, r.Recall20)
		}
	}
	for _, g := range got.ByActivity {
		if !(g.RMSE90.Low < g.RMSE && g.RMSE < g.RMSE90.High && g.Bias90.Low < g.BiasRMSE && g.BiasRMSE < g.Bias90.High) {
			t.Errorf("errors lie outside of their intervals: %+v", g)
		}
	}
}

// TestAHeadMeasuredAloneIsTheRankingWithoutStars: what is served with a β of 0.
func TestAHeadMeasuredAloneIsTheRankingWithoutStars(t *testing.T) {
	train, test := eval.RandomSplit(recsystest.Ratings(150, 80, 0.5, 1), 0.2, 1)
	matrix, err := ratings.NewMatrix(train)
	if err != nil {
		t.Fatal(err)
	}
	head := als.DefaultPreference()
	head.Rank, head.ChooseBeta, head.Beta = 4, false, 0
	p := als.Parameters{Algorithm: als.ALS, Rank: 6, Lambda: 0.5, Nu: 0.5, Iterations: 3, Preference: &head}
	f, err := als.Train(t.Context(), matrix, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := eval.Evaluate(t.Context(), f, matrix, test, model.MovieLensScale, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	f.Preference.Beta = 0.8
	alone := eval.NewPreferenceTest(matrix, test, 1)
	got, err := alone.NDCG10(t.Context(), f.Preference)
	if err != nil || got != want.Ranking.NDCG10 || alone.Users() != want.Ranking.Users || f.Preference.Beta != 0.8 {
		t.Errorf("NDCG@10 is %v of %d users (%v), want %v of %d", got, alone.Users(), err, want.Ranking.NDCG10, want.Ranking.Users)
	}
}

// TestContrastByHand: a champion that knows users 1 to 4, who rated 1 to 4 times, and
// says 3 stars, and a challenger that says 4.
func TestContrastByHand(t *testing.T) {
	made := func(mean float32) *model.Model {
		m, err := model.New(&als.Factors{
			Mean: mean, Lambda: 1, Users: []int64{1, 2, 3, 4}, UserBias: make([]float32, 4), UserCounts: []int32{1, 2, 3, 4},
		}, model.MovieLensScale)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	test := []ratings.Rating{
		{User: 1, Movie: 1, Value: 3}, {User: 9, Movie: 1, Value: 4}, // the fewest: one is right of each
		{User: 3, Movie: 1, Value: 4}, {User: 3, Movie: 2, Value: 5}, // √((1+4)/2) against √((0+1)/2)
	}
	got, err := eval.NewContrast(made(3), made(4), test)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.ByActivity) != 2 || len(got.Champion) != 1 || len(got.Challenger) != 1 || got.TestRatings != 4 {
		t.Fatalf("got %+v", got)
	}
	few, many := got.ByActivity[0], got.ByActivity[1]
	if few.Group != "users of 0 to 1 ratings" || few.Users != 2 || !near(few.Difference, 0) {
		t.Errorf("got %+v", few)
	}
	if many.Group != "users of 3 to 3 ratings" || many.Users != 1 || many.Ratings != 2 || !near(many.Champion*many.Champion, 2.5) || !near(many.Challenger*many.Challenger, 0.5) {
		t.Errorf("got %+v", many)
	}
	if a, b := got.Champion[0], got.Challenger[0]; a.Predicted != 3 || !near(a.Error, -1) || b.Predicted != 4 || !near(b.Error, 0) || b.Pairs != 4 {
		t.Errorf("got %+v and %+v", a, b)
	}
	whole, err := eval.Compare(func(_, _ int64) float64 { return 3 }, func(_, _ int64) float64 { return 4 }, test)
	if err != nil || whole.Ratings != few.Ratings+many.Ratings || whole.Users != few.Users+many.Users {
		t.Errorf("groups do not add up to %+v, %v", whole, err)
	}
}
