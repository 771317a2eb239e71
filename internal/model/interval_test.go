package model_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// uncertain is a model of rank 1: user 1 has (x, b) = (2, .), movie 7 (y, b) =
// (3, .).
func uncertain() *als.Factors {
	return &als.Factors{
		Rank: 1, Mean: 3, Users: []int64{1}, Movies: []int64{7},
		UserBias: []float32{0}, MovieBias: []float32{0}, UserFactors: []float32{2}, MovieFactors: []float32{3},
		UserCounts: []int32{4}, MovieCounts: []int32{4}, Lambda: 1,
		Posterior: &als.Posterior{
			Alpha: 2, Freedom: 6, UserWeight: []float32{0.5},
			UserCovariance: []float32{0.1, 0.01, 0.2}, MovieCovariance: []float32{0.3, -0.02, 0.4},
			UserPrecision: []float32{2, 0, 4}, MoviePrecision: []float32{5, 0, 10},
		},
	}
}

func TestStdDevByHand(t *testing.T) {
	m, err := model.New(uncertain(), model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name        string
		user, movie int64
		want        float64 // variance
	}{
		// 10/8/(2·.5); (2, 1)V_i(2, 1) = 1.2 − .08 + .4; (3, 1)V_u(3, 1) = .9 + .06 + .2; .1·.3
		{"a known pair", 1, 7, 1.25 + 1.52 + 1.16 + 0.03},
		// 6/4/2; V_i's bias .4; (3, 1) with diag(.5, .25): 4.75; .5·.3
		{"a user it does not know", 2, 7, 0.75 + 0.4 + 4.75 + 0.15},
		// (2, 1) with diag(.2, .1): .9; V_u's bias .2; .1·.2
		{"a movie it does not know", 1, 8, 1.25 + 0.9 + 0.2 + 0.02},
		{"neither", 2, 8, 0.75 + 0.1 + 0.25 + 0.5*0.2},
	}
	for _, c := range cases {
		got, err := m.StdDev(c.user, c.movie)
		if err != nil || math.Abs(got*got-c.want) > 1e-5 {
			t.Errorf("%s: variance %v, %v; want %v", c.name, got*got, err, c.want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = m.StdDev(1, 7) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	f := uncertain()
	f.Posterior = nil
	if m, err = model.New(f, model.MovieLensScale); err != nil {
		t.Fatal(err)
	}
	if _, err := m.StdDev(1, 7); !errors.Is(err, model.ErrNoPosterior) {
		t.Errorf("without a posterior: got %v", err)
	}
}

func TestPosteriorIsStored(t *testing.T) {
	f := uncertain()
	f.Unbiased = true // and so is this
	m, err := model.New(f, model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if _, err := m.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	read, err := model.Decode(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read.Factors(), m.Factors()) {
		t.Errorf("read %+v, want %+v", read.Factors().Posterior, m.Factors().Posterior)
	}
}

func TestBadPosteriorsAreRefused(t *testing.T) {
	cases := []struct {
		want   string
		damage func(p *als.Posterior)
	}{
		{"tensor user_covariance of the posterior has 2 values at rank 1, want 3", func(p *als.Posterior) { p.UserCovariance = p.UserCovariance[:2] }},
		{"value 1 of tensor movie_covariance is NaN", func(p *als.Posterior) { p.MovieCovariance[1] = float32(math.NaN()) }},
		{"noise weight of user 1 is 0", func(p *als.Posterior) { p.UserWeight[0] = 0 }},
		{"α=0", func(p *als.Posterior) { p.Alpha = 0 }},
		{"prior of users: the precision is not positive definite", func(p *als.Posterior) { p.UserPrecision[0] = -1 }},
	}
	for _, c := range cases {
		f := uncertain()
		c.damage(f.Posterior)
		if _, err := model.New(f, model.MovieLensScale); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// TestIntervalsCoverWhatTheyPromise counts, on a fifth of MovieLens' small set
// that is held out, how many ratings lie within mean ± 1.645 deviations.
func TestIntervalsCoverWhatTheyPromise(t *testing.T) {
	all, err := ratings.ReadRatings(recsystest.DataDir(t))
	if err != nil {
		t.Fatal(err)
	}
	var learn, test []ratings.Rating
	for k, r := range all {
		if k%5 == 2 {
			test = append(test, r)
		} else {
			learn = append(learn, r)
		}
	}
	matrix, err := ratings.NewMatrix(learn)
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []string{als.Bayes, als.VB} {
		p := als.DefaultParameters(algorithm)
		p.Preference = nil
		if algorithm == als.Bayes {
			p.Iterations = 60
		}
		f, err := als.Train(t.Context(), matrix, p, nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := model.New(f, model.Scale{Min: -100, Max: 100})
		if err != nil {
			t.Fatal(err)
		}
		inside := [3]float64{}
		for _, r := range test {
			deviation, err := m.StdDev(r.User, r.Movie)
			if err != nil {
				t.Fatal(err)
			}
			off := math.Abs(float64(r.Value - m.Predict(r.User, r.Movie).Value))
			for k, z := range []float64{0.6745, 1.2816, 1.6449} {
				if off <= z*deviation {
					inside[k]++
				}
			}
		}
		for k := range inside {
			inside[k] /= float64(len(test))
		}
		t.Logf("%s: 50, 80 and 90 %% intervals cover %.3f, %.3f, %.3f", algorithm, inside[0], inside[1], inside[2])
		if inside[2] < 0.89 || inside[2] > 0.915 {
			t.Errorf("%s: 90 %% intervals cover %.3f, want .89 to .915", algorithm, inside[2])
		}
	}
}
