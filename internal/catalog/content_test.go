package catalog

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

func ids(items []ratings.Item) (all []int64) {
	for _, i := range items {
		all = append(all, i.ID)
	}
	return all
}

func threeMovies(t *testing.T) (c *Catalog, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "movies.csv")
	write(t, path, "movieId,title,genres\n1,One (1990),Drama\n2,Two (1995),Comedy\n3,Three (1995),Comedy\n")
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return c, path
}

func TestTheNewestItemHoldsInAnyOrderAndOverAReload(t *testing.T) {
	c, path := threeMovies(t)
	newest := ratings.Item{ID: 2, Title: "Due (1996)", Genres: []string{"War"}, Hidden: true, Time: 20, Added: 5}
	if err := c.Apply(ratings.Item{ID: 2, Title: "Zwei", Time: 10}, newest, ratings.Item{ID: 2, Title: "older", Time: 19}, ratings.Item{ID: 9, Title: "Nine (2001)", Time: 1, Added: 7}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if i, ok := c.Item(2); !ok || i.State() != newest.State() || !c.Hidden(2) || c.Hidden(1) || c.Year(2) != 1996 || c.Len() != 4 {
			t.Errorf("got %+v, %d movies", i, c.Len())
		}
		write(t, path, "movieId,title,genres\n1,Uno (1991),Drama\n2,Two (1995),Comedy\n3,Three (1995),Comedy\n")
		if err := c.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if movie, _ := c.Movie(1); movie.Title != "Uno (1991)" {
		t.Errorf("the source's own: %+v", movie)
	}
}

func TestHiddenMoviesAreInNoListAndComeBack(t *testing.T) {
	c, _ := threeMovies(t)
	if c.Keep(Filter{}) != nil {
		t.Error("a filter where there is nothing to filter")
	}
	_ = c.Apply(ratings.Item{ID: 2, Title: "Two (1995)", Genres: []string{"Comedy"}, Hidden: true, Time: 1})
	if keep := c.Keep(Filter{}); keep(2) || !keep(1) || !keep(77) {
		t.Error("hidden movies are kept, or others are not")
	}
	if keep := c.Keep(Filter{Genres: []string{"Comedy"}}); keep(2) || !keep(3) {
		t.Error("hidden movies of a genre are kept, or others are not")
	}
	_ = c.Apply(ratings.Item{ID: 2, Title: "Two (1995)", Time: 2})
	if c.Keep(Filter{}) != nil || c.Hidden(2) {
		t.Error("it stays hidden")
	}
}

func TestMoviesInTheOrderOfIDsAndOfAge(t *testing.T) {
	c, _ := threeMovies(t)
	_ = c.Apply(ratings.Item{ID: 9, Title: "Nine", Time: 3, Added: 100}, ratings.Item{ID: 1, Title: "One (1990)", Time: 3, Added: 200},
		ratings.Item{ID: 5, Title: "Five", Hidden: true, Time: 3, Added: 300})
	if got := ids(c.Page("", -1, 3)); !slices.Equal(got, []int64{1, 2, 3}) {
		t.Errorf("first page %v", got)
	}
	if got := ids(c.Page("", 3, 3)); !slices.Equal(got, []int64{5, 9}) {
		t.Errorf("last page %v", got)
	}
	if got := ids(c.Page("E (199", -1, 3)); !slices.Equal(got, []int64{1, 3}) {
		t.Errorf("found %v", got)
	}
	if got := ids(c.Latest(Filter{}, 0, 10)); !slices.Equal(got, []int64{1, 9, 3, 2}) {
		t.Errorf("latest %v", got)
	}
	if got := ids(c.Latest(Filter{Genres: []string{"comedy"}}, 1, 1)); !slices.Equal(got, []int64{2}) {
		t.Errorf("second comedy %v", got)
	}
}

// TestManyChangesAreAsOneByOne: over the bound at which recent changes join the
// others, and beside readers.
func TestManyChangesAreAsOneByOne(t *testing.T) {
	c, _ := threeMovies(t)
	var readers sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	readers.Go(func() {
		for ctx.Err() == nil {
			c.Keep(Filter{})
			c.JSON(7)
			c.Latest(Filter{}, 0, 5)
		}
	})
	for i := range int64(3 * maxRecent) {
		if err := c.Apply(ratings.Item{ID: i, Title: fmt.Sprint(i), Hidden: i%3 == 0, Time: 1, Added: i}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	readers.Wait()
	if c.Len() != 3*maxRecent || c.content.Load().hidden != maxRecent || len(c.Page("", -1, 1<<20)) != 3*maxRecent {
		t.Errorf("%d movies, %d hidden", c.Len(), c.content.Load().hidden)
	}
	if err := c.Reload(t.Context()); err != nil || c.Len() != 3*maxRecent || c.content.Load().hidden != maxRecent {
		t.Errorf("after a reload %d movies, %d hidden, %v", c.Len(), c.content.Load().hidden, err)
	}
}

func BenchmarkApplyToManyMovies(b *testing.B) {
	c := New(Files(""), nil)
	var all []ratings.Item
	for i := range int64(60_000) {
		all = append(all, ratings.Item{ID: i, Title: "A title of usual length (1999)", Time: 1})
	}
	_ = c.Apply(all...)
	b.ResetTimer()
	for i := range b.N {
		_ = c.Apply(ratings.Item{ID: int64(i % 60_000), Title: "Another", Time: int64(2 + i)})
	}
}
