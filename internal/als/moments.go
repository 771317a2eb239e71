package als

import (
	"context"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// movieMoments sums the samples of movies' vectors and their outer products,
// momentBatch samples at a time.
type movieMoments struct {
	samples int
	batch   []float32 // [rows × momentBatch × stride]
	sum     []float32 // Σ v [rows × stride]
	squares []float32 // Σ vvᵀ, upper triangles [rows × stride × stride]
	stride  int
	order   []int32
	ones    []float32
}

const momentBatch = 8

func newMovieMoments(movies *joint) *movieMoments {
	rows, stride := len(movies.vectors)/movies.stride, movies.stride
	m := &movieMoments{
		batch: kernel.Aligned(rows * momentBatch * stride), sum: kernel.Aligned(rows * stride),
		squares: kernel.Aligned(rows * stride * stride), stride: stride, order: make([]int32, rows), ones: make([]float32, momentBatch),
	}
	for k := range m.order {
		m.order[k] = int32(k)
	}
	for k := range m.ones {
		m.ones[k] = 1
	}
	return m
}

func (m *movieMoments) add(ctx context.Context, threads int, movies *joint) error {
	at := m.samples % momentBatch
	m.samples++
	for i := range m.order {
		copy(m.batch[(i*momentBatch+at)*m.stride:][:m.stride], movies.vector(i))
	}
	if at < momentBatch-1 {
		return nil
	}
	return m.flush(ctx, threads, momentBatch)
}

func (m *movieMoments) flush(ctx context.Context, threads, n int) error {
	return forRows(ctx, threads, m.order, func(_, i int) {
		batch := m.batch[i*momentBatch*m.stride:][:n*m.stride]
		kernel.AddCombination(m.sum[i*m.stride:][:m.stride], batch, m.stride, m.ones[:n])
		kernel.AddGram(m.squares[i*m.stride*m.stride:][:m.stride*m.stride], m.stride, batch, m.stride, n)
	})
}

// store writes means and covariances into movies.
func (m *movieMoments) store(ctx context.Context, threads int, movies *joint) error {
	if left := m.samples % momentBatch; left > 0 {
		if err := m.flush(ctx, threads, left); err != nil {
			return err
		}
	}
	n := float32(m.samples)
	movies.covariances = m.squares
	for i := range m.order {
		mean, v := movies.vector(i), movies.covariance(i)
		for c := range mean {
			mean[c] = m.sum[i*m.stride+c] / n
		}
		for a := range mean {
			for c := a; c < m.stride; c++ {
				v[a*m.stride+c] = (v[a*m.stride+c] - n*mean[a]*mean[c]) / max(n-1, 1)
			}
		}
	}
	return nil
}
