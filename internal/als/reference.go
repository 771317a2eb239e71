package als

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// TrainReference does what Train does, from the same starting values, in
// float64 throughout and with gonum's own Cholesky decomposition: slow, plain,
// and what Train is tested against. It runs in one thread. Its errors are those
// of Train.
func TrainReference(m *ratings.Matrix, p Parameters) (*Factors, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if m.Len() == 0 {
		return nil, ratings.ErrNoRatings
	}
	f := newFactors(m, p.Rank, p.Lambda, p.Nu)
	users := newReferenceSide(len(m.Users), p.Rank, m.User)
	movies := newReferenceSide(len(m.Movies), p.Rank, m.Movie)
	start := make([]float32, p.Rank)
	for u, id := range m.Users {
		startFactors(start, p.Seed, userSide, id)
		for c, value := range start {
			users.factors.Set(u, c, float64(value))
		}
	}
	if p.Algorithm == Spark {
		f.Mean, f.Unbiased = 0, true
	}
	mean := float64(f.Mean)
	for range startSweeps {
		if f.Unbiased {
			break
		}
		movies.solveBiases(users, mean, p)
		users.solveBiases(movies, mean, p)
	}
	for iteration := range p.Iterations {
		if err := movies.solve(users, mean, p); err != nil {
			return nil, fmt.Errorf("iteration %d, movies: %w", iteration+1, err)
		}
		if err := users.solve(movies, mean, p); err != nil {
			return nil, fmt.Errorf("iteration %d, users: %w", iteration+1, err)
		}
	}
	f.UserFactors, f.MovieFactors = make([]float32, len(m.Users)*p.Rank), make([]float32, len(m.Movies)*p.Rank)
	users.store(f.UserBias, f.UserFactors)
	movies.store(f.MovieBias, f.MovieFactors)
	return f, nil
}

// referenceSide is the users or the movies.
type referenceSide struct {
	bias    []float64  // [rows]
	factors *mat.Dense // [rows × rank]
	ratings func(row int) ([]int32, []float32)
}

func newReferenceSide(rows, rank int, of func(int) ([]int32, []float32)) *referenceSide {
	return &referenceSide{bias: make([]float64, rows), factors: mat.NewDense(rows, rank, nil), ratings: of}
}

func (s *referenceSide) solveBiases(other *referenceSide, mean float64, p Parameters) {
	for row := range s.bias {
		others, values := s.ratings(row)
		sum := 0.0
		for k, at := range others {
			sum += float64(values[k]) - mean - other.bias[at]
		}
		s.bias[row] = sum / (float64(len(others)) + regularization(p.Lambda, p.Nu, len(others)))
	}
}

// solve solves (ZᵀZ + λn^ν·I)·(x, b) = Zᵀt for every row, as rowSolver does.
func (s *referenceSide) solve(other *referenceSide, mean float64, p Parameters) error {
	one := 1.0
	if p.Algorithm == Spark {
		one = 0 // the bias then is 0
	}
	for row := range s.bias {
		others, values := s.ratings(row)
		n := len(others)
		z, t := mat.NewDense(n, p.Rank+1, nil), mat.NewVecDense(n, nil)
		for k, at := range others {
			z.SetRow(k, append(mat.Row(nil, int(at), other.factors), one))
			t.SetVec(k, float64(values[k])-mean-other.bias[at])
		}
		var gram mat.SymDense
		gram.SymOuterK(1, z.T())
		for c := range p.Rank + 1 {
			gram.SetSym(c, c, gram.At(c, c)+regularization(p.Lambda, p.Nu, n))
		}
		var right, solution mat.VecDense
		right.MulVec(z.T(), t)
		var decomposition mat.Cholesky
		if !decomposition.Factorize(&gram) {
			return fmt.Errorf("row %d: normal equations are not positive definite", row)
		}
		if err := decomposition.SolveVecTo(&solution, &right); err != nil {
			return fmt.Errorf("row %d: %w", row, err)
		}
		s.factors.SetRow(row, solution.RawVector().Data[:p.Rank])
		s.bias[row] = solution.AtVec(p.Rank)
	}
	return nil
}

func (s *referenceSide) store(bias, factors []float32) {
	rank := s.factors.RawMatrix().Cols
	for row, value := range s.bias {
		bias[row] = float32(value)
		for c := range rank {
			factors[row*rank+c] = float32(s.factors.At(row, c))
		}
	}
}
