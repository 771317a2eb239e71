package als

import "github.com/recsys-benthos/recsys-benthos/internal/kernel"

const (
	// chunk is how many ratings are packed at once: with rank 64 the packed rows
	// and the Gram matrix stay within a second-level cache.
	chunk = 128
	// heavy is how many ratings are summed in float32 before the sum goes to
	// float64. It is a multiple of chunk.
	heavy = 64 * chunk
)

// sideFactors is one side, users or movies, as the solver works on it.
type sideFactors struct {
	bias    []float32 // [rows]
	factors []float32 // [rows × stride], aligned and padded with zeros
	halves  []uint16  // factors in bfloat16, nil where all of their precision is asked for
}

// padded returns factors [rows × rank] as rows of their stride: the same memory
// where rank and stride are the same.
func padded(factors []float32, rank int) []float32 {
	stride := kernel.Stride(rank)
	if rank == stride {
		return factors
	}
	rows := len(factors) / max(rank, 1)
	out := kernel.Aligned(rows * stride)
	for row := range rows {
		copy(out[row*stride:][:rank], factors[row*rank:])
	}
	return out
}

// stored is the reverse of padded, of rows of any stride.
func stored(factors []float32, rank, stride int) []float32 {
	if rank == stride {
		return factors
	}
	rows := len(factors) / stride
	out := make([]float32, rows*rank)
	for row := range rows {
		copy(out[row*rank:][:rank], factors[row*stride:])
	}
	return out
}

// rowSolver solves one row after another in scratch memory of its own. It is
// not safe for concurrent use: each worker has one.
type rowSolver struct {
	rank, stride, width int
	gram                []float32 // [stride × width], right sides in the columns after the matrix
	packed              []float32 // [chunk × stride]
	pairs               []uint32  // [chunk/2 × stride]
	high, low           []uint32  // targets as two bfloat16 [chunk/2]
	targets             []float32 // [chunk]
	sum, right          []float32 // Σy and Σt·y [stride]
	half                []float32 // L⁻¹Yᵀt [stride]
	total               *heavySums
	unbiased            bool // biases are 0 and stay so
}

func newRowSolver(rank int, unbiased bool) *rowSolver {
	stride := kernel.Stride(rank)
	width := stride + kernel.Width
	return &rowSolver{
		rank: rank, stride: stride, width: width, unbiased: unbiased,
		gram: kernel.Aligned(stride * width), packed: kernel.Aligned(chunk * stride), targets: kernel.Aligned(chunk),
		pairs: make([]uint32, chunk/2*stride), high: make([]uint32, chunk/2), low: make([]uint32, chunk/2),
		sum: kernel.Aligned(stride), right: kernel.Aligned(stride), half: kernel.Aligned(stride),
	}
}

// solve finds the bias and the factors of a row that has the given ratings of
// rows of the fixed side, n ≥ 1 of both, with regularization reg = λ·n^ν:
//
//	argmin over (b, x) of Σ (r − μ − b_other − b − x·y)² + reg·(b² + ‖x‖²)
//
// and b = 0 if it is unbiased. It writes the factors into x [stride] and returns the bias and the sum of
// squared errors at the solution.
func (s *rowSolver) solve(fixed sideFactors, mean float64, rows []int32, values []float32, reg float64, x []float32) (bias float32, sse float64) {
	if 2*len(rows) <= s.rank {
		return s.solveDual(fixed, mean, rows, values, reg, x)
	}
	return s.solvePrimal(fixed, mean, rows, values, reg, x)
}

// clearGram clears what AddGram adds to.
func (s *rowSolver) clearGram() {
	for c := range s.stride {
		clear(s.gram[c*s.width+c&^(kernel.Width-1):][:s.stride-c&^(kernel.Width-1)])
	}
}

// add adds to the sums what at most chunk rows of the fixed side contribute, whose
// targets are set. The first need not find the Gram matrix cleared, in bfloat16.
func (s *rowSolver) add(fixed sideFactors, rows []int32, first bool) {
	if fixed.halves == nil {
		kernel.Gather(s.packed, fixed.factors, s.stride, rows)
		kernel.AddGram(s.gram, s.width, s.packed, s.stride, len(rows))
		kernel.AddSums(s.sum, s.right, s.packed, s.stride, s.targets[:len(rows)])
		return
	}
	pairs := (len(rows) + 1) / 2
	kernel.Pairs(s.pairs, fixed.halves, s.stride, rows)
	if first {
		kernel.SetGramPairs(s.gram, s.width, s.pairs, s.stride, pairs)
	} else {
		kernel.AddGramPairs(s.gram, s.width, s.pairs, s.stride, pairs)
	}
	kernel.SplitPairs(s.high, s.low, s.targets[:2*kernel.Stride(pairs)])
	kernel.AddSumsPairs(s.sum, s.right, s.pairs, s.stride, s.high[:pairs], s.low)
}

// solvePrimal solves the normal equations of (x, b), in which the bias is one
// more unknown at the border:
//
//	| YᵀY + reg·I   Yᵀ1    |   | x |   | Yᵀt |
//	| 1ᵀY           n + reg | · | b | = | 1ᵀt |
//
// With YᵀY + reg·I = LLᵀ, p = L⁻¹Yᵀ1 and q = L⁻¹Yᵀt, that is b = (1ᵀt − p·q) /
// (n + reg − p·p) and Lᵀx = q − b·p.
func (s *rowSolver) solvePrimal(fixed sideFactors, mean float64, rows []int32, values []float32, reg float64, x []float32) (float32, float64) {
	n := float64(len(rows))
	if fixed.halves == nil {
		s.clearGram()
	}
	clear(s.sum)
	clear(s.right)
	isHeavy := len(rows) > heavy
	if isHeavy {
		s.startHeavy()
	}
	targets, squares := 0.0, 0.0
	for packed := chunk; len(rows) > 0; packed += chunk {
		m := min(chunk, len(rows))
		sum, square := kernel.Targets(s.targets, values[:m], rows[:m], fixed.bias, float32(mean))
		targets, squares = targets+sum, squares+square
		s.add(fixed, rows[:m], packed == chunk)
		rows, values = rows[m:], values[m:]
		if isHeavy && (packed%heavy == 0 || len(rows) == 0) {
			s.total.move(s)
		}
	}
	if isHeavy {
		s.total.store(s)
	}
	for c := range s.stride {
		row := s.gram[c*s.width:][:s.width]
		row[c] += float32(reg)
		row[s.stride], row[s.stride+1] = s.sum[c], s.right[c]
	}
	kernel.Cholesky(s.gram, s.width, s.stride, float32(reg))
	p, q := s.sum[:s.stride], s.half[:s.stride] // Σy is done with
	for c := range s.stride {
		right := s.gram[c*s.width+s.stride:][:2]
		p[c], q[c] = right[0], right[1]
	}
	bias := 0.0
	if !s.unbiased {
		pp, pq := products(p, p, q)
		bias = (targets - pq) / max(n+reg-pp, reg)
	}
	x = x[:s.stride]
	for c := range x {
		x[c] = float32(float64(q[c]) - bias*float64(p[c]))
	}
	kernel.SolveUpper(s.gram, s.width, s.stride, x)
	// At the solution Σ e² = Σ t² − (x, b)·(Yᵀt, 1ᵀt) − reg·‖(x, b)‖².
	norm, product := products(x, x, s.right)
	sse := squares - bias*targets - reg*bias*bias - product - reg*norm
	return float32(bias), max(sse, 0)
}

// products returns x·y and x·z, all of an even length, in float64.
func products(x, y, z []float32) (xy, xz float64) {
	y, z = y[:len(x)], z[:len(x)]
	var odd [2]float64 // sums of their own, which even ones do not wait for
	for c := 1; c < len(x); c += 2 {
		x0, x1 := float64(x[c-1]), float64(x[c])
		xy += x0 * float64(y[c-1])
		xz += x0 * float64(z[c-1])
		odd[0] += x1 * float64(y[c])
		odd[1] += x1 * float64(z[c])
	}
	return xy + odd[0], xz + odd[1]
}

// solveDual solves the same by n equations instead of rank+1, for rows of few
// ratings: (YYᵀ + 11ᵀ + reg·I)·α = t, then x = Yᵀα and b = 1ᵀα.
func (s *rowSolver) solveDual(fixed sideFactors, mean float64, rows []int32, values []float32, reg float64, x []float32) (float32, float64) {
	n := len(rows)
	size := kernel.Stride(n)
	width := size + kernel.Width
	gram := s.gram[:size*width]
	kernel.Targets(s.targets, values, rows, fixed.bias, float32(mean))
	kernel.Gather(s.packed, fixed.factors, s.stride, rows)
	targets := s.targets[:n]
	for k := range size {
		row := gram[k*width:][:width]
		if k >= n {
			clear(row)
			row[k] = float32(reg)
			continue
		}
		kernel.Products(row[:size], s.packed, s.stride, s.packed[k*s.stride:][:s.stride]) // whole vectors: rows after n are of no meaning
		if !s.unbiased {
			for j := range row[:n] {
				row[j]++
			}
		}
		clear(row[n:])
		row[k] += float32(reg)
		row[size] = targets[k]
	}
	kernel.Cholesky(gram, width, size, float32(reg))
	alpha := s.right[:size]
	for k := range alpha {
		alpha[k] = gram[k*width+size]
	}
	kernel.SolveUpper(gram, width, size, alpha)
	clear(x[:s.stride])
	kernel.AddCombination(x, s.packed, s.stride, alpha[:n])
	bias, squares := 0.0, 0.0
	for _, a := range alpha[:n] {
		if !s.unbiased {
			bias += float64(a)
		}
		squares += float64(a) * float64(a)
	}
	return float32(bias), reg * reg * squares // what is left of t is reg·α
}

// heavySums are the sums of a row of very many ratings, in float64.
type heavySums struct {
	gram, sum, right []float64
}

func (s *rowSolver) startHeavy() {
	if s.total == nil {
		s.total = &heavySums{make([]float64, s.stride*s.stride), make([]float64, s.stride), make([]float64, s.stride)}
	}
	clear(s.total.gram)
	clear(s.total.sum)
	clear(s.total.right)
}

// move adds the sums of s, and leaves zeros there.
func (t *heavySums) move(s *rowSolver) {
	for c := range s.stride {
		moveTo(t.gram[c*s.stride+c:(c+1)*s.stride], s.gram[c*s.width+c:])
	}
	moveTo(t.sum, s.sum)
	moveTo(t.right, s.right)
}

func moveTo(total []float64, values []float32) {
	for k := range total {
		total[k] += float64(values[k])
		values[k] = 0
	}
}

// store writes the sums into s.
func (t *heavySums) store(s *rowSolver) {
	for c := range s.stride {
		round(s.gram[c*s.width+c:], t.gram[c*s.stride+c:(c+1)*s.stride])
	}
	round(s.sum, t.sum)
	round(s.right, t.right)
}

func round(values []float32, total []float64) {
	for k, value := range total {
		values[k] = float32(value)
	}
}
