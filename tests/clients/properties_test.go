package clients

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/recsys-benthos/recsys-benthos/tests/serving"
)

const (
	readKey  = "reading-0123456789"
	adminKey = "admin-0123456789"
)

// asker sends what was drawn to a server of its own, whose keys it has.
type asker struct {
	*document
	base   string
	http   *http.Client
	asked  atomic.Int64
	busy   atomic.Int64 // of them answered 503 or 504
	served map[string]int
}

func newAsker(t *testing.T) *asker {
	t.Helper()
	s, err := serving.Start(serving.Config{
		Program: server.Program, Pipelines: []string{"ingest", "items", "movies"},
		Env: []string{"RECSYS_API_READ_KEY=" + readKey, "RECSYS_API_ADMIN_KEY=" + adminKey},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the server said:\n%s", s.Output.Tail())
		}
	})
	a := &asker{document: readDocument(t, s.Base), base: s.Base, served: map[string]int{}}
	a.http = &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	slices.SortFunc(a.operations, func(x, y *operation) int { return strings.Compare(x.name, y.name) })
	return a
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
	sent   string // in words
}

func (a *answer) String() string {
	return fmt.Sprintf("%s\nwas answered %d: %.600s", a.sent, a.status, a.body)
}

func (q *query) address(base string) string {
	path := q.op.path
	for name, value := range q.path {
		path = strings.ReplaceAll(path, "{"+name+"}", strings.ReplaceAll(url.PathEscape(value), ".", "%2E"))
	}
	if len(q.params) > 0 {
		path += "?" + q.params.Encode()
	}
	return base + path
}

func (a *asker) send(t *rapid.T, method, address string, body []byte, header map[string]string) *answer {
	request, err := http.NewRequest(method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatalf("%s %s: %v", method, address, err)
	}
	request.Header.Set("X-API-Key", adminKey)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := a.http.Do(request)
	if err != nil {
		t.Fatalf("%s %s %.600s: %v", method, address, body, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a.asked.Add(1)
	got := &answer{response.StatusCode, response.Header, text, fmt.Sprintf("%s %s %v %.600s", method, address, header, body)}
	if got.status >= 500 && got.status != 501 {
		a.busy.Add(1)
		if got.status != http.StatusServiceUnavailable && got.status != http.StatusGatewayTimeout {
			t.Fatalf("%s", got)
		}
		if got.header.Get("Retry-After") == "" {
			t.Fatalf("%s\nwithout Retry-After", got)
		}
	}
	return got
}

// checkProblem demands an answer that says what is wrong.
func (a *asker) checkProblem(t *rapid.T, got *answer) {
	var problem struct {
		Status int
		Detail string
	}
	if err := fits(a.problem, got.body); err != nil {
		t.Fatalf("%s\nwhich is no problem: %v", got, err)
	}
	if err := json.Unmarshal(got.body, &problem); err != nil || problem.Status != got.status || problem.Detail == "" ||
		got.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%s\nwhich is no problem with a detail: %v", got, err)
	}
}

func fits(schema *jsonschema.Schema, text []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// absent are the statuses of requests that name what may not be there; a role of a
// version that has another one is unusable.
var absent = []int{http.StatusNotFound, http.StatusConflict}

// checkValid demands what the document promises.
func (a *asker) checkValid(t *rapid.T, q *query, got *answer) {
	if !q.op.statuses[strconv.Itoa(got.status)] {
		t.Fatalf("%s\nwhich is not documented", got)
	}
	switch {
	case got.status == http.StatusOK:
		if q.op.replySchema != nil {
			if err := fits(q.op.replySchema, got.body); err != nil {
				t.Fatalf("%s\n%v", got, err)
			}
		}
	case got.status < 500 && !slices.Contains(absent, got.status) && !strings.Contains(string(got.body), "unusable role"):
		t.Fatalf("%s\nthough it is valid", got)
	default:
		a.checkProblem(t, got)
	}
}

// checkInvalid demands a refusal that is documented and says what is wrong.
func (a *asker) checkInvalid(t *rapid.T, q *query, what string, got *answer) {
	if got.status >= 500 {
		return
	}
	if got.status < 400 {
		t.Fatalf("%s\nthough it has %s", got, what)
	}
	if !q.op.statuses[strconv.Itoa(got.status)] {
		t.Fatalf("%s\nwhich is not documented", got)
	}
	a.checkProblem(t, got)
}

// seed is what CI draws from: a new finding is no reason for an old commit to fail.
// Others are drawn by -rapid.seed=N.
const seed = "20261129"

// checks has rapid draw so many cases, five times as many in CI.
func checks(t *testing.T, n int) {
	t.Helper()
	if isGiven("rapid.checks") {
		return
	}
	if os.Getenv("RECSYS_LONG") == "1" {
		n *= 5
	}
	for name, value := range map[string]string{"rapid.checks": strconv.Itoa(n), "rapid.shrinktime": "3s", "rapid.nofailfile": "true", "rapid.seed": seed} {
		if name == "rapid.seed" && isGiven(name) {
			continue
		}
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
}

func isGiven(name string) (given bool) {
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	return given
}

// TestWhatTheDocumentAllowsIsAnsweredAndWhatItForbidsIsRefused: requests are drawn
// from the OpenAPI document of the server. After all of them it answers as before.
func TestWhatTheDocumentAllowsIsAnsweredAndWhatItForbidsIsRefused(t *testing.T) {
	a := newAsker(t)
	if len(a.operations) < 45 {
		t.Fatalf("the document has %d operations", len(a.operations))
	}
	before := a.fixed(t)
	begun := time.Now()
	for _, op := range a.operations {
		t.Run(op.name, func(t *testing.T) {
			checks(t, 40)
			rapid.Check(t, func(t *rapid.T) {
				q := a.drawQuery(t, op)
				got := a.send(t, op.method, q.address(a.base), q.body, q.header)
				a.checkValid(t, q, got)
				what, valid := a.spoil(t, q)
				got = a.send(t, op.method, q.address(a.base), q.body, q.header)
				if valid {
					if !op.statuses[strconv.Itoa(got.status)] {
						t.Fatalf("%s\nwhich is not documented", got)
					}
					return
				}
				a.checkInvalid(t, q, what, got)
			})
		})
	}
	t.Logf("%d requests in %v, of which %d were answered 503 or 504", a.asked.Load(), time.Since(begun).Round(time.Millisecond), a.busy.Load())
	if a.busy.Load()*100 > a.asked.Load() {
		t.Errorf("%d of %d requests were answered 503 or 504", a.busy.Load(), a.asked.Load())
	}
	a.restore(t)
	if after := a.fixed(t); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// fixed is the estimate that must not change, without ids and times.
func (a *asker) fixed(t *testing.T) string {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/api/estimate/%d/%d", a.base, reservedUser, reservedMovie), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", adminKey)
	response, err := a.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var p object
	if err := json.NewDecoder(response.Body).Decode(&p); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%d, %v", response.StatusCode, err)
	}
	return fmt.Sprint(p["prediction"], p["model_version"], p["title"], p["genres"], p["cold"])
}

// restore makes the first version the champion again, as others were promoted, and
// withdraws challengers, which have users of their own.
func (a *asker) restore(t *testing.T) {
	t.Helper()
	for _, change := range [][2]string{
		{"withdraw", `{"role":"challenger:new"}`},
		{"withdraw", `{"role":"challenger:other"}`},
		{"promote", `{"version":"fixture-2","force":true}`},
		{"promote", `{"version":"fixture-1","force":true}`},
	} {
		request, err := http.NewRequest(http.MethodPost, a.base+"/api/models/"+change[0], strings.NewReader(change[1]))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-API-Key", adminKey)
		response, err := a.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK && change[0] == "promote" {
			t.Errorf("%s %s: %d", change[0], change[1], response.StatusCode)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(a.fixed(t), "fixture-1"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the champion does not come back")
		}
	}
}
