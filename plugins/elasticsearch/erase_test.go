package elasticsearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/tidwall/gjson"
)

// store is an Elasticsearch with documents of users in two indices, whose searches
// and bulk requests work as erasing needs them.
type store struct {
	*httptest.Server
	mu        sync.Mutex
	users     map[string]int64 // "index/id" → user
	searched  map[string]int64 // as the last refresh left them
	paths     []string
	trouble   func(n int, w http.ResponseWriter, path string) bool // answers request number n itself
	seenLogin string
}

func newStore(t *testing.T, users, documents int) *store {
	t.Helper()
	s := &store{users: map[string]int64{}, trouble: func(int, http.ResponseWriter, string) bool { return false }}
	for u := range users {
		for d := range documents {
			s.users[fmt.Sprintf("predictions-2026.11.%02d/r%d-%d", 1+d%2, u, d)] = int64(u)
		}
		s.users[fmt.Sprintf("recommendations/%d", u)] = int64(u)
	}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *store) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	data, _ := io.ReadAll(r.Body)
	n := len(s.paths)
	s.paths, s.seenLogin = append(s.paths, r.URL.Path), r.Header.Get("Authorization")
	if s.trouble(n, w, r.URL.Path) {
		return
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/_refresh"):
		s.searched = map[string]int64{}
		for name, user := range s.users {
			s.searched[name] = user
		}
		reply(w, 200, `{"_shards":{"total":2,"successful":2,"failed":0}}`)
	case strings.HasSuffix(r.URL.Path, "/_search"):
		user := gjson.GetBytes(data, "query.term.user_id")
		if user.Type != gjson.Number {
			reply(w, 400, `{"error":{"root_cause":[{"type":"parsing_exception","reason":"unknown query [x]"}],"type":"parsing_exception","reason":"unknown query [x]"},"status":400}`)
			return
		}
		hits := []map[string]string{}
		for name, of := range s.searched {
			if of == user.Int() && len(hits) < int(gjson.GetBytes(data, "size").Int()) {
				index, id, _ := strings.Cut(name, "/")
				hits = append(hits, map[string]string{"_index": index, "_id": id, "_routing": "x"})
			}
		}
		text, _ := json.Marshal(hits)
		reply(w, 200, fmt.Sprintf(`{"timed_out":false,"_shards":{"total":2,"successful":2,"failed":0},"hits":{"hits":%s}}`, text))
	case r.URL.Path == "/_bulk":
		var items []string
		for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
			target := gjson.Get(line, "delete")
			delete(s.users, target.Get("_index").Str+"/"+target.Get("_id").Str)
			items = append(items, `{"delete":{"status":200}}`)
		}
		reply(w, 200, `{"errors":false,"items":[`+strings.Join(items, ",")+`]}`)
	}
}

// of counts the documents of a user.
func (s *store) of(user int64) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.users {
		if of == user {
			n++
		}
	}
	return n
}

func eraserYAML(urls ...string) string {
	return fmt.Sprintf(`
urls: ["%s"]
index: predictions-*,recommendations
action: delete_by_query
query: 'root = if this.skip == true { deleted() } else { {"term": {"user_id": this.user_id.int64()}} }'
timeout: 5s
backoff: {initial_interval: 2ms, max_interval: 20ms}
`, strings.Join(urls, `", "`))
}

func messagesOf(texts ...string) (batch service.MessageBatch) {
	for _, text := range texts {
		batch = append(batch, service.NewMessage([]byte(text)))
	}
	return batch
}

func TestAllThatAQueryFindsIsDeletedPageAfterPage(t *testing.T) {
	s := newStore(t, 3, 2*erasedAtOnce+5)
	o, _ := newTestOutput(t, eraserYAML(s.URL)+"api_key: a2V5\n")
	failed := writeAll(t, o, messagesOf(`{"user_id":"1"}`, `{"skip":true}`, `{"user_id":2}`, `{"user_id":7}`))
	if len(failed) > 0 {
		t.Errorf("failed: %v", failed)
	}
	if a, b, c := s.of(0), s.of(1), s.of(2); a != 2*erasedAtOnce+6 || b != 0 || c != 0 {
		t.Errorf("users 0, 1 and 2 have %d, %d and %d documents, want all of 0 and none", a, b, c)
	}
	if s.paths[0] != "/predictions-*,recommendations/_refresh" || s.paths[1] != "/predictions-*,recommendations/_search" || s.seenLogin != "APIKey a2V5" {
		t.Errorf("asked %v as %q", s.paths[:2], s.seenLogin)
	}
}

func TestAnIDOf64BitsIsFoundExactly(t *testing.T) {
	o, _ := newTestOutput(t, eraserYAML("http://localhost:1"))
	query, err := o.conf.queryOf(service.NewMessage([]byte(`{"user_id":9223372036854775807}`)))
	if err != nil || string(query) != `{"term":{"user_id":9223372036854775807}}` {
		t.Errorf("the query is %s, %v", query, err)
	}
}

// TestAnOutageOfErasingIsWaitedOut, at each of its requests, and fails nothing.
func TestAnOutageOfErasingIsWaitedOut(t *testing.T) {
	for _, c := range []struct{ name, path, body, log string }{
		{"a shard is not refreshed", "/_refresh", `{"_shards":{"total":2,"successful":1,"failed":1}}`, "a shard does not answer"},
		{"no shard answers", "/_search", `503 {"error":{"root_cause":[{"type":"no_shard_available_action_exception","reason":"[r][0]"}],"type":"search_phase_execution_exception","reason":"all shards failed"},"status":503}`, "no_shard_available_action_exception"},
		{"there is no room for searches", "/_search", `429 ` + rejectedAll, "overloaded"},
		{"a shard fails in part", "/_search", `{"_shards":{"failed":1},"hits":{"hits":[]}}`, "a shard does not answer"},
		{"the answer is cut off", "/_search", `{"_shards":{"failed":0},"hits":{"hits":[]`, "not Elasticsearch"},
		{"a privilege is missing", "/_refresh", `403 {"error":{"type":"security_exception","reason":"action [indices:admin/refresh] is unauthorized"},"status":403}`, "maintenance for delete_by_query"},
		{"the password is wrong", "/_refresh", `401 ` + wrongLogin, "mend basic_auth or api_key"},
		{"a proxy finds no node", "/_search", `502 ` + htmlPage, "status 502"},
		{"the path is another server's", "/_refresh", `404 404 page not found`, "not Elasticsearch"},
		{"there is no master", "/_bulk", `503 ` + noMaster, "no master"},
		{"an index is blocked", "/_bulk", `{"errors":true,"items":[{"delete":` + writeBlocked + `}]}`, "write block"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, 2, 0)
			left := 3
			s.trouble = func(_ int, w http.ResponseWriter, path string) bool {
				if !strings.HasSuffix(path, c.path) || left == 0 {
					return false
				}
				left--
				status, body := 200, c.body
				if n, err := fmt.Sscanf(c.body, "%d ", &status); n == 1 && err == nil {
					_, body, _ = strings.Cut(c.body, " ")
				}
				return reply(w, status, body)
			}
			o, log := newTestOutput(t, eraserYAML(s.URL))
			if failed := writeAll(t, o, messagesOf(`{"user_id":1}`)); len(failed) > 0 {
				t.Errorf("failed: %v", failed)
			}
			if s.of(0) != 1 || s.of(1) != 0 || left > 0 {
				t.Errorf("user 0 has %d documents, user 1 %d; %d troubles were not met", s.of(0), s.of(1), left)
			}
			if !strings.Contains(log.String(), c.log) || !strings.Contains(log.String(), "can be written again") {
				t.Errorf("the log lacks %q or the end of the outage:\n%s", c.log, log)
			}
		})
	}
}

func TestErasingGoesToTheNodeThatAnswers(t *testing.T) {
	s := newStore(t, 2, 5)
	o, _ := newTestOutput(t, eraserYAML("http://127.0.0.1:1", s.URL))
	if failed := writeAll(t, o, messagesOf(`{"user_id":1}`)); len(failed) > 0 || s.of(1) != 0 {
		t.Errorf("failed: %v; %d documents are left", failed, s.of(1))
	}
}

func TestErasingEndsWithItsContextAndNoFailedMessage(t *testing.T) {
	o, _ := newTestOutput(t, eraserYAML("http://127.0.0.1:1"))
	err := o.WriteBatch(within(t, 50*time.Millisecond), messagesOf(`{"user_id":1}`))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestAQueryThatCanNeverSucceedFailsItsMessage(t *testing.T) {
	s := newStore(t, 3, 2)
	yaml := strings.Replace(eraserYAML(s.URL), `{"term": {"user_id": this.user_id.int64()}}`, `this.query.or({"term": {"user_id": this.user_id.int64()}})`, 1)
	o, _ := newTestOutput(t, yaml)
	failed := writeAll(t, o, messagesOf(`{"query":{"x":{}}}`, `{"user_id":1}`, `{"user_id":"Ann"}`, `{"query":{}}`, `{"query":"all"}`, `no JSON`))
	for i, want := range map[int]string{0: "parsing_exception: unknown query [x]", 2: "field query", 3: "it gives {}", 4: "it gives all", 5: "field query"} {
		if !strings.Contains(failed[i], want) {
			t.Errorf("message %d: %q lacks %q", i, failed[i], want)
		}
	}
	if len(failed) != 5 || s.of(1) != 0 || s.of(0) != 3 {
		t.Errorf("%d failed; user 1 has %d documents, user 0 %d", len(failed), s.of(1), s.of(0))
	}
}

func TestADeletionThatIsRefusedFailsItsMessageAndIsNotRepeated(t *testing.T) {
	s := newStore(t, 1, 0)
	s.trouble = func(_ int, w http.ResponseWriter, path string) bool {
		return path == "/_bulk" && reply(w, 200, `{"errors":true,"items":[{"delete":{"status":400,"error":{"type":"illegal_argument_exception","reason":"no"}}}]}`)
	}
	o, _ := newTestOutput(t, eraserYAML(s.URL))
	failed := writeAll(t, o, messagesOf(`{"user_id":0}`))
	if bulks := slices.DeleteFunc(slices.Clone(s.paths), func(p string) bool { return p != "/_bulk" }); len(failed) != 1 || len(bulks) != 1 {
		t.Errorf("failed: %v, after %d requests", failed, len(bulks))
	}
}
