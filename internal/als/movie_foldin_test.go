package als

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// ratersOf are the users who rated the movie in a row, as training left them.
func ratersOf(f *Factors, m *ratings.Matrix, i int) (raters []Rater, values []float32) {
	rows, values := m.Movie(i)
	for _, u := range rows {
		r := Rater{Factors: f.UserFactors[int(u)*f.Rank:][:f.Rank], Bias: f.UserBias[u]}
		if p := f.Posterior; p != nil {
			size := Triangle(f.Rank + 1)
			r.Covariance, r.Weight = p.UserCovariance[int(u)*size:][:size], p.UserWeight[u]
		}
		if p := f.Preference; p != nil {
			r.Preference = p.UserFactors[int(u)*p.Rank:][:p.Rank]
		}
		raters = append(raters, r)
	}
	return raters, values
}

// TestFoldingInAMovieIsFoldingInAUserOfTheOtherWayRound, bit by bit, for both heads.
func TestFoldingInAMovieIsFoldingInAUserOfTheOtherWayRound(t *testing.T) {
	m := matrix(t, recsystest.Ratings(80, 120, 0.3, 3))
	for _, rank := range []int{1, 10, 16, 33} {
		f := train(t, m, Parameters{Algorithm: ALS, Rank: rank, Lambda: 1.25, Nu: 0.5, Iterations: 3, Seed: 2})
		preference := DefaultPreference()
		preference.Rank, preference.Iterations = rank, 2
		var err error
		if f.Preference, err = TrainPreference(t.Context(), m, preference, 1, 2, nil); err != nil {
			t.Fatal(err)
		}
		turned := *f
		turned.MovieBias, turned.MovieFactors, turned.UserBias, turned.UserFactors = f.UserBias, f.UserFactors, f.MovieBias, f.MovieFactors
		head := *f.Preference
		head.MovieFactors, head.UserFactors = head.UserFactors, head.MovieFactors
		users := NewFolder(&turned)
		choices, err := NewPreferenceFolder(t.Context(), &head, 1)
		if err != nil {
			t.Fatal(err)
		}
		folder, err := NewMovieFolder(t.Context(), f, 2)
		if err != nil {
			t.Fatal(err)
		}
		y, p := make([]float32, rank), make([]float32, rank)
		for i := range m.Movies {
			rows, values := m.Movie(i)
			bias, _ := users.FoldIn(rows, values, y)
			_ = choices.FoldIn(rows, values, p)
			raters, values := ratersOf(f, m, i)
			got := folder.FoldIn(raters, values)
			if got.Bias != bias || !slices.Equal(got.Factors, y) || !slices.Equal(got.Preference, p) {
				t.Fatalf("rank %d, movie row %d: %v, want bias %v, factors %v, preference %v", rank, i, got, bias, y, p)
			}
		}
	}
}

// TestAMovieFoldedInUnderAPosteriorIsTheReference solves
//
//	P = Λ_M + α·Σ w_u·E[zzᵀ],   (y, b) = P⁻¹·α·Σ w_u·E[z·t]
//
// in float64.
func TestAMovieFoldedInUnderAPosteriorIsTheReference(t *testing.T) {
	m := matrix(t, recsystest.Ratings(90, 60, 0.4, 3))
	p := DefaultParameters(VB)
	p.Rank, p.Iterations, p.Preference = 7, 6, nil
	f := train(t, m, p)
	folder, err := NewMovieFolder(t.Context(), f, 1)
	if err != nil {
		t.Fatal(err)
	}
	dim := f.Rank + 1
	for i := range m.Movies {
		raters, values := ratersOf(f, m, i)
		equations, right := unpackSymmetric(f.Posterior.MoviePrecision, dim), mat.NewVecDense(dim, nil)
		for k, r := range raters {
			precision := f.Posterior.Alpha * float64(r.Weight)
			covariance := unpackSymmetric(r.Covariance, dim)
			target := float64(values[k]) - float64(f.Mean) - float64(r.Bias)
			for a := range dim {
				z := func(c int) float64 {
					if c == f.Rank {
						return 1
					}
					return float64(r.Factors[c])
				}
				e := z(a) * target
				if a < f.Rank {
					e -= covariance.At(a, f.Rank)
				}
				right.SetVec(a, right.AtVec(a)+precision*e)
				for b := a; b < dim; b++ {
					moment := z(a) * z(b)
					if b < f.Rank {
						moment += covariance.At(a, b)
					}
					equations.SetSym(a, b, equations.At(a, b)+precision*moment)
				}
			}
		}
		var decomposition mat.Cholesky
		var want mat.VecDense
		var inverse mat.SymDense
		if !decomposition.Factorize(equations) {
			t.Fatal("not positive definite")
		}
		if err := errors.Join(decomposition.SolveVecTo(&want, right), decomposition.InverseTo(&inverse)); err != nil {
			t.Fatal(err)
		}
		got := folder.FoldIn(raters, values)
		for a, value := range append(slices.Clone(got.Factors), got.Bias) {
			if math.Abs(float64(value)-want.AtVec(a)) > 1e-5 {
				t.Fatalf("movie row %d, %d ratings: entry %d is %v, want %v", i, len(values), a, value, want.AtVec(a))
			}
			if d := float64(got.Covariance[Triangle(a)]) - inverse.At(a, 0); math.Abs(d) > 1e-5 {
				t.Fatalf("movie row %d: covariance of %d is off by %v", i, a, d)
			}
		}
	}
}

func TestAMovieFolderStopsWhenItsContextEnds(t *testing.T) {
	f := &Factors{Preference: &Preference{Rank: 2, UserFactors: make([]float32, 20), Lambda: 1, Alpha: 1}}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewMovieFolder(ended, f, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
