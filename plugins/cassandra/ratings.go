package cassandra

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const (
	fieldMaxInFlight     = "max_in_flight"
	fieldScanSplits      = "scan_splits"
	fieldScanConcurrency = "scan_concurrency"
	fieldPageSize        = "page_size"
)

var errNotKeyValue = errors.New("cassandra_ratings is a rating store, not a key-value cache: write ratings with the output store_ratings")

func ratingsSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("A rating store in Cassandra: the newest rating of every user and movie.").
		Description(`Used by label: `+"`store_ratings`"+` writes it, `+"`als_train`"+` reads it. The newest rating by event time wins, whatever the order in
which ratings arrive, and the greater value wins at equal time: every write carries its event time as its time of writing. A write is acknowledged by
`+"`consistency`"+` replicas before it counts as done.

The tables are those of config/schema.cql, which `+"`recsys-benthos setup`"+` creates. When the store connects it compares them, and tells what differs
with the statement that mends it. Until the servers are in reach, the keyspace is there and the tables fit, the store is unavailable: what writes to it
waits, and the log says once a minute what was tried and why it failed.

A rating taken back and a user forgotten are tombstones, which hold for older events that arrive later. Cassandra drops them after gc_grace_seconds (30
days in schema.cql): do not replay events that are older than that, and keep the retention of the events topic below it.

As a cache it can be read only: the keys `+"`revision`, `ratings`, `users` and `movies`"+` give counts as text; all but the revision scan the table. The
revision grows by at least one for every rating written or taken back; a rating that is written again counts again, a forgotten user counts as one.`).
		Fields(connectionFields(service.NewStringField(fieldKeyspace).
			Description("The keyspace of the tables.").
			Default("recsys"))...).
		Fields(
			service.NewIntField(fieldMaxInFlight).
				Description("How many writes are under way at the same time; each holds rows of one user.").
				Default(256).Advanced(),
			service.NewIntField(fieldScanSplits).
				Description("Into how many token ranges a scan is cut, at least.").
				Default(32).Advanced(),
			service.NewIntField(fieldScanConcurrency).
				Description("How many token ranges are read at the same time.").
				Default(4).Advanced(),
			service.NewIntField(fieldPageSize).
				Description("How many rows are read at a time.").
				Default(10000).Advanced(),
		).
		Example("Ratings from Kafka into Cassandra",
			"Stores what rating_event has checked. The keyspace and its tables come from `recsys-benthos setup`.", `
input:
  kafka_franz:
    seed_brokers: ["${KAFKA_BROKERS:127.0.0.1:9092}"]
    topics: [events]
    consumer_group: ingest

pipeline:
  processors:
    - rating_event: {}

output:
  store_ratings:
    store: rating_store

cache_resources:
  - label: rating_store
    cassandra_ratings:
      addresses: ["${CASSANDRA_ADDRESSES:127.0.0.1:9042}"]
      keyspace: recsys
      consistency: LOCAL_QUORUM
      host_selection_policy:
        local_dc: datacenter1
      password_authenticator:
        enabled: true
        username: recsys
        password: ${CASSANDRA_PASSWORD:}
`)
}

func init() {
	service.MustRegisterCache("cassandra_ratings", ratingsSpec(), newRatingsCache)
}

// ParseSettings reads the fields of a cassandra_ratings resource, as they stand
// in a profile, for commands that work on the same cluster.
func ParseSettings(yaml string) (Settings, StoreOptions, error) {
	conf, err := ratingsSpec().ParseYAML(yaml, nil)
	if err != nil {
		return Settings{}, StoreOptions{}, fmt.Errorf("reading the settings of cassandra_ratings: %w", err)
	}
	return parseRatings(conf)
}

func parseRatings(conf *service.ParsedConfig) (s Settings, o StoreOptions, err error) {
	if s, err = parseSettings(conf); err != nil {
		return s, o, err
	}
	if s.Keyspace == "" {
		return s, o, fmt.Errorf("field %s is empty; give the keyspace of the tables", fieldKeyspace)
	}
	for _, field := range []struct {
		name string
		to   *int
	}{
		{fieldMaxInFlight, &o.MaxInFlight},
		{fieldScanSplits, &o.ScanSplits},
		{fieldScanConcurrency, &o.ScanConcurrency},
		{fieldPageSize, &o.PageSize},
	} {
		if *field.to, err = positive(conf, field.name); err != nil {
			return s, o, err
		}
	}
	return s, o, nil
}

func positive(conf *service.ParsedConfig, name string) (int, error) {
	n, err := conf.FieldInt(name)
	if err == nil && n < 1 {
		err = fmt.Errorf("field %s is %d; it must be at least 1", name, n)
	}
	return n, err
}

// ratingsCache is the store as Benthos sees it: a resource with a label and a
// life. Pipelines take the store itself from the generic values.
type ratingsCache struct {
	store *Store
}

func newRatingsCache(conf *service.ParsedConfig, mgr *service.Resources) (service.Cache, error) {
	settings, options, err := parseRatings(conf)
	if err != nil {
		return nil, err
	}
	store := NewStore(settings, options, mgr.Logger())
	mgr.SetGeneric(ratings.StoreKey{Label: mgr.Label()}, ratings.Store(store))
	return &ratingsCache{store: store}, nil
}

func (c *ratingsCache) Get(ctx context.Context, key string) ([]byte, error) {
	var n int64
	var err error
	ok := key == "revision"
	if ok {
		n, err = c.store.Revision(ctx)
	} else {
		n, ok, err = c.store.Count(ctx, key)
	}
	switch {
	case err != nil:
		return nil, err
	case !ok:
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

func (c *ratingsCache) Close(ctx context.Context) error {
	return c.store.Close(ctx)
}
