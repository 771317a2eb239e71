// Package catalog knows the movies by id: titles, genres, and their ids elsewhere.
package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Catalog finds movies by id. It is safe for concurrent use; Reload swaps its
// content as a whole.
type Catalog struct {
	source Source
	movies atomic.Pointer[map[int64]*entry]
	ready  chan struct{} // closed when there is content
	once   sync.Once
}

type entry struct {
	json  []byte // `"title":"…","genres":["…"]`
	movie ratings.Movie
	year  int // 0 where the title has none
	link  ratings.Link
}

// Source is where movies and their links come from. A rating store that keeps
// movies too is one.
type Source interface {
	Movies(ctx context.Context) ([]ratings.Movie, error)
	Links(ctx context.Context) ([]ratings.Link, error)
}

// Open reads the movies at path: a MovieLens folder, archive or movie file.
func Open(path string) (*Catalog, error) {
	c := New(files(path))
	return c, c.Reload(context.Background())
}

// New returns a catalog without content: until Reload has succeeded once, Wait
// does not return.
func New(source Source) *Catalog {
	c := &Catalog{source: source, ready: make(chan struct{})}
	c.movies.Store(&map[int64]*entry{})
	return c
}

// Ready says whether the catalog has content.
func (c *Catalog) Ready() bool {
	select {
	case <-c.ready:
		return true
	default:
		return false
	}
}

// Wait returns when the catalog has content, or when ctx ends.
func (c *Catalog) Wait(ctx context.Context) error {
	if c.Ready() {
		return nil
	}
	select {
	case <-c.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Reload reads the source again. If that fails the old content stays.
func (c *Catalog) Reload(ctx context.Context) error {
	movies, err := c.source.Movies(ctx)
	if err != nil {
		return fmt.Errorf("reading the movie catalog: %w", err)
	}
	links, err := c.source.Links(ctx)
	if err != nil {
		return fmt.Errorf("reading the movie catalog: %w", err)
	}
	linked := make(map[int64]ratings.Link, len(links))
	for _, link := range links {
		linked[link.Movie] = link
	}
	entries := make(map[int64]*entry, len(movies))
	for _, movie := range movies {
		fragment, err := fragment(movie)
		if err != nil {
			return fmt.Errorf("reading the movie catalog: movie %d: %w", movie.ID, err)
		}
		entries[movie.ID] = &entry{fragment, movie, yearOf(movie.Title), linked[movie.ID]}
	}
	c.movies.Store(&entries)
	c.once.Do(func() { close(c.ready) })
	return nil
}

// files is a MovieLens folder, archive or movie file.
type files string

func (f files) Movies(context.Context) ([]ratings.Movie, error) { return ratings.ReadMovies(string(f)) }

func (f files) Links(context.Context) ([]ratings.Link, error) { return readLinks(string(f)) }

// readLinks reads the links beside the movies; there may be none.
func readLinks(source string) ([]ratings.Link, error) {
	if !ratings.IsCollection(source) {
		return nil, nil
	}
	links, err := ratings.ReadLinks(source)
	if errors.Is(err, ratings.ErrNoFile) {
		return nil, nil
	}
	return links, err
}

// Len returns the number of movies.
func (c *Catalog) Len() int { return len(*c.movies.Load()) }

// Movie returns the movie with the given id.
func (c *Catalog) Movie(id int64) (ratings.Movie, bool) {
	if e, ok := (*c.movies.Load())[id]; ok {
		return e.movie, true
	}
	return ratings.Movie{}, false
}

// Link returns a movie's ids in other catalogs, empty where they are not known.
func (c *Catalog) Link(id int64) ratings.Link {
	if e, ok := (*c.movies.Load())[id]; ok {
		return e.link
	}
	return ratings.Link{}
}

// unknown is what a movie that is not in the catalog is enriched with.
var unknown = []byte(`"title":"","genres":[]`)

// JSON returns the title and genres of a movie as two fields of a JSON object,
// without braces; for an unknown movie the title is empty and there are no
// genres. The bytes must not be changed.
func (c *Catalog) JSON(id int64) (fields []byte, known bool) {
	e, ok := (*c.movies.Load())[id]
	if !ok {
		return unknown, false
	}
	return e.json, true
}

func fragment(movie ratings.Movie) ([]byte, error) {
	genres := movie.Genres
	if genres == nil {
		genres = []string{}
	}
	object, err := json.Marshal(struct {
		Title  string   `json:"title"`
		Genres []string `json:"genres"`
	}{movie.Title, genres})
	if err != nil {
		return nil, err
	}
	return object[1 : len(object)-1], nil
}

// Key is the key of a *Catalog among the generic values of a Benthos resource
// manager; Label is the label of the resource.
type Key struct{ Label string }
