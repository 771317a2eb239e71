package als

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// trainers returns so many with the same registry and the same filled store.
func trainers(t *testing.T, count int) []*trainer {
	t.Helper()
	store := recsystest.NewMemoryStore()
	if err := store.Apply(t.Context(), ratings.Changes{Ratings: recsystest.Ratings(40, 30, 0.5, 1)}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var all []*trainer
	for range count {
		mgr := service.MockResources(service.MockResourcesOptAddCache("rating_store"))
		mgr.SetGeneric(ratings.StoreKey{Label: "rating_store"}, ratings.Store(store))
		conf, err := trainSpec().ParseYAML("registry: file://"+dir+"\nmin_new_ratings: 100\nparameters: {rank: 4, iterations: 3}", nil)
		if err != nil {
			t.Fatal(err)
		}
		trainer, err := newTrainer(conf, mgr)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, trainer)
	}
	return all
}

func outcome(t *testing.T, trainer *trainer, trigger string) string {
	t.Helper()
	out, err := trainer.Process(t.Context(), service.NewMessage([]byte(trigger)))
	if err != nil || len(out) != 1 || out[0].GetError() != nil {
		t.Errorf("%v, %v", out, err)
		return ""
	}
	said, _ := out[0].MetaGet("als_train")
	return said
}

func TestOfSeveralTrainersOneTrainsOnWhatIsNew(t *testing.T) {
	all := trainers(t, 3)
	for _, trainer := range all {
		outcome(t, trainer, "tick") // it sees the store before it is at rest
	}
	var wait sync.WaitGroup
	said := make([]string, len(all))
	for k, trainer := range all {
		wait.Go(func() { said[k] = outcome(t, trainer, "tick") })
	}
	wait.Wait()
	promoted := 0
	for _, s := range said {
		if s == outcomePromoted {
			promoted++
		}
	}
	versions, err := all[0].registry.List()
	if err != nil || len(versions) != 1 || promoted != 1 {
		t.Fatalf("%d versions, outcomes %q, %v: want one training", len(versions), said, err)
	}
	if versions[0].Fence < 1 || versions[0].Trigger != "interval" {
		t.Errorf("fence %d, trigger %q", versions[0].Fence, versions[0].Trigger)
	}
}

func TestATrainingWaitsForTheOneUnderWay(t *testing.T) {
	trainer := trainers(t, 1)[0]
	lease, err := trainer.registry.AcquireLease(t.Context(), trainLease, "another", registry.LeaseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	trigger := service.NewMessage([]byte(`{"trigger":"kafka"}`))
	if _, err := trainer.Process(ctx, trigger); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("while another trains: %v", err)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if said := outcome(t, trainer, `{"trigger":"kafka"}`); said != outcomePromoted {
		t.Errorf("after it: %s", said)
	}
	if versions, err := trainer.registry.List(); err != nil || len(versions) != 1 || versions[0].Fence != lease.Number+1 {
		t.Errorf("versions %+v, %v", versions, err)
	}
}

// TestATrainingEndsWhenItsLeaseIsLost: the process was frozen for longer than others
// wait.
func TestATrainingEndsWhenItsLeaseIsLost(t *testing.T) {
	trainer := trainers(t, 1)[0]
	err := trainer.lead(t.Context(), func(ctx context.Context, fence int64) error {
		impatient, err := trainer.registry.AcquireLease(t.Context(), trainLease, "another", registry.LeaseOptions{Beat: time.Millisecond, Patience: time.Millisecond})
		if err != nil || impatient.Number != fence+1 {
			t.Fatalf("taking over: %+v, %v", impatient, err)
		}
		defer impatient.Release(t.Context()) //nolint:errcheck // of the test
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(3 * registry.LeaseBeat):
			t.Error("it went on without its lease")
			return nil
		}
	})
	if err != nil {
		t.Errorf("got %v, want to look again at the next trigger", err)
	}
}
