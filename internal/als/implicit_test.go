package als

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// preferenceReference does what TrainPreference does, exactly and in float64,
// with gonum: over all pairs, as the objective is written.
func preferenceReference(t *testing.T, m *ratings.Matrix, p PreferenceParameters, seed uint64) (users, movies *mat.Dense) {
	t.Helper()
	users, movies = mat.NewDense(len(m.Users), p.Rank, nil), mat.NewDense(len(m.Movies), p.Rank, nil)
	start := make([]float32, p.Rank)
	for u, id := range m.Users {
		startFactors(start, seed, userSide, id)
		for c, value := range start {
			users.Set(u, c, float64(value))
		}
	}
	half := func(side, fixed *mat.Dense, of func(int) ([]int32, []float32)) {
		rows, _ := side.Dims()
		count, _ := fixed.Dims()
		for row := range rows {
			confidence, chosen := make([]float64, count), mat.NewVecDense(count, nil)
			for k := range confidence {
				confidence[k] = 1
			}
			others, values := of(row)
			for k, at := range others {
				confidence[at] = 1 + p.Alpha*max(float64(values[k]), 0)
				chosen.SetVec(int(at), confidence[at])
			}
			var weighted, gram mat.Dense
			weighted.Mul(mat.NewDiagDense(count, confidence), fixed)
			gram.Mul(fixed.T(), &weighted)
			for c := range p.Rank {
				gram.Set(c, c, gram.At(c, c)+p.Lambda)
			}
			var right, x mat.VecDense
			right.MulVec(fixed.T(), chosen)
			if err := x.SolveVec(&gram, &right); err != nil {
				t.Fatal(err)
			}
			side.SetRow(row, x.RawVector().Data)
		}
	}
	for range p.Iterations {
		half(movies, users, m.Movie)
		half(users, movies, m.User)
	}
	return users, movies
}

// TestPreferencesAreThoseOfTheReference also with as many steps of conjugate
// gradients as there are unknowns, which is exact too. Five iterations in
// float32 of values up to 1 differ by up to 2e-5; a mistake shows as 1e-2.
func TestPreferencesAreThoseOfTheReference(t *testing.T) {
	withoutBFloat16(t)
	const tolerance = 2e-4
	for _, shape := range []struct {
		users, movies int
		density       float64
	}{{1, 1, 1}, {1, 30, 1}, {30, 1, 1}, {30, 50, 0.1}, {40, 25, 0.9}, {70, 60, 0.6}} {
		all := recsystest.Ratings(shape.users, shape.movies, shape.density, 5)
		all[0].Value = -1 // counts as a choice without weight
		m := matrix(t, all)
		for _, rank := range []int{1, 3, 15, 16, 17, 40} {
			for _, cg := range []int{0, 3 * rank} {
				t.Run(fmt.Sprintf("%d users, %d movies, %d ratings, rank %d, cg %d", shape.users, shape.movies, m.Len(), rank, cg), func(t *testing.T) {
					p := PreferenceParameters{Rank: rank, Alpha: 0.4, Lambda: 2, Iterations: 5, CG: cg}
					got, err := TrainPreference(t.Context(), m, p, 7, 2, nil)
					if err != nil {
						t.Fatal(err)
					}
					users, movies := preferenceReference(t, m, p, 7)
					for _, side := range []struct {
						name string
						got  []float32
						want []float64
					}{{"user", got.UserFactors, users.RawMatrix().Data}, {"movie", got.MovieFactors, movies.RawMatrix().Data}} {
						for k, value := range side.got {
							if d := math.Abs(float64(value) - side.want[k]); !(d <= tolerance) {
								t.Fatalf("%s factor %d differs by %.2g", side.name, k, d)
							}
						}
					}
				})
			}
		}
	}
}

func TestPreferenceBitsAreThoseOfTheSeed(t *testing.T) {
	m := matrix(t, recsystest.Ratings(3000, 60, 0.1, 4)) // more rows than one block of the Gram matrix
	p := PreferenceParameters{Rank: 9, Alpha: 0.1, Lambda: 5, Iterations: 2}
	var want *Preference
	for _, threads := range []int{1, 2, 7} {
		got, err := TrainPreference(t.Context(), m, p, 1, threads, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d threads gave other bits than one", threads)
		}
	}
	other, err := TrainPreference(t.Context(), m, p, 2, 0, nil)
	if err != nil || reflect.DeepEqual(other, want) {
		t.Errorf("another seed gave the same factors, error %v", err)
	}
}

func TestPreferencesRefuseWhatTheyCannotLearnFrom(t *testing.T) {
	m := matrix(t, recsystest.Ratings(20, 20, 0.5, 1))
	if _, err := TrainPreference(t.Context(), &ratings.Matrix{}, DefaultPreference(), 1, 0, nil); !errors.Is(err, ratings.ErrNoRatings) {
		t.Errorf("an empty matrix: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := TrainPreference(ctx, m, DefaultPreference(), 1, 0, func(Progress) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	for want, set := range map[string]func(*PreferenceParameters){
		"preference rank is 0, want 1 to 1024":                        func(p *PreferenceParameters) { p.Rank = 0 },
		"preference alpha is NaN, want more than 0 and at most 10000": func(p *PreferenceParameters) { p.Alpha = math.NaN() },
		"preference lambda is 0, want 1e-06 to 1e+06":                 func(p *PreferenceParameters) { p.Lambda = 0 },
		"preference iterations is -1, want 1 to 10000":                func(p *PreferenceParameters) { p.Iterations = -1 },
		"preference cg is -1, want 0 (exact) to 1024":                 func(p *PreferenceParameters) { p.CG = -1 },
		"preference beta is +Inf, want a number":                      func(p *PreferenceParameters) { p.Beta = math.Inf(1) },
	} {
		p := DefaultPreference()
		set(&p)
		if _, err := TrainPreference(t.Context(), m, p, 1, 0, nil); !errors.Is(err, ErrBadParameters) || err.Error() != want+": "+ErrBadParameters.Error() {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
