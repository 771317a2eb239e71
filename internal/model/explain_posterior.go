package model

import (
	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
)

// weightSteps is how often the weight of a user's noise and the user are solved in
// turns, as in als.Folder.
const weightSteps = 4

// posterior sets the parts of ratings under a posterior, and returns P, see
// als.Folder:
//
//	P = Λ_U + α·w·Σ E[zzᵀ],   e_j = α·w·E[z_j·t_j],   z = (y_i, 1), t = r − μ − b_i
func (p *parts) posterior(m *Model, rows []int32, values []float32) *mat.SymDense {
	f, dim := m.factors, m.factors.Rank+1
	p.vector = func(i int) []float64 { return wide(m.movieFactors(i), 1) }
	p.each = mat.NewDense(len(rows), dim, nil)
	moments, squares := mat.NewSymDense(dim, nil), 0.0 // Σ E[zzᵀ], Σ E[t²]
	for k, row := range rows {
		covariance := f.Posterior.MovieCovariance[int(row)*als.Triangle(dim):][:als.Triangle(dim)]
		ofBias := covariance[als.Triangle(f.Rank):] // with each factor, and last its variance
		z := p.vector(int(row))
		target := float64(values[k]) - float64(f.Mean) - float64(f.MovieBias[row])
		squares += target*target + float64(ofBias[f.Rank])
		at := 0
		for c := range dim {
			e := z[c] * target
			if c < f.Rank {
				e -= float64(ofBias[c])
			}
			p.each.Set(k, c, e)
			for d := range c + 1 {
				moment := z[c] * z[d]
				if c < f.Rank {
					moment += float64(covariance[at])
					at++
				}
				moments.SetSym(c, d, moments.At(c, d)+moment)
			}
		}
	}
	right := mat.NewVecDense(dim, nil)
	for k := range rows {
		right.AddVec(right, p.each.RowView(k))
	}
	scale, equations := weigh(f.Posterior, moments, right, squares, len(rows))
	p.each.Scale(scale, p.each)
	return equations
}

// weigh solves the weight of the noise of a user with n ratings, whose moments are
// Σ E[zzᵀ], Σ E[z·t] and Σ E[t²], and the user's vector in turns. It returns α·w and
// P.
func weigh(posterior *als.Posterior, moments *mat.SymDense, right *mat.VecDense, squares float64, n int) (scale float64, equations *mat.SymDense) {
	dim := moments.SymmetricDim()
	equationsOf := func(scale float64) *mat.SymDense {
		equations := mat.NewSymDense(dim, nil)
		at := 0
		for c := range dim {
			for d := range c + 1 {
				equations.SetSym(c, d, float64(posterior.UserPrecision[at])+scale*moments.At(c, d))
				at++
			}
		}
		return equations
	}
	weight := 1.0
	for range weightSteps {
		scale := posterior.Alpha * weight
		var p mat.Cholesky
		if !p.Factorize(equationsOf(scale)) {
			break
		}
		var vector, product mat.VecDense
		var covariance mat.SymDense
		if p.SolveVecTo(&vector, right) != nil || p.InverseTo(&covariance) != nil {
			break
		}
		vector.ScaleVec(scale, &vector)
		product.MulVec(moments, &vector)
		errors := squares - 2*mat.Dot(&vector, right) + mat.Dot(&vector, &product)
		for c := range dim {
			for d := range dim {
				errors += covariance.At(c, d) * moments.At(c, d)
			}
		}
		weight = (posterior.Freedom + float64(n)) / (posterior.Freedom + posterior.Alpha*errors)
	}
	return posterior.Alpha * weight, equationsOf(posterior.Alpha * weight)
}
