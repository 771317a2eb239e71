package als

import (
	"math"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// joint is one side, users or movies, as Bayesian solvers work on it: the
// factors of a row and then its bias are one vector of D = rank+1.
type joint struct {
	rank, stride int
	rough        bool      // solve the other side with rows in bfloat16
	vectors      []float32 // [rows × stride], padded with zeros
	covariances  []float32 // upper triangles [rows × stride × stride], nil if rows are known exactly
	weights      []float32 // of a row's noise precision [rows], nil if all are 1

	// What prepare makes of them.
	bias, roots []float32 // of a rating's precision, alpha times the weight [rows]
}

func newJoint(rows, rank int) *joint {
	stride := kernel.Stride(rank + 1)
	return &joint{rank: rank, stride: stride, vectors: kernel.Aligned(rows * stride)}
}

// prepare takes over what is said of the rows in vectors and weights, for solving
// those of the other side.
func (j *joint) prepare(alpha float64) {
	if j.bias == nil {
		rows := len(j.vectors) / j.stride
		j.bias, j.roots = make([]float32, rows), make([]float32, rows)
	}
	for row := range j.bias {
		p := alpha
		if j.weights != nil {
			p *= float64(j.weights[row])
		}
		j.bias[row], j.roots[row] = j.vectors[row*j.stride+j.rank], float32(math.Sqrt(p))
	}
	if j.rough { // rounded to bfloat16, as the column of ones is when it is scaled
		for row, root := range j.roots {
			j.roots[row] = math.Float32frombits((math.Float32bits(root) + 0x8000) &^ 0xffff)
		}
	}
}

func (j *joint) vector(row int) []float32 { return j.vectors[row*j.stride:][:j.stride] }

func (j *joint) covariance(row int) []float32 {
	return j.covariances[row*j.stride*j.stride:][:j.stride*j.stride]
}

// set takes over biases [rows] and factors [rows × rank].
func (j *joint) set(bias, factors []float32) {
	for row, b := range bias {
		v := j.vector(row)
		copy(v, factors[row*j.rank:][:j.rank])
		v[j.rank] = b
	}
}

// get is the reverse of set.
func (j *joint) get(bias, factors []float32) {
	for row := range bias {
		v := j.vector(row)
		copy(factors[row*j.rank:][:j.rank], v)
		bias[row] = v[j.rank]
	}
}

// gaussian is the prior of the rows of a side: normal with this mean and
// precision Λ, for the kernels.
type gaussian struct {
	precision []float32 // Λ, both triangles, 1 on the diagonal of the padding [stride × stride]
	shift     []float32 // Λ·mean [stride]
	least     float32   // lower bound of Λ's eigenvalues
}

// jointRow solves one row after another in scratch memory of its own. It is not
// safe for concurrent use.
type jointRow struct {
	rank, stride int
	gram         []float32 // [stride × (2·stride + kernel.Width)]
	inverse      []float32 // as gram
	sum          []float32 // Σ p·E[zzᵀ], upper triangle [stride × stride]
	right        []float32 // Σ p·E[z·t] [stride]
	squares      float64   // Σ p·E[t²]
	covariance   []float32 // Σ p·V [stride × stride]
	packed       []float32 // [chunk × stride]
	scale, coeff []float32 // [chunk]
	targets      []float32 // [chunk]
	product      []float32 // [stride]
	normals      []float32 // [stride]

	// For the other side's rows in bfloat16.
	pairs     []uint32 // [chunk/2 × stride]
	high, low []uint32 // coeff as two bfloat16 [chunk/2]
}

func newJointRow(rank int) *jointRow {
	stride := kernel.Stride(rank + 1)
	size := stride * (2*stride + kernel.Width)
	return &jointRow{
		rank: rank, stride: stride,
		gram: kernel.Aligned(size), inverse: kernel.Aligned(size), covariance: kernel.Aligned(stride * stride), sum: kernel.Aligned(stride * stride),
		packed: kernel.Aligned(chunk * stride), scale: kernel.Aligned(chunk), coeff: kernel.Aligned(chunk), targets: kernel.Aligned(chunk),
		right: kernel.Aligned(stride), product: kernel.Aligned(stride), normals: kernel.Aligned(stride),
		pairs: make([]uint32, chunk/2*stride), high: make([]uint32, chunk/2), low: make([]uint32, chunk/2),
	}
}

// rowTask is one row's regression on the rows of the other side that it has
// ratings of. With z = (y, 1) of these and t = r − μ − b_other, both with the
// other side's uncertainty V, its posterior is normal with
//
//	precision P = Λ + Σ p·E[zzᵀ],   mean = P⁻¹·(Λm + Σ p·E[z·t])
//
// where p is a rating's precision: alpha times the weight of its user. The other
// side is to be prepared.
type rowTask struct {
	other  *joint
	prior  *gaussian
	mean   float64 // μ
	weight float64 // of the row itself; the other side's come on top
	rows   []int32
	values []float32
}

// solve writes the posterior mean into x [stride], plus a sample's deviation from
// it if normals, standard normal numbers [stride], are given. With covariance
// [stride × stride] it writes P⁻¹'s upper triangle there.
//
// It returns Σ p·e², with e² the expected squared error of a rating; where
// normals are given, that of the sample.
func (s *jointRow) solve(t rowTask, normals, x, covariance []float32) float64 {
	s.add(t)
	return s.finish(t, normals, x, covariance)
}

// finish is solve after add of the same task but for its weight.
func (s *jointRow) finish(t rowTask, normals, x, covariance []float32) float64 {
	stride, rank, weight := s.stride, s.rank, float32(t.weight)
	width, rhs := stride+kernel.Width, stride
	if covariance != nil {
		width, rhs = 2*stride+kernel.Width, 2*stride
	}
	gram := s.gram[:stride*width]
	for c := range stride {
		row, prior, sum := gram[c*width+c:][:stride-c], t.prior.precision[c*stride+c:], s.sum[c*stride+c:]
		for j := range row {
			row[j] = prior[j] + weight*sum[j]
		}
		gram[c*width+rhs] = t.prior.shift[c] + weight*s.right[c]
	}
	if covariance == nil {
		kernel.Cholesky(gram, width, stride, t.prior.least)
	} else {
		kernel.Invert(s.inverse, gram, width, stride, t.prior.least)
		for c := range stride {
			copy(covariance[c*stride+c:(c+1)*stride], s.inverse[c*width+c:])
		}
	}
	norm := 0.0
	for c := range stride {
		v := gram[c*width+rhs]
		if normals != nil && c <= rank {
			v += normals[c]
		}
		x[c] = v
		norm += float64(v) * float64(v)
	}
	kernel.SolveUpper(gram, width, stride, x[:stride])
	// Σ p·(t − x·z)² = Σ p·t² − 2x·Σ p·zt + xᵀPx − xᵀΛx, and xᵀPx is the norm of Lᵀx.
	kernel.Products(s.product, t.prior.precision, stride, x[:stride])
	errors := t.weight*s.squares + norm
	for c, value := range x[:stride] {
		errors -= float64(value) * (2*t.weight*float64(s.right[c]) + float64(s.product[c]))
	}
	if covariance != nil { // and of x's own uncertainty tr(PV) − tr(ΛV)
		errors += float64(rank+1) - s.traceWith(t.prior.precision, covariance)
	}
	return max(errors, 0)
}

// add leaves in s the sums over the ratings of a task, without its weight: those
// of E[zzᵀ], E[z·t] and E[t²], each times the rating's precision.
func (s *jointRow) add(t rowTask) {
	stride, rank := s.stride, s.rank
	clear(s.sum)
	clear(s.right)
	clear(s.covariance)
	s.squares = 0
	uncertain := t.other.covariances != nil
	rows, values := t.rows, t.values
	for len(rows) > 0 {
		n := min(chunk, len(rows))
		kernel.Targets(s.targets, values[:n], rows[:n], t.other.bias, float32(t.mean))
		scale, coeff, targets := s.scale[:n], s.coeff[:n], s.targets[:n]
		squares := 0.0
		for k, row := range rows[:n] {
			root := t.other.roots[row]
			scale[k], coeff[k] = root, root*targets[k]
			squares += float64(coeff[k]) * float64(coeff[k])
		}
		s.squares += squares
		s.addProducts(t.other, rows[:n])
		if uncertain {
			for k, root := range scale {
				targets[k] = root * root
			}
			for k, row := range rows[:n] {
				kernel.AddCombination(s.covariance, t.other.covariance(int(row)), stride*stride, targets[k:k+1])
			}
		}
		rows, values = rows[n:], values[n:]
	}
	if !uncertain {
		return
	}
	// Of z = (y, 1) only y is uncertain; b_other is part of t.
	for c := range rank {
		to, v := s.sum[c*stride:][:rank], s.covariance[c*stride:][:stride]
		for j := c; j < rank; j++ {
			to[j] += v[j]
		}
		s.right[c] -= v[rank]
	}
	s.squares += float64(s.covariance[rank*stride+rank])
}

// addProducts adds the rows' part of the sums, of at most chunk rows whose scale
// and coefficients are set.
func (s *jointRow) addProducts(other *joint, rows []int32) {
	n, stride, rank := len(rows), s.stride, s.rank
	if !other.rough {
		kernel.GatherScaled(s.packed, other.vectors, stride, rows, s.scale[:n])
		for k, scale := range s.scale[:n] {
			s.packed[k*stride+rank] = scale
		}
		kernel.AddGram(s.sum, stride, s.packed, stride, n)
		kernel.AddCombination(s.right, s.packed, stride, s.coeff[:n])
		return
	}
	pairs := (n + 1) / 2
	whole := 2 * kernel.Stride(pairs)
	clear(s.coeff[n:whole])
	clear(s.scale[n:whole])
	kernel.PairsScaled(s.pairs, other.vectors, stride, rows, s.scale[:n])
	for k := range pairs {
		s.pairs[k*stride+rank] = math.Float32bits(s.scale[2*k])>>16 | math.Float32bits(s.scale[2*k+1])
	}
	kernel.AddGramPairs(s.sum, stride, s.pairs, stride, pairs)
	kernel.SplitPairs(s.high, s.low, s.coeff[:whole])
	kernel.AddSumsPairs(s.product, s.right, s.pairs, stride, s.high[:pairs], s.low)
}

// traceWith is tr(AB) of a [stride × stride] with both triangles and b with its
// upper one, over D×D.
func (s *jointRow) traceWith(a, b []float32) float64 {
	total := 0.0
	for c := range s.rank + 1 {
		total += float64(a[c*s.stride+c]) * float64(b[c*s.stride+c])
		for j := c + 1; j <= s.rank; j++ {
			total += 2 * float64(a[c*s.stride+j]) * float64(b[c*s.stride+j])
		}
	}
	return total
}
