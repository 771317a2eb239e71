package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/api"
)

// FuzzCall sends any path, query and body: what is accepted becomes messages that
// are JSON, and what is not a problem with a client's status.
func FuzzCall(f *testing.F) {
	for _, seed := range [][3]string{
		{"GET", "/api/recommend/514?n=3&genre=Drama", ""},
		{"POST", "/api/recommend", `{"user_id":5,"n":3,"filters":{"genres":["Drama"]}}`},
		{"POST", "/api/feedback", `[{"FeedbackType":"rate","UserId":"1","ItemId":"2","Value":4,"Timestamp":"2026-01-02T15:04:05Z"}]`},
		{"POST", "/api/estimate", `[[1,2],[3,4]]`},
		{"GET", "/api/explain/1/2", ""},
		{"DELETE", "/api/user/7", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	mux := http.NewServeMux()
	for _, route := range api.Routes() {
		if route.Kind == api.None || route.Kind == api.Direct || route.Merges() {
			continue
		}
		mux.HandleFunc(route.Method+" "+route.Path, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			call, problem := route.Decode(r, body, "r1", now, &api.Backend{})
			if problem != nil {
				w.WriteHeader(problem.Status)
				return
			}
			for _, m := range call.Messages {
				if !json.Valid(m) {
					w.WriteHeader(http.StatusTeapot)
				}
			}
		})
	}
	f.Fuzz(func(t *testing.T, method, target, body string) {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://x"+target, strings.NewReader(body))
		if err != nil {
			return
		}
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, request)
		if answer.Code == http.StatusTeapot || answer.Code >= 500 && answer.Code != http.StatusServiceUnavailable {
			t.Errorf("%s %q with %q: status %d", method, target, body, answer.Code)
		}
	})
}
