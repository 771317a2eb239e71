package als

import (
	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// weightSteps is how often a folded-in user's weight and vector are solved in
// turns: more change neither.
const weightSteps = 4

// posteriorFolder folds users into factors with a posterior:
//
//	P = Λ_U + α·w·Σ E[zzᵀ],   (x, b) = P⁻¹·α·w·Σ E[z·t],   z = (y_i, 1), t = r − μ − b_i
//
// over the movies' posterior, with w = (ν + n) / (ν + α·E[Σ e²]) of the same.
type posteriorFolder struct {
	f          *Factors
	noise      noise
	movies     *joint
	prior      *gaussian
	solver     *jointRow
	vector     []float32 // [stride]
	covariance []float32 // of the user last folded in, upper triangle [stride × stride]
}

func newPosteriorFolder(f *Factors) *posteriorFolder {
	dim := f.Rank + 1
	rows := len(f.MovieBias)
	movies := newJoint(rows, f.Rank)
	movies.set(f.MovieBias, f.MovieFactors)
	size := movies.stride * movies.stride
	movies.covariances = kernel.Aligned(rows * size)
	for i := range rows {
		unpackTriangle(movies.covariance(i), f.Posterior.MovieCovariance[i*Triangle(dim):], dim, movies.stride)
	}
	movies.prepare(f.Posterior.Alpha)
	folder := &posteriorFolder{
		f: f, noise: noise{alpha: f.Posterior.Alpha, nu: f.Posterior.Freedom},
		movies: movies, prior: newGaussian(mat.NewVecDense(dim, nil), unpackSymmetric(f.Posterior.UserPrecision, dim)),
	}
	return folder.clone()
}

func (p *posteriorFolder) clone() *posteriorFolder {
	c := *p
	stride := p.movies.stride
	c.solver, c.vector, c.covariance = newJointRow(p.f.Rank), kernel.Aligned(stride), kernel.Aligned(stride*stride)
	return &c
}

// foldIn writes the user's factors into x [rank], leaves the covariance in p, and
// returns the bias and the weight of the user's noise.
func (p *posteriorFolder) foldIn(rows []int32, values []float32, x []float32) (bias, weight float32) {
	task := rowTask{
		other: p.movies, prior: p.prior, mean: float64(p.f.Mean), weight: 1, rows: rows, values: values,
	}
	p.solver.add(task)
	for range weightSteps {
		errors := p.solver.finish(task, nil, p.vector, p.covariance)
		task.weight = p.noise.weight(len(rows), errors/task.weight)
	}
	p.solver.finish(task, nil, p.vector, p.covariance)
	copy(x, p.vector[:p.f.Rank])
	return p.vector[p.f.Rank], float32(task.weight)
}
