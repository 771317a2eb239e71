package model

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
)

// Explanation is the answer to Explain:
//
//	Score = Base + Σ of all contributions + Rest
type Explanation struct {
	Contributions []Contribution // of the user's ratings, the greatest first
	Head          Head           // whose score it is
	Basis         Basis
	Score         float64 // as Recommend has it, without popularity
	Prediction    float32 // stars, clamped
	// Base is what no rating of the user's contributes: of the head that ranks the
	// part that the predicted rating has in the score, β·(x_r·y_r + b_i), of ratings
	// alone μ + b_i.
	Base float64
	// Rest is what stems from anything but ratings that are remembered, as tags and
	// views that the model was trained on do; 0 but for rounding without such.
	Rest                float64
	ColdUser, ColdMovie bool
}

// Contribution is what one rated movie adds to the score of another.
type Contribution struct {
	Movie  int64
	Rating float32 // the user's, in stars; 0 of a movie that is only liked
	Score  float64
}

// Explain says how much each of the user's ratings contributes to the score of
// q.Movie: of the head that ranks
//
//	s_ij·c_uj,   s_ij = y_iᵀ·(YᵀC^uY + λI)⁻¹·y_j        (Hu, Koren & Volinsky 2008, section 5)
//
// with c the confidence 1 + α·r, and of ratings alone the same of the ridge
// regression that the user's bias and factors are the solution of. A user has no
// contributions if Users remembers no ratings. Of the query only User, Movie,
// Anonymous and Liked count.
func (r Recommender) Explain(q *Query) Explanation {
	a := r.open()
	defer a.done()
	a.who(q)
	m := a.m
	i := m.movieRow(q.Movie)
	e := Explanation{
		Head: m.head(), Basis: a.taste.basis, Prediction: a.predict(q, q.Movie),
		ColdUser: a.taste.basis == ByPopularity && !q.Anonymous, ColdMovie: m.movieCount(i) == 0,
	}
	if e.Head == RatingHead {
		e.Base = float64(m.factors.Mean)
		e.Score = e.Base + float64(a.taste.bias)
	}
	if i < 0 {
		e.Rest = e.Score - e.Base
		return e
	}
	e.Score, e.Base = float64(m.score(&a.taste, i)), m.base(&a.taste, i)
	e.Rest = e.Score - e.Base
	if part := a.parts(); part != nil {
		e.Contributions = part.of(i)
		for _, c := range e.Contributions {
			e.Rest -= c.Score
		}
		slices.SortStableFunc(e.Contributions, func(a, b Contribution) int { return cmp.Compare(b.Score, a.Score) })
	}
	return e
}

// base is Explanation.Base.
func (m *Model) base(t *taste, i int) float64 {
	f := m.factors
	if f.Preference == nil {
		return float64(f.Mean) + float64(m.movieBias(i))
	}
	sum := float64(m.movieBias(i))
	y := m.movieFactors(i)
	for c, x := range t.factors {
		sum += float64(x) * float64(y[c])
	}
	return f.Preference.Beta * sum
}

// reason adds to each item the movie that contributes most to it.
func (a *answer) reason(items []Item) {
	part := a.parts()
	if part == nil {
		return
	}
	for k := range items {
		best := slices.MaxFunc(part.of(a.m.movieRow(items[k].Movie)), func(a, b Contribution) int {
			return cmp.Or(cmp.Compare(a.Score, b.Score), cmp.Compare(b.Movie, a.Movie))
		})
		if best.Score > 0 {
			items[k].Reason = &Reason{best.Movie, best.Rating, best.Score}
		}
	}
}

// gram is YᵀY + λI of all movies in the head that ranks [rank × rank].
type gram struct{ sum *mat.SymDense }

// gramRows is how many movies are summed at once.
const gramRows = 4096

func newGram(p *als.Preference) *gram {
	sum := mat.NewSymDense(p.Rank, nil)
	for c := range p.Rank {
		sum.SetSym(c, c, p.Lambda)
	}
	for block := range slices.Chunk(p.MovieFactors, gramRows*p.Rank) {
		wide := make([]float64, len(block))
		for k, value := range block {
			wide[k] = float64(value)
		}
		sum.SymRankK(sum, 1, mat.NewDense(len(wide)/p.Rank, p.Rank, wide).T())
	}
	return &gram{sum}
}

// parts is a user as the solution of linear equations, P·x = Σ_j e_j over the
// user's ratings, so that z·x = Σ_j zᵀ·P⁻¹·e_j of any movie with vector z.
type parts struct {
	history []Contribution // the scores are made by of
	p       mat.Cholesky
	each    *mat.Dense // e_j [ratings × dimensions]
	vector  func(i int) []float64
}

// of returns the contribution of each rating to the movie in row i.
func (p *parts) of(i int) []Contribution {
	z := p.vector(i)
	var solved, scores mat.VecDense
	if err := p.p.SolveVecTo(&solved, mat.NewVecDense(len(z), z)); err != nil && !isCondition(err) {
		panic(fmt.Sprintf("model: solving for contributions: %v", err)) // only the shape could be wrong
	}
	scores.MulVec(p.each, &solved)
	list := slices.Clone(p.history)
	for k := range list {
		list[k].Score = scores.AtVec(k)
	}
	return list
}

// isCondition reports whether an error only says that a result is not precise.
func isCondition(err error) bool {
	_, ok := err.(mat.Condition)
	return ok
}

// parts returns the equations of the user's taste, or nil if no ratings of movies
// that the model knows are remembered, or if they cannot be solved.
func (a *answer) parts() *parts {
	m, history := a.m, a.taste.folded
	if history == nil {
		history = newest(a.folders.history)
	}
	if a.taste.basis == ByPopularity {
		return nil
	}
	a.folders.take(m, history)
	rows, values := a.folders.rows, a.folders.values
	if len(rows) == 0 {
		return nil
	}
	p := &parts{history: make([]Contribution, len(rows))}
	for k, row := range rows {
		p.history[k] = Contribution{Movie: m.factors.Movies[row], Rating: values[k]}
		if a.taste.basis == ByLiked {
			p.history[k].Rating = 0
		}
	}
	var equations *mat.SymDense
	switch f := m.factors; {
	case f.Preference != nil:
		equations = p.preference(m, a.a.gram(), rows, values)
	case f.Posterior != nil:
		equations = p.posterior(m, rows, values)
	default:
		equations = p.ridge(m, rows, values)
	}
	if a.taste.basis == ByLiked && m.factors.Preference == nil {
		p.withoutBias(m.factors.Rank)
	}
	if !p.p.Factorize(equations) {
		return nil
	}
	return p
}

// withoutBias is for who is compared by factors alone.
func (p *parts) withoutBias(rank int) {
	whole := p.vector
	p.vector = func(i int) []float64 {
		z := whole(i)
		clear(z[rank:])
		return z
	}
}

// preference sets the parts of the head that ranks, and returns YᵀC^uY + λI.
func (p *parts) preference(m *Model, g *gram, rows []int32, values []float32) *mat.SymDense {
	head := m.factors.Preference
	p.vector = func(i int) []float64 { return wide(m.headFactors(i), 0) }
	p.each = mat.NewDense(len(rows), head.Rank, nil)
	weighted := mat.NewDense(len(rows), head.Rank, nil)
	for k, row := range rows {
		weight := head.Alpha * max(float64(values[k]), 0)
		for c, y := range p.vector(int(row)) {
			p.each.Set(k, c, (1+weight)*y)
			weighted.Set(k, c, math.Sqrt(weight)*y)
		}
	}
	var equations mat.SymDense
	equations.SymRankK(g.sum, 1, weighted.T())
	return &equations
}

// ridge sets the parts of ratings alone, see als.Folder, and returns Σ z·zᵀ +
// λ·n^ν·I with z = (y, 1), or y if there are no biases.
func (p *parts) ridge(m *Model, rows []int32, values []float32) *mat.SymDense {
	f, bias := m.factors, 1
	if f.Unbiased {
		bias = 0
	}
	p.vector = func(i int) []float64 { return wide(m.movieFactors(i), bias) }
	z := mat.NewDense(len(rows), f.Rank+bias, nil)
	p.each = mat.NewDense(len(rows), f.Rank+bias, nil)
	for k, row := range rows {
		target := float64(values[k]) - float64(f.Mean) - float64(f.MovieBias[row])
		for c, value := range p.vector(int(row)) {
			z.Set(k, c, value)
			p.each.Set(k, c, value*target)
		}
	}
	equations := mat.NewSymDense(f.Rank+bias, nil)
	for c := range f.Rank + bias {
		equations.SetSym(c, c, f.Lambda*math.Pow(float64(len(rows)), f.Nu))
	}
	equations.SymRankK(equations, 1, z.T())
	return equations
}

// wide returns float32 as float64, and so many ones.
func wide(values []float32, ones int) []float64 {
	out := make([]float64, len(values), len(values)+ones)
	for c, value := range values {
		out[c] = float64(value)
	}
	for range ones {
		out = append(out, 1)
	}
	return out
}
