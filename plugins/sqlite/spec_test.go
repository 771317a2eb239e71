package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

func TestExamplesOfTheSpecsLint(t *testing.T) {
	linter := service.GlobalEnvironment().FullConfigSchema("", "").NewStreamConfigLinter()
	store, _ := service.GlobalEnvironment().GetCacheConfig("sqlite_ratings")
	sink, _ := service.GlobalEnvironment().GetOutputConfig("sqlite")
	for _, view := range []*service.ConfigView{store, sink} {
		data, err := view.TemplateData()
		if err != nil {
			t.Fatal(err)
		}
		if len(data.Examples) == 0 {
			t.Errorf("%s has no example", data.Name)
		}
		for _, example := range data.Examples {
			lints, err := linter.LintYAML([]byte(example.Config))
			if err != nil || len(lints) > 0 {
				t.Errorf("%s, %q: %v %v", data.Name, example.Title, err, lints)
			}
		}
	}
}

func TestTheResourceGivesItsStoreAndItsCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	conf, err := ratingsSpec().ParseYAML(fmt.Sprintf("path: %q", path), nil)
	if err != nil {
		t.Fatal(err)
	}
	mgr := service.MockResources()
	cache, err := newRatingsCache(conf, mgr)
	if err != nil {
		t.Fatal(err)
	}
	value, ok := mgr.GetGeneric(ratings.StoreKey{Label: mgr.Label()})
	if !ok {
		t.Fatal("the resource gives no store")
	}
	ctx := context.Background()
	err = value.(ratings.Store).Apply(ctx, rated(
		ratings.Rating{User: 1, Movie: 1, Value: 3, Time: 1}, ratings.Rating{User: 1, Movie: 2, Value: 3, Time: 1}))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"ratings": "2", "users": "1", "movies": "2", "revision": "2"} {
		if got, err := cache.Get(ctx, key); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %s", key, got, err, want)
		}
	}
	if _, err := cache.Get(ctx, "colour"); !errors.Is(err, service.ErrKeyNotFound) {
		t.Errorf("an unknown key gives %v", err)
	}
	for _, err := range []error{cache.Set(ctx, "a", nil, nil), cache.Add(ctx, "a", nil, nil), cache.Delete(ctx, "a")} {
		if !errors.Is(err, errNotKeyValue) {
			t.Errorf("writing gives %v", err)
		}
	}
	for range 2 {
		if err := cache.Close(ctx); err != nil {
			t.Error(err)
		}
	}
}
