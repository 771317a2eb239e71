package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Filters choose among movies. The zero value leaves none out.
type Filters struct {
	Genres    []string `json:"genres,omitempty"`     // one of them
	NotGenres []string `json:"not_genres,omitempty"` // none of them
	YearFrom  int      `json:"year_from,omitempty"`
	YearTo    int      `json:"year_to,omitempty"`
	MinCount  int      `json:"min_count,omitempty"` // of ratings
}

// Selection says which part of all movies is wanted.
type Selection struct {
	N       int     `json:"n,omitempty"`      // 1 to 1,000; 0 is 10
	Offset  int     `json:"offset,omitempty"` // how many of the best to leave out
	Filters Filters `json:"filters,omitzero"`
}

// ListRequest asks for a list of movies. The zero value asks for the best ten.
type ListRequest struct {
	Selection
	Exclude    []int64 `json:"exclude,omitempty"`    // movies that are not wanted
	Candidates []int64 `json:"candidates,omitempty"` // no others than these; nil is all
}

// Listed is a movie of a list, or a user of Audience and UserNeighbors.
type Listed struct {
	Movie      int64    `json:"movie_id"`
	User       int64    `json:"user_id"`
	Score      float64  `json:"score"`      // the greater, the better; of one list only
	Prediction float64  `json:"prediction"` // in stars; 0 where the list has none
	Rating     float64  `json:"rating"`     // of the user's own, in Because; in stars
	Title      string   `json:"title"`
	Genres     []string `json:"genres"`
	Year       int      `json:"year"`
}

// List is a list, the best first.
type List struct {
	RequestID    string    `json:"request_id"`
	Kind         string    `json:"kind"`
	User         int64     `json:"user_id"` // 0 where it is for no single user
	Users        []int64   `json:"users"`   // of a group
	Movie        int64     `json:"movie_id"`
	Items        []Listed  `json:"items"`
	ModelVersion string    `json:"model_version"` // the one version that made it
	Basis        string    `json:"basis"`         // what it was made from: user, popular …
	Cold         []string  `json:"cold"`          // who is not known to the model: user, movie
	PredictedAt  time.Time `json:"predicted_at"`
}

// Recommend returns the best movies for a user, without what the user rated.
func (c *Client) Recommend(ctx context.Context, user int64, r ListRequest) (*List, error) {
	return c.list(ctx, request{method: http.MethodPost, path: path("recommend", user), body: r})
}

// RecommendAnonymous returns the best movies for somebody who likes the given
// ones, of which there must be at least one.
func (c *Client) RecommendAnonymous(ctx context.Context, liked []int64, r ListRequest) (*List, error) {
	return c.list(ctx, request{method: http.MethodPost, path: path("recommend-anonymous"), body: struct {
		Liked []int64 `json:"liked"`
		ListRequest
	}{liked, r}})
}

// RecommendGroup returns one list for 1 to 100 users who watch together, without
// what any of them rated.
func (c *Client) RecommendGroup(ctx context.Context, users []int64, r ListRequest) (*List, error) {
	return c.list(ctx, request{method: http.MethodPost, path: path("recommend-to-many"), body: struct {
		Users []int64 `json:"users"`
		ListRequest
	}{users, r}})
}

// Popular returns the movies that most people like.
func (c *Client) Popular(ctx context.Context, s Selection) (*List, error) {
	return c.get(ctx, path("popular"), s)
}

// Neighbors returns movies that are like a movie.
func (c *Client) Neighbors(ctx context.Context, movie int64, s Selection) (*List, error) {
	return c.get(ctx, path("item", movie, "neighbors"), s)
}

// UserNeighbors returns n users (1 to 1,000; 0 is 10) who are like a user.
func (c *Client) UserNeighbors(ctx context.Context, user int64, n int) (*List, error) {
	return c.get(ctx, path("user", user, "neighbors"), Selection{N: n})
}

// Audience returns n users (1 to 1,000; 0 is 10) who would like a movie most.
func (c *Client) Audience(ctx context.Context, movie int64, n int) (*List, error) {
	return c.get(ctx, path("item", movie, "audience"), Selection{N: n})
}

// Because returns which of a user's own ratings speak for a movie, n (1 to 1,000;
// 0 is 10) of them.
func (c *Client) Because(ctx context.Context, user, movie int64, n int) (*List, error) {
	return c.list(ctx, request{method: http.MethodGet, path: path("because", user, movie), query: Selection{N: n}.query()})
}

// Newest is a movie and when it was entered; the year 1970 for those of MovieLens,
// which have no such time.
type Newest struct {
	Movie int64   `json:"Id,string"`
	Added float64 `json:"Score"` // Unix seconds
}

// Latest returns the movies that were entered last. Filters.MinCount has no
// meaning for them and must be 0.
func (c *Client) Latest(ctx context.Context, s Selection) (newest []Newest, err error) {
	err = c.do(ctx, request{method: http.MethodGet, path: path("latest"), query: s.query()}, &newest)
	return newest, err
}

func (c *Client) list(ctx context.Context, r request) (*List, error) {
	var l List
	if err := c.do(ctx, r, &l); err != nil {
		return nil, err
	}
	return &l, nil
}

func (c *Client) get(ctx context.Context, path string, s Selection) (*List, error) {
	query := s.query()
	query.Set("format", "full")
	return c.list(ctx, request{method: http.MethodGet, path: path, query: query})
}

// query leaves out what is zero: the server's defaults hold.
func (s Selection) query() url.Values {
	query := url.Values{}
	for _, p := range []struct {
		name  string
		value int
	}{{"n", s.N}, {"offset", s.Offset}, {"year_from", s.Filters.YearFrom}, {"year_to", s.Filters.YearTo}, {"min_count", s.Filters.MinCount}} {
		if p.value != 0 {
			query.Set(p.name, strconv.Itoa(p.value))
		}
	}
	if s.Filters.Genres != nil {
		query["category"] = s.Filters.Genres
	}
	if s.Filters.NotGenres != nil {
		query["not_category"] = s.Filters.NotGenres
	}
	return query
}
