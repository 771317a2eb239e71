package als

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

func small(algorithm string, rank int) Parameters {
	p := Parameters{Algorithm: algorithm, Rank: rank, Lambda: 1, Nu: 0.5, Iterations: 8, Seed: 3}
	if algorithm == Bayes {
		p.Iterations, p.BurnIn = 20, 5
	}
	return p
}

func TestBayesianBitsAreThoseOfTheSeed(t *testing.T) {
	m := matrix(t, recsystest.Ratings(120, 60, 0.4, 4))
	for _, algorithm := range []string{Bayes, VB} {
		p := small(algorithm, 5)
		p.Threads = 1
		want := train(t, m, p)
		for _, threads := range []int{0, 2, 5, 100} {
			p.Threads = threads
			if got := train(t, m, p); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %d threads gave other bits than one", algorithm, threads)
			}
		}
		p.Seed++
		if got := train(t, m, p); algorithm == Bayes && reflect.DeepEqual(got.UserBias, want.UserBias) {
			t.Error("another seed gave the same samples")
		}
	}
}

// TestPosteriorFoldInIsTheLastHalfStep: stored users are what folding in gives.
func TestPosteriorFoldInIsTheLastHalfStep(t *testing.T) {
	m := matrix(t, recsystest.Ratings(60, 80, 0.3, 3))
	for _, algorithm := range []string{Bayes, VB} {
		f := train(t, m, small(algorithm, 6))
		folder := NewFolder(f).Clone()
		x := make([]float32, f.Rank)
		for u := range m.Users {
			movies, values := m.User(u)
			bias, err := folder.FoldIn(movies, values, x)
			if err != nil {
				t.Fatal(err)
			}
			if bias != f.UserBias[u] || !reflect.DeepEqual(x, f.UserFactors[u*f.Rank:][:f.Rank]) {
				t.Fatalf("%s, user row %d: folding in gives (%v, %v), stored are (%v, %v)", algorithm, u, x, bias, f.UserFactors[u*f.Rank:][:f.Rank], f.UserBias[u])
			}
		}
	}
}

// TestJointRowIsTheReference does one row's regression in float64 with gonum.
func TestJointRowIsTheReference(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, rank := range []int{1, 7, 15, 16, 31, 40} {
			for _, n := range []int{1, 5, 128, 300} {
				testJointRow(t, rank, n)
			}
		}
	})
}

func testJointRow(t *testing.T, rank, n int) {
	random := rand.New(rand.NewPCG(uint64(rank), uint64(n)))
	dim := rank + 1
	movies := newJoint(50, rank)
	stride := movies.stride
	movies.covariances = kernel.Aligned(50 * stride * stride)
	movies.weights = make([]float32, 50)
	for i := range 50 {
		v := movies.vector(i)
		for c := range dim {
			v[c] = float32(random.NormFloat64()) / 2
		}
		copyUpper(movies.covariance(i), symmetric(random, dim, 0.05), stride)
		movies.weights[i] = float32(0.5 + random.Float64())
	}
	mean, precision := mat.NewVecDense(dim, nil), symmetric(random, dim, 1)
	for c := range dim {
		mean.SetVec(c, random.NormFloat64())
	}
	task := rowTask{other: movies, prior: newGaussian(mean, precision), mean: 3, weight: 0.7}
	const alpha = 1.3
	movies.prepare(alpha)
	want := mat.NewSymDense(dim, nil)
	want.CopySym(precision)
	var right mat.VecDense
	right.MulVec(precision, mean)
	squares := 0.0
	for range n {
		i := random.IntN(50)
		value := float32(random.IntN(10)+1) / 2
		task.rows, task.values = append(task.rows, int32(i)), append(task.values, value)
		p := alpha * task.weight * float64(movies.weights[i])
		v, cov := movies.vector(i), movies.covariance(i)
		z := mat.NewVecDense(dim, nil)
		for c := range rank {
			z.SetVec(c, float64(v[c]))
		}
		z.SetVec(rank, 1)
		target := float64(value) - task.mean - float64(v[rank])
		want.SymRankOne(want, p, z)
		right.AddScaledVec(&right, p*target, z)
		for a := range rank {
			right.SetVec(a, right.AtVec(a)-p*float64(cov[a*stride+rank]))
			for b := a; b < rank; b++ {
				want.SetSym(a, b, want.At(a, b)+p*float64(cov[a*stride+b]))
			}
		}
		squares += p * (target*target + float64(cov[rank*stride+rank]))
	}
	var decomposition mat.Cholesky
	if !decomposition.Factorize(want) {
		t.Fatal("not positive definite")
	}
	var solution mat.VecDense
	var inverse mat.SymDense
	if err := decomposition.SolveVecTo(&solution, &right); err != nil {
		t.Fatal(err)
	}
	if err := decomposition.InverseTo(&inverse); err != nil {
		t.Fatal(err)
	}
	x, covariance := make([]float32, stride), make([]float32, stride*stride)
	solver := newJointRow(rank)
	errors := solver.solve(task, nil, x, covariance)
	plain := make([]float32, stride)
	solver.solve(task, nil, plain, nil)
	for a := range dim {
		if d := math.Abs(float64(x[a]) - solution.AtVec(a)); d > 1e-4 || math.Abs(float64(plain[a]-x[a])) > 1e-5 {
			t.Fatalf("rank %d, %d ratings: mean at %d is %v and %v without covariance, want %v", rank, n, a, x[a], plain[a], solution.AtVec(a))
		}
		for b := a; b < dim; b++ {
			if d := math.Abs(float64(covariance[a*stride+b]) - inverse.At(a, b)); d > 1e-4 {
				t.Fatalf("rank %d, %d ratings: covariance (%d, %d) is %v, want %v", rank, n, a, b, covariance[a*stride+b], inverse.At(a, b))
			}
		}
	}
	// E[Σ p·e²] = Σ p·t² − 2x·h + tr((P − Λ)·(xxᵀ + V)), where h is the right side less Λm.
	var shift mat.VecDense
	shift.MulVec(precision, mean)
	right.SubVec(&right, &shift)
	var second, less, product mat.Dense
	second.Outer(1, &solution, &solution)
	second.Add(&second, &inverse)
	less.Sub(want, precision)
	product.Mul(&less, &second)
	expected := squares - 2*mat.Dot(&solution, &right) + mat.Trace(&product)
	if math.Abs(errors-expected) > 1e-4*(1+squares) {
		t.Fatalf("rank %d, %d ratings: expected errors %v, want %v", rank, n, errors, expected)
	}
}

// symmetric is a random positive definite matrix with entries of about size.
func symmetric(random *rand.Rand, dim int, size float64) *mat.SymDense {
	s := mat.NewSymDense(dim, nil)
	for range 2 * dim {
		v := mat.NewVecDense(dim, nil)
		for c := range dim {
			v.SetVec(c, random.NormFloat64())
		}
		s.SymRankOne(s, size/float64(2*dim), v)
	}
	for c := range dim {
		s.SetSym(c, c, s.At(c, c)+size)
	}
	return s
}

func copyUpper(to []float32, from *mat.SymDense, stride int) {
	for a := range from.SymmetricDim() {
		for b := a; b < from.SymmetricDim(); b++ {
			to[a*stride+b] = float32(from.At(a, b))
		}
	}
}

// TestSamplesHaveTheirPosterior draws one row 20,000 times: means and covariances
// are those that solve gives, within four standard errors.
func TestSamplesHaveTheirPosterior(t *testing.T) {
	const rank, draws = 3, 20_000
	random := rand.New(rand.NewPCG(1, 1))
	movies := newJoint(20, rank)
	for k := range movies.vectors {
		if k%movies.stride <= rank {
			movies.vectors[k] = float32(random.NormFloat64())
		}
	}
	task := rowTask{other: movies, prior: newGaussian(mat.NewVecDense(rank+1, nil), symmetric(random, rank+1, 1)), mean: 3, weight: 1}
	movies.prepare(0.5)
	for i := range int32(6) {
		task.rows, task.values = append(task.rows, i), append(task.values, float32(i))
	}
	solver := newJointRow(rank)
	stride := solver.stride
	mean, covariance, x := make([]float32, stride), make([]float32, stride*stride), make([]float32, stride)
	solver.solve(task, nil, mean, covariance)
	samples := mat.NewDense(draws, rank+1, nil)
	for k := range draws {
		for c := range rank + 1 {
			solver.normals[c] = float32(random.NormFloat64())
		}
		solver.solve(task, solver.normals, x, nil)
		for c := range rank + 1 {
			samples.Set(k, c, float64(x[c]))
		}
	}
	var got mat.SymDense
	stat.CovarianceMatrix(&got, samples, nil)
	for a := range rank + 1 {
		deviation := math.Sqrt(float64(covariance[a*stride+a]))
		if d := stat.Mean(mat.Col(nil, a, samples), nil) - float64(mean[a]); math.Abs(d) > 4*deviation/math.Sqrt(draws) {
			t.Errorf("mean of unknown %d is off by %v of its deviation", a, d/deviation)
		}
		for b := a; b <= rank; b++ {
			scale := math.Sqrt(float64(covariance[a*stride+a]) * float64(covariance[b*stride+b]))
			if d := got.At(a, b) - float64(covariance[a*stride+b]); math.Abs(d) > 4*scale*math.Sqrt(2.0/draws) {
				t.Errorf("covariance (%d, %d) is off by %v", a, b, d/scale)
			}
		}
	}
}

// TestPriorsAreOfTheRows: with many rows the sampled prior is their mean and
// inverse covariance.
func TestPriorsAreOfTheRows(t *testing.T) {
	const rank, rows = 2, 20_000
	random := rand.New(rand.NewPCG(5, 5))
	side := newJoint(rows, rank)
	for row := range rows {
		a, b := random.NormFloat64(), random.NormFloat64()
		v := side.vector(row)
		v[0], v[1], v[2] = float32(1+2*a), float32(a+0.5*b), float32(-1+0.3*random.NormFloat64())
	}
	moments, err := side.moments(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	for name, draw := range map[string]func() (*mat.VecDense, *mat.SymDense, error){
		"sampled":  func() (*mat.VecDense, *mat.SymDense, error) { return moments.sample(rand.NewPCG(1, 2)) },
		"expected": func() (*mat.VecDense, *mat.SymDense, error) { return moments.expected(0) },
	} {
		mean, precision, err := draw()
		if err != nil {
			t.Fatal(err)
		}
		var inverse mat.Dense
		if err := inverse.Inverse(precision); err != nil {
			t.Fatal(err)
		}
		wantMean := []float64{1, 0, -1}
		wantCovariance := [][]float64{{4, 2, 0}, {2, 1.25, 0}, {0, 0, 0.09}}
		for a := range rank + 1 {
			if d := math.Abs(mean.AtVec(a) - wantMean[a]); d > 0.08 {
				t.Errorf("%s: mean at %d is %v, want %v", name, a, mean.AtVec(a), wantMean[a])
			}
			for b := range rank + 1 {
				if d := math.Abs(inverse.At(a, b) - wantCovariance[a][b]); d > 0.2*math.Sqrt(wantCovariance[a][a]*wantCovariance[b][b]) {
					t.Errorf("%s: covariance (%d, %d) is %v, want %v", name, a, b, inverse.At(a, b), wantCovariance[a][b])
				}
			}
		}
	}
}

// TestShiftingPriorsMovesNoPrediction: (x, b) ↦ (x, b + m·x) and back.
func TestShiftingPriorsMovesNoPrediction(t *testing.T) {
	const rank = 4
	random := rand.New(rand.NewPCG(6, 6))
	stride := kernel.Stride(rank + 1)
	m := []float64{0.3, -1, 0.2, 2}
	covariance := symmetric(random, rank+1, 1)
	shifted := make([]float32, stride*stride)
	copyUpper(shifted, covariance, stride)
	shiftCovariance(shifted, stride, rank, m)
	var decomposition mat.Cholesky
	if !decomposition.Factorize(covariance) {
		t.Fatal("not positive definite")
	}
	precision := mat.NewSymDense(rank+1, nil)
	if err := decomposition.InverseTo(precision); err != nil {
		t.Fatal(err)
	}
	var inverse mat.Dense
	if err := inverse.Inverse(shiftPrecision(precision, m)); err != nil {
		t.Fatal(err)
	}
	for a := range rank + 1 {
		for b := a; b <= rank; b++ {
			if d := math.Abs(inverse.At(a, b) - float64(shifted[a*stride+b])); d > 1e-4 {
				t.Errorf("(%d, %d): covariance of the shifted precision %v, shifted covariance %v", a, b, inverse.At(a, b), shifted[a*stride+b])
			}
		}
	}
}

func TestNoiseIsFound(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 8))
	const users, count, nu, alpha = 2000, 40, 6, 1.7
	n := noise{alpha: 1, nu: 3}
	weights, errors := make([]float64, users), make([]float64, users) // Σ e²
	truth := noise{alpha: alpha, nu: nu}
	for u := range weights {
		weights[u] = truth.sampleWeight(0, 0, random)
		for range count {
			e := random.NormFloat64() / math.Sqrt(alpha*weights[u])
			errors[u] += e * e
		}
	}
	sampled, kept := noise{}, 0.0
	for sweep := range 300 {
		total, sum, logs := 0.0, 0.0, 0.0
		for u := range weights {
			w := n.sampleWeight(count, n.alpha*errors[u], random)
			total, sum, logs = total+w*errors[u], sum+w, logs+math.Log(w)
		}
		n.sampleAlpha(users*count, total, random)
		n.sampleFreedom(users, sum, logs, random)
		if sweep >= 100 {
			sampled.alpha, sampled.nu, kept = sampled.alpha+n.alpha, sampled.nu+n.nu, kept+1
		}
	}
	if a, f := sampled.alpha/kept, sampled.nu/kept; math.Abs(a/alpha-1) > 0.08 || math.Abs(f/nu-1) > 0.2 {
		t.Errorf("sampled alpha %.2f and nu %.2f, want %v and %v", a, f, alpha, nu)
	}
	n = noise{alpha: 1, nu: 3}
	for range 100 {
		total, sum, logs := 0.0, 0.0, 0.0
		for u := range weights {
			e := n.alpha * errors[u]
			w := n.weight(count, e)
			total, sum, logs = total+w*errors[u], sum+w, logs+n.expectedLogWeight(count, e)
		}
		n.alpha = users * count / total
		n.bestFreedom(users, sum, logs)
	}
	if math.Abs(n.alpha/alpha-1) > 0.1 || math.Abs(n.nu/nu-1) > 0.25 {
		t.Errorf("expected alpha %.2f and nu %.2f, want %v and %v", n.alpha, n.nu, alpha, nu)
	}
}

func TestBayesianFactorsAreFiniteForAnyRatings(t *testing.T) {
	constant, huge := recsystest.Ratings(10, 10, 0.5, 1), recsystest.Ratings(10, 10, 0.5, 1)
	for k := range constant {
		constant[k].Value = 4
		huge[k].Value = float32(1e6 * (1 - 2*(k%2)))
	}
	cases := map[string][]ratings.Rating{
		"one rating": {{User: 1, Movie: 1, Value: 3}}, "one user": recsystest.Ratings(1, 30, 1, 1), "one movie": recsystest.Ratings(30, 1, 1, 1),
		"constant ratings": constant, "the greatest values that a matrix takes": huge,
	}
	for name, all := range cases {
		for _, algorithm := range []string{Bayes, VB} {
			for _, rank := range []int{1, 20} {
				t.Run(fmt.Sprintf("%s, %s, rank %d", name, algorithm, rank), func(t *testing.T) {
					f := train(t, matrix(t, all), small(algorithm, rank))
					for _, values := range [][]float32{
						{f.Mean},
						f.UserBias, f.MovieBias, f.UserFactors, f.MovieFactors,
						f.Posterior.UserCovariance, f.Posterior.MovieCovariance, f.Posterior.UserWeight, f.Posterior.UserPrecision, f.Posterior.MoviePrecision,
					} {
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

// TestBayesianAccuracy trains on four fifths of MovieLens' small set: als leaves
// .847 there, biases .868. In fewer samples than the default's.
func TestBayesianAccuracy(t *testing.T) {
	all, err := ratings.ReadRatings(recsystest.DataDir(t))
	if err != nil {
		t.Fatal(err)
	}
	var learn, test []ratings.Rating
	for _, r := range all {
		if mix(uint64(r.User)<<32^uint64(r.Movie))%5 == 0 {
			test = append(test, r)
		} else {
			learn = append(learn, r)
		}
	}
	m := matrix(t, learn)
	rmse := func(f *Factors) float64 {
		sum := 0.0
		for _, r := range test {
			u, known := m.UserRow(r.User)
			if !known {
				u = -1
			}
			i, known := m.MovieRow(r.Movie)
			if !known {
				i = -1
			}
			e := min(max(f.Predict(u, i), 0.5), 5) - float64(r.Value)
			sum += e * e
		}
		return math.Sqrt(sum / float64(len(test)))
	}
	p := DefaultParameters(ALS)
	p.Preference = nil
	base := rmse(train(t, m, p))
	for algorithm, gain := range map[string]float64{Bayes: 0.009, VB: 0.003} {
		p := DefaultParameters(algorithm)
		p.Preference = nil
		if algorithm == Bayes {
			p.Iterations, p.BurnIn = 40, 10
		} else {
			p.Iterations = 10
		}
		got := rmse(train(t, m, p))
		t.Logf("%s %.4f, als %.4f", algorithm, got, base)
		if got > base-gain {
			t.Errorf("%s leaves %.4f, als %.4f; want at least %.3f less", algorithm, got, base, gain)
		}
	}
}
