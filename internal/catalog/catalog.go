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

// Catalog finds movies by id: those of its source, and over them the items that
// came since. It is safe for concurrent use; Reload and Apply swap its content.
type Catalog struct {
	source  Source
	items   Items // nil without
	content atomic.Pointer[content]
	ready   chan struct{} // closed when there is content
	once    sync.Once

	mu   sync.Mutex              // of those who swap
	news map[int64]*ratings.Item // the newest known of each movie
}

type entry struct {
	json  []byte // `"title":"…","genres":["…"]`
	movie ratings.Movie
	year  int // 0 where the title has none
	link  ratings.Link
	item  *ratings.Item // what was entered of it, nil for the source's own
}

// Source is where movies and their links come from. A rating store that keeps
// movies too is one.
type Source interface {
	Movies(ctx context.Context) ([]ratings.Movie, error)
	Links(ctx context.Context) ([]ratings.Link, error)
}

// Items is where what was entered of movies comes from beside Apply.
type Items interface {
	Items(ctx context.Context) ([]ratings.Item, error)
}

// Open reads the movies at path: a MovieLens folder, archive or movie file.
func Open(path string) (*Catalog, error) {
	c := New(files(path), nil)
	return c, c.Reload(context.Background())
}

// Files is a Source: a MovieLens folder, archive or movie file.
func Files(path string) Source { return files(path) }

// New returns a catalog without content: until Reload has succeeded once, Wait
// does not return. items may be nil.
func New(source Source, items Items) *Catalog {
	c := &Catalog{source: source, items: items, ready: make(chan struct{}), news: map[int64]*ratings.Item{}}
	c.content.Store(&content{})
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

// Reload reads the source again, and keeps what was applied since. If it fails the
// old content stays.
func (c *Catalog) Reload(ctx context.Context) error {
	movies, err := c.source.Movies(ctx)
	if err != nil {
		return fmt.Errorf("reading the movie catalog: %w", err)
	}
	links, err := c.source.Links(ctx)
	if err != nil {
		return fmt.Errorf("reading the movie catalog: %w", err)
	}
	var items []ratings.Item
	if c.items != nil {
		if items, err = c.items.Items(ctx); err != nil {
			return fmt.Errorf("reading what was entered of movies: %w", err)
		}
	}
	linked := make(map[int64]ratings.Link, len(links))
	for _, link := range links {
		linked[link.Movie] = link
	}
	entries := make(map[int64]*entry, len(movies))
	for _, movie := range movies {
		if entries[movie.ID], err = newEntry(movie, linked[movie.ID]); err != nil {
			return fmt.Errorf("reading the movie catalog: movie %d: %w", movie.ID, err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.learn(items)
	hidden := 0
	for id, item := range c.news {
		if entries[id], err = itemEntry(item); err != nil {
			return fmt.Errorf("reading the movie catalog: movie %d: %w", id, err)
		}
		if item.Hidden {
			hidden++
		}
	}
	c.content.Store(&content{base: entries, hidden: hidden, n: len(entries)})
	c.once.Do(func() { close(c.ready) })
	return nil
}

func newEntry(movie ratings.Movie, link ratings.Link) (*entry, error) {
	fields, err := fragment(movie)
	return &entry{json: fields, movie: movie, year: yearOf(movie.Title), link: link}, err
}

func itemEntry(item *ratings.Item) (*entry, error) {
	e, err := newEntry(ratings.Movie{ID: item.ID, Title: item.Title, Genres: item.Genres}, ratings.Link{Movie: item.ID, IMDb: item.IMDb, TMDb: item.TMDb})
	e.item = item
	return e, err
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
func (c *Catalog) Len() int { return c.content.Load().n }

// Movie returns the movie with the given id.
func (c *Catalog) Movie(id int64) (ratings.Movie, bool) {
	if e := c.content.Load().find(id); e != nil {
		return e.movie, true
	}
	return ratings.Movie{}, false
}

// Link returns a movie's ids in other catalogs, empty where they are not known.
func (c *Catalog) Link(id int64) ratings.Link {
	if e := c.content.Load().find(id); e != nil {
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
	e := c.content.Load().find(id)
	if e == nil {
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
