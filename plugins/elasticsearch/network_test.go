package elasticsearch

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
)

// startEncrypted starts a server whose certificate nobody knows. It does not log
// the handshakes that fail.
func startEncrypted(t *testing.T, handler http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// TestConnectSaysWhyItWaits: an outage or a wrong setting keeps Connect waiting,
// with one line that says what is wrong.
func TestConnectSaysWhyItWaits(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	answering := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w, status, body) }))
		t.Cleanup(s.Close)
		return s.URL
	}
	encrypted := startEncrypted(t, http.NotFoundHandler())
	for _, test := range []struct{ name, url, more, want string }{
		{"unknown host", "http://no-such-host.invalid:9200", "", "host no-such-host.invalid is unknown"},
		{"nothing listens", "http://" + closed.Addr().String(), "", "connection refused"},
		{"wrong password", answering(401, wrongLogin), "", "refuses the user name, password or API key"},
		{"another server", answering(200, htmlPage), "", "not Elasticsearch"},
		{"no TLS there", strings.Replace(answering(200, "{}"), "http:", "https:", 1), "", "does not speak TLS"},
		{"unknown authority", encrypted.URL, "", "signed by an authority that is not known here"},
		{"another certificate", encrypted.URL, "certificate_fingerprint: " + strings.Repeat("ab", 32), "another certificate than the field certificate_fingerprint names"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o, lines := newTestOutput(t, settingsYAML(test.url)+test.more+"\n")
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			if err := o.Connect(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Connect gives %v", err)
			}
			if !strings.Contains(lines.String(), test.want) {
				t.Errorf("the log lacks %q:\n%s", test.want, lines)
			}
			if n := strings.Count(lines.String(), "level=ERROR"); n != 1 {
				t.Errorf("%d lines, want 1:\n%s", n, lines)
			}
		})
	}
}

func TestAnExpiredCertificateIsNamed(t *testing.T) {
	s := startEncrypted(t, http.NotFoundHandler())
	conf := settingsYAML(s.URL)
	o, lines := newTestOutput(t, conf)
	pool := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	o.client.wire.TLSClientConfig = &tls.Config{RootCAs: pool, Time: func() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_ = o.Connect(ctx)
	if !strings.Contains(lines.String(), "has expired or is not valid yet") {
		t.Errorf("the log is:\n%s", lines)
	}
}

func TestAUserWhoMayOnlyWriteConnects(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "u" || password != "p" {
			reply(w, 401, wrongLogin)
			return
		}
		reply(w, 403, `{"error":{"type":"security_exception","reason":"action [cluster:monitor/health] is unauthorized for user [u]"},"status":403}`)
	}))
	defer s.Close()
	o, _ := newTestOutput(t, settingsYAML(s.URL)+"basic_auth: {enabled: true, username: u, password: p}\n")
	if err := o.Connect(within(t, 5*time.Second)); err != nil {
		t.Error(err)
	}
}

func TestACertificateIsAcceptedByItsFingerprint(t *testing.T) {
	f := newFake(t, nil)
	s := startEncrypted(t, f.Config.Handler)
	sum := sha256.Sum256(s.Certificate().Raw)
	o, _ := newTestOutput(t, settingsYAML(s.URL)+"certificate_fingerprint: '"+strings.ToUpper(hex.EncodeToString(sum[:]))+"'\n")
	if failed := writeAll(t, o, predictions(3)); len(failed) > 0 || f.count() != 3 {
		t.Errorf("failed: %v", failed)
	}
}

// TestADeadNodeIsLeftOut: its requests go to the other one at once, and later
// ones do not try it each time.
func TestADeadNodeIsLeftOut(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	f := newFake(t, nil)
	o, _ := newTestOutput(t, strings.Replace(settingsYAML("http://"+dead.Addr().String(), f.URL), "initial_interval: 2ms, max_interval: 20ms", "initial_interval: 20s, max_interval: 20s", 1))
	for range 10 {
		if failed := writeAll(t, o, predictions(2)); len(failed) > 0 {
			t.Errorf("failed: %v", failed)
		}
	}
	if n := len(f.sent()); n != 10 {
		t.Errorf("%d requests reached the living node, want 10", n)
	}
}

func TestNodesThatFailedAreTriedAgainLaterAndLater(t *testing.T) {
	now := time.Unix(0, 0)
	nodes := []*elastictransport.Connection{{URL: &url.URL{Host: "a"}}, {URL: &url.URL{Host: "b"}}}
	p := &nodePool{nodes: nodes, now: func() time.Time { return now }}
	next := func() string {
		n, err := p.Next()
		if err != nil {
			t.Fatal(err)
		}
		return n.URL.Host
	}
	take := func(n int) (hosts string) {
		for range n {
			hosts += next()
		}
		return hosts
	}
	if got := take(4); got != "baba" {
		t.Errorf("nodes in turn: %s", got)
	}
	_ = p.OnFailure(nodes[0])
	if got := take(3); got != "bbb" {
		t.Errorf("after a failed: %s", got)
	}
	now = now.Add(time.Second)
	if got := take(3); strings.Count(got, "a") != 1 {
		t.Errorf("a second later a is tried once: %s", got)
	}
	_ = p.OnFailure(nodes[0])
	now = now.Add(time.Second)
	if got := take(3); got != "bbb" {
		t.Errorf("after it failed twice: %s", got)
	}
	_ = p.OnFailure(nodes[1])
	if got := take(1); got != "a" {
		t.Errorf("all dead, the one left alone longest: %s", got)
	}
	_ = p.OnSuccess(nodes[0])
	if got := take(2); got != "aa" {
		t.Errorf("a lives again: %s", got)
	}
}

func TestAFrozenNodeIsNotWaitedForForever(t *testing.T) {
	frozen := make(chan struct{})
	slow := newFake(t, func(*fake, int, []line, http.ResponseWriter) bool { <-frozen; return false })
	defer close(frozen)
	f := newFake(t, nil)
	o, lines := newTestOutput(t, strings.Replace(settingsYAML(slow.URL, f.URL), "timeout: 5s", "timeout: 1s", 1))
	for range 2 {
		if failed := writeAll(t, o, predictions(3)); len(failed) > 0 {
			t.Errorf("failed: %v", failed)
		}
	}
	if f.count() != 3 || !strings.Contains(lines.String(), "did not answer in time") {
		t.Errorf("%d documents, log:\n%s", f.count(), lines)
	}
}

func TestCancellingEndsTheWaitWithoutFailures(t *testing.T) {
	f := newFake(t, func(_ *fake, _ int, _ []line, w http.ResponseWriter) bool { return reply(w, 401, wrongLogin) })
	o, _ := newTestOutput(t, settingsYAML(f.URL))
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := o.WriteBatch(ctx, predictions(3)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("WriteBatch gives %v", err)
	}
}

// TestBuffersAreNotSharedBetweenRequests writes at once, through a server that
// answers without reading, so that requests end while their bodies are read.
func TestBuffersAreNotSharedBetweenRequests(t *testing.T) {
	var mu sync.Mutex
	early := 0
	f := newFake(t, nil)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		early++
		reject := early%3 == 1
		mu.Unlock()
		if reject {
			reply(w, 503, noMaster)
			return
		}
		f.Config.Handler.ServeHTTP(w, r)
	}))
	defer s.Close()
	o, _ := newTestOutput(t, settingsYAML(s.URL))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				if failed := writeAll(t, o, predictions(3000)); len(failed) > 0 {
					t.Errorf("failed: %v", failed)
				}
			}
		})
	}
	wg.Wait()
	if f.count() != 3000 {
		t.Errorf("%d documents are stored, want 3000", f.count())
	}
}

func TestGzip(t *testing.T) {
	var encoding string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		encoding = r.Header.Get("Content-Encoding")
		reply(w, 200, `{"errors":false,"items":[{"index":{"status":201}}]}`)
	}))
	defer s.Close()
	o, _ := newTestOutput(t, settingsYAML(s.URL)+"gzip_compression: true\n")
	if failed := writeAll(t, o, predictions(1)); len(failed) > 0 || encoding != "gzip" {
		t.Errorf("failed: %v, encoding %q", failed, encoding)
	}
}
