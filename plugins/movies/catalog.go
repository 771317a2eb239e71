// Package movies holds the plugins that know the movies: the movie_catalog
// resource and the movie_enrich processor.
package movies

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/catalog"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const (
	catalogFieldSource = "source"
	catalogFieldStore  = "store"
	catalogFieldReload = "reload"
)

func catalogSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("The movies by id: titles and genres, held in memory.").
		Description(`A resource for movie_enrich and what answers with lists. Read as a cache, it gives a movie's title, genres, imdb_id and tmdb_id as JSON by its id; it cannot be written.

Over the movies of `+"`source`"+`, or of the store's own tables where there is no source, stand those that events of type item changed: the store has them, and movie_load brings what is new. Of two states of a movie the one with the newer event time holds. Movies that are hidden are in no list.`).
		Field(service.NewStringField(catalogFieldSource).
			Description("A MovieLens folder, archive (zip, gz) or movie file (movies.csv, movies.dat, u.item).").
			Default("").Example("./ml-latest-small")).
		Field(service.NewStringField(catalogFieldStore).
			Description("The label of a rating store, for the movies that events of type item entered; without `source` for all movies, which cassandra_ratings keeps in its tables movies and links. While it is away at the start, what needs movies waits.").
			Default("").Example("rating_store")).
		Field(service.NewDurationField(catalogFieldReload).
			Description("How often source and store are read again; 0s means never. If that fails the old content stays and the log says so.").
			Default("0s").Advanced()).
		LintRule(`root = if this.source.or("") == "" && this.store.or("") == "" { "give source, a MovieLens folder or file, or store, the label of a rating store with movies, or both" }`).
		Example("Titles from a MovieLens folder", "", `
cache_resources:
  - label: catalog
    movie_catalog:
      source: ./ml-latest-small
`).
		Example("Titles from Cassandra", "From the tables movies and links of the keyspace that also has the ratings, read again every ten minutes.", `
cache_resources:
  - label: rating_store
    cassandra_ratings:
      addresses: [127.0.0.1:9042]
      keyspace: recsys
  - label: catalog
    movie_catalog:
      store: rating_store
      reload: 10m
`)
}

func init() {
	service.MustRegisterCache("movie_catalog", catalogSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.Cache, error) {
			return newCatalogCache(conf, mgr)
		})
}

// catalogCache opens the catalog, keeps it current, and offers it as a cache.
type catalogCache struct {
	catalog *catalog.Catalog
	log     *service.Logger
	stop    context.CancelFunc
	stopped chan struct{}
}

func newCatalogCache(conf *service.ParsedConfig, mgr *service.Resources) (*catalogCache, error) {
	reload, err := conf.FieldDuration(catalogFieldReload)
	if err != nil {
		return nil, err
	}
	movies, err := openCatalog(conf, mgr)
	if err != nil {
		return nil, err
	}
	mgr.SetGeneric(catalog.Key{Label: mgr.Label()}, movies)
	ctx, stop := context.WithCancel(context.Background())
	c := &catalogCache{catalog: movies, log: mgr.Logger(), stop: stop, stopped: make(chan struct{})}
	go c.run(ctx, reload)
	return c, nil
}

func openCatalog(conf *service.ParsedConfig, mgr *service.Resources) (*catalog.Catalog, error) {
	path, err := conf.FieldString(catalogFieldSource)
	if err != nil {
		return nil, err
	}
	label, err := conf.FieldString(catalogFieldStore)
	if err != nil {
		return nil, err
	}
	switch {
	case path == "" && label == "":
		return nil, fmt.Errorf("give %s, a MovieLens folder or file, or %s, the label of a rating store with movies, or both", catalogFieldSource, catalogFieldStore)
	case label == "":
		return catalog.Open(path)
	}
	if err := mgr.AccessCache(context.Background(), label, func(service.Cache) {}); err != nil {
		return nil, fmt.Errorf("opening rating store %q: %w", label, err)
	}
	value, _ := mgr.GetGeneric(ratings.StoreKey{Label: label})
	items, _ := value.(catalog.Items)
	if path != "" {
		if items == nil {
			return nil, fmt.Errorf("resource %q is not a rating store that keeps movies", label)
		}
		// Now, so that a folder that is not there fails; the store is waited for.
		if _, err := catalog.Files(path).Movies(context.Background()); err != nil {
			return nil, fmt.Errorf("reading the movie catalog: %w", err)
		}
		return catalog.New(catalog.Files(path), items), nil
	}
	source, ok := value.(catalog.Source)
	if !ok {
		return nil, fmt.Errorf("resource %q has no movies of its own; give the label of a cassandra_ratings resource, or the field %s", label, catalogFieldSource)
	}
	return catalog.New(source, items), nil
}

// run reads the movies until there are some, and then every so often.
func (c *catalogCache) run(ctx context.Context, every time.Duration) {
	defer close(c.stopped)
	c.awaitFirst(ctx)
	if every <= 0 || ctx.Err() != nil {
		return
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := c.catalog.Reload(ctx); err != nil && ctx.Err() == nil {
				c.log.Errorf("The movie catalog stays as it was: %v", err)
			}
		}
	}
}

// awaitFirst reads a source that is not a file until it has been read once.
func (c *catalogCache) awaitFirst(ctx context.Context) {
	if c.catalog.Ready() {
		return
	}
	told := time.Time{}
	for wait := 100 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 5*time.Second) {
		err := c.catalog.Reload(ctx)
		if err == nil && c.catalog.Len() == 0 {
			c.log.Warn("The movie catalog is empty, so titles will be; fill its tables with `recsys-benthos load`")
			return
		}
		if err == nil {
			c.log.Infof("The movie catalog has %d movies", c.catalog.Len())
			return
		}
		if time.Since(told) > time.Minute && ctx.Err() == nil {
			told = time.Now()
			c.log.Errorf("There is no movie catalog yet: %v; trying again until there is", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

func (c *catalogCache) Get(ctx context.Context, key string) ([]byte, error) {
	if err := c.catalog.Wait(ctx); err != nil {
		return nil, err
	}
	id, err := strconv.ParseInt(key, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a movie id", key)
	}
	fields, known := c.catalog.JSON(id)
	if !known {
		return nil, service.ErrKeyNotFound
	}
	link := c.catalog.Link(id)
	object := append([]byte{'{'}, fields...)
	return fmt.Appendf(object, `,"imdb_id":%q,"tmdb_id":%d}`, link.IMDb, link.TMDb), nil
}

var errReadOnly = errors.New("a movie catalog cannot be written; change its source")

func (c *catalogCache) Set(context.Context, string, []byte, *time.Duration) error { return errReadOnly }

func (c *catalogCache) Add(context.Context, string, []byte, *time.Duration) error { return errReadOnly }

func (c *catalogCache) Delete(context.Context, string) error { return errReadOnly }

func (c *catalogCache) Close(ctx context.Context) error {
	c.stop()
	select {
	case <-c.stopped:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
