package recommendhttp

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"
)

const movieResources = `
cache_resources:
  - label: catalog
    movie_catalog: {source: ../../config/fixtures/movielens}
`

// TestPatchesOfOneMovieAtOnceAllHold: each is merged with the one before, though
// nothing has come back from Kafka.
func TestPatchesOfOneMovieAtOnceAllHold(t *testing.T) {
	t.Parallel()
	c := startStream(t, "catalog: catalog", movieResources)
	c.gate.let()
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			if a := c.ask(fmt.Sprintf("PUT /api/item/296/category/genre-%d", i), ""); a.status != 200 || a.body != `{"RowAffected":1}` {
				t.Errorf("got %+v", a)
			}
		})
	}
	all.Wait()
	genres := gjson.Get(c.ask("GET /api/item/296", "").body, "Categories").Raw
	if n := strings.Count(genres, "genre-"); n != 16 {
		t.Errorf("%d of 16 genres: %s", n, genres)
	}
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	var last string
	for _, event := range c.gate.events {
		key, text, _ := strings.Cut(event, " ")
		if at := gjson.Get(text, "timestamp").Str; key != "296" || at <= last {
			t.Errorf("%s after %s", event, last)
		} else {
			last = at
		}
	}
}

// TestAChangeThatIsNotWrittenIsNotInTheCatalog: it is answered 504, and may hold
// later, once Kafka has it.
func TestAChangeThatIsNotWrittenIsNotInTheCatalog(t *testing.T) {
	t.Parallel()
	c := startStream(t, "catalog: catalog\ntimeouts: {request: 200ms}", movieResources)
	c.expectProblem(c.ask("PATCH /api/item/296", `{"Comment":"Renamed"}`), 504, "took too long") // the output waits at the gate
	if a := c.ask("GET /api/item/296", ""); a.status != 200 || strings.Contains(a.body, "Renamed") {
		t.Errorf("got %+v", a)
	}
	c.gate.let()
}

func TestWhatTheServerAnswersByItselfHasProblemsToo(t *testing.T) {
	t.Parallel()
	c := startStream(t, "catalog: catalog", movieResources)
	for _, r := range []struct {
		line, body string
		status     int
		detail     string
	}{
		{"GET /api/item/777777", "", 404, "there is no movie 777777"},
		{"GET /api/items?n=x", "", 400, "the query parameter n"},
		{"DELETE /api/items", "", 405, "this path has the methods POST, GET, HEAD"},
		{"PUT /api/item/296", "{}", 405, "this path has the methods"},
		{"POST /api/models/compare", "{}", 405, "this path has the methods GET, HEAD"},
		{"GET /api/models/promote", "", 405, "this path has the methods POST"},
		{"POST /api/item", strings.Repeat(" ", 2<<20), 413, "larger than"},
		{"GET /api/users", "", 501, "the field store"},
		{"GET /api/models", "", 501, "the field model"},
		{"BREW /api/items", "", 405, `no path has the method "BREW"`},
	} {
		c.expectProblem(c.ask(r.line, r.body), r.status, r.detail)
	}
	a := c.ask("GET /api/items?n=2", "", "Accept-Encoding", "gzip", "X-Request-Id", "mine")
	if a.status != 200 || a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Request-Id") != "mine" {
		t.Errorf("got %+v", a)
	}
	if a := c.ask("HEAD /api/items?n=2", ""); a.status != 200 || a.body != "" {
		t.Errorf("got %+v", a)
	}
}
