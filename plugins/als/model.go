package als

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

const (
	modelFieldRegistry = "registry"
	modelFieldPoll     = "poll"
	modelFieldStore    = "store"
)

func modelSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("The live model: the registry's champion and its challengers, swapped while traffic flows.").
		Description(`
A resource for als_predict and model_load. It polls the registry's log of promotions, so that it learns of a new champion also while Kafka is away; model_load brings the news faster.
A version is verified and warmed before it serves; if that fails the version that serves goes on. Before there is a champion, als_predict waits.

A challenger serves its share of the users, chosen by a stable hash of user and challenger, so that nobody changes sides when another challenger comes or goes; with no share it predicts in shadow. A challenger that cannot be loaded is left out, and the champion goes on. A version that keeps a role is not loaded again.

It also keeps what is known of every user current between trainings: ratings, ratings that were taken back and erasures from the rating store at start, from the records that user_load follows, and from the ratings that als_predict sees. Users whom the model knows get a bias of now, all others factors too. A movie that it does not know is folded in once it was rated.

Read as a cache it gives the key version; it cannot be written.

Metrics: als_model_serves is 1 for the champion (label version), whose name begins with when it was made, and 0 for those before; als_model_promotion is the number of its promotion, als_model_swapped_seconds the Unix time of the last swap, als_model_created_seconds that of the end of the champion's training, and als_model_added_movies how many movies are folded in. als_model_ready is 1 once a version serves, als_model_swaps counts swaps by result (ok, or failed: a version that could not be loaded, each time it is tried), and als_kernel is 1 for the kernel in use (label kernel).`).
		Field(service.NewURLField(modelFieldRegistry).
			Description("The registry of versions: file:///path, file://relative/path, or s3://bucket/folder?region=REGION with credentials as AWS's tools take them.")).
		Field(service.NewDurationField(modelFieldPoll).
			Description("How often the log of promotions is looked at.").
			Default("2s").Advanced()).
		Field(service.NewStringField(modelFieldStore).
			Description("The label of the rating store from which the users' ratings are read: all at start, and one user's when somebody asks for a list for this user; empty to know what als_predict sees only.").
			Default("")).
		Example("The champion of a registry in a folder", "", `
cache_resources:
  - label: model
    als_model:
      registry: file://./recsys-data/registry
      store: rating_store
  - label: rating_store
    sqlite_ratings:
      path: ./recsys-data/ratings.db
`)
}

func init() {
	service.MustRegisterCache("als_model", modelSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.Cache, error) {
			return newModelCache(conf, mgr)
		})
}

// modelCache owns the follower that keeps the live model current.
type modelCache struct {
	follower *registry.Follower
	store    string
	poll     time.Duration
	mgr      *service.Resources
	log      *service.Logger
	learned  chan struct{} // closed once the store's ratings are known
	stop     context.CancelFunc
	stopped  chan struct{} // closed when the follower has stopped
	folded   chan struct{} // closed when foldInMovies has
}

func newModelCache(conf *service.ParsedConfig, mgr *service.Resources) (*modelCache, error) {
	url, err := conf.FieldString(modelFieldRegistry)
	if err != nil {
		return nil, err
	}
	versions, err := registry.Open(url)
	if err != nil {
		return nil, err
	}
	c := &modelCache{mgr: mgr, log: mgr.Logger(), learned: make(chan struct{}), stopped: make(chan struct{}), folded: make(chan struct{})}
	if c.poll, err = conf.FieldDuration(modelFieldPoll); err != nil {
		return nil, err
	}
	if c.poll <= 0 {
		return nil, fmt.Errorf("field %s: %s is not a positive duration", modelFieldPoll, c.poll)
	}
	if c.store, err = conf.FieldString(modelFieldStore); err != nil {
		return nil, err
	}
	if c.store != "" {
		if err := build(mgr, c.store); err != nil {
			return nil, err
		}
		if _, err := resource[ratings.Store](mgr, ratings.StoreKey{Label: c.store}, c.store, "a rating store"); err != nil {
			return nil, err
		}
	}
	metrics := newModelMetrics(mgr.Metrics())
	c.follower = &registry.Follower{Registry: versions, Live: model.NewLive(), OnFailure: metrics.fail, OnSwap: func(l *model.LineUp) {
		metrics.swap(l)
		c.log.Infof("Model version %s serves now (promotion %d)%s", l.Champion.Name, l.Sequence, beside(l))
	}}
	if c.store != "" {
		c.follower.Live.History = c.history
	}
	mgr.SetGeneric(model.LiveKey{Label: mgr.Label()}, c.follower.Live)
	mgr.SetGeneric(registry.FollowerKey{Label: mgr.Label()}, c.follower)
	mgr.SetGeneric(learnedKey{mgr.Label()}, c.learned)
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	go c.run(ctx)
	go c.foldInMovies(ctx)
	return c, nil
}

const (
	// movieFoldPeriod is how often movies are folded in that were rated since.
	movieFoldPeriod = 250 * time.Millisecond
	// movieFoldShare bounds what that takes of a processor: one part in so many.
	movieFoldShare = 5
)

// foldInMovies keeps up with movies that are rated and that the model does not know.
func (c *modelCache) foldInMovies(ctx context.Context) {
	defer close(c.folded)
	added := c.mgr.Metrics().NewGauge("als_model_added_movies")
	for {
		begun := time.Now()
		added.Set(int64(c.follower.Live.FoldInMovies()))
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(movieFoldPeriod, movieFoldShare*time.Since(begun))):
		}
	}
}

// learnedKey is the key of the channel that an als_model closes once it knows all
// ratings of its store.
type learnedKey struct{ label string }

// beside says in words which challengers a line-up has.
func beside(l *model.LineUp) string {
	var text strings.Builder
	for _, c := range l.Challengers {
		if c.Share > 0 {
			fmt.Fprintf(&text, "; %s is version %s, for %.4g %% of the users", c.Role, c.Name, 100*c.Share)
		} else {
			fmt.Fprintf(&text, "; %s is version %s, in shadow", c.Role, c.Name)
		}
	}
	return text.String()
}

// run keeps the model on the champion until ctx ends.
func (c *modelCache) run(ctx context.Context) {
	defer close(c.stopped)
	learned := c.store == ""
	if learned {
		close(c.learned)
	}
	var last string // the last complaint, said once
	ticker := time.NewTicker(c.poll)
	defer ticker.Stop()
	for {
		err := c.follower.Poll()
		if !learned {
			learning := c.learnHistories(ctx)
			if learned = learning == nil; learned {
				close(c.learned)
			}
			err = errors.Join(err, learning)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			last = ""
		case err.Error() != last:
			last = err.Error()
			c.log.Errorf("Following the registry: %v", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// learnHistories reads from the store who was forgotten, whom a model may know
// still, and all users' ratings.
func (c *modelCache) learnHistories(ctx context.Context) error {
	store, err := resource[ratings.Store](c.mgr, ratings.StoreKey{Label: c.store}, c.store, "a rating store")
	if err != nil {
		return err
	}
	forgotten, err := store.Forgotten(ctx)
	if err != nil {
		return fmt.Errorf("reading who was forgotten from %q: %w", c.store, err)
	}
	c.follower.Live.Users.Apply(ratings.Changes{Forgotten: forgotten})
	err = store.Scan(ctx, func(batch []ratings.Rating) error {
		for _, r := range batch {
			c.follower.Live.Users.Learn(r)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the users' ratings from %q: %w", c.store, err)
	}
	return nil
}

// history reads one user's ratings from the store.
func (c *modelCache) history(ctx context.Context, user int64) ([]ratings.Rating, error) {
	store, err := resource[ratings.Store](c.mgr, ratings.StoreKey{Label: c.store}, c.store, "a rating store")
	if err != nil {
		return nil, err
	}
	return store.History(ctx, user)
}

// Get gives the version that serves, under the key version.
func (c *modelCache) Get(_ context.Context, key string) ([]byte, error) {
	serving := c.follower.Live.LineUp()
	if key != "version" || serving == nil {
		return nil, service.ErrKeyNotFound
	}
	return json.Marshal(map[string]any{"version": serving.Champion.Name, "promotion": serving.Sequence})
}

var errModelReadOnly = errors.New("als_model cannot be written; promote a version in the registry")

func (c *modelCache) Set(context.Context, string, []byte, *time.Duration) error {
	return errModelReadOnly
}

func (c *modelCache) Add(context.Context, string, []byte, *time.Duration) error {
	return errModelReadOnly
}
func (c *modelCache) Delete(context.Context, string) error { return errModelReadOnly }

func (c *modelCache) Close(ctx context.Context) error {
	c.stop()
	for _, stopped := range []chan struct{}{c.stopped, c.folded} {
		select {
		case <-stopped:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
