package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/client"
	"github.com/recsys-benthos/recsys-benthos/tests/serving"
)

func TestAnErrorIsTheServersProblem(t *testing.T) {
	ctx := t.Context()
	ask := func(key string, call func(c *client.Client) error) *client.Problem {
		t.Helper()
		var problem *client.Problem
		if err := call(connect(t, key)); !errors.As(err, &problem) {
			t.Fatalf("got %v", err)
		}
		return problem
	}
	for name, c := range map[string]struct {
		key    string
		call   func(c *client.Client) error
		status int
		detail string
	}{
		"no key":      {"", func(c *client.Client) error { _, err := c.Estimate(ctx, 1, 1); return err }, 401, "no key; give one in the header X-API-Key"},
		"another key": {"who", func(c *client.Client) error { _, err := c.Estimate(ctx, 1, 1); return err }, 401, "the key is not known here"},
		"a key of another scope": {readKey, func(c *client.Client) error {
			_, err := c.InsertFeedback(ctx, client.Feedback{Type: client.View, User: 1, Movie: 1})
			return err
		}, 403, "the key reader does not have the scope write"},
		"too many": {readKey, func(c *client.Client) error {
			_, err := c.Recommend(ctx, 1, client.ListRequest{Selection: client.Selection{N: 1001}})
			return err
		}, 400, "n is 1001; give a whole number from 1 to 1000"},
		"a rating out of range": {writeKey, func(c *client.Client) error {
			_, err := c.InsertFeedback(ctx, client.Feedback{Type: client.Rate, User: 1, Movie: 1, Stars: 11})
			return err
		}, 400, "nothing was written"},
		"an id below 0":          {readKey, func(c *client.Client) error { _, err := c.Estimate(ctx, -1, 1); return err }, 400, "the user id in the path"},
		"no such movie":          {readKey, func(c *client.Client) error { _, err := c.Item(ctx, 404); return err }, 404, "there is no movie 404"},
		"a version of dots":      {readKey, func(c *client.Client) error { _, err := c.Manifest(ctx, ".."); return err }, 400, `".." is not a version's name`},
		"a version with a slash": {readKey, func(c *client.Client) error { _, err := c.Manifest(ctx, "../x"); return err }, 400, `"../x" is not a version's name`},
	} {
		t.Run(name, func(t *testing.T) {
			p := ask(c.key, c.call)
			if p.Status != c.status || !strings.Contains(p.Detail, c.detail) || p.RetryAfter != 0 || p.RequestID == "" {
				t.Errorf("got %+v", p)
			}
		})
	}
}

// TestBeforeTheFirstModelTheProblemSaysWhenToComeBack: longer than a call lasts, so
// that it is not repeated.
func TestBeforeTheFirstModelTheProblemSaysWhenToComeBack(t *testing.T) {
	s, err := serving.Start(serving.Config{Program: server.Program, Registry: t.TempDir(), Unready: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	c, err := client.New(s.Base, client.Config{Timeout: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var problem *client.Problem
	if _, err := c.Estimate(t.Context(), 1, 1); !errors.As(err, &problem) || problem.Status != 503 || problem.RetryAfter != 5*time.Second {
		t.Errorf("got %+v, %v", problem, err)
	}
	until(t, "the catalog", func() bool { h, err := c.Health(t.Context()); return err == nil && h.Movies == 6 })
	if h, err := c.Health(t.Context()); err != nil || h.Ready || len(h.Problems) != 1 {
		t.Errorf("health: %+v, %v", h, err)
	}
}

// faulty answers the first requests itself, as a busy server does, and passes the
// others on.
type faulty struct {
	status int
	after  string // Retry-After
	first  int64
	seen   atomic.Int64
	bodies chan string
}

func (f *faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && f.bodies != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		f.bodies <- string(body)
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	if f.seen.Add(1) > f.first {
		return http.DefaultTransport.RoundTrip(r)
	}
	header := http.Header{}
	if f.after != "" {
		header.Set("Retry-After", f.after)
	}
	return &http.Response{StatusCode: f.status, Header: header, Body: io.NopCloser(strings.NewReader("busy")), Request: r}, nil
}

func TestOnlyWhatIsSafeIsRepeated(t *testing.T) {
	estimate := func(ctx context.Context, c *client.Client) error { _, err := c.Estimate(ctx, 1, 1); return err }
	rollback := func(ctx context.Context, c *client.Client) error {
		_, err := c.Rollback(ctx, "fixture-9", "")
		return err
	}
	for name, c := range map[string]struct {
		f     *faulty
		call  func(context.Context, *client.Client) error
		tries int64
		fails int // status
	}{
		"503 with Retry-After":                 {&faulty{status: 503, after: "1", first: 1}, estimate, 2, 0},
		"429 with Retry-After":                 {&faulty{status: 429, after: "1", first: 1}, estimate, 2, 0},
		"503 again and again":                  {&faulty{status: 503, after: "1", first: 9}, estimate, 3, 503},
		"503 without Retry-After":              {&faulty{status: 503, first: 1}, estimate, 1, 503},
		"503 with one that takes too long":     {&faulty{status: 503, after: "3600", first: 1}, estimate, 1, 503},
		"500":                                  {&faulty{status: 500, after: "1", first: 1}, estimate, 1, 500},
		"504":                                  {&faulty{status: 504, after: "1", first: 1}, estimate, 1, 504},
		"503 for what is not to be done twice": {&faulty{status: 503, after: "1", first: 1}, rollback, 1, 503},
		"429 for what is not to be done twice": {&faulty{status: 429, after: "1", first: 1}, rollback, 2, 409},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asking, err := client.New(server.Base, client.Config{Key: adminKey, HTTP: &http.Client{Transport: c.f}})
			if err != nil {
				t.Fatal(err)
			}
			err = c.call(t.Context(), asking)
			var problem *client.Problem
			if c.fails == 0 && err != nil || c.fails != 0 && (!errors.As(err, &problem) || problem.Status != c.fails) {
				t.Errorf("got %v", err)
			}
			if n := c.f.seen.Load(); n != c.tries {
				t.Errorf("%d tries, want %d", n, c.tries)
			}
		})
	}
}

// TestFeedbackThatIsRepeatedIsTheSameEvent: also where its time is not given.
func TestFeedbackThatIsRepeatedIsTheSameEvent(t *testing.T) {
	f := &faulty{status: 503, after: "1", first: 1, bodies: make(chan string, 2)}
	c, err := client.New(server.Base, client.Config{Key: writeKey, HTTP: &http.Client{Transport: f}})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.InsertFeedback(t.Context(), client.Feedback{Type: client.Rate, User: 52, Movie: 1, Stars: 3}); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if first, second := <-f.bodies, <-f.bodies; first != second || strings.Contains(first, "0001-01-01") {
		t.Errorf("sent\n%s\n%s", first, second)
	}
}

func TestACallEndsWithItsContextOrTimeout(t *testing.T) {
	f := &faulty{status: 503, after: "2", first: 9}
	c, err := client.New(server.Base, client.Config{Key: readKey, HTTP: &http.Client{Transport: f}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	begun := time.Now()
	if _, err := c.Estimate(ctx, 1, 1); err == nil || time.Since(begun) > time.Second {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
	short, err := client.New(server.Base, client.Config{Key: readKey, Timeout: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := short.Estimate(t.Context(), 1, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestAnAddressThatIsNoneIsRefused(t *testing.T) {
	for _, base := range []string{"", "127.0.0.1:4195", "ftp://127.0.0.1", "http://", "http://127.0.0.1/?x=1", "http://[::1"} {
		if _, err := client.New(base, client.Config{}); err == nil || !strings.Contains(err.Error(), "give one such as http://127.0.0.1:4195") {
			t.Errorf("%q: %v", base, err)
		}
	}
}
