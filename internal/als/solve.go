package als

// chunk is how many ratings are packed at once: with rank 64 that keeps the
// packed rows and the Gram matrix within a first-level cache.
const chunk = 32

// fixedSide is the side that is held fixed while rows of the other are solved.
type fixedSide struct {
	mean    float64
	bias    []float32 // [rows]
	factors []float32 // row-major [rows × rank]
}

// rowSolver solves one row after another in scratch memory of its own. It is
// not safe for concurrent use: each worker has one.
type rowSolver struct {
	rank   int
	packed []float64
	gram   []float64
	target []float64
	result []float64 // factors, then the bias [rank+1]
}

func newRowSolver(rank int) *rowSolver {
	size := roundUp4(rank + 2)
	return &rowSolver{
		rank:   rank,
		packed: make([]float64, size*max(chunk, rank+1)),
		gram:   make([]float64, size*size),
		target: make([]float64, size),
		result: make([]float64, rank+1),
	}
}

func roundUp4(n int) int { return (n + 3) &^ 3 }

// solve finds the bias and the factors of a row that has the given ratings of
// rows of the fixed side, n ≥ 1 of both, with regularization reg = λ·n^ν:
//
//	argmin over (b, x) of Σ (r − μ − b_other − b − x·y)² + reg·(b² + ‖x‖²)
//
// It writes the factors into x [rank] and returns the bias and the sum of
// squared errors at the solution.
func (s *rowSolver) solve(fixed fixedSide, rows []int32, values []float32, reg float64, x []float32) (bias float32, sse float64) {
	if len(rows) <= s.rank {
		s.solveDual(fixed, rows, values, reg)
	} else {
		s.solvePrimal(fixed, rows, values, reg)
	}
	for c := range x {
		x[c] = float32(s.result[c])
	}
	return float32(s.result[s.rank]), s.squaredErrors(fixed, rows, values)
}

// solvePrimal solves the normal equations (ZᵀZ + reg·I)·(x, b) = Zᵀt, where row
// k of Z is (y_k, 1) and t are the ratings less μ and the fixed biases. t is
// packed as one more column, so that Zᵀt is the last row of the Gram matrix.
func (s *rowSolver) solvePrimal(fixed fixedSide, rows []int32, values []float32, reg float64) {
	unknowns := s.rank + 1
	size := roundUp4(unknowns + 1)
	gram, packed := s.gram[:size*size], s.packed[:size*chunk]
	clear(gram)
	clear(packed[(unknowns+1)*chunk:])
	for len(rows) > 0 {
		n := min(chunk, len(rows))
		ones, targets := packed[s.rank*chunk:][:n], packed[unknowns*chunk:][:n]
		for k, row := range rows[:n] {
			for c, y := range fixed.factors[int(row)*s.rank:][:s.rank] {
				packed[c*chunk+k] = float64(y)
			}
			ones[k] = 1
			targets[k] = float64(values[k]) - fixed.mean - float64(fixed.bias[row])
		}
		addGram(gram, size, packed, chunk, n)
		rows, values = rows[n:], values[n:]
	}
	for c := range unknowns {
		gram[c*size+c] += reg
	}
	copy(s.result, gram[unknowns*size:][:unknowns])
	cholesky(gram, unknowns, size, reg)
	substitute(gram, unknowns, size, s.result)
}

// solveDual solves the same by n equations instead of rank+1, for rows of few
// ratings: (Z·Zᵀ + reg·I)·α = t, then (x, b) = Zᵀα.
func (s *rowSolver) solveDual(fixed fixedSide, rows []int32, values []float32, reg float64) {
	n, unknowns := len(rows), s.rank+1
	size := roundUp4(n)
	gram, packed, target := s.gram[:size*size], s.packed[:size*unknowns], s.target[:n]
	clear(gram)
	clear(packed[n*unknowns:])
	for k, row := range rows {
		z := packed[k*unknowns:][:unknowns]
		for c, y := range fixed.factors[int(row)*s.rank:][:s.rank] {
			z[c] = float64(y)
		}
		z[s.rank] = 1
		target[k] = float64(values[k]) - fixed.mean - float64(fixed.bias[row])
	}
	addGram(gram, size, packed, unknowns, unknowns)
	for k := range n {
		gram[k*size+k] += reg
	}
	cholesky(gram, n, size, reg)
	substitute(gram, n, size, target)
	clear(s.result)
	for k, alpha := range target {
		for c, z := range packed[k*unknowns:][:unknowns] {
			s.result[c] += alpha * z
		}
	}
}

// squaredErrors sums the squared errors of the row's solution over its ratings.
func (s *rowSolver) squaredErrors(fixed fixedSide, rows []int32, values []float32) float64 {
	x, bias := s.result[:s.rank], s.result[s.rank]
	sse := 0.0
	for k, row := range rows {
		predicted := fixed.mean + float64(fixed.bias[row]) + bias
		for c, y := range fixed.factors[int(row)*s.rank:][:len(x)] {
			predicted += x[c] * float64(y)
		}
		residual := float64(values[k]) - predicted
		sse += residual * residual
	}
	return sse
}
