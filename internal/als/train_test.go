package als

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

func matrix(t testing.TB, all []ratings.Rating) *ratings.Matrix {
	t.Helper()
	m, err := ratings.NewMatrix(all)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func train(t testing.TB, m *ratings.Matrix, p Parameters) *Factors {
	t.Helper()
	f, err := Train(t.Context(), m, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestTrainIsTheReference compares the fast solver with the reference over
// ranks (with all remainders of a vector), and over rows below and above half the
// rank, which are solved in dual and in primal form. After three iterations they
// may differ by float32 rounding, 2⁻²⁴ of values up to about 2, amplified by the
// condition of the normal equations: 8e-5 is seen where regularization is weak
// (λ 0.1, ν 0, 90 ratings), 5e-6 elsewhere, and a mistake shows as 1e-2.
func TestTrainIsTheReference(t *testing.T) {
	withoutBFloat16(t)
	const tolerance = 2e-4
	shapes := []struct {
		users, movies int
		density       float64
	}{{1, 1, 1}, {1, 40, 1}, {40, 1, 1}, {7, 5, 0.5}, {30, 90, 0.05}, {90, 30, 0.9}, {60, 100, 0.5}}
	ranks := []int{1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 29, 31, 32, 33, 62, 63, 64, 65, 70}
	worst := 0.0
	for _, shape := range shapes {
		m := matrix(t, recsystest.Ratings(shape.users, shape.movies, shape.density, 5))
		for k, rank := range ranks {
			p := Parameters{Algorithm: ALS, Rank: rank, Lambda: []float64{0.1, 1.25, 20}[k%3], Nu: []float64{0, 0.3, 0.5, 1}[k%4], Iterations: 3, Seed: uint64(rank)}
			if k%5 == 4 {
				p.Algorithm, p.Lambda = Spark, 1 // without biases targets are larger, and so is what weak regularization amplifies
			}
			t.Run(fmt.Sprintf("%d users, %d movies, %d ratings, %+v", shape.users, shape.movies, m.Len(), p), func(t *testing.T) {
				want, err := TrainReference(m, p)
				if err != nil {
					t.Fatal(err)
				}
				difference := greatestDifference(t, train(t, m, p), want)
				if difference > tolerance {
					t.Errorf("factors differ from the reference's by %.2g, want at most %.2g", difference, tolerance)
				}
				worst = max(worst, difference)
			})
		}
	}
	t.Logf("greatest difference of all: %.2g", worst)
}

// withoutBFloat16 makes the test use float32 throughout.
func withoutBFloat16(t *testing.T) {
	before := kernel.Name()
	if kernel.HasBFloat16() {
		if err := kernel.Use("avx512"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = kernel.Use(before) })
	}
}

// TestBFloat16ChangesNothingThatShows: rows of the other side are rounded to
// eight bits in all half-steps but the last, and yet predictions differ by a
// hundredth of a star at most, and their errors by a hundred-thousandth.
func TestBFloat16ChangesNothingThatShows(t *testing.T) {
	if !kernel.HasBFloat16() {
		t.Skipf("%s has no bfloat16", kernel.Name())
	}
	m := matrix(t, recsystest.Ratings(300, 200, 0.3, 1))
	for _, rank := range []int{5, 16, 40} {
		p := DefaultParameters(ALS)
		p.Rank, p.Preference = rank, nil
		rough := train(t, m, p)
		var exact *Factors
		t.Run("float32", func(t *testing.T) {
			withoutBFloat16(t)
			exact = train(t, m, p)
		})
		greatest, squares := 0.0, [2]float64{}
		for u := range m.Users {
			movies, values := m.User(u)
			for k, i := range movies {
				a, b := rough.Predict(u, int(i)), exact.Predict(u, int(i))
				greatest = max(greatest, math.Abs(a-b))
				squares[0] += (float64(values[k]) - a) * (float64(values[k]) - a)
				squares[1] += (float64(values[k]) - b) * (float64(values[k]) - b)
			}
		}
		n := float64(m.Len())
		if difference := math.Sqrt(squares[0]/n) - math.Sqrt(squares[1]/n); greatest > 0.01 || math.Abs(difference) > 1e-5 {
			t.Errorf("rank %d: predictions differ by %.2g, and the error by %.2g", rank, greatest, difference)
		}
		if greatest == 0 {
			t.Errorf("rank %d: nothing was rounded", rank)
		}
	}
}

func greatestDifference(t *testing.T, a, b *Factors) float64 {
	t.Helper()
	greatest := math.Abs(float64(a.Mean) - float64(b.Mean))
	for _, pair := range [][2][]float32{
		{a.UserBias, b.UserBias}, {a.MovieBias, b.MovieBias}, {a.UserFactors, b.UserFactors}, {a.MovieFactors, b.MovieFactors},
	} {
		if len(pair[0]) != len(pair[1]) {
			t.Fatalf("%d values against %d", len(pair[0]), len(pair[1]))
		}
		for k := range pair[0] {
			difference := math.Abs(float64(pair[0][k]) - float64(pair[1][k]))
			if !(difference <= greatest) { // NaN counts
				greatest = difference
			}
		}
	}
	return greatest
}

// TestRowSolutionsAreMinima checks the objective itself, which solver and
// reference could both have wrong: any step away from a solved row must raise
// it.
func TestRowSolutionsAreMinima(t *testing.T) {
	const rank = 6
	m := matrix(t, recsystest.Ratings(25, 20, 0.4, 2))
	p := Parameters{Algorithm: ALS, Rank: rank, Lambda: 0.7, Nu: 0.5, Iterations: 3, Seed: 1}
	f := train(t, m, p)
	objective := func(u int, bias float64, x []float64) float64 {
		movies, values := m.User(u)
		norm := bias * bias
		for _, value := range x {
			norm += value * value
		}
		sum := p.Lambda * math.Pow(float64(len(movies)), p.Nu) * norm
		for k, i := range movies {
			residual := float64(values[k]) - float64(f.Mean) - float64(f.MovieBias[i]) - bias
			for c := range x {
				residual -= x[c] * float64(f.MovieFactors[int(i)*rank+c])
			}
			sum += residual * residual
		}
		return sum
	}
	for u := range m.Users {
		x := make([]float64, rank)
		for c := range x {
			x[c] = float64(f.UserFactors[u*rank+c])
		}
		bias := float64(f.UserBias[u])
		least := objective(u, bias, x)
		for _, step := range []float64{-0.01, 0.01} {
			if got := objective(u, bias+step, x); got <= least {
				t.Errorf("user row %d: objective %v with the bias moved by %v, want more than %v", u, got, step, least)
			}
			for c := range x {
				x[c] += step
				if got := objective(u, bias, x); got <= least {
					t.Errorf("user row %d: objective %v with factor %d moved by %v, want more than %v", u, got, c, step, least)
				}
				x[c] -= step
			}
		}
	}
}

func TestBitsAreThoseOfTheSeed(t *testing.T) {
	all := recsystest.Ratings(120, 60, 0.4, 4)
	for i := range int64(500) { // one heavy row, far over the others
		all = append(all, ratings.Rating{User: 1000 + i, Movie: 10, Value: float32(1 + i%5)})
	}
	p := Parameters{Algorithm: ALS, Rank: 17, Lambda: 1, Nu: 0.5, Iterations: 3, Seed: 9, Threads: 1}
	want := train(t, matrix(t, all), p)
	for _, threads := range []int{0, 2, 3, 16, 1000} {
		p.Threads = threads
		if got := train(t, matrix(t, all), p); !reflect.DeepEqual(got, want) {
			t.Errorf("%d threads gave other bits than one", threads)
		}
	}
	reversed := make([]ratings.Rating, len(all))
	for k, r := range all {
		reversed[len(all)-1-k] = r
	}
	if got := train(t, matrix(t, reversed), p); !reflect.DeepEqual(got, want) {
		t.Error("another order of the ratings gave other bits")
	}
	p.Seed++
	if got := train(t, matrix(t, all), p); reflect.DeepEqual(got.UserFactors, want.UserFactors) {
		t.Error("another seed gave the same factors")
	}
}

func TestFactorsAreFiniteForAnyRatings(t *testing.T) {
	constant := recsystest.Ratings(10, 10, 0.5, 1)
	huge := recsystest.Ratings(10, 10, 0.5, 1)
	for k := range constant {
		constant[k].Value = 4
		huge[k].Value = float32(1e6 * (1 - 2*(k%2)))
	}
	cases := []struct {
		name string
		all  []ratings.Rating
	}{
		{"one rating", []ratings.Rating{{User: 1, Movie: 1, Value: 3}}},
		{"one user", recsystest.Ratings(1, 30, 1, 1)},
		{"one movie", recsystest.Ratings(30, 1, 1, 1)},
		{"constant ratings", constant},
		{"the greatest values that a matrix takes", huge},
		{"ids at the ends of 64 bits", []ratings.Rating{{User: math.MinInt64, Movie: math.MaxInt64, Value: 3}, {User: math.MaxInt64, Movie: math.MinInt64, Value: 1}}},
	}
	for _, c := range cases {
		for _, lambda := range []float64{minLambda, 1.25, maxLambda} {
			for _, rank := range []int{1, 20, 64} {
				t.Run(fmt.Sprintf("%s, λ %v, rank %d", c.name, lambda, rank), func(t *testing.T) {
					f := train(t, matrix(t, c.all), Parameters{Algorithm: ALS, Rank: rank, Lambda: lambda, Nu: 0.5, Iterations: 8})
					for _, values := range [][]float32{{f.Mean}, f.UserBias, f.MovieBias, f.UserFactors, f.MovieFactors} {
						for k, value := range values {
							if math.IsNaN(float64(value)) || math.IsInf(float64(value), 0) {
								t.Fatalf("value %d is %v", k, value)
							}
						}
					}
				})
			}
		}
	}
}

func TestTrainingLearnsWhatIsThere(t *testing.T) {
	m := matrix(t, recsystest.Ratings(200, 100, 0.5, 6))
	var steps []Progress
	p := Parameters{Algorithm: ALS, Rank: 8, Lambda: 0.3, Nu: 0.5, Iterations: 6}
	if _, err := Train(t.Context(), m, p, func(s Progress) { steps = append(steps, s) }); err != nil {
		t.Fatal(err)
	}
	if len(steps) != p.Iterations {
		t.Fatalf("%d reports of progress, want %d", len(steps), p.Iterations)
	}
	for k, s := range steps {
		if s.Iteration != k+1 || s.Total != p.Iterations || k > 0 && s.Elapsed < steps[k-1].Elapsed {
			t.Errorf("report %d is %+v", k, s)
		}
	}
	// Factors leave 0.29 here, the fixture's noise of 0.3 in part learnt; biases alone leave 0.63.
	if rmse := steps[len(steps)-1].RMSE; rmse > 0.32 {
		t.Errorf("training RMSE %.3f, want at most 0.32", rmse)
	}
}

func TestTrainingErrorIsThatOfTheFactors(t *testing.T) {
	m := matrix(t, recsystest.Ratings(40, 50, 0.3, 6))
	var last Progress
	f, err := Train(t.Context(), m, Parameters{Algorithm: ALS, Rank: 5, Lambda: 1, Nu: 0.5, Iterations: 2}, func(s Progress) { last = s })
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for u := range m.Users {
		movies, values := m.User(u)
		for k, i := range movies {
			residual := float64(values[k]) - f.Predict(u, int(i))
			sum += residual * residual
		}
	}
	// Predictions are made of float32 factors: 1e-6 relative.
	if want := math.Sqrt(sum / float64(m.Len())); math.Abs(last.RMSE-want) > 1e-6*want {
		t.Errorf("progress reported %v, factors give %v", last.RMSE, want)
	}
}

func TestTrainingEndsWithItsContext(t *testing.T) {
	m := matrix(t, recsystest.Ratings(50, 50, 0.5, 1))
	ctx, cancel := context.WithCancel(t.Context())
	p := Parameters{Algorithm: ALS, Rank: 4, Lambda: 1, Nu: 0.5, Iterations: 1000}
	done := 0
	f, err := Train(ctx, m, p, func(s Progress) {
		if done = s.Iteration; done == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || f != nil || done != 3 {
		t.Errorf("got %v, error %v after %d iterations; want context.Canceled after 3", f, err, done)
	}
	if _, err := BiasOnly(ctx, m, 1, 0.5, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("BiasOnly returned %v, want context.Canceled", err)
	}
}

func TestBadParametersAreNamed(t *testing.T) {
	if err := DefaultParameters(ALS).Validate(); err != nil {
		t.Fatalf("default parameters: %v", err)
	}
	m := matrix(t, recsystest.Ratings(5, 5, 0.5, 1))
	cases := []struct {
		want string
		set  func(*Parameters)
	}{
		{"rank is 0, want 1 to 1024", func(p *Parameters) { p.Rank = 0 }},
		{"rank is 1025, want 1 to 1024", func(p *Parameters) { p.Rank = 1025 }},
		{"lambda is 0, want 1e-06 to 1e+06 (with 0 a row of few ratings has no unique solution)", func(p *Parameters) { p.Lambda = 0 }},
		{"lambda is NaN, want 1e-06 to 1e+06 (with 0 a row of few ratings has no unique solution)", func(p *Parameters) { p.Lambda = math.NaN() }},
		{"nu is -1, want 0 to 2", func(p *Parameters) { p.Nu = -1 }},
		{"iterations is 0, want 1 to 10000", func(p *Parameters) { p.Iterations = 0 }},
		{"rank is 128, want 1 to 127 for als_vb, which holds a covariance matrix for each user and movie; als takes more", func(p *Parameters) { p.Algorithm, p.Rank = VB, 128 }},
		{"burn_in is 20, want 0 to 4, less than iterations, which is 5", func(p *Parameters) { p.Iterations, p.BurnIn = 5, 20 }},
		{"threads is -1, want 0 (one per CPU) or more", func(p *Parameters) { p.Threads = -1 }},
	}
	for _, c := range cases {
		t.Run(c.want, func(t *testing.T) {
			p := DefaultParameters(ALS)
			c.set(&p)
			_, err := Train(t.Context(), m, p, nil)
			if !errors.Is(err, ErrBadParameters) || err.Error() != c.want+": "+ErrBadParameters.Error() {
				t.Errorf("got %v", err)
			}
			if _, err := TrainReference(m, p); !errors.Is(err, ErrBadParameters) {
				t.Errorf("the reference returned %v", err)
			}
		})
	}
}

func TestRowsAreSolvedWithoutAllocation(t *testing.T) {
	m := matrix(t, recsystest.Ratings(100, 100, 0.5, 1))
	trainer := newTrainer(m, Parameters{Algorithm: ALS, Rank: 32, Lambda: 1, Nu: 0.5, Iterations: 1, Threads: 1})
	perIteration := testing.AllocsPerRun(5, func() {
		if err := trainer.iterate(context.Background(), false); err != nil {
			t.Fatal(err)
		}
	})
	// The closures of the two half-steps and their counters; there are 200 rows.
	if perIteration > 10 {
		t.Errorf("%v allocations an iteration, want at most 10", perIteration)
	}
}

func BenchmarkTrain(b *testing.B) {
	all, err := ratings.ReadRatings(recsystest.DataDir(b))
	if err != nil {
		b.Fatal(err)
	}
	m, p := matrix(b, all), DefaultParameters(ALS)
	b.ReportAllocs()
	for b.Loop() {
		train(b, m, p)
	}
	b.ReportMetric(float64(m.Len()*p.Iterations*b.N)/b.Elapsed().Seconds(), "ratings/s")
}
