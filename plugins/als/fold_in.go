package als

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const foldInFieldStore = "store"

const (
	metaKey         = "kafka_key"
	metaTombstone   = "kafka_tombstone"
	metaErasedUntil = "erased_until" // of a tombstone, which has no room of its own for it
	metaSkip        = "recsys_skip"  // why a message becomes no record
)

func foldInSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("Turns events into the records by which all processes know the users' newest ratings.").
		Description(`
Of each user in a batch the last rate, unrate or forget_user event becomes the user's record for the compacted topic user_factors, with the user's id as the metadata kafka_key:

`+"```json"+`
{"user_id": 514, "topic": "events", "partition": 2, "offset": 1234, "history": [[318, 4.5, 1533873124000]], "cut": 0, "model_version": "20260102-150405-9f86d0", "bias": 0.21, "factors": [0.1, …]}
`+"```"+`

history has the newest 2,000 ratings as movie, rating and time, and cut is how many older ones are known. unrated has the movies whose ratings were taken back, and erased_until the time up to which the user was erased. Bias and factors are those that training's own step for users gives with the movies of the champion, a cache for other consumers: processes of this project solve the history themselves, for whichever version they serve, so they wait for no model and never mix two. Somebody who was erased and did nothing since becomes a tombstone, whose header erased_until says when.

All other events of the batch, and what is no event, which the pipeline ingest reports, have the metadata recsys_skip: have the output leave them out by skip_metadata.

A user who is seen for the first time since the start is read from the rating store, and what the process remembers is merged with it; while the store is away the batch waits.`).
		Field(modelField()).
		Field(service.NewStringField(foldInFieldStore).
			Description("The label of the rating store resource in which the ratings are that came before; empty for none.").
			Default("rating_store")).
		Example("Write what users did to the topic that processes follow", "Events have the user's id as key, so that one user's come in order.", `
input:
  kafka_franz:
    seed_brokers: [127.0.0.1:9092]
    topics: [events]
    consumer_group: fold_in
pipeline:
  processors:
    - als_fold_in:
        model: model
        store: rating_store
output:
  kafka_franz:
    seed_brokers: [127.0.0.1:9092]
    topic: user_factors
    key: ${! @kafka_key }
    metadata: {include_patterns: [ "^erased_until$" ]}
    skip_metadata: recsys_skip

cache_resources:
  - label: model
    als_model:
      registry: file://./recsys-data/registry
  - label: rating_store
    sqlite_ratings:
      path: ./recsys-data/ratings.db
`)
}

func init() {
	service.MustRegisterBatchProcessor("als_fold_in", foldInSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchProcessor, error) {
			return newFoldIn(conf, mgr)
		})
}

type foldIn struct {
	label string
	store string // label, or empty
	mgr   *service.Resources
	users *service.MetricCounter
	cut   *service.MetricCounter
	now   func() time.Time

	forgotten atomic.Bool // it is known who was before the start
	mu        sync.Mutex
	told      time.Time // when an outage of the store was told last
}

func newFoldIn(conf *service.ParsedConfig, mgr *service.Resources) (*foldIn, error) {
	f := &foldIn{
		mgr: mgr, now: time.Now,
		users: mgr.Metrics().NewCounter("als_fold_in_users"), cut: mgr.Metrics().NewCounter("als_fold_in_cut"),
	}
	var err error
	if f.label, err = conf.FieldString(fieldModel); err != nil {
		return nil, err
	}
	if f.store, err = conf.FieldString(foldInFieldStore); err != nil {
		return nil, err
	}
	if err := build(mgr, f.label); err != nil {
		return nil, err
	}
	if _, err := f.live(); err != nil || f.store == "" {
		return f, err
	}
	if err := build(mgr, f.store); err != nil {
		return nil, err
	}
	_, err = f.ratings()
	return f, err
}

func (f *foldIn) live() (*model.Live, error) {
	return resource[*model.Live](f.mgr, model.LiveKey{Label: f.label}, f.label, "an als_model")
}

func (f *foldIn) ratings() (ratings.Store, error) {
	return resource[ratings.Store](f.mgr, ratings.StoreKey{Label: f.store}, f.store, "a rating store")
}

// folding is what the events of one batch do.
type folding struct {
	changes ratings.Changes
	users   []int64       // in the order of their first events
	last    map[int64]int // place of the user's last event in the batch
}

// ProcessBatch takes in a whole batch before it makes records, so that a record has
// all of its user's events.
func (f *foldIn) ProcessBatch(ctx context.Context, batch service.MessageBatch) ([]service.MessageBatch, error) {
	live, err := f.live()
	if err != nil {
		return nil, err
	}
	all := f.decode(batch)
	if err := f.read(ctx, live.Users, all.users); err != nil {
		return nil, err
	}
	live.Users.Apply(all.changes)
	version := live.Current()
	for _, user := range all.users {
		f.write(batch[all.last[user]], live.Users, version, user)
	}
	f.users.Incr(int64(len(all.users)))
	return []service.MessageBatch{batch}, nil
}

// decode reads the events, and marks those that become no record.
func (f *foldIn) decode(batch service.MessageBatch) folding {
	all := folding{last: map[int64]int{}}
	rules := message.EventRules{Now: f.now, MaxFuture: maxFuture}
	for i, msg := range batch {
		if msg.GetError() != nil {
			continue
		}
		data, err := msg.AsBytes()
		var event message.Event
		if err == nil {
			event, err = rules.DecodeEvent("als_fold_in", data)
		}
		if err != nil {
			msg.MetaSetMut(metaSkip, "no event")
			continue
		}
		switch event.Type {
		case message.Rate:
			all.changes.Ratings = append(all.changes.Ratings, ratings.Rating{User: event.User, Movie: event.Movie, Value: event.Value, Time: event.Time})
		case message.Unrate:
			all.changes.Unrated = append(all.changes.Unrated, ratings.Unrated{User: event.User, Movie: event.Movie, Time: event.Time})
		case message.ForgetUser:
			all.changes.Forgotten = append(all.changes.Forgotten, ratings.Forgotten{User: event.User, Time: event.Time})
		default:
			msg.MetaSetMut(metaSkip, "no rating")
			continue
		}
		if before, again := all.last[event.User]; again {
			batch[before].MetaSetMut(metaSkip, "a later event of the batch has it")
		} else {
			all.users = append(all.users, event.User)
		}
		all.last[event.User] = i
	}
	return all
}

// readers bounds the users who are read from the store at the same time.
const readers = 16

// read brings users who are seen for the first time from the store.
func (f *foldIn) read(ctx context.Context, users *model.Users, seen []int64) error {
	if f.store == "" {
		return nil
	}
	if !f.forgotten.Load() {
		if err := f.waitOut(ctx, func(store ratings.Store) error {
			forgotten, err := store.Forgotten(ctx)
			users.Apply(ratings.Changes{Forgotten: forgotten})
			return err
		}); err != nil {
			return err
		}
		f.forgotten.Store(true)
	}
	var group sync.WaitGroup
	slots := make(chan struct{}, readers)
	errs := make([]error, len(seen))
	for k, user := range seen {
		if users.Known(user) {
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			errs[k] = f.waitOut(ctx, func(store ratings.Store) error {
				history, err := store.History(ctx, user)
				if err == nil {
					users.Merge(model.Remembered{User: user, Ratings: history}, f.now().UnixMilli())
				}
				return err
			})
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// waitOut does something with the store, again until it succeeds or ctx ends: that
// ratings cannot be read is never a reason to lose an event.
func (f *foldIn) waitOut(ctx context.Context, do func(ratings.Store) error) error {
	policy := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	return backoff.RetryNotify(func() error {
		store, err := f.ratings()
		if err != nil {
			return err
		}
		err = do(store)
		if errors.Is(err, ratings.ErrClosed) { // Benthos closes resources before pipelines
			<-ctx.Done()
		}
		if ctx.Err() != nil {
			return backoff.Permanent(ctx.Err())
		}
		return err
	}, backoff.WithContext(policy, ctx), f.tell)
}

// tell logs why batches wait: once for all that do, and again every minute.
func (f *foldIn) tell(err error, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); now.Sub(f.told) >= time.Minute {
		f.told = now
		f.mgr.Logger().Warnf("Users' ratings cannot be read from %q, trying again in %s: %v", f.store, wait.Round(time.Millisecond), err)
	}
}

// write makes a message the user's record.
func (f *foldIn) write(msg *service.Message, users *model.Users, version *model.Version, user int64) {
	known := users.Remember(user)
	msg.MetaSetMut(metaKey, strconv.FormatInt(user, 10))
	if known.Erased {
		msg.MetaSetMut(metaErasedUntil, strconv.FormatInt(known.Until, 10))
		if len(known.Ratings)+len(known.Unrated) == 0 {
			msg.MetaSetMut(metaTombstone, "true")
			msg.SetBytes(nil)
			return
		}
	}
	record := message.UserFactors{User: user, Cut: known.Trim(), Erased: known.Erased, ErasedUntil: known.Until}
	f.cut.Incr(int64(record.Cut))
	if origin := message.OriginFrom(msg.Context()); origin != nil {
		record.Topic, record.Partition, record.Offset = origin.Topic, origin.Partition, origin.Offset
	}
	for _, r := range known.Ratings {
		record.History = append(record.History, message.UserRating{Movie: r.Movie, Value: r.Value, Time: r.Time})
	}
	for _, r := range known.Unrated {
		record.Unrated = append(record.Unrated, message.UserUnrated{Movie: r.Movie, Time: r.Time})
	}
	if version != nil {
		if factors, bias, ok := users.AppendFactors(nil, version.Model, user); ok {
			record.ModelVersion, record.Factors, record.Bias = version.Name, factors, bias
		}
	}
	msg.SetBytes(record.AppendJSON(make([]byte, 0, 128+32*len(record.History)+12*len(record.Factors))))
}

func (f *foldIn) Close(context.Context) error { return nil }
