package recommendhttp

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

func TestARequestGoesThroughThePipelineAndBack(t *testing.T) {
	t.Parallel()
	c := startStream(t, "")
	a := c.ask("GET /api/estimate/1/296", "", "X-Request-Id", "mine")
	if a.status != 200 || a.header.Get("Content-Type") != "application/json" || a.header.Get("X-Request-Id") != "mine" ||
		gjson.Get(a.body, "echo").Raw != `{"request_id":"mine","kind":"predict","user_id":1,"movie_id":296}` {
		t.Errorf("got %+v", a)
	}
	if a := c.ask("GET /api/recommend/7", ""); a.body != `["7"]` {
		t.Errorf("got %+v", a)
	}
	if a := c.ask("GET /api/recommend/7", "", "X-API-Version", "2"); a.body != `[{"Id":"7","Score":1}]` {
		t.Errorf("got %+v", a)
	}
	if a := c.ask("GET /api/recommend/7/?n=10&offset=0", "", "X-API-Version", "2"); a.body != `[{"Id":"7","Score":1}]` {
		t.Errorf("as PyGorse asks: got %+v", a)
	}
	a = c.ask("POST /api/estimate", `[{"user_id":1,"movie_id":2},{"user_id":3,"movie_id":4}]`, "X-Request-Id", "two")
	if a.status != 200 || gjson.Get(a.body, "#").Int() != 2 || gjson.Get(a.body, "1.echo.user_id").Int() != 3 || gjson.Get(a.body, "1.echo.request_id").Str != "two-1" {
		t.Errorf("got %+v", a)
	}
	if a := c.ask("HEAD /api/estimate/1/296", ""); a.status != 200 || a.body != "" || a.header.Get("Content-Length") == "" {
		t.Errorf("got %+v", a)
	}
	first, second := c.ask("GET /api/estimate/1/2", ""), c.ask("GET /api/estimate/1/2", "", "X-Request-Id", "not\tprintable")
	if x, y := first.header.Get("X-Request-Id"), second.header.Get("X-Request-Id"); x == y || x == "" || strings.Contains(y, "\t") {
		t.Errorf("ids %q and %q", x, y)
	}
}

func TestFailuresAreProblems(t *testing.T) {
	t.Parallel()
	c := startStream(t, "limits: {body_bytes: 1KiB, header_bytes: 4KiB}\ntimeouts: {request: 200ms}")
	for _, r := range []struct {
		line, body string
		status     int
		detail     string
	}{
		{"GET /api/estimate/900/1", "", 422, "it is rejected"},
		{"GET /api/estimate/901/1", "", 500, "it is broken"},
		{"GET /api/estimate/902/1", "", 404, "there is no such user"},
		{"GET /api/estimate/903/1", "", 500, "the pipeline gave no reply"},
		{"GET /api/estimate/904/1", "", 504, "took too long"},
		{"POST /api/estimate", `[{"user_id":1,"movie_id":1},{"user_id":900,"movie_id":1}]`, 422, "it is rejected"},
		{"GET /api/estimate/1/x", "", 400, "the movie id in the path"},
		{"GET /api/recommend/", "", 400, "a part of the path is empty"},
		{"GET /api/estimate/1/", "", 400, "a part of the path is empty"},
		{"GET /api/recommend//neighbors", "", 400, "a part of the path is empty"},
		{"GET /api/popular/..", "", 400, "a part of the path is . or .."}, // a redirect led to the page of the interface
		{"POST /api/item/../user", "{}", 400, "a part of the path is . or .."},
		{"GET /api/recommend/a%2Fb", "", 400, "the user id in the path"},
		{"GET /api/recommend/%2F%2F", "", 400, "a part of the path is empty"},
		{"GET /api/nothing", "", 404, "there is nothing here"},
		{"GET /nothing", "", 404, "there is nothing here"},
		{"DELETE /api/estimate/1/1", "", 405, "this path has the methods GET, HEAD"},
		{"PATCH /api/feedback", "", 405, "this path has the methods POST, PUT"},
		{"POST /api/estimate", strings.Repeat(" ", 2000), 413, "larger than 1024 bytes"},
		{"POST /api/estimate", "nonsense", 400, "malformed JSON"},
	} {
		a := c.ask(r.line, r.body)
		c.expectProblem(a, r.status, r.detail)
		if (r.status == 504) != (a.header.Get("Retry-After") != "") {
			t.Errorf("%s: Retry-After %q", r.line, a.header.Get("Retry-After"))
		}
	}
	if a := c.ask("DELETE /api/estimate/1/1", ""); a.header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("Allow: %s", a.header.Get("Allow"))
	}
	c.expectProblem(c.ask("POST /api/estimate", "{}", "Content-Encoding", "gzip"), 415, "send it as it is")
	if a, err := c.try("GET /api/estimate/1/1", nil, "X-Large", strings.Repeat("x", 64<<10)); err == nil && a.status != 431 {
		t.Errorf("a header of 64 KiB: %d", a.status)
	}
	c.gate.let()
	if a := c.ask("GET /api/estimate/1/1", ""); a.status != 200 {
		t.Errorf("afterwards: %+v", a)
	}
}

// TestABodyOf10MBIsRefusedBeforeItIsRead: neither its length nor its absence
// makes the server read it.
func TestABodyOf10MBIsRefusedBeforeItIsRead(t *testing.T) {
	t.Parallel()
	c := startStream(t, "")
	large := bytes.Repeat([]byte(" "), 10<<20)
	for _, body := range []io.Reader{bytes.NewReader(large), io.MultiReader(bytes.NewReader(large))} { // the second is chunked
		if a, err := c.try("POST /api/feedback", body); err == nil {
			c.expectProblem(a, 413, "larger than 1048576 bytes")
		} // else the connection was cut while the body was on its way
	}
	if a := c.ask("GET /api/estimate/1/1", ""); a.status != 200 {
		t.Errorf("afterwards: %+v", a)
	}
}

func TestFeedbackIsAnsweredOnceItIsWritten(t *testing.T) {
	t.Parallel()
	c := startStream(t, "timeouts: {request: 300ms}\nlimits: {concurrent_writes: 1}")
	const body = `[{"FeedbackType":"rate","UserId":"7","ItemId":"318","Value":4.5,"Timestamp":"2026-01-02T03:04:05Z"},{"event_type":"view","user_id":8,"movie_id":1,"timestamp":1533873124}]`
	c.expectProblem(c.ask("POST /api/feedback", body), 504, "took too long") // the output waits at the gate
	c.expectProblem(c.ask("POST /api/feedback", body), 503, "too much feedback")
	if a := c.ask("GET /api/estimate/1/1", ""); a.status != 200 {
		t.Errorf("a request beside it: %+v", a)
	}
	c.gate.let()
	for deadline := time.Now().Add(10 * time.Second); ; {
		a := c.ask("PUT /api/feedback", body)
		if a.status == 200 && a.body == `{"RowAffected":2}` {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %+v", a)
		}
	}
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	if len(c.gate.events) != 4 || c.gate.events[0] != c.gate.events[2] || !strings.HasPrefix(c.gate.events[0], `7 {"event_id":`) || !strings.HasPrefix(c.gate.events[1], "8 ") {
		t.Errorf("written: %q", c.gate.events)
	}
}

func TestKeysAndScopes(t *testing.T) {
	t.Parallel()
	c := startStream(t, `auth:
  - {name: reader, key: r-secret}
  - {name: writer, key_file: `+writeFile(t, "key", "w-secret\n")+`, scopes: [read, write]}
  - {name: unset, key: ""}`)
	c.gate.let()
	a := c.ask("GET /api/estimate/1/1", "")
	c.expectProblem(a, 401, "no key")
	if a.header.Get("WWW-Authenticate") == "" {
		t.Error("no WWW-Authenticate")
	}
	c.expectProblem(c.ask("GET /api/estimate/1/1", "", "X-API-Key", "wrong"), 401, "not known")
	for line, scope := range map[string]string{
		"POST /api/feedback": "write", "POST /api/item": "write", "DELETE /api/item/1": "write", "DELETE /api/user/1": "write", "DELETE /api/feedback/1/1": "write",
		"POST /api/models/promote": "admin", "POST /api/models/rollback": "admin",
	} {
		c.expectProblem(c.ask(line, `{}`, "X-API-Key", "r-secret"), 403, "the key reader does not have the scope "+scope)
	}
	c.expectProblem(c.ask("POST /api/models/promote", `{}`, "X-API-Key", "w-secret"), 403, "the key writer does not have the scope admin")
	c.expectProblem(c.ask("GET /api/models", "", "X-API-Key", "r-secret"), 501, "this server has no model registry: the field model")
	if a := c.ask("GET /api/estimate/1/1", "", "Authorization", "Bearer r-secret"); a.status != 200 {
		t.Errorf("got %+v", a)
	}
	if a := c.ask("POST /api/feedback", `{"event_type":"view","user_id":8,"movie_id":1,"timestamp":1533873124}`, "X-API-Key", "w-secret"); a.status != 200 {
		t.Errorf("got %+v", a)
	}
	for _, path := range []string{"/api/health/live", "/api/health/ready", "/api/", "/api/openapi.json"} {
		if a := c.ask("GET "+path, ""); a.status != 200 {
			t.Errorf("%s: %+v", path, a)
		}
	}
}

func TestTheRateOfAKeyIsLimited(t *testing.T) {
	t.Parallel()
	c := startStream(t, "limits: {rate: 0.01, burst: 2}")
	for range 2 {
		if a := c.ask("GET /api/estimate/1/1", ""); a.status != 200 {
			t.Errorf("got %+v", a)
		}
	}
	a := c.ask("GET /api/estimate/1/1", "")
	c.expectProblem(a, 429, "more than 0.01 requests a second")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if a := c.ask("GET /api/health/live", ""); a.status != 200 {
		t.Errorf("health: %+v", a)
	}
}

func TestTooManyRequestsAtOnceAreRefused(t *testing.T) {
	t.Parallel()
	c := startStream(t, "limits: {concurrent_requests: 2}\ntimeouts: {request: 20s}")
	answers := make(chan answer, 3)
	for range 3 {
		go func() {
			a, err := c.try("GET /api/estimate/904/1", nil)
			if err != nil {
				t.Error(err)
			}
			answers <- a
		}()
	}
	c.expectProblem(<-answers, 503, "too many requests") // the other two wait at the gate
	c.gate.let()
	for range 2 {
		if a := <-answers; a.status != 200 {
			t.Errorf("got %+v", a)
		}
	}
}

func TestCompressionIsForThoseWhoAcceptIt(t *testing.T) {
	t.Parallel()
	c := startStream(t, "")
	const large = "GET /api/recommend/1?format=full&offset=3000"
	a := c.ask(large, "", "Accept-Encoding", "br, gzip")
	if a.header.Get("Content-Encoding") != "gzip" || !strings.Contains(a.header.Get("Vary"), "Accept-Encoding") || len(a.body) > 1000 {
		t.Fatalf("got %v with %d bytes", a.header, len(a.body))
	}
	zipped, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zipped)
	if err != nil || !strings.HasSuffix(string(text), strings.Repeat("x", 3000)+`"}`) {
		t.Errorf("%v: %s", err, text)
	}
	for _, accepted := range []string{"", "br", "gzip;q=0", "gzip;q=x"} {
		if a := c.ask(large, "", "Accept-Encoding", accepted); a.header.Get("Content-Encoding") != "" || len(a.body) < 3000 {
			t.Errorf("%q: got %v with %d bytes", accepted, a.header, len(a.body))
		}
	}
	if a := c.ask("GET /api/estimate/1/1", "", "Accept-Encoding", "gzip"); a.header.Get("Content-Encoding") != "" {
		t.Error("a small answer is compressed")
	}
}

func TestATagSavesTheAnswer(t *testing.T) {
	t.Parallel()
	c := startStream(t, "")
	a := c.ask("GET /api/item/1/neighbors", "")
	tag := a.header.Get("ETag")
	if a.status != 200 || tag == "" {
		t.Fatalf("got %+v", a)
	}
	if a := c.ask("GET /api/item/1/neighbors", "", "If-None-Match", tag); a.status != 304 || a.body != "" {
		t.Errorf("got %+v", a)
	}
	if a := c.ask("GET /api/item/1/neighbors?format=full", "", "If-None-Match", tag); a.status != 200 {
		t.Errorf("another format: %+v", a)
	}
	if a := c.ask("GET /api/recommend/1", ""); a.header.Get("ETag") != "" {
		t.Error("what is for a user has a tag")
	}
}

func TestPagesOfOtherOrigins(t *testing.T) {
	t.Parallel()
	const feedback = `{"event_type":"view","user_id":8,"movie_id":1,"timestamp":1533873124}`
	closed := startStream(t, "")
	closed.expectProblem(closed.ask("POST /api/feedback", feedback, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), 403, "another origin")
	if a := closed.ask("GET /api/estimate/1/1", "", "Origin", "https://evil.example"); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("got %v", a.header)
	}
	for host, status := range map[string]int{"evil.example:4195": 421, "localhost:4195": 200, "[::1]:4195": 200, "127.0.0.1": 200} {
		request, err := http.NewRequest(http.MethodGet, closed.base+"/api/estimate/1/1", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		response, err := plain.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != status {
			t.Errorf("for the host %s: %s", host, response.Status)
		}
	}
	c := startStream(t, "cors: {allowed_origins: ['https://shop.example']}")
	c.gate.let()
	if a := c.ask("OPTIONS /api/feedback", "", "Origin", "https://shop.example", "Access-Control-Request-Method", "POST"); a.status != 204 ||
		a.header.Get("Access-Control-Allow-Origin") != "https://shop.example" || !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "POST") {
		t.Errorf("got %+v", a)
	}
	if a := c.ask("POST /api/feedback", feedback, "Origin", "https://shop.example", "Sec-Fetch-Site", "cross-site"); a.status != 200 {
		t.Errorf("got %+v", a)
	}
	if a := c.ask("GET /api/estimate/1/1", "", "Origin", "https://evil.example"); a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Vary") == "" {
		t.Errorf("got %v", a.header)
	}
}

// TestConcurrentRequestsGetTheirOwnReplies: whatever batch they are in.
func TestConcurrentRequestsGetTheirOwnReplies(t *testing.T) {
	t.Parallel()
	c := startStream(t, "")
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			for i := range 100 {
				user := worker*1000 + i
				switch a := c.ask(fmt.Sprintf("GET /api/estimate/%d/1", user), ""); {
				case user == rejectedUser && a.status == 422, user == brokenUser && a.status == 500, user == missingUser && a.status == 404:
				case a.status != 200 || gjson.Get(a.body, "echo.user_id").Int() != int64(user):
					t.Errorf("user %d got %+v", user, a)
				}
				if a := c.ask(fmt.Sprintf("GET /api/estimate/%d/1", rejectedUser), ""); a.status != 422 {
					t.Errorf("got %+v", a)
				}
			}
		})
	}
	group.Wait()
}

// TestBadRequestsDisturbNoGoodOnes: each has its status, and what is asked beside
// them its answer.
func TestBadRequestsDisturbNoGoodOnes(t *testing.T) {
	t.Parallel()
	c := startStream(t, "limits: {body_bytes: 4KiB}\ntimeouts: {request: 10s}")
	bad := []struct {
		line, body string
		status     int
	}{
		{"GET /api/recommend/1?n=-1", "", 400},
		{"GET /api/recommend/1?n=1e9", "", 400},
		{"GET /api/recommend/1?nn=1", "", 400},
		{"GET /api/recommend/-1", "", 400},
		{"GET /api/recommend/" + strings.Repeat("9", 2000), "", 400},
		{"GET /api/item/%00/neighbors", "", 400},
		{"GET /api/%2e%2e/etc/passwd", "", 404},
		{"GET /api/estimate/900/1", "", 422},
		{"GET /api/estimate/901/1", "", 500},
		{"GET /api/estimate/902/1", "", 404},
		{"GET /api/estimate/903/1", "", 500},
		{"POST /api/estimate", "{", 400},
		{"POST /api/estimate", strings.Repeat("[", 4000), 400},
		{"POST /api/estimate", strings.Repeat("x", 5000), 413},
		{"POST /api/estimate", "\xff\xfe\x00", 400},
		{"POST /api/feedback", `[{"FeedbackType":"rate","UserId":"1","ItemId":"2","Value":1e308}]`, 400},
		{"POST /api/feedback", `[{"FeedbackType":"rate","UserId":"1","ItemId":"2","Value":3,"Timestamp":"2999-01-01T00:00:00Z"}]`, 400},
		{"POST /api/feedback", `[{"FeedbackType":"rate","UserId":{},"ItemId":[],"Value":null}]`, 400},
		{"POST /api/recommend/1", `{"filters":{"year_from":"soon"}}`, 400},
		{"BREW /api/estimate/1/1", "", 405},
	}
	ctx, cancel := context.WithCancel(t.Context())
	var good, others sync.WaitGroup
	for worker := range 2 {
		others.Go(func() {
			for i := worker; ctx.Err() == nil; i++ {
				r := bad[i%len(bad)]
				if a, err := c.try(r.line, strings.NewReader(r.body)); err == nil && a.status != r.status { // a connection may be cut under a body that is too large
					t.Errorf("%.60s %.60s: got %d %s, want %d", r.line, r.body, a.status, a.body, r.status)
				}
			}
		})
	}
	for worker := range 4 {
		good.Go(func() {
			for i := range 300 {
				user := worker*100_000 + i
				if a := c.ask(fmt.Sprintf("GET /api/estimate/%d/1", 1000+user), ""); a.status != 200 || gjson.Get(a.body, "echo.user_id").Int() != int64(1000+user) {
					t.Errorf("user %d got %+v", user, a)
				}
			}
		})
	}
	good.Wait()
	cancel()
	others.Wait()
}

// TestWaitingRequestsAreOneBatch: while both threads are busy, requests gather.
func TestWaitingRequestsAreOneBatch(t *testing.T) {
	t.Parallel()
	c := startStream(t, "timeouts: {request: 10s}")
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			if a := c.ask("GET /api/estimate/904/1", ""); a.status != 200 {
				t.Errorf("got %+v", a)
			}
		})
	}
	batches := 0
	for n := 0; n < 40; {
		n += <-c.gate.batches
		if batches++; batches == 2 { // both threads wait now
			c.gate.let()
		}
	}
	c.gate.let() // where all came in the first batch
	if group.Wait(); batches > 20 {
		t.Errorf("40 requests came in %d batches", batches)
	}
}

// TestClientsThatGoAwayLeaveNothingBehind: what they asked for and is still
// waiting is not even computed, and holds no place.
func TestClientsThatGoAwayLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	c := startStream(t, "limits: {concurrent_requests: 32, batch: 1}\ntimeouts: {request: 20s}")
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/api/estimate/904/1", nil)
			if err != nil {
				t.Error(err)
				return
			}
			if response, err := plain.RoundTrip(request); err == nil {
				response.Body.Close()
				t.Errorf("got %s", response.Status)
			}
		})
	}
	<-c.gate.batches
	<-c.gate.batches // both threads wait at the gate
	cancel()
	group.Wait()
	c.gate.let()
	for deadline := time.Now().Add(10 * time.Second); ; { // the server learns of it a little later
		if a := c.ask("GET /api/estimate/1/1", ""); a.status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("places are held for those who went")
		}
	}
}

// TestSlowClientsHoldUpNobody: they send their request byte by byte, or not at all.
func TestSlowClientsHoldUpNobody(t *testing.T) {
	t.Parallel()
	c := startStream(t, "limits: {concurrent_requests: 1}\ntimeouts: {read: 300ms}")
	dial := func(text string) net.Conn {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	header := dial("GET /api/estimate/1/1 HTTP/1.1\r\nHost: localhost\r\n")
	body := dial("POST /api/estimate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n[")
	if a := c.ask("GET /api/estimate/1/1", ""); a.status != 200 {
		t.Errorf("beside them: %+v", a)
	}
	response, err := http.ReadResponse(bufio.NewReader(body), nil)
	if err != nil || response.StatusCode != http.StatusRequestTimeout {
		t.Errorf("a body that does not come: %v, %v", response, err)
	}
	_ = header.SetReadDeadline(time.Now().Add(10 * time.Second))
	if rest, err := io.ReadAll(header); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("a header that does not come is waited for: %q, %v", rest, err)
	}
}

func TestTheServerSaysHowItIs(t *testing.T) {
	t.Parallel()
	c := startStream(t, "")
	if a := c.ask("GET /api/health/ready", ""); a.status != 200 || strings.TrimSpace(a.body) != `{"Ready":true,"ModelVersion":"","Movies":0,"Problems":[]}` {
		t.Errorf("got %+v", a)
	}
	if a := c.ask("GET /", ""); a.status != 302 || a.header.Get("Location") != "/api/" {
		t.Errorf("got %+v", a)
	}
	if a := c.ask("GET /api/", ""); a.status != 200 || !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("got %+v", a)
	}
	if a := c.ask("GET /api/openapi.json", ""); !gjson.Valid(a.body) || gjson.Get(a.body, "openapi").Str != "3.1.0" {
		t.Errorf("got %.100s", a.body)
	}
}
