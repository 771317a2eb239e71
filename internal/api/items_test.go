package api_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/api"
	"github.com/recsys-benthos/recsys-benthos/internal/catalog"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// newBackend knows three movies, of which the second was entered.
func newBackend(t *testing.T) *api.Backend {
	t.Helper()
	path := filepath.Join(t.TempDir(), "movies.csv")
	if err := os.WriteFile(path, []byte("movieId,title,genres\n1,One (1990),Drama\n3,Three (1995),Comedy\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	movies, err := catalog.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := movies.Apply(ratings.Item{ID: 2, Title: "Two (2001)", Genres: []string{"War"}, Labels: `{"a":1}`, TMDb: 7, Added: 1_000_000, Time: 2_000_000}); err != nil {
		t.Fatal(err)
	}
	return &api.Backend{Movies: movies, Store: recsystest.NewMemoryStore()}
}

func TestChangesOfMoviesAreEventsThatSayAllOfThem(t *testing.T) {
	const rest = `,"timestamp":"2026-03-04T05:06:07.000Z"}`
	for _, c := range []struct{ line, body, want string }{
		{
			"POST /api/item", `{"ItemId":"900001","IsHidden":false,"Categories":["Drama"],"Labels":["x"],"Timestamp":"2020-02-24","Comment":"New (2020)"}`,
			`"movie_id":900001,"title":"New (2020)","genres":["Drama"],"labels":["x"],"added_at":"2020-02-24T00:00:00.000Z"` + rest,
		},
		{"POST /api/item", `{"ItemId":9,"Comment":"Nine"}`, `"movie_id":9,"title":"Nine","genres":[],"added_at":"2026-03-04T05:06:07.000Z"` + rest},
		{
			"POST /api/item", `{"event_type":"item","movie_id":9,"title":"Nine","genres":["War"],"hidden":true,"imdb_id":"0114709","tmdb_id":"862","timestamp":"2026-01-02T03:04:05Z"}`,
			`"movie_id":9,"title":"Nine","genres":["War"],"hidden":true,"imdb_id":"0114709","tmdb_id":862,"added_at":"2026-03-04T05:06:07.000Z","timestamp":"2026-01-02T03:04:05.000Z"}`,
		},
		{"POST /api/item", `{"ItemId":"2","Comment":"Zwei"}`, `"movie_id":2,"title":"Zwei","genres":[],"added_at":"1970-01-01T00:16:40.000Z"` + rest},
		{
			"POST /api/items", `[{"ItemId":"8","Comment":"Eight","Timestamp":"0001-01-01T00:00:00Z"},{"ItemId":"1","Comment":"Uno"}]`,
			`"movie_id":8,"title":"Eight","genres":[],"added_at":"2026-03-04T05:06:07.000Z"` + rest + "\n" + `"movie_id":1,"title":"Uno","genres":[],"added_at":"1970-01-01T00:00:00.000Z"` + rest,
		},
		{"PATCH /api/item/2", `{"Comment":"Zwei"}`, `"movie_id":2,"title":"Zwei","genres":["War"],"tmdb_id":7,"labels":{"a":1},"added_at":"1970-01-01T00:16:40.000Z"` + rest},
		{"PATCH /api/item/1", `{"IsHidden":true,"Labels":null}`, `"movie_id":1,"title":"One (1990)","genres":["Drama"],"hidden":true,"added_at":"1970-01-01T00:00:00.000Z"` + rest},
		{
			"PATCH /api/item/2", `{"IsHidden":null,"Categories":null,"Labels":null,"Timestamp":null,"Comment":"Zwei"}`, // PyGorse
			`"movie_id":2,"title":"Zwei","genres":["War"],"tmdb_id":7,"labels":{"a":1},"added_at":"1970-01-01T00:16:40.000Z"` + rest,
		},
		{"DELETE /api/item/2", "", `"movie_id":2,"title":"Two (2001)","genres":["War"],"hidden":true,"tmdb_id":7,"labels":{"a":1},"added_at":"1970-01-01T00:16:40.000Z"` + rest},
		{"PUT /api/item/1/category/Film-Noir", "", `"movie_id":1,"title":"One (1990)","genres":["Drama","Film-Noir"],"added_at":"1970-01-01T00:00:00.000Z"` + rest},
		{"DELETE /api/item/1/category/Drama", "", `"movie_id":1,"title":"One (1990)","genres":[],"added_at":"1970-01-01T00:00:00.000Z"` + rest},
	} {
		t.Run(c.line, func(t *testing.T) {
			call, _, problem := serve(t, newRequest(c.line, c.body), newBackend(t))
			if problem != nil {
				t.Fatal(problem)
			}
			var lines []string
			for i, m := range call.Messages {
				_, rest, _ := strings.Cut(string(m), `,"event_type":"item",`)
				if call.Items[i].ID != call.Keys[i] {
					t.Errorf("movie %d with the key %d", call.Items[i].ID, call.Keys[i])
				}
				lines = append(lines, rest)
			}
			if got := strings.Join(lines, "\n"); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestOfTwoChangesInOneMomentTheSecondHolds: the clock of these tests stands still.
func TestOfTwoChangesInOneMomentTheSecondHolds(t *testing.T) {
	b := newBackend(t)
	for _, title := range []string{"Zwei", "Due", "Kaksi"} {
		call, _, problem := serve(t, newRequest("PATCH /api/item/2", `{"Comment":"`+title+`"}`), b)
		if problem != nil {
			t.Fatal(problem)
		}
		_ = b.Movies.Apply(call.Items...)
		if item, _ := b.Movies.Item(2); item.Title != title {
			t.Errorf("got %q, want %q", item.Title, title)
		}
	}
}

func TestMoviesAreToldInGorsesShape(t *testing.T) {
	const one = `{"ItemId":"1","IsHidden":false,"Categories":["Drama"],"Timestamp":"0001-01-01T00:00:00Z","Labels":null,"Comment":"One (1990)"}`
	const two = `{"ItemId":"2","IsHidden":false,"Categories":["War"],"Timestamp":"1970-01-01T00:16:40Z","Labels":{"a":1},"Comment":"Two (2001)","tmdb_id":7}`
	for _, c := range []struct{ line, want string }{
		{"GET /api/item/1", one},
		{"GET /api/item/2", two},
		{"GET /api/items?n=2", `{"Cursor":"2","Items":[` + one + `,` + two + `]}`},
		{"GET /api/items?n=2&cursor=2", `{"Cursor":"","Items":[{"ItemId":"3","IsHidden":false,"Categories":["Comedy"],"Timestamp":"0001-01-01T00:00:00Z","Labels":null,"Comment":"Three (1995)"}]}`},
		{"GET /api/latest", `[{"Id":"2","Score":1000},{"Id":"3","Score":0},{"Id":"1","Score":0}]`},
		{"GET /api/latest?n=1&offset=1&category=comedy&category=war", `[{"Id":"3","Score":0}]`},
		{"GET /api/non-personalized/latest?year_from=1995&not_category=War", `[{"Id":"3","Score":0}]`},
		{"GET /api/latest/Drama", `[{"Id":"1","Score":0}]`},
		{"GET /api/items?q=two+%282&n=10", `{"Cursor":"","Items":[` + two + `]}`},
		{"GET /api/items?cursor=9", `{"Cursor":"","Items":[]}`},
	} {
		if _, got, problem := serve(t, newRequest(c.line, ""), newBackend(t)); problem != nil || got != c.want {
			t.Errorf("%s: %v, got\n%s\nwant\n%s", c.line, problem, got, c.want)
		}
	}
}

func TestWhatIsWrongWithMoviesIsSaid(t *testing.T) {
	for _, c := range []struct {
		line, body string
		status     int
		detail     string
	}{
		{"GET /api/item/77", "", 404, "there is no movie 77 in the catalog; POST /api/item adds one"},
		{"GET /api/item/x", "", 400, `the movie id in the path is "x"`},
		{"GET /api/items?cursor=x", "", 400, `the query parameter cursor is "x"; give the Cursor of the page before, or none`},
		{"GET /api/items?cursor=-1", "", 400, `the query parameter cursor is "-1"`},
		{"GET /api/items?n=0", "", 400, `the query parameter n is "0"`},
		{"GET /api/items?offset=1", "", 400, `the query parameter "offset" is unknown; there are n, cursor, q`},
		{"DELETE /api/item/77", "", 404, "there is no movie 77"},
		{"PATCH /api/item/77", `{"Comment":"x"}`, 404, "there is no movie 77"},
		{"PATCH /api/item/1", ``, 400, "the body is empty"},
		{"PATCH /api/item/1", `[]`, 400, `the body is "[]"; expected an object of the schema Item`},
		{"PATCH /api/item/1", `{"Title":1}`, 400, "json: cannot unmarshal number"},
		{"PATCH /api/item/1", `{"Name":"x"}`, 400, `json: unknown field "Name"; nothing was written`},
		{"PATCH /api/item/1", `{"ItemId":"2"}`, 400, "ItemId is 2 and the path's movie 1"},
		{"PATCH /api/item/1", `{"Timestamp":"yesterday"}`, 400, `field "added_at": "yesterday" is not a time since 1970`},
		{"PATCH /api/item/1", `{"Categories":[""]}`, 400, `a genre is empty; give a text, or leave it out`},
		{"PATCH /api/item/1", `{"Categories":"Drama"}`, 400, "json: cannot unmarshal string"},
		{"PATCH /api/item/1", `{"IsHidden":"yes"}`, 400, "json: cannot unmarshal string"},
		{"PATCH /api/item/1", `{"timestamp":"2999-01-01T00:00:00Z"}`, 400, "lies in the future"},
		{"PATCH /api/item/1", `{"Labels":"` + strings.Repeat("x", 9000) + `"}`, 400, `field "labels": 9002 bytes are too long; at most 8192`},
		{"POST /api/item", `{"Comment":"x"}`, 400, "element 0: ItemId is missing; nothing was written"},
		{"POST /api/item", `{"ItemId":""}`, 400, `is no id; give a whole number`},
		{"POST /api/item", `{"ItemId":"tt0111161"}`, 400, `is no id; give a whole number`},
		{"POST /api/item", `{"ItemId":-1}`, 400, `is no id; give a whole number`},
		{"POST /api/item", `{"ItemId":1,"movie_id":2}`, 400, "ItemId and movie_id differ"},
		{"POST /api/item", `{"ItemId":1,"event_type":"rate"}`, 400, `event_type is "rate"; give item, or leave it out`},
		{"POST /api/item", `[{"ItemId":1},{"ItemId":2}]`, 400, "the list has 2 elements; at most 1 are allowed"},
		{"POST /api/items", `[{"ItemId":1},7]`, 400, `element 1 is "7"; expected an object of the schema ItemList`},
		{"POST /api/items", `[]`, 400, "the list is empty"},
		{"POST /api/items", `[{"ItemId":1,"Comment":"` + strings.Repeat("x", 1001) + `"}]`, 400, `field "title": 1001 bytes are too long; at most 1000`},
		{"POST /api/items", `{"ItemId":1`, 400, "malformed JSON"},
		{"POST /api/feedback", `{"event_type":"item","movie_id":1,"title":"x","timestamp":1}`, 400, "event_type item is not for feedback"},
		{"POST /api/feedback", `{"event_type":"user","user_id":1,"timestamp":1}`, 400, "event_type user is not for feedback"},
	} {
		_, _, problem := serve(t, newRequest(c.line, c.body), newBackend(t))
		if problem == nil || problem.Status != c.status || !strings.Contains(problem.Detail, c.detail) {
			t.Errorf("%s %.60s: got %v, want %d: %s", c.line, c.body, problem, c.status, c.detail)
		}
	}
	for _, line := range []string{"GET /api/item/1", "GET /api/items", "DELETE /api/item/1"} {
		if _, _, problem := serve(t, newRequest(line, ""), &api.Backend{}); problem == nil || problem.Status != http.StatusNotImplemented {
			t.Errorf("%s without a catalog: %v", line, problem)
		}
		if _, _, problem := serve(t, newRequest(line, ""), &api.Backend{Movies: catalog.New(catalog.Files("none"), nil)}); problem == nil || problem.Status != http.StatusServiceUnavailable {
			t.Errorf("%s before the catalog is read: %v", line, problem)
		}
	}
}
