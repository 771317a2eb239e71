package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const problemType = "application/problem+json"

// Problem is an answer that is not what was asked for: RFC 9457.
type Problem struct {
	Status     int           // of HTTP
	Detail     string        // what is wrong, and what would mend it
	RequestID  string        // of the request, for whoever reads the server's log
	RetryAfter time.Duration // when the same request may succeed; 0: not by waiting
}

// Error is status and detail.
func (p *Problem) Error() string { return fmt.Sprintf("%d: %s", p.Status, p.Detail) }

// repeatable: 429 says that nothing was done; 503 may come after the server had
// begun.
func (p *Problem) repeatable(once bool) bool {
	switch p.Status {
	case http.StatusTooManyRequests:
		return p.RetryAfter > 0
	case http.StatusServiceUnavailable:
		return p.RetryAfter > 0 && !once
	}
	return false
}

// problemOf reads an answer, which may be that of a proxy in between.
func problemOf(response *http.Response, text []byte) *Problem {
	p := &Problem{Status: response.StatusCode, RequestID: response.Header.Get("X-Request-Id")}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	var body struct {
		Detail string `json:"detail"`
	}
	if err := json.Unmarshal(text, &body); err == nil && body.Detail != "" {
		p.Detail = body.Detail
		return p
	}
	const longest = 200
	p.Detail = http.StatusText(response.StatusCode)
	if len(text) > 0 {
		p.Detail += ": " + string(text[:min(len(text), longest)])
	}
	return p
}
