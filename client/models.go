package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Model is a version in the registry.
type Model struct {
	Version   string    `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	Role      string    `json:"role"`  // champion, challenger:NAME, several with a comma, or ""
	Share     float64   `json:"share"` // of the users, of a challenger; 0 is in shadow
	RMSE      float64   `json:"rmse"`  // of held-out ratings, in stars
	BiasRMSE  float64   `json:"bias_rmse"`
	Ratings   int64     `json:"ratings"` // it was trained on
	Algorithm string    `json:"algorithm"`
	Verdict   string    `json:"verdict"` // what the gate said, in words
}

// RoleChange says who gets which role.
type RoleChange struct {
	Version string  `json:"version,omitempty"` // its name, champion or challenger:NAME
	Role    string  `json:"role,omitempty"`    // "" is champion; challenger:NAME
	Share   float64 `json:"share,omitempty"`   // of the users, of a challenger: 0 to 1
	Force   bool    `json:"force,omitempty"`   // overrules the gate
	Reason  string  `json:"reason,omitempty"`  // for the log
}

// RoleChanged is what came of it.
type RoleChanged struct {
	Changed bool   `json:"changed"`
	What    string `json:"what"` // in words
}

// Models returns all versions, oldest first.
func (c *Client) Models(ctx context.Context) ([]Model, error) {
	var answer struct {
		Models []Model `json:"models"`
	}
	if err := c.do(ctx, request{method: http.MethodGet, path: path("models")}, &answer); err != nil {
		return nil, err
	}
	return answer.Models, nil
}

// Manifest returns the manifest of a version, named by its name or role, as JSON.
func (c *Client) Manifest(ctx context.Context, version string) (manifest json.RawMessage, err error) {
	err = c.do(ctx, request{method: http.MethodGet, path: path("models", version)}, &manifest)
	return manifest, err
}

// Compare returns two manifests and the parameters that differ, as JSON.
func (c *Client) Compare(ctx context.Context, a, b string) (compared json.RawMessage, err error) {
	err = c.do(ctx, request{method: http.MethodGet, path: path("models", "compare"), query: url.Values{"a": {a}, "b": {b}}}, &compared)
	return compared, err
}

// Promote makes a version the champion, if the gate is not against it (a *Problem
// with status 409), or a challenger. It needs a key of scope admin.
func (c *Client) Promote(ctx context.Context, r RoleChange) (*RoleChanged, error) {
	return c.changeRole(ctx, "promote", r)
}

// Rollback makes that version the champion again which the present one replaced.
// expected is the version that is to be rolled back, "" for whichever it is. It
// needs a key of scope admin.
func (c *Client) Rollback(ctx context.Context, expected, reason string) (*RoleChanged, error) {
	return c.changeRole(ctx, "rollback", map[string]string{"expected": expected, "reason": reason})
}

// Withdraw takes the role challenger:NAME from its version. It needs a key of scope
// admin.
func (c *Client) Withdraw(ctx context.Context, role, reason string) (*RoleChanged, error) {
	return c.changeRole(ctx, "withdraw", map[string]string{"role": role, "reason": reason})
}

func (c *Client) changeRole(ctx context.Context, what string, body any) (*RoleChanged, error) {
	var changed RoleChanged
	// Twice may be more than once: a rollback would go further back.
	if err := c.do(ctx, request{method: http.MethodPost, path: path("models", what), body: body, once: true}, &changed); err != nil {
		return nil, err
	}
	return &changed, nil
}

// Health is how the server is.
type Health struct {
	Ready        bool     `json:"Ready"`
	ModelVersion string   `json:"ModelVersion"` // the champion, or ""
	Movies       int      `json:"Movies"`       // in the catalog
	Problems     []string `json:"Problems"`     // why it is not ready
}

// Health returns how the server is. One that is not ready is no error.
func (c *Client) Health(ctx context.Context) (*Health, error) {
	var h Health
	if err := c.do(ctx, request{method: http.MethodGet, path: path("health", "ready"), notReady: true}, &h); err != nil {
		return nil, err
	}
	return &h, nil
}
