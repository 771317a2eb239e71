package model

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// reference is Recommend written plainly in float64.
type reference struct {
	f    *als.Factors
	x, p []float64 // of the user; nil for zeros
	bias float64
}

// solved returns x of (Σ weight·y·yᵀ + λI)·x = Σ right·y.
func solved(dim int, lambda float64, rows [][]float64, weight, right []float64) []float64 {
	a, b := mat.NewSymDense(dim, nil), mat.NewVecDense(dim, nil)
	for c := range dim {
		a.SetSym(c, c, lambda)
	}
	for k, row := range rows {
		y := mat.NewVecDense(dim, row)
		a.SymRankOne(a, weight[k], y)
		b.AddScaledVec(b, right[k], y)
	}
	var cholesky mat.Cholesky
	var x mat.VecDense
	if !cholesky.Factorize(a) || cholesky.SolveVecTo(&x, b) != nil {
		panic("model: not positive definite")
	}
	return x.RawVector().Data
}

// fold sets the user to what both heads learn from ratings of known movies.
func (ref *reference) fold(history []ratings.Rating) {
	f := ref.f
	var z [][]float64
	var ones, target []float64
	for _, r := range history {
		if i, known := slices.BinarySearch(f.Movies, r.Movie); known {
			z = append(z, wide(f.MovieFactors[i*f.Rank:][:f.Rank], 1))
			ones, target = append(ones, 1), append(target, float64(r.Value)-float64(f.Mean)-float64(f.MovieBias[i]))
		}
	}
	x := solved(f.Rank+1, f.Lambda*math.Pow(float64(len(z)), f.Nu), z, ones, target)
	ref.x, ref.bias = x[:f.Rank], x[f.Rank]
	ref.foldPreference(history)
}

func (ref *reference) foldPreference(history []ratings.Rating) {
	head := ref.f.Preference
	if head == nil {
		return
	}
	var y [][]float64
	weight, right := make([]float64, len(ref.f.Movies)), make([]float64, len(ref.f.Movies))
	for i := range ref.f.Movies {
		y, weight[i] = append(y, wide(head.MovieFactors[i*head.Rank:][:head.Rank], 0)), 1
	}
	for _, r := range history {
		if i, known := slices.BinarySearch(ref.f.Movies, r.Movie); known {
			weight[i] = 1 + head.Alpha*float64(r.Value)
			right[i] = weight[i]
		}
	}
	ref.p = solved(head.Rank, head.Lambda, y, weight, right)
}

func (ref *reference) trained(u int) {
	f := ref.f
	ref.x, ref.bias = wide(f.UserFactors[u*f.Rank:][:f.Rank], 0), float64(f.UserBias[u])
	if p := f.Preference; p != nil {
		ref.p = wide(p.UserFactors[u*p.Rank:][:p.Rank], 0)
	}
}

func (ref *reference) score(i int, share float64) float64 {
	f := ref.f
	sum := float64(f.MovieBias[i])
	for c, x := range ref.x {
		sum += x * float64(f.MovieFactors[i*f.Rank+c])
	}
	most := slices.Max(f.MovieCounts)
	popular := math.Log(1+float64(f.MovieCounts[i])) / math.Log(1+float64(most))
	if p := f.Preference; p != nil {
		sum *= p.Beta
		for c, x := range ref.p {
			sum += x * float64(p.MovieFactors[i*p.Rank+c])
		}
		return (1-share)*sum + share*popular
	}
	return (1-share)*(float64(f.Mean)+ref.bias+sum) + share*(0.5+4.5*popular)
}

// checkList compares a list with the reference's scores of all allowed movies: at
// each place stands a movie whose score is within 1e-4, as float32 has it, of the
// score that belongs there.
func (ref *reference) checkList(t *testing.T, items []Item, q *Query, share float64, allowed func(movie int64) bool) {
	t.Helper()
	var scores []float64
	for i, movie := range ref.f.Movies {
		if allowed(movie) {
			scores = append(scores, ref.score(i, share))
		}
	}
	slices.SortFunc(scores, func(a, b float64) int {
		switch {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	})
	scores = scores[min(q.Offset, len(scores)):min(q.Offset+q.N, len(scores))]
	if len(items) != len(scores) {
		t.Fatalf("%d items, want %d: %+v", len(items), len(scores), q)
	}
	listed := map[int64]bool{}
	for k, item := range items {
		i, _ := slices.BinarySearch(ref.f.Movies, item.Movie)
		own := ref.score(i, share)
		if !allowed(item.Movie) || listed[item.Movie] || math.Abs(own-scores[k]) > 1e-4 || math.Abs(own-float64(item.Score)) > 1e-4 {
			t.Fatalf("place %d has movie %d with score %v (%v by the reference), want %v; allowed %v, again %v; %+v",
				k, item.Movie, item.Score, own, scores[k], allowed(item.Movie), listed[item.Movie], q)
		}
		listed[item.Movie] = true
	}
}
