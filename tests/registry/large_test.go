//go:build cluster

package registry

import (
	"context"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// publishLarge publishes a model of some 24 MB, always the same.
func publishLarge(ctx context.Context, r *registry.Registry) (registry.Manifest, error) {
	const users, rank = 100_000, 58
	f := &als.Factors{Rank: rank, Lambda: 1, UserFactors: make([]float32, users*rank), UserBias: make([]float32, users), UserCounts: make([]int32, users)}
	for user := range int64(users) {
		f.Users = append(f.Users, user)
	}
	m, err := model.New(f, model.MovieLensScale)
	if err != nil {
		return registry.Manifest{}, err
	}
	return r.Publish(ctx, m, registry.Manifest{CreatedAt: time.Unix(1_600_000_000, 0), Algorithm: "als"})
}
