package als

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// bayesStart is how many iterations of ALS the sampler and the variational
// solver start from.
const bayesStart = 5

// bayesian is what the two Bayesian solvers share. Scratch memory is one
// worker's.
type bayesian struct {
	m                     *ratings.Matrix
	p                     Parameters
	threads               int
	mean                  float64
	users, movies         *joint
	noise                 noise
	solvers               []*jointRow
	userOrder, movieOrder []int32
	errors                []float64 // Σ p·e² of each user [users]
	f                     *Factors

	unknownUser, unknownMovie []float32 // means of the priors [rank+1]
}

// newBayesian starts from a few iterations of ALS, from scratch: priors that are
// learnt shrink with each iteration, and a model that always went on from the last
// would lose its dimensions one by one.
func newBayesian(ctx context.Context, r *run) (*bayesian, error) {
	m, p := r.Ratings, r.Parameters
	b := &bayesian{
		m: m, p: p, threads: threadCount(p.Threads),
		users: newJoint(len(m.Users), p.Rank), movies: newJoint(len(m.Movies), p.Rank),
		errors: make([]float64, len(m.Users)),
	}
	b.users.rough, b.movies.rough = kernel.HasBFloat16(), kernel.HasBFloat16() // serve solves users again
	b.users.weights = make([]float32, len(m.Users))
	for u := range b.users.weights {
		b.users.weights[u] = 1
	}
	for range b.threads {
		b.solvers = append(b.solvers, newJointRow(p.Rank))
	}
	if err := b.startFromALS(ctx); err != nil {
		return nil, err
	}
	b.mean = float64(b.f.Mean)
	b.users.set(b.f.UserBias, b.f.UserFactors)
	b.movies.set(b.f.MovieBias, b.f.MovieFactors)
	b.userOrder, b.movieOrder = heaviestFirst(b.f.UserCounts), heaviestFirst(b.f.MovieCounts)
	return b, nil
}

func (b *bayesian) startFromALS(ctx context.Context) (err error) {
	start := b.p
	start.Algorithm, start.Iterations, start.Preference = ALS, bayesStart, nil
	rmse := 1.0
	b.f, err = trainExplicit(ctx, newRun(Task{Ratings: b.m, Parameters: start, Progress: func(p Progress) bool {
		rmse = p.RMSE
		return false
	}}))
	b.noise = noise{alpha: 1 / max(rmse*rmse, 1e-6), nu: startFreedom}
	return err
}

// predict is Factors.Predict of the present rows.
func (b *bayesian) predict(user, movie int) float64 {
	x, y := b.unknownUser, b.unknownMovie
	if user >= 0 {
		x = b.users.vector(user)
	}
	if movie >= 0 {
		y = b.movies.vector(movie)
	}
	rank := b.p.Rank
	return b.mean + float64(x[rank]) + float64(y[rank]) + float64(kernel.Dot(x[:rank], y[:rank]))
}

// expect sets what unknown users and movies are predicted as.
func (b *bayesian) expect(user, movie *mat.VecDense) {
	b.unknownUser, b.unknownMovie = b.unknownUser[:0], b.unknownMovie[:0]
	for c := range b.p.Rank + 1 {
		b.unknownUser = append(b.unknownUser, float32(user.AtVec(c)))
		b.unknownMovie = append(b.unknownMovie, float32(movie.AtVec(c)))
	}
}

func (b *bayesian) movieTask(i int, prior *gaussian) rowTask {
	rows, values := b.m.Movie(i)
	return rowTask{other: b.users, prior: prior, mean: b.mean, weight: 1, rows: rows, values: values}
}

func (b *bayesian) userTask(u int, prior *gaussian) rowTask {
	rows, values := b.m.User(u)
	return rowTask{other: b.movies, prior: prior, mean: b.mean, weight: float64(b.users.weights[u]), rows: rows, values: values}
}

// rmse is that of the last user half-step, from its errors.
func (b *bayesian) rmse() float64 {
	sum := 0.0
	for u, errors := range b.errors {
		sum += errors / (b.noise.alpha * float64(b.users.weights[u]))
	}
	return math.Sqrt(sum / float64(b.m.Len()))
}

// weigh sets all users' weights to those that of makes of their number and their
// errors at weight 1, and returns Σ w·e², Σ w and what of returns as their
// logarithms, summed.
func (b *bayesian) weigh(of func(u int, errors float64) (weight, log float64)) (total, weights, logs float64) {
	for u := range b.errors {
		errors := b.errors[u] / float64(b.users.weights[u])
		weight, log := of(u, errors)
		b.errors[u] = weight * errors
		b.users.weights[u] = float32(weight)
		total, weights, logs = total+weight*errors/b.noise.alpha, weights+weight, logs+log
	}
	return total, weights, logs
}

// setNoise changes the noise, which errors are multiplied with.
func (b *bayesian) setNoise(next noise) {
	for u := range b.errors {
		b.errors[u] *= next.alpha / b.noise.alpha
	}
	b.noise = next
}

// sampler is Gibbs sampling (Salakhutdinov & Mnih 2008, "Bayesian Probabilistic
// Matrix Factorization using Markov Chain Monte Carlo").
type sampler struct {
	*bayesian
	sources []*rand.PCG // one a worker
	moments *movieMoments

	// Sums over the samples that are kept.
	kept                          int
	userPrecision, moviePrecision *mat.SymDense
	userMean, movieMean           *mat.VecDense
	alpha, nu                     float64
}

// trainBayes samples the same model as trainExplicit's, with a Normal–Wishart
// prior on the joint vectors of factors and bias and a noise of its own for each
// user, p.Iterations sweeps of which the first p.BurnIn are forgotten. It returns
// posterior means and covariances; users are folded in at the end, as FoldIn
// does it.
//
// Its progress has the error of the current sample, not of the mean.
func trainBayes(ctx context.Context, r *run) (*Factors, error) {
	b, err := newBayesian(ctx, r)
	if err != nil {
		return nil, err
	}
	p := r.Parameters
	dim := p.Rank + 1
	s := &sampler{
		bayesian: b, moments: newMovieMoments(b.movies),
		userPrecision: mat.NewSymDense(dim, nil), moviePrecision: mat.NewSymDense(dim, nil),
		userMean: mat.NewVecDense(dim, nil), movieMean: mat.NewVecDense(dim, nil),
	}
	for range b.threads {
		s.sources = append(s.sources, rand.NewPCG(0, 0))
	}
	for sweep := range p.Iterations {
		if err := s.sweep(ctx, sweep); err != nil {
			return nil, fmt.Errorf("sampling sweep %d: %w", sweep+1, err)
		}
		if s.kept > 0 {
			r.average(s.predict)
		}
		if r.report(sweep, s.rmse(), s.predict) && s.kept > 0 {
			break
		}
	}
	return s.finish(ctx)
}

// What is drawn in a sweep, beside the rows of the two sides.
const (
	priorDraw side = iota + 16
	noiseDraw
	weightDraw
)

// seedOf keys random numbers by seed, sweep, what they are for, and row.
func (b *bayesian) seedOf(sweep int, of side, id int64) (uint64, uint64) {
	key := mix(mix(b.p.Seed^mix(uint64(of))) ^ mix(uint64(sweep)+goldenGamma))
	return mix(key ^ mix(uint64(id))), mix(key + goldenGamma ^ mix(uint64(id)+goldenGamma))
}

func (s *sampler) sweep(ctx context.Context, sweep int) error {
	movieMean, moviePrecision, err := s.samplePrior(ctx, s.movies, sweep, movieSide)
	if err != nil {
		return err
	}
	prior := newGaussian(movieMean, moviePrecision)
	s.users.prepare(s.noise.alpha)
	err = forRows(ctx, s.threads, s.movieOrder, func(worker, i int) {
		solver := s.solvers[worker]
		s.draw(worker, sweep, movieSide, s.m.Movies[i])
		solver.solve(s.movieTask(i, prior), solver.normals, s.movies.vector(i), nil)
	})
	if err != nil {
		return err
	}
	userMean, userPrecision, err := s.samplePrior(ctx, s.users, sweep, userSide)
	if err != nil {
		return err
	}
	prior = newGaussian(userMean, userPrecision)
	s.movies.prepare(s.noise.alpha)
	err = forRows(ctx, s.threads, s.userOrder, func(worker, u int) {
		solver := s.solvers[worker]
		s.draw(worker, sweep, userSide, s.m.Users[u])
		s.errors[u] = solver.solve(s.userTask(u, prior), solver.normals, s.users.vector(u), nil)
	})
	if err != nil {
		return err
	}
	s.expect(userMean, movieMean)
	s.sampleNoise(sweep)
	if sweep < s.p.BurnIn {
		return nil
	}
	s.kept++
	s.userMean.AddVec(s.userMean, userMean)
	s.movieMean.AddVec(s.movieMean, movieMean)
	s.userPrecision.AddSym(s.userPrecision, userPrecision)
	s.moviePrecision.AddSym(s.moviePrecision, moviePrecision)
	s.alpha += s.noise.alpha
	s.nu += s.noise.nu
	return s.moments.add(ctx, s.threads, s.movies)
}

// draw fills a worker's normal numbers for a row.
func (s *sampler) draw(worker, sweep int, of side, id int64) {
	source := s.sources[worker]
	source.Seed(s.seedOf(sweep, of, id))
	random := rand.New(source)
	normals := s.solvers[worker].normals
	for c := range s.p.Rank + 1 {
		normals[c] = float32(random.NormFloat64())
	}
}

func (s *sampler) samplePrior(ctx context.Context, of *joint, sweep int, which side) (*mat.VecDense, *mat.SymDense, error) {
	moments, err := of.moments(ctx, s.threads)
	if err != nil {
		return nil, nil, err
	}
	return moments.sample(rand.NewPCG(s.seedOf(sweep, priorDraw, int64(which))))
}

// sampleNoise draws the weights of users, alpha and nu.
func (s *sampler) sampleNoise(sweep int) {
	source := rand.NewPCG(0, 0)
	total, weights, logs := s.weigh(func(u int, errors float64) (weight, log float64) {
		source.Seed(s.seedOf(sweep, weightDraw, s.m.Users[u]))
		weight = max(s.noise.sampleWeight(int(s.f.UserCounts[u]), errors, source), 1e-6)
		return weight, math.Log(weight)
	})
	source.Seed(s.seedOf(sweep, noiseDraw, 0))
	next := s.noise
	next.sampleAlpha(s.m.Len(), total, source)
	next.sampleFreedom(float64(len(s.m.Users)), weights, logs, rand.New(source))
	s.setNoise(next)
}

// finish makes Factors of the samples' moments.
func (s *sampler) finish(ctx context.Context) (*Factors, error) {
	n := 1 / float64(s.kept)
	for _, v := range []*mat.VecDense{s.userMean, s.movieMean} {
		v.ScaleVec(n, v)
	}
	for _, p := range []*mat.SymDense{s.userPrecision, s.moviePrecision} {
		p.ScaleSym(n, p)
	}
	s.noise = noise{alpha: s.alpha * n, nu: s.nu * n}
	if err := s.moments.store(ctx, s.threads, s.movies); err != nil {
		return nil, err
	}
	if err := s.unrated(); err != nil {
		return nil, err
	}
	return s.serve(ctx, s.userMean, s.movieMean, s.userPrecision, s.moviePrecision)
}

// unrated gives movies without ratings the prior itself, of which samples were
// drawn.
func (s *sampler) unrated() error {
	var decomposition mat.Cholesky
	var covariance mat.SymDense
	if !decomposition.Factorize(s.moviePrecision) {
		return errors.New("the prior of movies is not positive definite")
	}
	if err := decomposition.InverseTo(&covariance); err != nil {
		return fmt.Errorf("inverting the prior of movies: %w", err)
	}
	for i, count := range s.f.MovieCounts {
		if count > 0 {
			continue
		}
		mean, v := s.movies.vector(i), s.movies.covariance(i)
		for a := range s.p.Rank + 1 {
			mean[a] = float32(s.movieMean.AtVec(a))
			for c := a; c <= s.p.Rank; c++ {
				v[a*s.movies.stride+c] = float32(covariance.At(a, c))
			}
		}
	}
	return nil
}

// serve moves the prior's means into μ and the biases, so that what is not known
// counts as 0, folds all users in, and returns the Factors.
//
// With x = x' + m_x and y = y' + m_y, x·y = x'·y' + x'·m_y + m_x·y' + m_x·m_y: the
// second term belongs to the user's bias, the third to the movie's.
func (b *bayesian) serve(ctx context.Context, userMean, movieMean *mat.VecDense, userPrecision, moviePrecision *mat.SymDense) (*Factors, error) {
	rank := b.p.Rank
	mx, my := userMean.RawVector().Data, movieMean.RawVector().Data
	mean := b.mean + mx[rank] + my[rank]
	for c := range rank {
		mean += mx[c] * my[c]
	}
	for i := range b.m.Movies {
		v := b.movies.vector(i)
		bias := float64(v[rank]) - my[rank]
		for c := range rank {
			centered := float64(v[c]) - my[c]
			v[c] = float32(centered)
			bias += mx[c] * centered
		}
		v[rank] = float32(bias)
		shiftCovariance(b.movies.covariance(i), b.movies.stride, rank, mx)
	}
	f := b.f
	f.Mean = float32(mean)
	b.movies.get(f.MovieBias, f.MovieFactors)
	f.Posterior = &Posterior{
		Alpha: b.noise.alpha, Freedom: b.noise.nu,
		UserWeight:      make([]float32, len(b.m.Users)),
		UserCovariance:  make([]float32, len(b.m.Users)*Triangle(rank+1)),
		MovieCovariance: make([]float32, len(b.m.Movies)*Triangle(rank+1)),
		UserPrecision:   packSymmetric(shiftPrecision(userPrecision, my)),
		MoviePrecision:  packSymmetric(shiftPrecision(moviePrecision, mx)),
	}
	for i := range b.m.Movies {
		packTriangle(f.Posterior.MovieCovariance[i*Triangle(rank+1):], b.movies.covariance(i), rank+1, b.movies.stride)
	}
	b.movies.covariances = nil // the folder has its own
	folder := NewFolder(f)
	folders := []*Folder{folder}
	for len(folders) < b.threads {
		folders = append(folders, folder.Clone())
	}
	err := forRows(ctx, b.threads, b.userOrder, func(worker, u int) {
		rows, values := b.m.User(u)
		folder := folders[worker]
		f.UserBias[u], f.Posterior.UserWeight[u] = folder.posterior.foldIn(rows, values, f.UserFactors[u*rank:][:rank])
		packTriangle(f.Posterior.UserCovariance[u*Triangle(rank+1):], folder.posterior.covariance, rank+1, b.users.stride)
	})
	return f, err
}

// shiftCovariance is that of (y, b + m·y) from that of (y, b), upper triangles.
func shiftCovariance(v []float32, stride, rank int, m []float64) {
	at := func(a, c int) float64 { return float64(v[min(a, c)*stride+max(a, c)]) }
	variance := at(rank, rank)
	shifted := make([]float64, rank)
	for a := range rank {
		for c := range rank {
			shifted[a] += at(a, c) * m[c]
		}
		variance += m[a] * (2*at(a, rank) + shifted[a])
	}
	for a := range rank {
		v[a*stride+rank] += float32(shifted[a])
	}
	v[rank*stride+rank] = float32(variance)
}

// shiftPrecision is that of (x, b + m·x) from that of (x, b).
func shiftPrecision(p *mat.SymDense, m []float64) *mat.SymDense {
	rank := p.SymmetricDim() - 1
	out := mat.NewSymDense(rank+1, nil)
	bias := p.At(rank, rank)
	out.SetSym(rank, rank, bias)
	for a := range rank {
		out.SetSym(a, rank, p.At(a, rank)-bias*m[a])
		for c := a; c < rank; c++ {
			out.SetSym(a, c, p.At(a, c)-m[a]*p.At(c, rank)-m[c]*p.At(a, rank)+bias*m[a]*m[c])
		}
	}
	return out
}
