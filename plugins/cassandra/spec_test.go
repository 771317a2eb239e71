package cassandra

import (
	"context"
	"errors"
	"strings"
	"testing"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

func TestExamplesOfTheSpecsLint(t *testing.T) {
	linter := service.GlobalEnvironment().FullConfigSchema("", "").NewStreamConfigLinter()
	sink, _ := service.GlobalEnvironment().GetOutputConfig("cassandra")
	source, _ := service.GlobalEnvironment().GetInputConfig("cassandra")
	for _, view := range []*service.ConfigView{sink, source} {
		data, err := view.TemplateData()
		if err != nil {
			t.Fatal(err)
		}
		if len(data.Examples) == 0 {
			t.Errorf("%s has no example", data.Name)
		}
		for _, example := range data.Examples {
			if lints, err := linter.LintYAML([]byte(example.Config)); err != nil || len(lints) > 0 {
				t.Errorf("%s, %q: %v %v", data.Name, example.Title, err, lints)
			}
		}
	}
}

func TestAServerThatIsAwayFailsNoConstructorAndIsUnavailable(t *testing.T) {
	conf, err := ratingsSpec().ParseYAML(`addresses: ["127.0.0.1:1"]`, nil)
	if err != nil {
		t.Fatal(err)
	}
	mgr := service.MockResources()
	cache, err := newRatingsCache(conf, mgr)
	if err != nil {
		t.Fatal(err)
	}
	value, _ := mgr.GetGeneric(ratings.StoreKey{Label: mgr.Label()})
	store := value.(ratings.Store)
	change := ratings.Changes{Views: []ratings.View{{User: 1}}}
	if err := store.Apply(t.Context(), change); !errors.Is(err, ratings.ErrUnavailable) || !strings.Contains(err.Error(), "nothing listens at 127.0.0.1:1") {
		t.Errorf("Apply: %v", err)
	}
	if _, err := cache.Get(t.Context(), "colour"); !errors.Is(err, service.ErrKeyNotFound) {
		t.Errorf("an unknown key gives %v", err)
	}
	if err := cache.Set(t.Context(), "a", nil, nil); !errors.Is(err, errNotKeyValue) {
		t.Errorf("Set: %v", err)
	}
	for range 2 {
		if err := cache.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := store.Apply(t.Context(), change); !errors.Is(err, ratings.ErrClosed) {
		t.Errorf("a closed store: %v", err)
	}
}

func TestAnOutputWaitsUntilItIsClosed(t *testing.T) {
	out := newOutput(outputConfig{settings: NewSettings("", "127.0.0.1:1"), statement: "x", inFlight: 1}, nil)
	connected := make(chan error)
	go func() { connected <- out.Connect(context.Background()) }()
	if err := out.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-connected; !errors.Is(err, service.ErrNotConnected) {
		t.Errorf("Connect: %v", err)
	}
}
