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
)

const (
	catalogFieldSource = "source"
	catalogFieldReload = "reload"
)

func catalogSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("The movies by id: titles and genres, held in memory.").
		Description("A resource for movie_enrich. Read as a cache, it gives a movie's title, genres, imdb_id and tmdb_id as JSON by its id; it cannot be written.").
		Field(service.NewStringField(catalogFieldSource).
			Description("A MovieLens folder, archive (zip, gz) or movie file (movies.csv, movies.dat, u.item).")).
		Field(service.NewDurationField(catalogFieldReload).
			Description("How often the source is read again; 0s means never. If that fails the old content stays and the log says so.").
			Default("0s").Advanced()).
		Example("Titles from a MovieLens folder", "", `
cache_resources:
  - label: catalog
    movie_catalog:
      source: ./ml-latest-small
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
	source, err := conf.FieldString(catalogFieldSource)
	if err != nil {
		return nil, err
	}
	reload, err := conf.FieldDuration(catalogFieldReload)
	if err != nil {
		return nil, err
	}
	movies, err := catalog.Open(source)
	if err != nil {
		return nil, err
	}
	mgr.SetGeneric(catalog.Key{Label: mgr.Label()}, movies)
	ctx, stop := context.WithCancel(context.Background())
	c := &catalogCache{catalog: movies, log: mgr.Logger(), stop: stop, stopped: make(chan struct{})}
	go c.reload(ctx, reload)
	return c, nil
}

func (c *catalogCache) reload(ctx context.Context, every time.Duration) {
	defer close(c.stopped)
	if every <= 0 {
		return
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := c.catalog.Reload(); err != nil {
				c.log.Errorf("The movie catalog stays as it was: %v", err)
			}
		}
	}
}

func (c *catalogCache) Get(_ context.Context, key string) ([]byte, error) {
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
