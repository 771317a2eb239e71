package recommendhttp

import (
	"context"
	"fmt"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/api"
	"github.com/recsys-benthos/recsys-benthos/internal/catalog"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// build has the resources made that readiness is judged by, so that a wrong
// label fails at the start.
func (in *input) build() error {
	in.modelKey, in.catalogKey = model.LiveKey{Label: in.conf.model}, catalog.Key{Label: in.conf.catalog}
	in.storeKey, in.registryKey = ratings.StoreKey{Label: in.conf.store}, registry.FollowerKey{Label: in.conf.model}
	for _, r := range []struct {
		label, kind string
		key         any
	}{
		{in.conf.model, "an als_model", in.modelKey},
		{in.conf.catalog, "a movie_catalog", in.catalogKey},
		{in.conf.store, "a rating store", in.storeKey},
	} {
		if r.label == "" {
			continue
		}
		if err := in.mgr.AccessCache(context.Background(), r.label, func(service.Cache) {}); err != nil {
			return fmt.Errorf("opening %s: %w", r.label, err)
		}
		if _, ok := in.mgr.GetGeneric(r.key); !ok {
			return fmt.Errorf("the resource %s is not %s", r.label, r.kind)
		}
	}
	return nil
}

// backend is what the resources hold now, for what the server answers by itself.
func (in *input) backend() *api.Backend {
	b := &api.Backend{}
	if value, ok := in.mgr.GetGeneric(in.catalogKey); ok && in.conf.catalog != "" {
		b.Movies, _ = value.(*catalog.Catalog)
	}
	if value, ok := in.mgr.GetGeneric(in.storeKey); ok && in.conf.store != "" {
		b.Store, _ = value.(ratings.Store)
	}
	if value, ok := in.mgr.GetGeneric(in.registryKey); ok && in.conf.model != "" {
		if follower, ok := value.(*registry.Follower); ok {
			b.Registry = follower.Registry
		}
	}
	return b
}

// health is how the server is, in Gorse's style of names.
type health struct {
	Ready        bool
	ModelVersion string
	Movies       int
	Problems     []string
}

// health says what is missing, if anything.
func (in *input) health() health {
	h := health{Problems: []string{}}
	if in.conf.model != "" {
		value, _ := in.mgr.GetGeneric(in.modelKey)
		if live, ok := value.(*model.Live); ok && live.Current() != nil {
			h.ModelVersion = live.Current().Name
		} else {
			h.Problems = append(h.Problems, "there is no model yet")
		}
	}
	if in.conf.catalog != "" {
		value, _ := in.mgr.GetGeneric(in.catalogKey)
		if movies, ok := value.(*catalog.Catalog); ok && movies.Ready() {
			h.Movies = movies.Len()
		} else {
			h.Problems = append(h.Problems, "the movie catalog is not read yet")
		}
	}
	select {
	case <-in.draining:
		h.Problems = append(h.Problems, "the server is stopping")
	default:
	}
	h.Ready = len(h.Problems) == 0
	return h
}
