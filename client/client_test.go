package client_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/client"
	"github.com/recsys-benthos/recsys-benthos/internal/api"
)

func movies(l *client.List) (ids []int64) {
	for _, i := range l.Items {
		ids = append(ids, i.Movie)
	}
	return ids
}

func TestListsComeFromTheServersModel(t *testing.T) {
	c, ctx := connect(t, readKey), t.Context()
	comedies := client.Selection{N: 2, Filters: client.Filters{Genres: []string{"Comedy"}, NotGenres: []string{"War"}, YearFrom: 1990, YearTo: 1999}}
	for name, one := range map[string]struct {
		ask  func() (*client.List, error)
		want []int64
		kind string
	}{
		"a user": {func() (*client.List, error) { return c.Recommend(ctx, 1, client.ListRequest{Selection: comedies}) }, []int64{296, 1}, "recommend"},
		"a user, from candidates": {func() (*client.List, error) {
			return c.Recommend(ctx, 1, client.ListRequest{Candidates: []int64{356, 593}, Exclude: []int64{356}})
		}, []int64{593}, "recommend"},
		"nobody known": {func() (*client.List, error) {
			return c.RecommendAnonymous(ctx, []int64{318}, client.ListRequest{Selection: client.Selection{N: 2}})
		}, nil, "recommend"},
		"a group":        {func() (*client.List, error) { return c.RecommendGroup(ctx, []int64{1, 2}, client.ListRequest{}) }, nil, "recommend"},
		"what is liked":  {func() (*client.List, error) { return c.Popular(ctx, client.Selection{N: 1}) }, []int64{318}, "recommend"},
		"like a movie":   {func() (*client.List, error) { return c.Neighbors(ctx, 1, comedies) }, []int64{296}, "similar"},
		"like a user":    {func() (*client.List, error) { return c.UserNeighbors(ctx, 1, 2) }, nil, "similar"},
		"who would like": {func() (*client.List, error) { return c.Audience(ctx, 1, 2) }, nil, "audience"},
		"because":        {func() (*client.List, error) { return c.Because(ctx, 1, 318, 3) }, nil, "explain"},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := one.ask()
			if err != nil {
				t.Fatal(err)
			}
			if one.want != nil && !slices.Equal(movies(list), one.want) {
				t.Errorf("got %v, want %v", movies(list), one.want)
			}
			if list.Kind != one.kind || list.ModelVersion != "fixture-1" || list.RequestID == "" || list.PredictedAt.IsZero() {
				t.Errorf("got %+v", list)
			}
		})
	}
	newest, err := c.Latest(ctx, client.Selection{N: 2, Filters: client.Filters{Genres: []string{"Horror"}}})
	if err != nil || len(newest) != 1 || newest[0].Movie != 593 {
		t.Errorf("the newest: %+v, %v", newest, err)
	}
	users, err := c.UserNeighbors(ctx, 1, 1)
	if err != nil || len(users.Items) != 1 || users.Items[0].User != 3 {
		t.Errorf("users like user 1: %+v, %v", users, err)
	}
}

func TestEstimatesAreInTheOrderOfTheirPairs(t *testing.T) {
	c, ctx := connect(t, readKey), t.Context()
	one, err := c.Estimate(ctx, 1, 296)
	if err != nil || one.Stars != 4.75 || one.Title != "Pulp Fiction (1994)" || one.RequestedAt.IsZero() {
		t.Errorf("one: %+v, %v", one, err)
	}
	pairs := []client.Pair{{1, 1}, {1, 296}, {7, 7777}}
	many, err := c.EstimateMany(ctx, pairs)
	if err != nil || len(many) != 3 || many[0].Stars != 4.25 || many[1].Stars != 4.75 || !slices.Equal(many[2].Cold, []string{"user", "movie"}) {
		t.Fatalf("many: %+v, %v", many, err)
	}
	for i := range many {
		if many[i].Pair != pairs[i] {
			t.Errorf("%d: %+v", i, many[i])
		}
	}
}

func TestFeedbackIsReadBackAndTakenBack(t *testing.T) {
	c, ctx := connect(t, writeKey), t.Context()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	rating := client.Feedback{Type: client.Rate, User: 51, Movie: 318, Stars: 4.5, Time: at}
	if n, err := c.InsertFeedback(ctx, rating, client.Feedback{Type: client.View, User: 51, Movie: 1}); n != 2 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if n, err := c.PutFeedback(ctx, rating); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	until(t, "the feedback", func() bool {
		all, err := c.UserFeedback(ctx, 51)
		return err == nil && len(all) == 2
	})
	if got, err := c.Feedback(ctx, client.Rate, 51, 318); err != nil || *got != rating {
		t.Errorf("got %+v, %v", got, err)
	}
	if known, err := c.KnownItems(ctx, 51); err != nil || !slices.Equal(known, []int64{1, 318}) {
		t.Errorf("known items %v, %v", known, err)
	}
	until(t, "it among all feedback", func() bool {
		for cursor := ""; ; {
			page, err := c.AllFeedback(ctx, 1, cursor)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(page.Feedback, rating) {
				return true
			}
			if cursor = page.Next; cursor == "" {
				return false
			}
		}
	})
	if err := c.DeleteFeedback(ctx, 51, 318); err != nil {
		t.Fatal(err)
	}
	until(t, "the rating to be gone", func() bool {
		_, err := c.Feedback(ctx, client.Rate, 51, 318)
		var problem *client.Problem
		return errors.As(err, &problem) && problem.Status == http.StatusNotFound
	})
}

func TestItemsAndUsersAreWrittenAndRead(t *testing.T) {
	c, ctx := connect(t, writeKey), t.Context()
	added := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	item := client.Item{ID: 900001, Title: "New (2026)", Genres: []string{"Drama"}, Labels: json.RawMessage(`{"a":1}`), AddedAt: added, IMDb: "0114709", TMDb: 862}
	if n, err := c.InsertItems(ctx, item, client.Item{ID: 900002, Title: "Newer (2026)"}); n != 2 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	title := "Renamed (2026)"
	if err := c.UpdateItem(ctx, 900001, client.ItemPatch{Title: &title}); err != nil {
		t.Fatal(err)
	}
	if err := c.HideItem(ctx, 900002); err != nil {
		t.Fatal(err)
	}
	got, err := c.Item(ctx, 900001)
	if err != nil || got.Title != title || got.Genres[0] != "Drama" || string(got.Labels) != `{"a":1}` || !got.AddedAt.Equal(added) || got.TMDb != 862 {
		t.Errorf("got %+v, %v", got, err)
	}
	page, err := c.Items(ctx, 1, "", "2026")
	if err != nil || page.Next != "900001" {
		t.Fatalf("got %+v, %v", page, err)
	}
	if page, err = c.Items(ctx, 10, page.Next, "2026"); err != nil || len(page.Items) != 1 || !page.Items[0].Hidden || page.Next != "" {
		t.Errorf("the next page: %+v, %v", page, err)
	}

	if n, err := c.InsertUsers(ctx, client.User{ID: 61, Comment: "Ann", Labels: json.RawMessage(`["x"]`)}); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	until(t, "the user", func() bool { u, err := c.User(ctx, 61); return err == nil && u.Comment == "Ann" })
	eve := "Eve"
	if err := c.UpdateUser(ctx, 61, client.UserPatch{Comment: &eve}); err != nil {
		t.Fatal(err)
	}
	until(t, "the change", func() bool {
		u, err := c.User(ctx, 61)
		return err == nil && u.Comment == eve && string(u.Labels) == `["x"]`
	})
	until(t, "the user among all", func() bool {
		all, err := c.Users(ctx, 1000, "")
		return err == nil && slices.ContainsFunc(all.Users, func(u client.User) bool { return u.ID == 61 })
	})
	if err := c.ForgetUser(ctx, 61); err != nil {
		t.Fatal(err)
	}
	until(t, "the user to be forgotten", func() bool { _, err := c.User(ctx, 61); return err != nil })
}

func TestModelsGetRolesAndLoseThem(t *testing.T) {
	c, ctx := connect(t, adminKey), t.Context()
	if h, err := c.Health(ctx); err != nil || !h.Ready || h.ModelVersion != "fixture-1" || h.Movies < 6 {
		t.Errorf("health: %+v, %v", h, err)
	}
	if _, err := c.Promote(ctx, client.RoleChange{Version: "fixture-2", Role: "challenger:new", Reason: "a test"}); err != nil {
		t.Fatal(err)
	}
	all, err := c.Models(ctx)
	if err != nil || len(all) != 3 || all[0].Role != "champion" || all[1].Role != "challenger:new" || all[0].RMSE != 0.5 {
		t.Errorf("models: %+v, %v", all, err)
	}
	if manifest, err := c.Manifest(ctx, "challenger:new"); err != nil || !strings.Contains(string(manifest), `"version":"fixture-2"`) {
		t.Errorf("manifest: %s, %v", manifest, err)
	}
	if compared, err := c.Compare(ctx, "champion", "fixture-2"); err != nil || !strings.Contains(string(compared), `"parameters":`) {
		t.Errorf("compared: %s, %v", compared, err)
	}
	if changed, err := c.Withdraw(ctx, "challenger:new", "a test"); err != nil || !changed.Changed {
		t.Errorf("withdrawn: %+v, %v", changed, err)
	}
	var problem *client.Problem
	if _, err := c.Rollback(ctx, "fixture-2", "a test"); !errors.As(err, &problem) || problem.Status != http.StatusConflict {
		t.Errorf("rolling back what is not champion: %v", err)
	}
}

// TestEveryRouteHasAMethodHere: what the tests before have asked for is all but
// what is listed.
func TestEveryRouteHasAMethodHere(t *testing.T) {
	without := map[string]string{
		"GET /api/recommend/{user}":                    "POST has the whole reply",
		"GET /api/recommend/{user}/{category}":         "POST has filters",
		"GET /api/recommend/{user}/{$}":                "Gorse's",
		"POST /api/session/recommend":                  "Gorse's; RecommendAnonymous",
		"GET /api/non-personalized/popular":            "Gorse's; Popular",
		"GET /api/popular/{category}":                  "Gorse's; Popular has filters",
		"GET /api/non-personalized/latest":             "Gorse's; Latest",
		"GET /api/latest/{category}":                   "Gorse's; Latest has filters",
		"POST /api/item":                               "InsertItems",
		"POST /api/user":                               "InsertUsers",
		"PUT /api/item/{movie}/category/{category}":    "UpdateItem",
		"DELETE /api/item/{movie}/category/{category}": "UpdateItem",
		"GET /api/feedback/{type}":                     "AllFeedback",
		"GET /api/feedback/{user}/{movie}":             "UserFeedback",
		"GET /api/user/{user}/feedback/{type}":         "UserFeedback",
		"DELETE /api/feedback/{type}/{user}/{movie}":   "DeleteFeedback",
		"GET /api/health/live":                         "Health",
		"GET /api/openapi.json":                        "for generators of clients",
		"GET /api/{$}":                                 "for people",
	}
	mux := http.NewServeMux()
	for _, r := range api.Routes() {
		mux.HandleFunc(r.Method+" "+r.Path, func(http.ResponseWriter, *http.Request) {})
	}
	used := map[string]bool{}
	asked.Range(func(key, _ any) bool {
		method, path, _ := strings.Cut(key.(string), " ")
		r, err := http.NewRequest(method, server.Base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, pattern := mux.Handler(r)
		used[pattern] = true
		return true
	})
	for _, r := range api.Routes() {
		pattern := r.Method + " " + r.Path
		if reason, listed := without[pattern]; used[pattern] == listed {
			t.Errorf("%s: asked for: %v; listed as without a method: %q", pattern, used[pattern], reason)
		}
	}
}
