package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/api"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// backendWithUsers knows what users 3 and 5 did, and the profile of user 9.
func backendWithUsers(t *testing.T) *api.Backend {
	t.Helper()
	b := newBackend(t)
	const at = 1_600_000_000_000
	if err := b.Store.Apply(t.Context(), ratings.Changes{
		Ratings:  []ratings.Rating{{User: 3, Movie: 2, Value: 4.5, Time: at}, {User: 3, Movie: 1, Value: 2, Time: at}, {User: 5, Movie: 1, Value: 3, Time: at}},
		Tags:     []ratings.Tag{{User: 3, Movie: 2, Tag: "dark", Time: at}},
		Views:    []ratings.View{{User: 3, Movie: 7, Time: at}, {User: 3, Movie: 7, Time: at + 1000}},
		Profiles: []ratings.Profile{{User: 9, Labels: `{"plan":"free"}`, Comment: "Ann", Time: at}},
	}); err != nil {
		t.Fatal(err)
	}
	return b
}

func feedback(kind string, user, movie int, value, tag string, second int) string {
	return fmt.Sprintf(`{"FeedbackType":%q,"UserId":"%d","ItemId":"%d","Value":%s,"Timestamp":"2020-09-13T12:26:4%dZ","Comment":%q}`, kind, user, movie, value, second, tag)
}

func TestWhatUsersDidIsToldInGorsesShape(t *testing.T) {
	one, two, tag := feedback("rate", 3, 1, "2", "", 0), feedback("rate", 3, 2, "4.5", "", 0), feedback("tag", 3, 2, "0", "dark", 0)
	first, second, other := feedback("view", 3, 7, "0", "", 0), feedback("view", 3, 7, "0", "", 1), feedback("rate", 5, 1, "3", "", 0)
	list := func(of ...string) string { return "[" + strings.Join(of, ",") + "]" }
	for _, c := range []struct{ line, want string }{
		{"GET /api/user/3/feedback", list(one, two, tag, first, second)},
		{"GET /api/user/3/feedback/tag", list(tag)},
		{"GET /api/user/3/feedback/read", list(first, second)},
		{"GET /api/user/77/feedback", "[]"},
		{"GET /api/feedback/3/2", list(two, tag)},
		{"GET /api/feedback/3/9", "[]"},
		{"GET /api/feedback/rate/3/2", two},
		{"GET /api/feedback/view/3/7", second},
		{"GET /api/feedback?n=2", `{"Cursor":"3.2","Feedback":` + list(one, two) + `}`},
		{"GET /api/feedback?n=2&cursor=3.2", `{"Cursor":"3.4","Feedback":` + list(tag, first) + `}`},
		{"GET /api/feedback?n=2&cursor=3.4", `{"Cursor":"","Feedback":` + list(second, other) + `}`},
		{"GET /api/feedback?n=2&cursor=5.1", `{"Cursor":"","Feedback":[]}`},
		{"GET /api/feedback/rate?n=10", `{"Cursor":"","Feedback":` + list(one, two, other) + `}`},
		{"GET /api/user/3/known-items", `["1","2","7"]`},
		{"GET /api/user/77/known-items", `[]`},
		{"GET /api/user/9", `{"UserId":"9","Labels":{"plan":"free"},"Comment":"Ann"}`},
		{"GET /api/user/3", `{"UserId":"3","Labels":null,"Comment":""}`},
		{"GET /api/users?n=2", `{"Cursor":"5","Users":[{"UserId":"3","Labels":null,"Comment":""},{"UserId":"5","Labels":null,"Comment":""}]}`},
		{"GET /api/users?n=2&cursor=5", `{"Cursor":"","Users":[{"UserId":"9","Labels":{"plan":"free"},"Comment":"Ann"}]}`},
	} {
		if _, got, problem := serve(t, newRequest(c.line, ""), backendWithUsers(t)); problem != nil || got != c.want {
			t.Errorf("%s: %v, got\n%s\nwant\n%s", c.line, problem, got, c.want)
		}
	}
}

// TestAPageOfFeedbackEndsThoughNobodyHasTheType: the store is not read to its end
// for one answer, and following the cursor is.
func TestAPageOfFeedbackEndsThoughNobodyHasTheType(t *testing.T) {
	b := newBackend(t)
	var all []ratings.Rating
	for user := range int64(1500) {
		all = append(all, ratings.Rating{User: user, Movie: 1, Value: 3, Time: 1})
	}
	tag := ratings.Tag{User: 1400, Movie: 1, Tag: "late", Time: 1}
	if err := b.Store.Apply(t.Context(), ratings.Changes{Ratings: all, Tags: []ratings.Tag{tag}}); err != nil {
		t.Fatal(err)
	}
	var tags, pages int
	for cursor := ""; pages == 0 || cursor != ""; pages++ {
		_, got, problem := serve(t, newRequest("GET /api/feedback/tag?cursor="+cursor, ""), b)
		if problem != nil {
			t.Fatal(problem)
		}
		var page struct {
			Cursor   string
			Feedback []any
		}
		if err := json.Unmarshal([]byte(got), &page); err != nil {
			t.Fatal(err)
		}
		cursor, tags = page.Cursor, tags+len(page.Feedback)
	}
	if tags != 1 || pages != 2 {
		t.Errorf("%d tags on %d pages", tags, pages)
	}
}

func TestChangesOfUsersAreEvents(t *testing.T) {
	const rest = `,"timestamp":"2026-03-04T05:06:07.000Z"}`
	for _, c := range []struct{ line, body, want string }{
		{"DELETE /api/feedback/3/2", "", `"unrate","user_id":3,"movie_id":2` + rest},
		{"DELETE /api/feedback/rate/3/2", "", `"unrate","user_id":3,"movie_id":2` + rest},
		{"DELETE /api/user/3", "", `"forget_user","user_id":3` + rest},
		{"POST /api/user", `{"UserId":"77","Labels":[ "a" ],"Comment":"Bob","Subscribe":null}`, `"user","user_id":77,"labels":["a"],"comment":"Bob"` + rest},
		{"POST /api/users", `[{"UserId":77},{"UserId":"78","Labels":null}]`, `"user","user_id":77` + rest + "\n" + `"user","user_id":78` + rest},
		{"PATCH /api/user/9", `{"Comment":"Eve","Labels":null}`, `"user","user_id":9,"labels":{"plan":"free"},"comment":"Eve"` + rest},
		{"PATCH /api/user/77", `{"Labels":1}`, `"user","user_id":77,"labels":1` + rest},
	} {
		call, _, problem := serve(t, newRequest(c.line, c.body), backendWithUsers(t))
		if problem != nil {
			t.Errorf("%s: %v", c.line, problem)
			continue
		}
		var lines []string
		for i, m := range call.Messages {
			_, rest, _ := strings.Cut(string(m), `,"event_type":`)
			lines = append(lines, rest)
			if !strings.Contains(rest, fmt.Sprintf(`"user_id":%d`, call.Keys[i])) {
				t.Errorf("%s has the key %d", rest, call.Keys[i])
			}
		}
		if got := strings.Join(lines, "\n"); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.line, got, c.want)
		}
	}
}

func TestWhatIsWrongWithUsersIsSaid(t *testing.T) {
	for _, c := range []struct {
		line, body string
		status     int
		detail     string
	}{
		{"GET /api/user/77", "", 404, "nothing is known of user 77; POST /api/user or feedback makes the user known"},
		{"GET /api/user/bob", "", 400, `the user id in the path is "bob"`},
		{"GET /api/users?cursor=bob", "", 400, `the query parameter cursor is "bob"`},
		{"GET /api/users?n=1001", "", 400, `the query parameter n is "1001"`},
		{"GET /api/feedback?cursor=3", "", 400, `the query parameter cursor is "3"; give the Cursor of the page before, or none`},
		{"GET /api/feedback?cursor=3.-1", "", 400, `the query parameter cursor is "3.-1"`},
		{"GET /api/feedback?cursor=.", "", 400, `the query parameter cursor is "."`},
		{"GET /api/feedback/like", "", 400, `the feedback type in the path is "like"; give rate, tag or view`},
		{"GET /api/feedback/unrate", "", 400, `the feedback type in the path is "unrate"`},
		{"GET /api/feedback/rate/3/9", "", 404, "the store has no feedback of type rate of user 3 about movie 9"},
		{"GET /api/feedback/3/x", "", 400, `the movie id in the path is "x"`},
		{"GET /api/feedback/like/3/2", "", 400, `the feedback type in the path is "like"`},
		{"GET /api/user/3/feedback/like", "", 400, `the feedback type in the path is "like"`},
		{"DELETE /api/feedback/view/3/2", "", 400, `feedback of type "view" cannot be taken back, only ratings can; nothing was written`},
		{"DELETE /api/feedback/x/2", "", 400, `the user id in the path is "x"`},
		{"DELETE /api/feedback/3/x", "", 400, `the movie id in the path is "x"`},
		{"DELETE /api/user/-1", "", 400, `the user id in the path is "-1"`},
		{"POST /api/user", `{}`, 400, "element 0: UserId is missing; nothing was written"},
		{"POST /api/user", `{"UserId":""}`, 400, "is no id"},
		{"POST /api/user", `{"UserId":"550e8400-e29b-41d4-a716-446655440000"}`, 400, "is no id"},
		{"POST /api/user", `{"UserId":1,"Name":"x"}`, 400, `json: unknown field "Name"`},
		{"POST /api/user", `[{"UserId":1},{"UserId":2}]`, 400, "at most 1 are allowed"},
		{"POST /api/users", `[{"UserId":1},{"UserId":2,"Comment":"` + strings.Repeat("x", 5000) + `"}]`, 400, `element 1: field "comment": 5000 bytes are too long; at most 4096; nothing was written`},
		{"POST /api/users", `[]`, 400, "the list is empty"},
		{"PATCH /api/user/9", `[]`, 400, "expected an object of the schema User"},
		{"PATCH /api/user/9", `{"UserId":8}`, 400, "UserId is 8 and the path's user 9"},
		{"PATCH /api/user/9", `{"Labels":`, 400, "malformed JSON"},
		{"PATCH /api/user/9", `{"Comment":7}`, 400, "json: cannot unmarshal number"},
		{"PATCH /api/user/9", ``, 400, "the body is empty"},
	} {
		_, _, problem := serve(t, newRequest(c.line, c.body), backendWithUsers(t))
		if problem == nil || problem.Status != c.status || !strings.Contains(problem.Detail, c.detail) {
			t.Errorf("%s %.60s: got %v, want %d: %s", c.line, c.body, problem, c.status, c.detail)
		}
	}
	for _, line := range []string{"GET /api/user/1", "GET /api/users", "GET /api/feedback", "GET /api/user/1/feedback", "PATCH /api/user/1"} {
		if _, _, problem := serve(t, newRequest(line, `{"Comment":""}`), &api.Backend{}); problem == nil || problem.Status != http.StatusNotImplemented ||
			!strings.Contains(problem.Detail, "the field store of its recommend_http does not name one") {
			t.Errorf("%s without a store: %v", line, problem)
		}
	}
}
