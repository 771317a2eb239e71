// Package als holds the plugins of recommending by ALS: the als_model resource
// (the live model), model_load (an announcement swaps it), als_predict (a
// request becomes a prediction), als_recommend, als_similar, als_explain and
// als_audience (a request becomes a list), als_requests (a clock becomes requests
// for all users or movies), als_fold_in (events become users' records), user_load
// (which are followed) and als_train (a trigger becomes a version).
package als

import (
	"context"
	"fmt"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// resource takes the value that the resource of the given label put under key.
// It is taken per batch and never kept: a resource may be replaced.
func resource[T any](mgr *service.Resources, key any, label, kind string) (T, error) {
	value, _ := mgr.GetGeneric(key)
	typed, ok := value.(T)
	if !ok {
		return typed, fmt.Errorf("resource %q is not %s", label, kind)
	}
	return typed, nil
}

// build touches a resource, which builds it, so that wrong configuration fails
// when the pipeline starts.
func build(mgr *service.Resources, label string) error {
	if err := mgr.AccessCache(context.Background(), label, func(service.Cache) {}); err != nil {
		return fmt.Errorf("opening resource %q: %w", label, err)
	}
	return nil
}
