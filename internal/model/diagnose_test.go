package model_test

import (
	"math"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// TestDiagnosisByHand: users along the axes with norms 2 and 1, twice.
func TestDiagnosisByHand(t *testing.T) {
	m, err := model.New(&als.Factors{
		Rank: 2, Mean: 3, Users: []int64{1, 2, 3, 4}, Movies: []int64{1, 2}, UserBias: []float32{0.5, -1, 0, 0}, MovieBias: []float32{0, 0},
		UserFactors: []float32{2, 0, 0, 1, -2, 0, 0, 1}, MovieFactors: []float32{1, 1, 2, 2},
		UserCounts: []int32{0, 1, 4, 5}, MovieCounts: []int32{9, 9}, Lambda: 1,
	}, model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	d := m.Diagnose()
	u := d.Users
	if u.Rows != 4 || u.Unrated != 1 || u.Few != 2 || u.Bias != [2]model.Stars{-1, 0.5} || u.Norm != 1.5 || u.Greatest != 2 {
		t.Errorf("users are %+v", u)
	}
	// Eigenvalues are 2·4/4 and 2·1/4: shares of 0.8 and 0.2.
	want := math.Exp(-0.8*math.Log(0.8) - 0.2*math.Log(0.2))
	if s := u.Spectrum; math.Abs(s.Largest-2) > 1e-9 || math.Abs(s.Smallest-0.5) > 1e-9 || math.Abs(s.Condition-4) > 1e-9 || math.Abs(s.EffectiveRank-want) > 1e-9 {
		t.Errorf("the spectrum of users is %+v, want 2, 0.5, 4 and %v", s, want)
	}
	if len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "movies do not span all 2 dimensions") {
		t.Errorf("warnings are %q, want one of the movies, which lie on a line", d.Warnings)
	}
	if d.Posterior != nil || d.Ranking != nil {
		t.Errorf("a model of ratings alone has %+v and %+v", d.Posterior, d.Ranking)
	}
}

func TestDiagnosisOfATrainedModel(t *testing.T) {
	matrix, err := ratings.NewMatrix(recsystest.Ratings(100, 60, 0.5, 1))
	if err != nil {
		t.Fatal(err)
	}
	p := als.DefaultParameters(als.VB)
	p.Rank, p.Preference.Rank, p.Preference.Lambda = 4, 4, 1
	f, err := als.Train(t.Context(), matrix, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(f, model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	d := m.Diagnose()
	if len(d.Warnings) != 0 {
		t.Errorf("a sound model is warned of: %q", d.Warnings)
	}
	if math.Abs(float64(d.Posterior.Noise)-1/math.Sqrt(f.Posterior.Alpha)) > 1e-9 || d.Posterior.UserCondition < 1 || d.Posterior.Weights[0] > d.Posterior.Weights[1] {
		t.Errorf("the posterior is %+v", d.Posterior)
	}
	if d.Users.StdDev <= 0 || d.Ranking.Rank != 4 || d.Ranking.Users.EffectiveRank < 1 {
		t.Errorf("got %+v and %+v", d.Users, d.Ranking)
	}
}
