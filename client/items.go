package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Item is a movie.
type Item struct {
	ID      int64           `json:"ItemId,string"`
	Title   string          `json:"Comment"`
	Genres  []string        `json:"Categories"`
	Hidden  bool            `json:"IsHidden"`         // in no list
	Labels  json.RawMessage `json:"Labels,omitempty"` // JSON of any kind
	AddedAt time.Time       `json:"Timestamp"`        // zero is now, for a new movie, and not known for one of MovieLens
	IMDb    string          `json:"imdb_id,omitempty"`
	TMDb    int64           `json:"tmdb_id,omitempty"`
}

// ItemPatch changes what is not nil.
type ItemPatch struct {
	Title  *string         `json:"Comment,omitempty"`
	Genres []string        `json:"Categories,omitempty"`
	Hidden *bool           `json:"IsHidden,omitempty"`
	Labels json.RawMessage `json:"Labels,omitempty"`
}

// ItemPage is a part of the catalog.
type ItemPage struct {
	Next  string `json:"Cursor"` // where the next page begins; "" after the last one
	Items []Item `json:"Items"`
}

// InsertItems adds 1 to 10,000 movies, or says all of them anew. They are in Kafka
// when it returns, or, if one of them is wrong, none is.
func (c *Client) InsertItems(ctx context.Context, all ...Item) (n int, err error) {
	return c.change(ctx, request{method: http.MethodPost, path: path("items"), body: all})
}

// UpdateItem changes what the patch names of a movie.
func (c *Client) UpdateItem(ctx context.Context, movie int64, patch ItemPatch) error {
	_, err := c.change(ctx, request{method: http.MethodPatch, path: path("item", movie), body: patch})
	return err
}

// HideItem hides a movie from all lists; its ratings stay, and UpdateItem brings it
// back.
func (c *Client) HideItem(ctx context.Context, movie int64) error {
	_, err := c.change(ctx, request{method: http.MethodDelete, path: path("item", movie)})
	return err
}

// Item returns a movie of the catalog; a *Problem with status 404 if there is none.
func (c *Client) Item(ctx context.Context, movie int64) (*Item, error) {
	var i Item
	if err := c.do(ctx, request{method: http.MethodGet, path: path("item", movie)}, &i); err != nil {
		return nil, err
	}
	return &i, nil
}

// Items returns n (1 to 1,000; 0 is 10) movies in the order of ids, hidden ones
// too, from where the page before ended; "" is the beginning. With a search text
// only those that have it in their titles.
func (c *Client) Items(ctx context.Context, n int, cursor, search string) (*ItemPage, error) {
	query := pageQuery(n, cursor)
	if search != "" {
		query.Set("q", search)
	}
	var page ItemPage
	if err := c.do(ctx, request{method: http.MethodGet, path: path("items"), query: query}, &page); err != nil {
		return nil, err
	}
	return &page, nil
}
