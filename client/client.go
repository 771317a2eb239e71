package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	defaultTimeout = 10 * time.Second
	defaultRetries = 2
	// maxWait bounds what a Retry-After makes a call wait.
	maxWait = 5 * time.Second
	// maxReply bounds a reply, in bytes; the largest list of 1,000 movies has less than 1 MiB.
	maxReply = 64 << 20
)

// Config is how a server is asked. The zero value is a good one for a server
// without keys.
type Config struct {
	// Key goes with each request as X-API-Key, unless it is empty.
	Key string
	// Timeout bounds a call with all its retries; 0 is 10 s. The deadline of a
	// call's context holds too.
	Timeout time.Duration
	// Retries is how often a call is repeated at most; 0 is twice, and less than 0
	// never. Repeated is what the server refused with 429 or 503 and a Retry-After,
	// as long as the wait fits into the timeout; after a 503 only what has the same
	// effect if it is done twice.
	Retries int
	// HTTP sends the requests; nil is a client of this Client's own.
	HTTP *http.Client
}

// Client asks one server.
type Client struct {
	base   string
	config Config
}

// New returns a client of the server at base, such as http://127.0.0.1:4195.
func New(base string, config Config) (*Client, error) {
	where, err := url.Parse(base)
	if err != nil || where.Host == "" || where.Scheme != "http" && where.Scheme != "https" || where.RawQuery != "" || where.Fragment != "" {
		return nil, fmt.Errorf("the server's address is %q; give one such as http://127.0.0.1:4195", base)
	}
	if config.Timeout == 0 {
		config.Timeout = defaultTimeout
	}
	if config.Retries == 0 {
		config.Retries = defaultRetries
	}
	if config.HTTP == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = 64 // all requests go to one host
		config.HTTP = &http.Client{Transport: transport}
	}
	return &Client{base: strings.TrimSuffix(base, "/"), config: config}, nil
}

// Close closes connections that are idle. The client can still be used.
func (c *Client) Close() { c.config.HTTP.CloseIdleConnections() }

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// request is one call.
type request struct {
	method, path string
	query        url.Values
	body         any  // nil for none
	once         bool // doing it twice may be more than doing it once
	notReady     bool // the body of a 503 is an answer: that of health
}

// do sends a request, again where that is safe, and decodes the answer.
func (c *Client) do(ctx context.Context, r request, into any) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return fmt.Errorf("writing the request %s %s: %w", r.method, r.path, err)
		}
	}
	for attempt := 0; ; attempt++ {
		err := c.try(ctx, r, body, into)
		var problem *Problem
		if err == nil || !errors.As(err, &problem) || attempt >= c.config.Retries || !problem.repeatable(r.once) {
			return err
		}
		if deadline, ok := ctx.Deadline(); problem.RetryAfter > maxWait || ok && time.Now().Add(problem.RetryAfter).After(deadline) {
			return err
		}
		if sleep(ctx, problem.RetryAfter) != nil {
			return err // says more than that the time is over
		}
	}
}

func (c *Client) try(ctx context.Context, r request, body []byte, into any) error {
	address := c.base + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(body)
	}
	request, err := http.NewRequestWithContext(ctx, r.method, address, content)
	if err != nil {
		return fmt.Errorf("asking for %s %s: %w", r.method, r.path, err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.config.Key != "" {
		request.Header.Set("X-API-Key", c.config.Key)
	}
	response, err := c.config.HTTP.Do(request)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", r.path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	if err != nil {
		return fmt.Errorf("reading the answer to %s %s: %w", r.method, r.path, err)
	}
	if len(text) > maxReply {
		return fmt.Errorf("reading the answer to %s %s: it is larger than %d bytes", r.method, r.path, maxReply)
	}
	answered := response.StatusCode == http.StatusOK ||
		r.notReady && response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Content-Type") != problemType
	if !answered {
		return problemOf(response, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("reading the answer to %s %s: %w", r.method, r.path, err)
	}
	return nil
}

// path joins the parts of a path behind /api, which may be any text or number.
func path(parts ...any) string {
	var b strings.Builder
	b.WriteString("/api")
	for _, part := range parts {
		b.WriteByte('/')
		switch part := part.(type) {
		case string:
			if part == "." || part == ".." { // are ways to other paths unless they are escaped
				part = strings.ReplaceAll(part, ".", "%2E")
			} else {
				part = url.PathEscape(part)
			}
			b.WriteString(part)
		case int64:
			b.WriteString(strconv.FormatInt(part, 10))
		}
	}
	return b.String()
}
