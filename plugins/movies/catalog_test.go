package movies

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/catalog"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// movieStore is a rating store that keeps movies too, and may be away.
type movieStore struct {
	ratings.Store
	mu     sync.Mutex
	away   bool
	movies []ratings.Movie
	reads  int
}

func (s *movieStore) Movies(context.Context) ([]ratings.Movie, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.away {
		return nil, errors.New("nobody is there")
	}
	return s.movies, nil
}

func (s *movieStore) Links(context.Context) ([]ratings.Link, error) {
	return []ratings.Link{{Movie: 1, IMDb: "0114709", TMDb: 862}}, nil
}

func (s *movieStore) set(away bool, titles ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away, s.movies = away, nil
	for i, title := range titles {
		s.movies = append(s.movies, ratings.Movie{ID: int64(i + 1), Title: title, Genres: []string{"Drama"}})
	}
}

var _ catalog.Source = (*movieStore)(nil)

// openCatalogOf returns the resource of a movie_catalog with the given fields,
// beside a rating store.
func openCatalogOf(t *testing.T, store ratings.Store, yaml string) (*catalogCache, *service.Resources, error) {
	t.Helper()
	resources := service.MockResources(service.MockResourcesOptAddCache("rating_store"))
	resources.SetGeneric(ratings.StoreKey{Label: "rating_store"}, store)
	conf, err := catalogSpec().ParseYAML(yaml, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCatalogCache(conf, resources)
	if err == nil {
		t.Cleanup(func() { c.Close(context.Background()) })
	}
	return c, resources, err
}

func TestTitlesWaitForAStoreThatIsAway(t *testing.T) {
	store := &movieStore{away: true}
	c, _, err := openCatalogOf(t, store, "store: rating_store\n")
	if err != nil {
		t.Fatal(err)
	}
	waiting, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if value, err := c.Get(waiting, "1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("without movies: %s, %v", value, err)
	}
	store.set(false, "Toy Story (1995)")
	value, err := c.Get(t.Context(), "1")
	if err != nil || !strings.Contains(string(value), "Toy Story (1995)") || !strings.Contains(string(value), `"tmdb_id":862`) {
		t.Errorf("%s, %v", value, err)
	}
}

func TestACatalogFromAStoreIsReadAgain(t *testing.T) {
	store := &movieStore{}
	store.set(false, "Toy Story (1995)")
	c, _, err := openCatalogOf(t, store, "store: rating_store\nreload: 10ms\n")
	if err != nil {
		t.Fatal(err)
	}
	title := func() string {
		value, err := c.Get(t.Context(), "1")
		if err != nil {
			t.Fatal(err)
		}
		return string(value)
	}
	has := func(text string) func() bool { return func() bool { return strings.Contains(title(), text) } }
	until(t, has("Toy Story"))
	store.set(false, "Jumanji (1995)")
	until(t, has("Jumanji"))
	store.set(true)
	store.mu.Lock()
	reads := store.reads
	store.mu.Unlock()
	until(t, func() bool {
		store.mu.Lock()
		defer store.mu.Unlock()
		return store.reads > reads+1
	})
	if !has("Jumanji")() {
		t.Errorf("while the store is away: %s", title())
	}
}

func until(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

func TestAStoreWithoutMoviesIsRefused(t *testing.T) {
	_, _, err := openCatalogOf(t, recsystest.NewMemoryStore(), "store: rating_store\n")
	if err == nil || !strings.Contains(err.Error(), `resource "rating_store" has no movies of its own; give the label of a cassandra_ratings resource`) {
		t.Errorf("error is %v", err)
	}
}

func TestEnteredMoviesStandOverTheSource(t *testing.T) {
	store := recsystest.NewMemoryStore()
	if err := store.Apply(t.Context(), ratings.Changes{Items: []ratings.Item{{ID: 9, Title: "Nine (2009)", Time: 1}}}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "movies.csv")
	if err := os.WriteFile(path, []byte("movieId,title,genres\n1,One (1990),Drama\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c, _, err := openCatalogOf(t, store, "store: rating_store\nsource: "+path+"\n")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.catalog.Wait(t.Context()); err != nil || c.catalog.Len() != 2 {
		t.Errorf("%d movies, %v", c.catalog.Len(), err)
	}
	if _, _, err := openCatalogOf(t, store, "store: rating_store\nsource: /nowhere\n"); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("error is %v", err)
	}
}
