package sqlite

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const fieldPath = "path"

var errNotKeyValue = errors.New("sqlite_ratings is a rating store, not a key-value cache: write ratings with the output store_ratings")

func ratingsSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommender").
		Summary("A rating store in one SQLite file: the newest rating of every user and movie.").
		Description(`Used by label: `+"`store_ratings`"+` writes it, `+"`als_train`"+` reads it. The newest rating by event time wins, whatever the order in
which ratings arrive, and the greater value wins at equal time. A write is on disk before it is acknowledged.

Any SQL tool can read the file while pipelines run. Its tables are ratings(user_id, movie_id, rating, timestamp), tags(user_id, movie_id, tag,
timestamp), views(user_id, movie_id, timestamp), movies(movie_id, title, genres, hidden, timestamp, state), what was entered of movies, users(user_id, timestamp, state), of users, event_offsets(topic, partition, next), up to where topics of events were taken in, and the tombstones unrated(user_id, movie_id, timestamp) and forgotten(user_id, timestamp).
Timestamps are event time in Unix milliseconds.

As a cache it can be read only: the keys `+"`revision`, `ratings`, `users` and `movies`"+` give counts as text. The revision grows by one for
every rating that is new, newer or taken back.`).
		Field(service.NewStringField(fieldPath).
			Description("The SQLite file. It is created with its folder where it is missing.").
			Example("recsys-data/ratings.db")).
		Example("Ask a store how much it knows",
			"Answers each message with the number of ratings in the store.", `
input:
  stdin: {}

pipeline:
  processors:
    - cache:
        resource: rating_store
        operator: get
        key: ratings

output:
  stdout: {}

cache_resources:
  - label: rating_store
    sqlite_ratings:
      path: recsys-data/ratings.db
`)
}

func init() {
	service.MustRegisterCache("sqlite_ratings", ratingsSpec(), newRatingsCache)
}

// ratingsCache is the store as Benthos sees it: a resource with a label and a
// life. Pipelines take the store itself from the generic values.
type ratingsCache struct {
	store *Store
}

func newRatingsCache(conf *service.ParsedConfig, mgr *service.Resources) (service.Cache, error) {
	path, err := conf.FieldString(fieldPath)
	if err != nil {
		return nil, err
	}
	store, err := OpenStore(context.Background(), path)
	if err != nil {
		return nil, err
	}
	mgr.SetGeneric(ratings.StoreKey{Label: mgr.Label()}, ratings.Store(store))
	return &ratingsCache{store: store}, nil
}

func (c *ratingsCache) Get(ctx context.Context, key string) ([]byte, error) {
	n, ok, err := c.store.Count(ctx, key)
	if key == "revision" {
		ok = true
		n, err = c.store.Revision(ctx)
	}
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, service.ErrKeyNotFound
	}
	return strconv.AppendInt(nil, n, 10), nil
}

func (c *ratingsCache) Set(context.Context, string, []byte, *time.Duration) error {
	return errNotKeyValue
}

func (c *ratingsCache) Add(context.Context, string, []byte, *time.Duration) error {
	return errNotKeyValue
}

func (c *ratingsCache) Delete(context.Context, string) error {
	return errNotKeyValue
}

func (c *ratingsCache) Close(context.Context) error {
	return c.store.Close()
}
