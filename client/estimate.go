package client

import (
	"context"
	"net/http"
	"time"
)

// Pair is a user and a movie.
type Pair struct {
	User  int64 `json:"user_id"`
	Movie int64 `json:"movie_id"`
}

// Prediction is what a user would rate a movie.
type Prediction struct {
	RequestID string `json:"request_id"`
	Pair
	Stars        float64   `json:"prediction"`
	ModelVersion string    `json:"model_version"` // the one version that made it
	RequestedAt  time.Time `json:"requested_at"`
	PredictedAt  time.Time `json:"predicted_at"`
	Cold         []string  `json:"cold"` // who is not known to the model: user, movie
	Title        string    `json:"title"`
	Genres       []string  `json:"genres"`
}

// Estimate returns what a user would rate a movie, which need not be known.
func (c *Client) Estimate(ctx context.Context, user, movie int64) (*Prediction, error) {
	var p Prediction
	if err := c.do(ctx, request{method: http.MethodGet, path: path("estimate", user, movie)}, &p); err != nil {
		return nil, err
	}
	return &p, nil
}

// EstimateMany returns the same for 1 to 1,000 pairs, in their order.
func (c *Client) EstimateMany(ctx context.Context, pairs []Pair) (all []Prediction, err error) {
	err = c.do(ctx, request{method: http.MethodPost, path: path("estimate"), body: pairs}, &all)
	return all, err
}
