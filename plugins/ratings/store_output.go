package ratings

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const storeFieldStore = "store"

func storeSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("Writes events into a rating store.").
		Description(`
Events are acknowledged once they are durable. Writing is idempotent and does not depend on order: the newest rating of a pair wins, by event time.
While the store is away the output waits and tries again; only an event that can never be stored fails, and only that one.`).
		Field(service.NewStringField(storeFieldStore).
			Description("The label of the rating store resource.").
			Default("rating_store")).
		Field(service.NewOutputMaxInFlightField().Default(4)).
		Field(service.NewBatchPolicyField("batching")).
		Example("Store what rating_event has checked", "", `
pipeline:
  processors:
    - rating_event: {}
output:
  store_ratings:
    store: rating_store

cache_resources:
  - label: rating_store
    sqlite_ratings:
      path: ./recsys-data/ratings.db
`)
}

func init() {
	service.MustRegisterBatchOutput("store_ratings", storeSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (out service.BatchOutput, policy service.BatchPolicy, maxInFlight int, err error) {
			if policy, err = conf.FieldBatchPolicy("batching"); err != nil {
				return
			}
			if maxInFlight, err = conf.FieldMaxInFlight(); err != nil {
				return
			}
			out, err = newStoreOutput(conf, mgr)
			return
		})
}

type storeOutput struct {
	label string
	mgr   *service.Resources
	log   *service.Logger

	mu   sync.Mutex
	told time.Time // when an outage that lasts was told last; zero without one
}

// tellAgain is how often an outage that lasts is told.
const tellAgain = time.Minute

func newStoreOutput(conf *service.ParsedConfig, mgr *service.Resources) (*storeOutput, error) {
	label, err := conf.FieldString(storeFieldStore)
	if err != nil {
		return nil, err
	}
	o := &storeOutput{label: label, mgr: mgr, log: mgr.Logger()}
	// Touching the resource builds it, so that wrong configuration fails now.
	if err := mgr.AccessCache(context.Background(), label, func(service.Cache) {}); err != nil {
		return nil, fmt.Errorf("opening rating store %q: %w", label, err)
	}
	if _, err := o.store(); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *storeOutput) store() (ratings.Store, error) {
	value, _ := o.mgr.GetGeneric(ratings.StoreKey{Label: o.label})
	store, ok := value.(ratings.Store)
	if !ok {
		return nil, fmt.Errorf("resource %q is not a rating store; give the label of a sqlite_ratings or cassandra_ratings resource", o.label)
	}
	return store, nil
}

func (o *storeOutput) Connect(context.Context) error { return nil }

// WriteBatch returns nil once every event of the batch is durable. Events that
// can never be stored fail by themselves; the others of their batch are stored.
func (o *storeOutput) WriteBatch(ctx context.Context, batch service.MessageBatch) error {
	store, err := o.store()
	if err != nil {
		return err
	}
	changes, failed := decodeChanges(batch)
	if err := o.apply(ctx, store, changes); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	return nil
}

// apply waits out an outage of the store.
func (o *storeOutput) apply(ctx context.Context, store ratings.Store, changes ratings.Changes) error {
	policy := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	return backoff.RetryNotify(func() error {
		err := store.Apply(ctx, changes)
		if errors.Is(err, ratings.ErrClosed) {
			// Benthos closes resources before outputs. What is not stored stays
			// unacknowledged and comes again: an error now would make it a dead letter.
			<-ctx.Done()
			return backoff.Permanent(ctx.Err())
		}
		if err != nil && !errors.Is(err, ratings.ErrUnavailable) {
			return backoff.Permanent(err)
		}
		if err == nil {
			o.tellOver()
		}
		return err
	}, backoff.WithContext(policy, ctx), o.tell)
}

// tell logs why batches wait: once for all that do, and again every minute.
func (o *storeOutput) tell(err error, wait time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := time.Now(); now.Sub(o.told) >= tellAgain {
		o.told = now
		o.log.Warnf("Rating store %q is away, trying again in %s: %v", o.label, wait.Round(time.Millisecond), err)
	}
}

func (o *storeOutput) tellOver() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.told.IsZero() {
		o.told = time.Time{}
		o.log.Infof("Rating store %q takes ratings again", o.label)
	}
}

// anyTime lets every event time pass: rating_event has judged it already.
const anyTime = 100 * 365 * 24 * time.Hour

func decodeChanges(batch service.MessageBatch) (changes ratings.Changes, failed *service.BatchError) {
	rules := message.EventRules{KeepInvalidRatings: true, MaxFuture: anyTime}
	for i, msg := range batch {
		data, err := msg.AsBytes()
		var event message.Event
		if err == nil {
			event, err = rules.DecodeEvent("store_ratings", data)
		}
		if err != nil {
			if failed == nil {
				failed = service.NewBatchError(batch, err)
			}
			failed.Failed(i, err)
			continue
		}
		addChange(&changes, event)
		if origin := message.OriginFrom(msg.Context()); origin != nil {
			changes.Offsets = changes.Offsets.Advance(origin.Topic, origin.Partition, origin.Offset+1)
		}
	}
	return changes, failed
}

func addChange(changes *ratings.Changes, e message.Event) {
	switch e.Type {
	case message.Rate:
		changes.Ratings = append(changes.Ratings, ratings.Rating{User: e.User, Movie: e.Movie, Value: e.Value, Time: e.Time})
	case message.TagMovie:
		changes.Tags = append(changes.Tags, ratings.Tag{User: e.User, Movie: e.Movie, Tag: e.Tag, Time: e.Time})
	case message.ViewMovie:
		changes.Views = append(changes.Views, ratings.View{User: e.User, Movie: e.Movie, Time: e.Time})
	case message.Unrate:
		changes.Unrated = append(changes.Unrated, ratings.Unrated{User: e.User, Movie: e.Movie, Time: e.Time})
	case message.SetItem:
		changes.Items = append(changes.Items, *e.Item)
	case message.SetUser:
		changes.Profiles = append(changes.Profiles, *e.Profile)
	case message.ForgetUser:
		changes.Forgotten = append(changes.Forgotten, ratings.Forgotten{User: e.User, Time: e.Time})
	}
}

func (o *storeOutput) Close(context.Context) error { return nil }
