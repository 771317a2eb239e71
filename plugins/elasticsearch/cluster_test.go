//go:build cluster

package elasticsearch

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

const startTimeout = 3 * time.Minute

func startServer(t testing.TB, o servers.ElasticsearchOptions) *servers.Elasticsearch {
	t.Helper()
	e, err := servers.StartElasticsearch(within(t, startTimeout), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// ask sends a request to a server without security, and gives its answer.
func ask(t testing.TB, method, address, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(within(t, 30*time.Second), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func countDocuments(t testing.TB, address string) int {
	t.Helper()
	ask(t, http.MethodPost, address+"/predictions-*/_refresh", "")
	return int(gjson.Get(ask(t, http.MethodGet, address+"/predictions-*/_count", ""), "count").Int())
}

// numbered are n predictions with ids from first.
func numbered(first, n int) service.MessageBatch {
	batch := make(service.MessageBatch, n)
	for i := range batch {
		batch[i] = service.NewMessage(fmt.Appendf(nil,
			`{"request_id":"events-0-%d","user_id":%d,"movie_id":318,"prediction":3.5,"model_version":"v1","requested_at":"2026-11-23T22:03:01.000Z","predicted_at":"2026-11-23T22:03:01.002Z","cold":[],"title":"Shawshank Redemption, The (1994)","genres":["Crime","Drama"]}`, first+i, i))
	}
	return batch
}

func realSettings(address string) Settings {
	u, _ := url.Parse(address)
	return Settings{URLs: []*url.URL{u}, Timeout: 30 * time.Second, Index: "predictions", Daily: true, Connections: 2}
}

func TestOnARealServer(t *testing.T) {
	e := startServer(t, servers.ElasticsearchOptions{})
	address := e.Nodes[0].Address
	clear := func(t *testing.T) {
		t.Helper()
		ask(t, http.MethodDelete, address+"/predictions-2026.11.23", "")
	}
	t.Run("setup", func(t *testing.T) { testSetup(t, address) })
	t.Run("a replay changes nothing", func(t *testing.T) {
		clear(t)
		o, _ := newTestOutput(t, settingsYAML(address))
		for range 2 {
			if failed := writeAll(t, o, numbered(0, 3000)); len(failed) > 0 {
				t.Fatalf("failed: %v", failed)
			}
			if n := countDocuments(t, address); n != 3000 {
				t.Errorf("%d documents, want 3000", n)
			}
		}
		o, _ = newTestOutput(t, settingsYAML(address)+"action: create\n")
		if failed := writeAll(t, o, numbered(0, 10)); len(failed) > 0 {
			t.Errorf("create of what is there: %v", failed)
		}
	})
	t.Run("documents that do not fit the mapping fail alone", func(t *testing.T) { clear(t); testMisfits(t, address) })
	t.Run("every action", func(t *testing.T) { clear(t); testActions(t, address) })
	t.Run("a write block is waited out", func(t *testing.T) { clear(t); testWriteBlock(t, address) })
	t.Run("what is missing is waited for", func(t *testing.T) { clear(t); testMissing(t, address) })
	t.Run("a frozen node is waited out", func(t *testing.T) { clear(t); testFrozen(t, e) })
	t.Run("kill -9 loses nothing", func(t *testing.T) { clear(t); testKill(t, e) })
}

func testSetup(t *testing.T, address string) {
	ctx := within(t, time.Minute)
	s := realSettings(address)
	one, none := 1, 0
	problems, err := Check(ctx, s, CheckOptions{})
	if err != nil || !strings.Contains(fmt.Sprint(problems), "index template predictions: it is missing") {
		t.Fatalf("before: %v, %v", problems, err)
	}
	for _, step := range []struct {
		options SetupOptions
		want    Action
	}{
		{SetupOptions{DryRun: true}, Created},
		{SetupOptions{Replicas: &one}, Created},
		{SetupOptions{Replicas: &one}, Kept},
		{SetupOptions{Replicas: &none, DryRun: true}, Updated},
		{SetupOptions{Replicas: &none}, Updated},
		{SetupOptions{Replicas: &none}, Kept},
	} {
		changes, err := Setup(ctx, s, step.options)
		if err != nil || len(changes) != 3 || changes[0].Action != Skipped || changes[1].Action != step.want || changes[2].Action != step.want {
			t.Fatalf("%+v: %v, %v, want %s", step.options, changes, err, step.want)
		}
	}
	o, _ := newTestOutput(t, settingsYAML(address))
	if failed := writeAll(t, o, numbered(0, 5)); len(failed) > 0 {
		t.Fatalf("failed: %v", failed)
	}
	if problems, err := Check(ctx, s, CheckOptions{Replicas: &none}); err != nil || len(problems) > 0 {
		t.Errorf("all is well, but: %v, %v", problems, err)
	}
	if kind := gjson.Get(ask(t, http.MethodGet, address+"/predictions-2026.11.23/_mapping", ""), "*.mappings.properties.title.fields.keyword.type").Str; kind != "keyword" {
		t.Errorf("title.keyword is %q", kind)
	}
	ask(t, http.MethodPut, address+"/predictions-2020.01.01", `{"mappings":{"dynamic":true,"properties":{"user_id":{"type":"keyword"}}},"settings":{"index.blocks.write":true}}`)
	defer ask(t, http.MethodDelete, address+"/predictions-2020.01.01", "")
	problems, err = Check(ctx, s, CheckOptions{Replicas: &one})
	text := fmt.Sprint(problems)
	for _, want := range []string{
		"field user_id is mapped as keyword, want long", "it has a write block (index.blocks.write)",
		"it has 0 replicas, 1 are promised", "1 data nodes cannot hold 1 replicas", "it differs in settings.index.number_of_replicas",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("Check does not say %q (%v):\n%s", want, err, text)
		}
	}
}

func testMisfits(t *testing.T, address string) {
	o, _ := newTestOutput(t, settingsYAML(address))
	batch := numbered(0, 100)
	for i, text := range map[int]string{
		3:  `{"request_id":"bad1","requested_at":"2026-11-23T00:00:00Z","user_id":"abc"}`,
		50: `{"request_id":"bad2","requested_at":"2026-11-23T00:00:00Z","predicted_at":"soon"}`,
		70: `{"request_id":"bad3","requested_at":"2026-11-23T00:00:00Z",`,
		71: `{"request_id":"bad4","requested_at":"2026-11-23T00:00:00Z"} {"more":1}`,
		72: `{"request_id":"` + strings.Repeat("é", 256) + `","requested_at":"2026-11-23T00:00:00Z"}`,
		73: `{"request_id":"` + strings.Repeat("é", 257) + `","requested_at":"2026-11-23T00:00:00Z"}`,
	} {
		batch[i].SetBytes([]byte(text))
	}
	failed := writeAll(t, o, batch)
	t.Log(failed)
	for i, want := range map[int]string{3: "document_parsing_exception", 50: "predicted_at", 70: "Elasticsearch refuses", 73: "512"} {
		if !strings.Contains(failed[i], want) {
			t.Errorf("message %d: %q, want %q", i, failed[i], want)
		}
	}
	if n := countDocuments(t, address); n != 100-len(failed) || len(failed) < 4 || len(failed) > 5 {
		t.Errorf("%d documents, %d failed", n, len(failed))
	}
}

func testActions(t *testing.T, address string) {
	get := func(field string) string {
		return gjson.Get(ask(t, http.MethodGet, address+"/predictions-2026.11.23/_doc/a", ""), "_source."+field).Raw
	}
	do := func(action, more string) map[int]string {
		o, _ := newTestOutput(t, settingsYAML(address)+"action: "+action+"\n")
		return writeAll(t, o, service.MessageBatch{service.NewMessage([]byte(`{"request_id":"a","requested_at":"2026-11-23T00:00:00Z"` + more + `}`))})
	}
	if failed := do(actionUpdate, `,"actual":1`); !strings.Contains(failed[0], "document_missing_exception") && !strings.Contains(failed[0], "no such index") {
		t.Errorf("update of nothing: %v", failed)
	}
	for _, step := range []struct{ action, more, field, want string }{
		{actionUpsert, `,"actual":2`, "actual", "2"},
		{actionUpdate, `,"stddev":3`, "actual", "2"},
		{actionIndex, `,"stddev":4`, "actual", ""},
		{actionCreate, `,"stddev":5`, "stddev", "4"},
		{actionDelete, "", "stddev", ""},
		{actionDelete, "", "stddev", ""},
	} {
		if failed := do(step.action, step.more); len(failed) > 0 {
			t.Errorf("%s: %v", step.action, failed)
		}
		if got := get(step.field); got != step.want {
			t.Errorf("after %s %s is %q, want %q", step.action, step.field, got, step.want)
		}
	}
}

// inBackground writes a batch, and gives its result when it is done.
func inBackground(t *testing.T, o *output, batch service.MessageBatch) <-chan error {
	done := make(chan error, 1)
	ctx := within(t, 2*time.Minute)
	go func() { done <- o.WriteBatch(ctx, batch) }()
	return done
}

func awaitLog(t *testing.T, log *logged, want string) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !strings.Contains(log.String(), want); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log lacks %q:\n%s", want, log)
		}
	}
}

func testWriteBlock(t *testing.T, address string) {
	o, log := newTestOutput(t, settingsYAML(address))
	if failed := writeAll(t, o, numbered(0, 10)); len(failed) > 0 {
		t.Fatal(failed)
	}
	for i, block := range []struct{ setting, want string }{
		{"index.blocks.write", "the index has a write block"},
		{"index.blocks.read_only_allow_delete", "flood-stage watermark"},
		{"index.blocks.read_only", "the index is read-only"},
	} {
		ask(t, http.MethodPut, address+"/predictions-2026.11.23/_settings", `{"`+block.setting+`":true}`)
		done := inBackground(t, o, numbered(10*(i+1), 10))
		awaitLog(t, log, block.want)
		ask(t, http.MethodPut, address+"/predictions-2026.11.23/_settings", `{"`+block.setting+`":null}`)
		if err := <-done; err != nil {
			t.Errorf("%s: %v", block.setting, err)
		}
	}
	if n := countDocuments(t, address); n != 40 {
		t.Errorf("%d documents, want 40\n%s", n, log)
	}
}

func testMissing(t *testing.T, address string) {
	ask(t, http.MethodPut, address+"/_cluster/settings", `{"persistent":{"action.auto_create_index":"false"}}`)
	o, log := newTestOutput(t, settingsYAML(address)+"pipeline: tidy\n")
	done := inBackground(t, o, numbered(0, 10))
	awaitLog(t, log, "mend field pipeline")
	ask(t, http.MethodPut, address+"/_ingest/pipeline/tidy", `{"processors":[]}`)
	awaitLog(t, log, "action.auto_create_index")
	ask(t, http.MethodPut, address+"/_cluster/settings", `{"persistent":{"action.auto_create_index":null}}`)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := countDocuments(t, address); n != 10 {
		t.Errorf("%d documents, want 10\n%s", n, log)
	}
}

func testFrozen(t *testing.T, e *servers.Elasticsearch) {
	o, log := newTestOutput(t, strings.Replace(settingsYAML(e.Nodes[0].Address), "timeout: 5s", "timeout: 1s", 1))
	if err := e.Nodes[0].Pause(); err != nil {
		t.Fatal(err)
	}
	done := inBackground(t, o, numbered(0, 1000))
	awaitLog(t, log, "did not answer in time")
	if err := e.Nodes[0].Resume(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := countDocuments(t, e.Nodes[0].Address); n != 1000 {
		t.Errorf("%d documents, want 1000", n)
	}
}

// testKill kills the node in the middle of bulk requests, and starts it again.
func testKill(t *testing.T, e *servers.Elasticsearch) {
	const batches, size = 40, 1000
	node := e.Nodes[0]
	o, log := newTestOutput(t, settingsYAML(node.Address))
	work := make(chan int)
	var wg sync.WaitGroup
	ctx := within(t, startTimeout)
	for range 2 {
		wg.Go(func() {
			for i := range work {
				if err := o.WriteBatch(ctx, numbered(i*size, size)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	restarted := make(chan error, 1)
	for i := range batches {
		work <- i
		if i == batches/3 {
			go func() {
				restarted <- errors.Join(node.Kill(), node.Start(ctx))
			}()
		}
	}
	close(work)
	wg.Wait()
	if err := <-restarted; err != nil {
		t.Fatal(err)
	}
	if n := countDocuments(t, node.Address); n != batches*size {
		t.Errorf("%d documents, want %d\n%s", n, batches*size, log)
	}
	t.Log(log)
}

// TestOverload writes far more at once than the server takes.
func TestOverload(t *testing.T) {
	e := startServer(t, servers.ElasticsearchOptions{Settings: map[string]string{
		"thread_pool.write.size": "1", "thread_pool.write.queue_size": "1", "indexing_pressure.memory.limit": "2mb",
	}})
	o, log := newTestOutput(t, settingsYAML(e.Nodes[0].Address))
	var wg sync.WaitGroup
	const workers, size = 6, 10_000 // 3.3 MB each
	for i := range workers {
		wg.Go(func() {
			if err := o.WriteBatch(within(t, 2*time.Minute), numbered(i*size, size)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := countDocuments(t, e.Nodes[0].Address); n != workers*size {
		t.Errorf("%d documents, want %d", n, workers*size)
	}
	if !strings.Contains(log.String(), "es_rejected_execution_exception") {
		t.Errorf("nothing was rejected:\n%s", log)
	}
	large := numbered(0, 3)
	large[1].SetBytes(fmt.Appendf(nil, `{"request_id":"large","requested_at":"2026-11-23T00:00:00Z","note":%q}`, strings.Repeat("x", 3<<20)))
	if failed := writeAll(t, o, large); len(failed) != 1 || !strings.Contains(failed[1], "es_rejected_execution_exception") {
		t.Errorf("a document larger than all room: %v", failed)
	}
}

func TestSecurity(t *testing.T) {
	e := startServer(t, servers.ElasticsearchOptions{Security: true, APIKeys: true})
	address := e.Nodes[0].Address
	key := newAPIKey(t, e)
	fingerprint := func(file string) string {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(data)
		sum := sha256.Sum256(block.Bytes)
		return hex.EncodeToString(sum[:])
	}
	login := func(password string) string {
		return fmt.Sprintf("basic_auth: {enabled: true, username: %s, password: %s}\n", e.Username, password)
	}
	trusted := fmt.Sprintf("tls: {enabled: true, root_cas_file: %q}\n", e.CAFile)
	server := fingerprint(filepath.Join(filepath.Dir(e.CAFile), "server.pem"))
	for _, test := range []struct{ name, yaml, want string }{
		{"the right password and CA", login(e.Password) + trusted, ""},
		{"the right password and fingerprint", login(e.Password) + "certificate_fingerprint: " + server, ""},
		{"the right API key", "api_key: " + key + "\n" + trusted, ""},
		{"the right API key and fingerprint", "api_key: " + key + "\ncertificate_fingerprint: " + server, ""},
		{"an API key of nobody", "api_key: " + base64.StdEncoding.EncodeToString([]byte("nobody:secret")) + "\n" + trusted, "refuses the user name, password or API key"},
		{"the wrong password", login("wrong-password") + trusted, "refuses the user name, password or API key"},
		{"no password", trusted, "refuses the user name, password or API key"},
		{"an unknown CA", login(e.Password), "signed by an authority that is not known here"},
		{"a fingerprint of another", login(e.Password) + "certificate_fingerprint: " + strings.Repeat("00", 32), "another certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, log := newTestOutput(t, settingsYAML(address)+test.yaml)
			if test.want == "" {
				if err := o.Connect(within(t, 10*time.Second)); err != nil {
					t.Fatal(err, log)
				}
				if failed := writeAll(t, o, numbered(0, 10)); len(failed) > 0 {
					t.Errorf("failed: %v", failed)
				}
				return
			}
			waitsAndTells(t, o, log, test.want)
		})
	}
	o, log := newTestOutput(t, settingsYAML(address)+login(e.Password)+trusted)
	o.client.wire.TLSClientConfig.Time = func() time.Time { return time.Now().Add(48 * time.Hour) } // when the certificate is over
	waitsAndTells(t, o, log, strings.TrimPrefix(address, "https://"), "has expired", "renew it")

	o, log = newTestOutput(t, settingsYAML(strings.Replace(address, "https:", "http:", 1)))
	waitsAndTells(t, o, log, "may want https://")
}

// newAPIKey has the server make a key that may do no more than write.
func newAPIKey(t *testing.T, e *servers.Elasticsearch) string {
	t.Helper()
	const what = `{"name": "index", "role_descriptors": {"index": {"indices": [{"names": ["predictions*"], "privileges": ["create_index", "create_doc", "index"]}]}}}`
	request, err := http.NewRequestWithContext(within(t, time.Minute), http.MethodPost, e.Nodes[0].Address+"/_security/api_key", strings.NewReader(what))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.SetBasicAuth(e.Username, e.Password)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // the test of certificates is another
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	key := gjson.GetBytes(answer, "encoded").Str
	if err != nil || key == "" {
		t.Fatalf("no API key: %s: %s, %v", response.Status, answer, err)
	}
	return key
}

// waitsAndTells: a batch is neither written nor failed, and the log has all the parts.
func waitsAndTells(t *testing.T, o *output, log fmt.Stringer, parts ...string) {
	t.Helper()
	lacks := func() (missing []string) {
		for _, part := range parts {
			if !strings.Contains(log.String(), part) {
				missing = append(missing, part)
			}
		}
		return missing
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var watch sync.WaitGroup
	watch.Go(func() {
		for ctx.Err() == nil && lacks() != nil {
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	})
	if err := o.WriteBatch(ctx, numbered(0, 10)); !errors.Is(err, ctx.Err()) {
		t.Errorf("WriteBatch gives %v", err)
	}
	watch.Wait()
	if missing := lacks(); missing != nil {
		t.Errorf("the log lacks %q:\n%s", missing, log)
	}
}
