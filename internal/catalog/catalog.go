// Package catalog knows the movies by id: titles, genres, and their ids elsewhere.
package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Catalog finds movies by id. It is safe for concurrent use; Reload swaps its
// content as a whole.
type Catalog struct {
	source string
	movies atomic.Pointer[map[int64]entry]
}

type entry struct {
	movie ratings.Movie
	link  ratings.Link
	json  []byte // `"title":"…","genres":["…"]`
}

// Open reads the movies at source: a MovieLens folder, archive or movie file.
func Open(source string) (*Catalog, error) {
	c := &Catalog{source: source}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the source again. If that fails the old content stays.
func (c *Catalog) Reload() error {
	movies, err := ratings.ReadMovies(c.source)
	if err != nil {
		return fmt.Errorf("reading the movie catalog: %w", err)
	}
	links, err := readLinks(c.source)
	if err != nil {
		return fmt.Errorf("reading the movie catalog: %w", err)
	}
	linked := make(map[int64]ratings.Link, len(links))
	for _, link := range links {
		linked[link.Movie] = link
	}
	entries := make(map[int64]entry, len(movies))
	for _, movie := range movies {
		fragment, err := fragment(movie)
		if err != nil {
			return fmt.Errorf("reading the movie catalog: movie %d: %w", movie.ID, err)
		}
		entries[movie.ID] = entry{movie, linked[movie.ID], fragment}
	}
	c.movies.Store(&entries)
	return nil
}

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
	e, ok := (*c.movies.Load())[id]
	return e.movie, ok
}

// Link returns a movie's ids in other catalogs, empty where they are not known.
func (c *Catalog) Link(id int64) ratings.Link { return (*c.movies.Load())[id].link }

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
