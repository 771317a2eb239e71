package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/api"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// decode finds the route of a request by net/http, and decodes it.
func decode(t *testing.T, request *http.Request) (call *api.Call, problem *api.Problem) {
	t.Helper()
	call, _, problem = serve(t, request, nil)
	return call, problem
}

// serve decodes a request, or answers it if it is of kind Direct.
func serve(t *testing.T, request *http.Request, backend *api.Backend) (call *api.Call, answer string, problem *api.Problem) {
	t.Helper()
	mux := http.NewServeMux()
	found := false
	for _, route := range api.Routes() {
		if route.Kind == api.None {
			continue
		}
		mux.HandleFunc(route.Method+" "+route.Path, func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			found = true
			if route.Kind == api.Direct {
				var text []byte
				text, problem = route.Respond(r, body, now, backend)
				answer = string(text)
				return
			}
			call, problem = route.Decode(r, body, "r1", now, backend)
		})
	}
	mux.ServeHTTP(httptest.NewRecorder(), request)
	if !found {
		t.Fatalf("%s %s has no route", request.Method, request.URL)
	}
	return call, answer, problem
}

func newRequest(line, body string) *http.Request {
	method, target, _ := strings.Cut(line, " ")
	return httptest.NewRequest(method, target, strings.NewReader(body))
}

func TestRequestsBecomeTheMessagesOfKafka(t *testing.T) {
	for _, c := range []struct{ line, body, messages string }{
		{"GET /api/estimate/1/296", "", `{"request_id":"r1","kind":"predict","user_id":1,"movie_id":296}`},
		{"GET /api/estimate/0/9223372036854775807", "", `{"request_id":"r1","kind":"predict","user_id":0,"movie_id":9223372036854775807}`},
		{"GET /api/recommend/1", "", `{"request_id":"r1","kind":"recommend","brief":true,"user_id":1,"n":10}`},
		{"GET /api/recommend/1?n=3&offset=6&write-back-type=read&category=", "", `{"request_id":"r1","kind":"recommend","brief":true,"user_id":1,"n":3,"offset":6}`},
		{
			"GET /api/recommend/1?category=Film-Noir&category=Drama&not_category=War&year_from=1990&year_to=1999&min_count=20", "",
			`{"request_id":"r1","kind":"recommend","brief":true,"user_id":1,"n":10,"filters":{"genres":["Film-Noir","Drama"],"not_genres":["War"],"year_from":1990,"year_to":1999,"min_count":20}}`,
		},
		{"GET /api/recommend/1/?n=2&offset=0", "", `{"request_id":"r1","kind":"recommend","brief":true,"user_id":1,"n":2,"offset":0}`}, // PyGorse
		{"GET /api/recommend/1/Comedy?n=2", "", `{"request_id":"r1","kind":"recommend","brief":true,"user_id":1,"n":2,"filters":{"genres":["Comedy"]}}`},
		{
			"POST /api/recommend/1", `{"n":5,"offset":10,"exclude":["1",2],"candidates":[3],"filters":{"not_genres":["War"]}}`,
			`{"request_id":"r1","kind":"recommend","user_id":1,"n":5,"offset":10,"exclude":[1,2],"candidates":[3],"filters":{"not_genres":["War"]}}`,
		},
		{"GET /api/recommend/1?rotate=true", "", `{"request_id":"r1","kind":"recommend","brief":true,"user_id":1,"rotate":true,"n":10}`},
		{"GET /api/recommend/1/Comedy?rotate=true&offset=0", "", `{"request_id":"r1","kind":"recommend","brief":true,"user_id":1,"rotate":true,"n":10,"offset":0,"filters":{"genres":["Comedy"]}}`},
		{"GET /api/recommend/1?rotate=false&offset=2", "", `{"request_id":"r1","kind":"recommend","brief":true,"user_id":1,"n":10,"offset":2}`},
		{"GET /api/recommend/1?reasons=true&format=full", "", `{"request_id":"r1","kind":"recommend","user_id":1,"reasons":true,"n":10}`},
		{"GET /api/recommend/1/Comedy?reasons=false&n=3", "", `{"request_id":"r1","kind":"recommend","brief":true,"user_id":1,"n":3,"filters":{"genres":["Comedy"]}}`},
		{"POST /api/recommend/1", `{"n":5,"rotate":true}`, `{"request_id":"r1","kind":"recommend","user_id":1,"n":5,"rotate":true}`},
		{"POST /api/recommend/1", `{"offset":5,"rotate":false}`, `{"request_id":"r1","kind":"recommend","user_id":1,"n":10,"offset":5}`},
		{"POST /api/recommend-anonymous", `{"liked":[318,"296"]}`, `{"request_id":"r1","kind":"recommend","n":10,"liked":[318,296]}`},
		{
			"POST /api/recommend-to-many", `{"users":["1",2],"n":5,"exclude":[7],"filters":{"genres":["War"]}}`,
			`{"request_id":"r1","kind":"recommend","users":[1,2],"n":5,"exclude":[7],"filters":{"genres":["War"]}}`,
		},
		{
			"POST /api/session/recommend?n=4", `[{"FeedbackType":"read","UserId":"0","ItemId":"318","Timestamp":""},{"ItemId":"1","Value":1},{"ItemId":296,"Value":4.5}]`,
			`{"request_id":"r1","kind":"recommend","brief":true,"n":4,"liked":[318,296],"exclude":[1]}`,
		},
		{"GET /api/popular?n=2", "", `{"request_id":"r1","kind":"recommend","brief":true,"liked":[],"n":2}`},
		{"GET /api/popular/Comedy?n=2", "", `{"request_id":"r1","kind":"recommend","brief":true,"liked":[],"n":2,"filters":{"genres":["Comedy"]}}`},
		{"GET /api/item/318/neighbors?n=2", "", `{"request_id":"r1","kind":"similar","brief":true,"movie_id":318,"of":"movies","n":2}`},
		{"GET /api/item/318/audience?n=2", "", `{"request_id":"r1","kind":"audience","movie_id":318,"n":2}`},
		{"GET /api/user/1/neighbors", "", `{"request_id":"r1","kind":"similar","brief":true,"user_id":1,"of":"users","n":10}`},
		{"GET /api/because/1/318?n=3", "", `{"request_id":"r1","kind":"explain","user_id":1,"movie_id":318,"n":3}`},
		{
			"POST /api/estimate", `[{"user_id":1,"movie_id":"296"},{"request_id":"mine","user_id":2,"movie_id":318,"value":5,"trace":"t"}]`,
			`{"request_id":"r1-0","kind":"predict","user_id":1,"movie_id":296}` + "\n" +
				`{"request_id":"mine","kind":"predict","user_id":2,"movie_id":318,"trace":"t"}`,
		},
		{"POST /api/estimate", `{"user_id":1,"movie_id":296}`, `{"request_id":"r1-0","kind":"predict","user_id":1,"movie_id":296}`},
		{
			"PUT /api/feedback",
			`[{"FeedbackType":"rating","UserId":"7","ItemId":"318","Value":4.5,"Timestamp":"2026-01-02T03:04:05Z"},{"FeedbackType":"read","UserId":"7","ItemId":"1","Value":0,"Timestamp":"0001-01-01T00:00:00Z"},` +
				`{"event_id":"e","event_type":"tag","user_id":"7","movie_id":"1","value":"dark","timestamp":"1533873124"}]`,
			`{"event_id":"72b10b3d1c3b0bd5fbb6c2ac7e4d8bd6","event_type":"rate","user_id":7,"movie_id":318,"value":4.5,"timestamp":"2026-01-02T03:04:05.000Z"}` + "\n" +
				`{"event_id":"13ea5f2e7a8d2a44a6a8e1bd1d4cd6ac","event_type":"view","user_id":7,"movie_id":1,"timestamp":"2026-03-04T05:06:07.000Z"}` + "\n" +
				`{"event_id":"e","event_type":"tag","user_id":7,"movie_id":1,"value":"dark","timestamp":"2018-08-10T03:52:04.000Z"}`,
		},
		{
			"POST /api/feedback", `{"FeedbackType":"unrate","UserId":7,"ItemId":318,"Timestamp":"2022-02-24"}`,
			`{"event_id":"","event_type":"unrate","user_id":7,"movie_id":318,"timestamp":"2022-02-24T00:00:00.000Z"}`,
		},
	} {
		t.Run(c.line, func(t *testing.T) {
			call, problem := decode(t, newRequest(c.line, c.body))
			if problem != nil {
				t.Fatal(problem)
			}
			var lines []string
			for _, m := range call.Messages {
				lines = append(lines, string(m))
			}
			got, want := strings.Join(lines, "\n"), c.messages
			if call.Route.Kind == api.Feedback { // ids are a digest
				got, want = withoutIDs(got), withoutIDs(want)
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if call.Route.Kind == api.Predict {
				if _, err := message.DecodeRequest("test", message.MovieLensScale, call.Messages[0]); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func withoutIDs(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		_, rest, _ := strings.Cut(line, `,"event_type"`)
		lines = append(lines, rest)
	}
	return strings.Join(lines, "\n")
}

func TestTheSameFeedbackIsTheSameEvent(t *testing.T) {
	const body = `{"FeedbackType":"rate","UserId":"7","ItemId":"318","Value":4.5,"Timestamp":"2026-01-02T03:04:05Z"}`
	first, problem := decode(t, newRequest("POST /api/feedback", body))
	if problem != nil {
		t.Fatal(problem)
	}
	again, _ := decode(t, newRequest("PUT /api/feedback", "["+body+"]"))
	if string(first.Messages[0]) != string(again.Messages[0]) || first.Keys[0] != 7 {
		t.Errorf("%s, then %s of user %d", first.Messages[0], again.Messages[0], first.Keys[0])
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	long := strings.Repeat("1,", api.MaxList) + "1"
	for _, c := range []struct{ line, body, detail string }{
		{"GET /api/recommend/1?n=-1", "", `the query parameter n is "-1"; give a whole number from 1 to 1000`},
		{"GET /api/recommend/1?n=0", "", `the query parameter n is "0"; give a whole number from 1 to 1000`},
		{"GET /api/recommend/1?n=1001", "", `the query parameter n is "1001"; give a whole number from 1 to 1000`},
		{"GET /api/recommend/1?n=99999999999999999999", "", `the query parameter n is "99999999999999999999"; give a whole number from 1 to 1000`},
		{"GET /api/recommend/1?n=", "", `the query parameter n is ""; give a whole number from 1 to 1000`},
		{"GET /api/recommend/1?n=1&n=2", "", `the query parameter n is given 2 times; give it once`},
		{"GET /api/recommend/1?offset=-5", "", `the query parameter offset is "-5"; give a whole number from 0 to 10000`},
		{"GET /api/recommend/1?yearfrom=1990", "", `the query parameter "yearfrom" is unknown; there are n, offset, category, not_category, year_from, year_to, min_count, rotate, reasons, format, write-back-type, write-back-delay`},
		{"GET /api/recommend/1?year_from=2000&year_to=1990", "", `year_from 2000 is after year_to 1990`},
		{"GET /api/recommend/1?format=xml", "", `the query parameter format is "xml"; give short or full`},
		{"GET /api/recommend/1?n=%zz", "", `the query cannot be read: invalid URL escape "%zz"`},
		{"GET /api/recommend/a%2Fb", "", `the user id in the path is "a/b"; give a whole number from 0 to 9223372036854775807, such as 514`},
		{"GET /api/recommend/-1", "", `the user id in the path is "-1"; give a whole number from 0 to 9223372036854775807, such as 514`},
		{"GET /api/recommend/+1", "", `the user id in the path is "+1"; give a whole number from 0 to 9223372036854775807, such as 514`},
		{"GET /api/recommend/9223372036854775808", "", `the user id in the path is "9223372036854775808"; give a whole number from 0 to 9223372036854775807, such as 514`},
		{"GET /api/estimate/1/bob", "", `the movie id in the path is "bob"; give a whole number from 0 to 9223372036854775807, such as 514`},
		{"GET /api/estimate/1/2?n=1", "", `the query parameter "n" is unknown; this path has none`},
		{"POST /api/estimate", "", `the body is empty; give JSON of the schema EstimateRequest`},
		{"POST /api/estimate", "[]", `the list is empty`},
		{"POST /api/estimate", `[{"user_id":1}`, `the body is malformed JSON: "[{\"user_id\":1}"`},
		{"POST /api/estimate", `[1]`, `element 0 is "1"; expected an object of the schema EstimateRequest`},
		{"POST /api/estimate", `[{"user_id":1,"movie_id":2},{"user_id":1}]`, `element 1: field "movie_id": is missing`},
		{"POST /api/estimate", strings.Repeat("[", 100_000), `the body nests deeper than 100 levels`},
		{"POST /api/estimate", "[" + strings.Repeat("{},", api.MaxPairs) + "{}]", `the list has 1001 elements; at most 1000 are allowed in one request`},
		{"POST /api/recommend/1", `{"n":0}`, `n is 0; give a whole number from 1 to 1000`},
		{"POST /api/recommend/1", `{"offset":-1}`, `offset is -1; give a whole number from 0 to 10000`},
		{"POST /api/recommend/1", `{"exclude":[` + long + `]}`, `exclude has 10001 movies; at most 10000 are allowed`},
		{"POST /api/recommend/1", `{"exclude":["x"]}`, `the body does not fit the schema RecommendRequest: "\"x\"" is no id; give a whole number such as 514 or "514"`},
		{"POST /api/recommend/1", `{"filter":{}}`, `the body does not fit the schema RecommendRequest: json: unknown field "filter"`},
		{"GET /api/recommend/1?rotate=yes", "", `the query parameter rotate is "yes"; give true or false`},
		{"GET /api/recommend/1?reasons=1", "", `the query parameter reasons is "1"; give true or false`},
		{"GET /api/recommend/1?rotate=", "", `the query parameter rotate is ""; give true or false`},
		{"GET /api/recommend/1?rotate=true&offset=10", "", `rotate gives other movies each time; leave offset out`},
		{"GET /api/popular?rotate=true", "", `the query parameter "rotate" is unknown; there are n, offset, category, not_category, year_from, year_to, min_count, format`},
		{"POST /api/recommend/1", `{"rotate":true,"offset":10}`, `rotate gives other movies each time; leave offset out`},
		{"POST /api/recommend/1", `{"rotate":"yes"}`, `the body does not fit the schema RecommendRequest: json: cannot unmarshal string into Go struct field recommendRequest.rotate of type bool`},
		{"POST /api/recommend-anonymous", `{"liked":[1],"rotate":true}`, `rotate is for /api/recommend/{user}; leave it out, and give exclude, the movies that were shown`},
		{"POST /api/recommend-to-many", `{"users":[1],"rotate":true}`, `rotate is for /api/recommend/{user}; leave it out, and give exclude, the movies that were shown`},
		{"POST /api/recommend-anonymous", `{"n":5}`, `liked is empty; give the ids of movies that the person likes, or use /api/popular`},
		{"POST /api/recommend-to-many", `{}`, `users is empty; give the ids of at most 100 users`},
		{"POST /api/recommend-to-many", `{"users":[]}`, `users is empty; give the ids of at most 100 users`},
		{"POST /api/recommend-to-many", `{"users":[` + strings.Repeat("1,", 100) + `1]}`, `users has 101 users; at most 100 are allowed`},
		{"POST /api/recommend-to-many", `{"users":[1],"liked":[2]}`, `liked is for /api/recommend-anonymous; leave it out`},
		{"POST /api/recommend-to-many", `{"users":["x"]}`, `the body does not fit the schema GroupRequest: "\"x\"" is no id; give a whole number such as 514 or "514"`},
		{"POST /api/recommend-to-many", `{"users":[1],"n":0}`, `n is 0; give a whole number from 1 to 1000`},
		{"POST /api/recommend/1", `{"users":[1]}`, `the body does not fit the schema RecommendRequest: json: unknown field "users"`},
		{"POST /api/session/recommend", `[{"ItemId":""}]`, `element 0: ItemId: "\"\"" is no id; give a whole number such as 514 or "514"`},
		{"POST /api/session/recommend", `[{}]`, `element 0: ItemId: "" is no id; give a whole number such as 514 or "514"`},
		{"POST /api/feedback", `[{"FeedbackType":"like","UserId":"1","ItemId":"2"}]`, `element 0: FeedbackType is "like"; give rate (with Value), view or unrate, or events with event_type; nothing was written`},
		{"POST /api/feedback", `[{"FeedbackType":"rate","UserId":"","ItemId":"2","Value":3}]`, `element 0: field "user_id": "" is not a whole number in the range of int64; give an id such as 514 or "514"; nothing was written`},
		{"POST /api/feedback", `[{"FeedbackType":"rate","UserId":"1","ItemId":"2","Value":9}]`, `element 0: field "value": rating 9 is outside 0.5 to 5; nothing was written`},
		{"POST /api/feedback", `{"event_type":"forget_user","user_id":1,"timestamp":1533873124}`, `element 0: event_type forget_user is not for feedback; nothing was written`},
	} {
		t.Run(c.line+" "+c.body[:min(len(c.body), 40)], func(t *testing.T) {
			_, problem := decode(t, newRequest(c.line, c.body))
			if problem == nil || problem.Status != http.StatusBadRequest || problem.Detail != c.detail {
				t.Errorf("got  %v\nwant 400: %s", problem, c.detail)
			}
		})
	}
}

func TestRepliesHaveGorsesShapes(t *testing.T) {
	const reply = `{"request_id":"r1","kind":"recommend","items":[{"movie_id":318,"score":1.5,"title":"A"},{"movie_id":296,"score":-2e-3}],"model_version":"v1"}`
	for _, c := range []struct{ target, version, want string }{
		{"/api/recommend/1", "", `["318","296"]`},
		{"/api/recommend/1", "2", `[{"Id":"318","Score":1.5},{"Id":"296","Score":-2e-3}]`},
		{"/api/recommend/1?format=full", "", reply},
		{"/api/item/318/neighbors", "", `[{"Id":"318","Score":1.5},{"Id":"296","Score":-2e-3}]`},
		{"/api/because/1/318", "", reply},
	} {
		request := newRequest("GET "+c.target, "")
		request.Header.Set("X-Api-Version", c.version)
		call, problem := decode(t, request)
		if problem != nil {
			t.Fatal(problem)
		}
		if got, err := call.Answer([][]byte{[]byte(reply)}); err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.target, got, err, c.want)
		}
		if tag := call.Tag([][]byte{[]byte(reply)}); (tag != "") != strings.Contains(c.target, "item/") {
			t.Errorf("%s has the tag %q", c.target, tag)
		}
	}
	call, _ := decode(t, newRequest("GET /api/recommend/1", ""))
	if got, err := call.Answer([][]byte{[]byte(`{"prediction":4}`)}); err == nil {
		t.Errorf("a prediction in place of a list gives %s", got)
	}
	call, _ = decode(t, newRequest("POST /api/estimate", `[{"user_id":1,"movie_id":2},{"user_id":1,"movie_id":3}]`))
	if got, err := call.Answer([][]byte{[]byte(`{"a":1}`), []byte(`{"a":2}`)}); err != nil || string(got) != `[{"a":1},{"a":2}]` {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestKeysAdmitByScope(t *testing.T) {
	keys := api.Keys{
		api.NewKey("reader", "r-secret", []api.Scope{api.Read}),
		api.NewKey("writer", "w-secret", []api.Scope{api.Write}),
		api.NewKey("root", "a-secret", []api.Scope{api.Admin}),
	}
	for _, c := range []struct {
		header, value string
		scope         api.Scope
		name          string
		status        int
	}{
		{"X-API-Key", "r-secret", api.Read, "reader", 0},
		{"Authorization", "Bearer r-secret", api.Read, "reader", 0},
		{"Authorization", "bearer r-secret", api.Read, "reader", 0},
		{"X-API-Key", "a-secret", api.Write, "root", 0},
		{"X-API-Key", "r-secret", api.Write, "", 403},
		{"X-API-Key", "w-secret", api.Read, "", 403},
		{"X-API-Key", "w-secret", api.Admin, "", 403},
		{"X-API-Key", "r-secre", api.Read, "", 401},
		{"Authorization", "Basic r-secret", api.Read, "", 401},
		{"X-Other", "", api.Read, "", 401},
		{"X-Other", "", api.Public, "", 0},
	} {
		request := newRequest("GET /", "")
		request.Header.Set(c.header, c.value)
		key, problem := keys.Admit(request, c.scope)
		switch {
		case c.status > 0 && (problem == nil || problem.Status != c.status), c.status == 0 && problem != nil:
			t.Errorf("%s: %s for %q: %v, want %d", c.header, c.value, c.scope, problem, c.status)
		case c.name != "" && key.Name != c.name:
			t.Errorf("%s: %s is the key of %s", c.header, c.value, key.Name)
		}
	}
	if _, problem := api.Keys(nil).Admit(newRequest("GET /", ""), api.Admin); problem != nil {
		t.Errorf("without keys: %v", problem)
	}
}

func TestTheLimiterLetsABurstThroughAndThenARate(t *testing.T) {
	l := api.NewLimiter(10, 3)
	at := now
	take := func(client string) time.Duration { return l.Take(client, at) }
	for range 3 {
		if wait := take("a"); wait != 0 {
			t.Fatalf("a burst has to wait %v", wait)
		}
	}
	if wait := take("a"); wait != 100*time.Millisecond {
		t.Errorf("the next has to wait %v", wait)
	}
	if wait := take("b"); wait != 0 {
		t.Errorf("another client has to wait %v", wait)
	}
	at = at.Add(100 * time.Millisecond)
	if wait := take("a"); wait != 0 {
		t.Errorf("after its wait it has to wait %v", wait)
	}
	if wait := take("a"); wait == 0 {
		t.Error("two pass after a wait for one")
	}
	for i := range 50_000 { // memory stays bounded: see maxClients
		l.Take(fmt.Sprint(i), at)
	}
}

// TestTheDocumentHasExactlyTheRoutes: it is made of the table that the server
// has too; this finds what making it lost.
func TestTheDocumentHasExactlyTheRoutes(t *testing.T) {
	data, err := api.OpenAPI("test")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Parameters  []struct{ Name, In string }
			RequestBody any
			Responses   map[string]any
		}
		Components struct{ Schemas, Responses map[string]any }
	}
	if err := json.Unmarshal(data, &document); err != nil || document.OpenAPI != "3.1.0" {
		t.Fatalf("OpenAPI %q, %v", document.OpenAPI, err)
	}
	operations := map[string]bool{}
	for _, r := range api.Routes() {
		path := strings.TrimSuffix(r.Path, "{$}")
		operation, ok := document.Paths[path][strings.ToLower(r.Method)]
		if !ok || len(operation.Parameters) != len(r.Params) || (operation.RequestBody != nil) != (r.Body != "") || operation.Responses["200"] == nil {
			t.Errorf("%s %s is in the document as %+v", r.Method, path, operation)
		}
		if operations[operation.OperationID] {
			t.Errorf("the operation %s is there twice", operation.OperationID)
		}
		operations[operation.OperationID] = true
		for _, p := range r.Params {
			if p.In == "path" && !strings.Contains(path, "{"+p.Name+"}") {
				t.Errorf("%s has no %s", path, p.Name)
			}
		}
		if r.Body != "" && document.Components.Schemas[r.Body] == nil {
			t.Errorf("%s %s: the schema %s does not exist", r.Method, path, r.Body)
		}
	}
	count := 0
	for _, methods := range document.Paths {
		count += len(methods)
	}
	if count != len(api.Routes()) {
		t.Errorf("the document has %d operations for %d routes", count, len(api.Routes()))
	}
	checkReferences(t, data, document.Components.Schemas)
}

func checkReferences(t *testing.T, data []byte, schemas map[string]any) {
	t.Helper()
	for part := range strings.SplitSeq(string(data), `"#/components/schemas/`) {
		if name, _, ok := strings.Cut(part, `"`); ok && !strings.HasPrefix(part, "{") && schemas[name] == nil {
			t.Errorf("the schema %s is referred to and does not exist", name)
		}
	}
}

func TestThePageNamesEveryRoute(t *testing.T) {
	page, err := api.Page()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range api.Routes() {
		if line := r.Method + " " + strings.TrimSuffix(r.Path, "{$}"); !strings.Contains(string(page), line) {
			t.Errorf("the page does not name %s", line)
		}
	}
	if text := string(page); strings.Contains(text, "http://") || strings.Contains(text, "https://") || strings.Contains(text, "<script") {
		t.Error("the page wants something from elsewhere")
	}
}
