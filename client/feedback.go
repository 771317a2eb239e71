package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The types of feedback. Tags can be read, and come by Kafka only.
const (
	Rate   = "rate"
	View   = "view"
	Unrate = "unrate"
	Tag    = "tag"
)

// Feedback is what a user did with a movie.
type Feedback struct {
	Type  string  `json:"FeedbackType"`
	User  int64   `json:"UserId,string"`
	Movie int64   `json:"ItemId,string"`
	Stars float64 `json:"Value,omitempty"` // of Rate: 0.5 to 5 in halves
	// Time of what the user did; zero is now.
	Time time.Time `json:"Timestamp"`
	Tag  string    `json:"Comment,omitempty"` // of Tag
}

// FeedbackPage is a part of all feedback.
type FeedbackPage struct {
	Next     string     `json:"Cursor"` // where the next page begins; "" after the last one
	Feedback []Feedback `json:"Feedback"`
}

// InsertFeedback adds 1 to 10,000 ratings and views. They are in Kafka when it
// returns, or, if one of them is wrong, none is. The number is of what was written.
//
// Feedback without a time gets that of this machine's clock before it is sent, so
// that it is the same event, and counts once, if it is sent again.
func (c *Client) InsertFeedback(ctx context.Context, all ...Feedback) (n int, err error) {
	return c.change(ctx, request{method: http.MethodPost, path: path("feedback"), body: timed(all)})
}

// PutFeedback is the same: of two ratings of a movie by a user the newer one holds.
func (c *Client) PutFeedback(ctx context.Context, all ...Feedback) (n int, err error) {
	return c.change(ctx, request{method: http.MethodPut, path: path("feedback"), body: timed(all)})
}

func timed(all []Feedback) []Feedback {
	timed := make([]Feedback, len(all))
	for i, f := range all {
		if f.Time.IsZero() {
			f.Time = time.Now()
		}
		f.Time = f.Time.UTC().Truncate(time.Millisecond) // as events have it
		timed[i] = f
	}
	return timed
}

// DeleteFeedback takes a user's rating of a movie back; views and tags stay.
func (c *Client) DeleteFeedback(ctx context.Context, user, movie int64) error {
	_, err := c.change(ctx, request{method: http.MethodDelete, path: path("feedback", user, movie)})
	return err
}

// Feedback returns the newest feedback of a type about a movie by a user; a
// *Problem with status 404 if there is none.
func (c *Client) Feedback(ctx context.Context, kind string, user, movie int64) (*Feedback, error) {
	var f Feedback
	if err := c.do(ctx, request{method: http.MethodGet, path: path("feedback", kind, user, movie)}, &f); err != nil {
		return nil, err
	}
	return &f, nil
}

// UserFeedback returns all that a user did, by movies.
func (c *Client) UserFeedback(ctx context.Context, user int64) (all []Feedback, err error) {
	err = c.do(ctx, request{method: http.MethodGet, path: path("user", user, "feedback")}, &all)
	return all, err
}

// AllFeedback returns n (1 to 1,000; 0 is 10) of all feedback, from where the page
// before ended; "" is the beginning.
func (c *Client) AllFeedback(ctx context.Context, n int, cursor string) (*FeedbackPage, error) {
	var page FeedbackPage
	if err := c.do(ctx, request{method: http.MethodGet, path: path("feedback"), query: pageQuery(n, cursor)}, &page); err != nil {
		return nil, err
	}
	return &page, nil
}

func pageQuery(n int, cursor string) url.Values {
	query := url.Values{}
	if n != 0 {
		query.Set("n", strconv.Itoa(n))
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	return query
}

// change sends a change and returns how many events are durable.
func (c *Client) change(ctx context.Context, r request) (n int, err error) {
	var answer struct{ RowAffected int }
	err = c.do(ctx, r, &answer)
	return answer.RowAffected, err
}
