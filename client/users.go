package client

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
)

// User is a user's profile.
type User struct {
	ID      int64           `json:"UserId,string"`
	Labels  json.RawMessage `json:"Labels,omitempty"` // JSON of any kind
	Comment string          `json:"Comment"`
}

// UserPatch changes what is not nil.
type UserPatch struct {
	Labels  json.RawMessage `json:"Labels,omitempty"`
	Comment *string         `json:"Comment,omitempty"`
}

// UserPage is a part of all users.
type UserPage struct {
	Next  string `json:"Cursor"` // where the next page begins; "" after the last one
	Users []User `json:"Users"`
}

// InsertUsers adds 1 to 10,000 profiles, or says all of them anew.
func (c *Client) InsertUsers(ctx context.Context, all ...User) (n int, err error) {
	return c.change(ctx, request{method: http.MethodPost, path: path("users"), body: all})
}

// UpdateUser changes what the patch names of a profile.
func (c *Client) UpdateUser(ctx context.Context, user int64, patch UserPatch) error {
	_, err := c.change(ctx, request{method: http.MethodPatch, path: path("user", user), body: patch})
	return err
}

// ForgetUser erases all that a user did until now, and the profile.
func (c *Client) ForgetUser(ctx context.Context, user int64) error {
	_, err := c.change(ctx, request{method: http.MethodDelete, path: path("user", user)})
	return err
}

// User returns a user who has a profile or did something; a *Problem with status
// 404 if nothing is known.
func (c *Client) User(ctx context.Context, user int64) (*User, error) {
	var u User
	if err := c.do(ctx, request{method: http.MethodGet, path: path("user", user)}, &u); err != nil {
		return nil, err
	}
	return &u, nil
}

// Users returns n (1 to 1,000; 0 is 10) users in the store's order, from where the
// page before ended; "" is the beginning.
func (c *Client) Users(ctx context.Context, n int, cursor string) (*UserPage, error) {
	var page UserPage
	if err := c.do(ctx, request{method: http.MethodGet, path: path("users"), query: pageQuery(n, cursor)}, &page); err != nil {
		return nil, err
	}
	return &page, nil
}

// KnownItems returns the movies that a user rated, tagged or viewed.
func (c *Client) KnownItems(ctx context.Context, user int64) ([]int64, error) {
	var texts []string
	if err := c.do(ctx, request{method: http.MethodGet, path: path("user", user, "known-items")}, &texts); err != nil {
		return nil, err
	}
	movies := make([]int64, len(texts))
	for i, text := range texts {
		var err error
		if movies[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, err
		}
	}
	return movies, nil
}
