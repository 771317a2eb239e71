package docs

import (
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
)

// sink is one that docs/swap-a-sink.md puts in the place of the embedded one.
type sink struct {
	prepare func(v *visit) (found func() []string) // starts a server, if there is one; found are the request ids in the sink
	refused int                                    // predictions that the sink does not take
	reason  string                                 // part of what their dead letters say
}

// sinks are those of the page, by the headings of its sections.
var sinks = map[string]sink{
	"A file":                          {prepare: sinkFile("recsys-data/predictions.jsonl")},
	"An HTTP server":                  {prepare: sinkHTTP, refused: 1, reason: "422"},
	"Kafka only":                      {prepare: sinkFile("read.jsonl")},
	"Elasticsearch":                   {prepare: sinkElasticsearch},
	"SQLite with columns of your own": {prepare: sinkSQLite},
}

// sinkSections returns the blocks of docs/swap-a-sink.md that every example begins
// with, and those of each.
func sinkSections(t *testing.T) (general []block, sections map[string][]block) {
	t.Helper()
	sections = map[string][]block{}
	for _, b := range pageBlocks(t, "docs/swap-a-sink.md") {
		if b.section == "The edit" {
			general = append(general, b)
		} else {
			sections[b.section] = append(sections[b.section], b)
		}
	}
	if len(general) == 0 || len(sections) != len(sinks) {
		t.Fatalf("the page begins with %d blocks and has %d sections with some, for %d sinks that are known here", len(general), len(sections), len(sinks))
	}
	return general, sections
}

// TestEverySinkHasEveryPredictionOnce does what docs/swap-a-sink.md says, section
// by section, each in a folder of its own.
func TestEverySinkHasEveryPredictionOnce(t *testing.T) {
	general, sections := sinkSections(t)
	for title, s := range sinks {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			section := sections[title]
			if len(section) == 0 || !section[0].has(noteReplaces) {
				t.Fatal("the section does not begin with the block that replaces prediction_index")
			}
			v := newVisit(t)
			found := s.prepare(v)
			v.follow(slices.Concat(general, section))
			checkSink(v, s, found())
		})
	}
}

// TestEverySinkFitsTheClusterProfile: the page says that the edit is the same there.
func TestEverySinkFitsTheClusterProfile(t *testing.T) {
	_, sections := sinkSections(t)
	for title := range sinks {
		v := &visit{T: t, folder: t.TempDir()}
		v.checkout()
		b := sections[title][0]
		b.notes = []string{noteReplaces + ": prediction_index in config/cluster.yaml"}
		v.replace(b)
		edited, err := os.ReadFile(filepath.Join(v.folder, "config", "cluster.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, lint := range lint(string(edited)) {
			t.Errorf("%s: config/cluster.yaml with this sink: %s", title, lint)
		}
		if want := labels(readFile(t, "config/cluster.yaml")); !maps.Equal(labels(string(edited)), want) {
			t.Errorf("%s: config/cluster.yaml has not the resources that it had", title)
		}
	}
}

// checkSink compares a sink with the topic: each prediction once, or refused and
// a dead letter.
func checkSink(v *visit, s sink, found []string) {
	v.Helper()
	predicted, letters := requestIDs(v.topic("predictions")), v.topic("dead_letters")
	dead := requestIDs(letters)
	if len(predicted) < 300 || len(dead) != s.refused {
		v.Errorf("there are %d predictions and %d dead letters, not 300 or more and %d", len(predicted), len(dead), s.refused)
	}
	for _, letter := range letters {
		if reason := header(letter, "error"); !strings.Contains(reason, s.reason) {
			v.Errorf("the reason of a dead letter is %q, not that of the sink, %q", reason, s.reason)
		}
	}
	all := slices.Concat(found, dead)
	slices.Sort(all)
	slices.Sort(predicted)
	if !slices.Equal(all, predicted) {
		v.Errorf("the sink has %d predictions and %d are dead letters, of %d; or they are not the same", len(found), len(dead), len(predicted))
	}
	if _, err := os.Stat(filepath.Join(v.folder, "recsys-data", "predictions.db")); err == nil {
		v.Error("the sink that was replaced has been written too")
	}
}

func requestIDs(records []*kgo.Record) (ids []string) {
	for _, r := range records {
		ids = append(ids, requestID(string(r.Value)))
	}
	return ids
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// topic returns the records of a topic, once the pipelines have stopped.
func (v *visit) topic(name string) (records []*kgo.Record) {
	v.Helper()
	b, err := broker.Open(broker.Config{Dir: filepath.Join(v.folder, "recsys-data", "broker"), Address: "127.0.0.1:0"})
	if err != nil {
		v.Fatal(err)
	}
	defer b.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumeTopics(name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		v.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(v.Context(), patience)
	defer cancel()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, name)
	if err != nil {
		v.Fatal(err)
	}
	want := int64(0)
	ends.Each(func(o kadm.ListedOffset) { want += o.Offset })
	for int64(len(records)) < want {
		fetches := client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			v.Fatalf("%d of %d records of %s are read: %v", len(records), want, name, err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func requestID(document string) string { return gjson.Get(document, "request_id").String() }

// sinkFile is a file with a prediction a line.
func sinkFile(name string) func(v *visit) func() []string {
	return func(v *visit) func() []string {
		return func() (ids []string) {
			text, err := os.ReadFile(filepath.Join(v.folder, filepath.FromSlash(name)))
			if err != nil {
				v.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				ids = append(ids, requestID(line))
			}
			return ids
		}
	}
}

// arrivals are the request ids that a server has taken.
type arrivals struct {
	mu  sync.Mutex
	ids []string
}

func (a *arrivals) found() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.ids)
}

// serve runs a server in the place of one that the documentation has.
func (v *visit) serve(documented string, handler http.HandlerFunc) {
	v.Helper()
	server := httptest.NewServer(handler)
	v.Cleanup(server.Close)
	v.others = append(v.others, documented, server.Listener.Addr().String())
}

// sinkHTTP is a server that is busy at first, and then refuses one prediction.
func sinkHTTP(v *visit) func() []string {
	const busy = 2
	var a arrivals
	requests, refused := 0, ""
	v.serve("127.0.0.1:8080", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id := requestID(string(body))
		a.mu.Lock()
		defer a.mu.Unlock()
		requests++
		switch {
		case r.Method != http.MethodPost || r.URL.Path != "/predictions" || r.Header.Get("Idempotency-Key") != id:
			v.Errorf("%s %s came with the key %q for %q", r.Method, r.URL.Path, r.Header.Get("Idempotency-Key"), id)
		case requests <= busy:
			http.Error(w, "busy", http.StatusServiceUnavailable)
		case refused == "" || refused == id:
			refused = id
			http.Error(w, "not this one", http.StatusUnprocessableEntity)
		default:
			a.ids = append(a.ids, id)
		}
	})
	return a.found
}

// sinkElasticsearch answers bulk requests as Elasticsearch does. What the real one
// says is checked in plugins/elasticsearch and tests/cluster.
func sinkElasticsearch(v *visit) func() []string {
	var a arrivals
	v.serve("127.0.0.1:9200", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/_bulk" {
			_, _ = io.WriteString(w, `{"cluster_name":"test","status":"green"}`)
			return
		}
		body, err := bulkBody(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		var items []string
		lines := strings.Split(strings.TrimSpace(body), "\n")
		for i := 0; i+1 < len(lines); i += 2 {
			action := gjson.Get(lines[i], "*")
			if id := requestID(lines[i+1]); action.Get("_id").String() != id || !strings.HasPrefix(action.Get("_index").String(), "predictions-2") {
				v.Errorf("%s comes with %s", lines[i+1], lines[i])
			} else {
				a.ids = append(a.ids, id)
			}
			items = append(items, `{"index":{"status":201}}`)
		}
		_, _ = io.WriteString(w, `{"errors":false,"items":[`+strings.Join(items, ",")+`]}`)
	})
	return a.found
}

func sinkSQLite(v *visit) func() []string {
	return func() []string {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(v.folder, "recsys-data", "errors.db")+"?mode=ro")
		if err != nil {
			v.Fatal(err)
		}
		defer db.Close()
		var list string
		var wrong int
		if err := db.QueryRow(`SELECT json_group_array(request_id), count(*) FILTER (WHERE abs(error - prediction + actual) > 1e-6 OR error IS NULL) FROM errors`).
			Scan(&list, &wrong); err != nil {
			v.Fatal(err)
		}
		if wrong > 0 {
			v.Errorf("%d rows have not the error of their prediction", wrong)
		}
		var ids []string
		if err := json.Unmarshal([]byte(list), &ids); err != nil {
			v.Fatal(err)
		}
		return ids
	}
}

// bulkBody reads a body that may be compressed.
func bulkBody(r *http.Request) (string, error) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		compressed, err := gzip.NewReader(r.Body)
		if err != nil {
			return "", err
		}
		body = compressed
	}
	text, err := io.ReadAll(body)
	return string(text), err
}
