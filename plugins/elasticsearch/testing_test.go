package elasticsearch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// logged collects what the output logs.
type logged struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

// settingsYAML writes to the given nodes, with short waits.
func settingsYAML(urls ...string) string {
	return fmt.Sprintf(`
urls: ["%s"]
index: predictions
date_field: requested_at
id_field: request_id
timeout: 5s
backoff: {initial_interval: 2ms, max_interval: 20ms}
`, strings.Join(urls, `", "`))
}

func newTestOutput(t testing.TB, yaml string) (*output, *logged) {
	t.Helper()
	conf, err := outputSpec().ParseYAML(yaml, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseOutput(conf)
	if err != nil {
		t.Fatal(err)
	}
	lines := &logged{}
	res := service.MockResources(service.MockResourcesOptUseLogger(service.NewLoggerFromSlog(slog.New(slog.NewTextHandler(lines, nil)))))
	o, err := newOutput(c, res.Logger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close(context.Background()) })
	return o, lines
}

// predictions are n messages with the ids r0, r1, ….
func predictions(n int) service.MessageBatch {
	batch := make(service.MessageBatch, n)
	for i := range batch {
		batch[i] = service.NewMessage(fmt.Appendf(nil,
			`{"request_id":"r%d","user_id":%d,"movie_id":318,"prediction":3.5,"model_version":"v1","requested_at":"2026-11-23T22:03:01.000Z","predicted_at":"2026-11-23T22:03:01.002Z","cold":[],"title":"Shawshank Redemption, The (1994)","genres":["Crime","Drama"]}`, i, i))
	}
	return batch
}

// line is one action of a bulk request.
type line struct{ action, id, source string }

// fake is an Elasticsearch that answers from a function, and remembers what it
// has acknowledged.
type fake struct {
	*httptest.Server
	mu       sync.Mutex
	requests [][]line
	stored   map[string]string // id → source
	order    []string          // ids as they were stored
	raw      []string
}

// newFake answers the bulk request number n, from 0, with what answer writes; an
// answer of false means that all is well.
func newFake(t testing.TB, answer func(f *fake, n int, lines []line, w http.ResponseWriter) bool) *fake {
	t.Helper()
	f := &fake{stored: map[string]string{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		if r.URL.Path != "/_bulk" {
			_, _ = io.WriteString(w, `{"cluster_name":"test","status":"green"}`)
			return
		}
		data, _ := io.ReadAll(r.Body)
		lines := readLines(string(data))
		f.mu.Lock()
		n := len(f.requests)
		f.requests, f.raw = append(f.requests, lines), append(f.raw, string(data))
		f.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if answer != nil && answer(f, n, lines, w) {
			return
		}
		f.store(lines, w, nil)
	}))
	t.Cleanup(f.Close)
	return f
}

// store acknowledges lines, except those that failed gives an item for.
func (f *fake) store(lines []line, w io.Writer, failed map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	items := make([]string, len(lines))
	for i, l := range lines {
		if item, ok := failed[l.id]; ok {
			items[i] = fmt.Sprintf(`{%q:%s}`, l.action, item)
			continue
		}
		f.stored[l.id] = l.source
		f.order = append(f.order, l.id)
		items[i] = fmt.Sprintf(`{%q:{"status":201}}`, l.action)
	}
	fmt.Fprintf(w, `{"errors":%t,"items":[%s]}`, len(failed) > 0, strings.Join(items, ","))
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.stored)
}

func (f *fake) sent() [][]line {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

func readLines(data string) (lines []line) {
	rows := strings.Split(strings.TrimSuffix(data, "\n"), "\n")
	for i := 0; i < len(rows); i++ {
		l := line{action: strings.Split(rows[i], `"`)[1]}
		if at := strings.Index(rows[i], `"_id":"`); at >= 0 {
			l.id, _, _ = strings.Cut(rows[i][at+len(`"_id":"`):], `"`)
		}
		if l.action != actionDelete && i+1 < len(rows) {
			i++
			l.source = rows[i]
		}
		lines = append(lines, l)
	}
	return lines
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// writeAll gives the errors of a WriteBatch by message.
func writeAll(t testing.TB, o *output, batch service.MessageBatch) map[int]string {
	t.Helper()
	index := batch.Index()
	err := o.WriteBatch(within(t, 30*time.Second), batch)
	found := map[int]string{}
	if err == nil {
		return found
	}
	var failed *service.BatchError
	if !errors.As(err, &failed) {
		t.Fatalf("the whole batch failed: %v", err)
	}
	failed.WalkMessagesIndexedBy(index, func(i int, _ *service.Message, err error) bool {
		if err != nil {
			found[i] = err.Error()
		}
		return true
	})
	return found
}
