package model

import (
	"sync"

	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Baseline is what a model has to beat on the ratings that come in: its biases
// alone, as experiment.OnlineBias, anew with each model. The zero value is ready, and
// safe for concurrent use.
type Baseline struct {
	mu   sync.Mutex
	of   *Model
	bias *experiment.OnlineBias
}

// Observe returns what biases alone predict for a rating, in stars within the scale,
// and takes the rating in after that.
func (b *Baseline) Observe(m *Model, r ratings.Rating) float32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of != m {
		b.of, b.bias = m, experiment.NewOnlineBias(m.Factors())
	}
	predicted := m.Scale().Clamp(float32(b.bias.Predict(r.User, r.Movie)))
	b.bias.Learn(r.User, r.Movie, float64(r.Value))
	return predicted
}
