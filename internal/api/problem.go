package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Problem is an answer that is not what was asked for: RFC 9457.
type Problem struct {
	Status     int           // of HTTP
	Detail     string        // what is wrong, and what would mend it
	RetryAfter time.Duration // when the same request may succeed; 0: not by waiting
	Allow      string        // the methods of the path, with status 405
}

// ProblemType is the media type of a Problem.
const ProblemType = "application/problem+json"

// Problemf returns a Problem with a formatted detail.
func Problemf(status int, format string, args ...any) *Problem {
	return &Problem{Status: status, Detail: fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) *Problem {
	return Problemf(http.StatusBadRequest, format, args...)
}

// After sets when to try again.
func (p *Problem) After(d time.Duration) *Problem {
	p.RetryAfter = d
	return p
}

// Error is status and detail.
func (p *Problem) Error() string { return fmt.Sprintf("%d: %s", p.Status, p.Detail) }

// Write answers with the problem; id is the request's, or "".
func (p *Problem) Write(w http.ResponseWriter, id string) {
	body, err := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail,omitempty"`
		ID     string `json:"request_id,omitempty"`
	}{"about:blank", http.StatusText(p.Status), p.Status, p.Detail, id})
	if err != nil {
		body = []byte("{}") // cannot be: text and numbers only
	}
	header := w.Header()
	header.Set("Content-Type", ProblemType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store")
	if p.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
	if p.Allow != "" {
		header.Set("Allow", p.Allow)
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}
