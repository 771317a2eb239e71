package elasticsearch

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// Error bodies as Elasticsearch 8.19.7 writes them.
const (
	mappingItem  = `{"status":400,"error":{"type":"document_parsing_exception","reason":"[1:33] failed to parse field [user_id] of type [long] in document with id 'r1'. Preview of field's value: 'abc'","caused_by":{"type":"illegal_argument_exception","reason":"For input string: \"abc\""}}}`
	rejectedItem = `{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"rejected execution of TimedRunnable on EsThreadPoolExecutor[name = n/write, queue capacity = 1]"}}`
	shardsItem   = `{"status":503,"error":{"type":"unavailable_shards_exception","reason":"[predictions-2026.11.23][0] primary shard is not active Timeout: [1m]"}}`
	writeBlocked = `{"status":403,"error":{"type":"cluster_block_exception","reason":"index [predictions-2026.11.23] blocked by: [FORBIDDEN/8/index write (api)];"}}`
	floodStage   = `{"status":429,"error":{"type":"cluster_block_exception","reason":"index [predictions-2026.11.23] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block; for more information, see https://www.elastic.co/docs];"}}`
	conflictItem = `{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"[r1]: version conflict, document already exists (current version [1])"}}`
	noIndexItem  = `{"status":404,"error":{"type":"index_not_found_exception","reason":"no such index [predictions-2026.11.23] and [action.auto_create_index] is [false]"}}`
	noPipeline   = `{"status":400,"error":{"type":"illegal_argument_exception","reason":"pipeline with id [nope] does not exist"}}`
	wrongLogin   = `{"error":{"root_cause":[{"type":"security_exception","reason":"unable to authenticate user [x] for REST request [/_bulk]"}],"type":"security_exception","reason":"unable to authenticate user [x] for REST request [/_bulk]"},"status":401}`
	noMaster     = `{"error":{"root_cause":[],"type":"cluster_block_exception","reason":"blocked by: [SERVICE_UNAVAILABLE/2/no master];"},"status":503}`
	rejectedAll  = `{"error":{"root_cause":[],"type":"es_rejected_execution_exception","reason":"rejected execution of coordinating operation [coordinating_and_primary_bytes=2000000, replica_bytes=0, all_bytes=2000000, coordinating_operation_bytes=300000, max_coordinating_bytes=2097152]"},"status":429}`
	badRequest   = `{"error":{"root_cause":[],"type":"x_content_parse_exception","reason":"[1:6] [UpdateRequest] unknown field [x]"},"status":400}`
	htmlPage     = "<html><body><h1>Welcome</h1></body></html>"
)

func reply(w http.ResponseWriter, status int, body string) bool {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
	return true
}

// passingTrouble is what a server does twice, before all is well.
type passingTrouble struct {
	name   string
	answer func(*fake, int, []line, http.ResponseWriter) bool
	sent   string // numbers of documents in the requests
	log    string
}

func passing() []passingTrouble {
	item := func(body string) func(*fake, int, []line, http.ResponseWriter) bool {
		return func(f *fake, n int, lines []line, w http.ResponseWriter) bool {
			if n < 2 {
				f.store(lines, w, map[string]string{"r1": body})
				return true
			}
			return false
		}
	}
	whole := func(status int, body string) func(*fake, int, []line, http.ResponseWriter) bool {
		return func(_ *fake, n int, _ []line, w http.ResponseWriter) bool {
			return n < 2 && reply(w, status, body)
		}
	}
	return []passingTrouble{
		{"an item is rejected for want of room", item(rejectedItem), "[5 1 1]", "overloaded (es_rejected_execution_exception)"},
		{"an item's shard is not there", item(shardsItem), "[5 1 1]", "primary shard is not active"},
		{"an item meets a write block", item(writeBlocked), "[5 1 1]", `remove it: PUT INDEX/_settings {\"index.blocks.write\": null}`},
		{"an item meets the flood stage", item(floodStage), "[5 1 1]", "free disk space or add a node"},
		{"an item's index does not exist", item(noIndexItem), "[5 1 1]", "recsys-benthos setup"},
		{"an item's pipeline does not exist", item(noPipeline), "[5 1 1]", "mend field pipeline"},
		{"an item's privilege is missing", item(`{"status":403,"error":{"type":"security_exception","reason":"action [indices:data/write/bulk[s]] is unauthorized"}}`), "[5 1 1]", "a privilege is missing"},
		{"an item's index has no room for shards", item(`{"status":400,"error":{"type":"validation_exception","reason":"Validation Failed: 1: this action would add [2] shards, but this cluster currently has [1000]/[1000] maximum normal shards open;"}}`), "[5 1 1]", "cluster.max_shards_per_node"},
		{"the whole request is rejected", whole(429, rejectedAll), "[5 5 5]", "overloaded"},
		{"there is no master", whole(503, noMaster), "[5 5 5]", "no master"},
		{"a proxy finds no node", whole(502, htmlPage), "[5 5 5]", "status 502"},
		{"a gateway gives up", whole(504, ""), "[5 5 5]", "status 504"},
		{"the password is wrong", whole(401, wrongLogin), "[5 5 5]", "mend basic_auth or api_key"},
		{"a proxy forbids it", whole(403, htmlPage), "[5 5 5]", "a privilege is missing"},
		{"the path is another server's", whole(404, "404 page not found"), "[5 5 5]", "not Elasticsearch's bulk endpoint"},
		{"a proxy says 400", whole(400, htmlPage), "[5 5 5]", "not Elasticsearch's bulk endpoint"},
		{"a page of HTML comes with 200", whole(200, htmlPage), "[5 5 5]", "not Elasticsearch, but a proxy"},
		{"an empty answer comes with 200", whole(200, ""), "[5 5 5]", "not whole"},
		{"an empty object comes with 200", whole(200, "{}"), "[5 5 5]", "not whole"},
		{"too few items come", whole(200, `{"errors":false,"items":[{"index":{"status":201}},{"index":{"status":201}}]}`), "[5 5 5]", "not whole"},
		{"the answer is cut off at a number of items that would do", whole(200, `{"errors":false,"items":[`+strings.Repeat(`{"index":{"status":201}},`, 5)), "[5 5 5]", "not whole"},
		{"the connection breaks in the answer", func(_ *fake, n int, _ []line, w http.ResponseWriter) bool {
			if n >= 2 {
				return false
			}
			w.Header().Set("Content-Length", "1000")
			return reply(w, 200, `{"errors":false,"items":[`)
		}, "[5 5 5]", "closed the connection"},
		{"the connection breaks before the answer", func(_ *fake, n int, _ []line, _ http.ResponseWriter) bool {
			if n < 2 {
				panic(http.ErrAbortHandler)
			}
			return false
		}, "[5 5 5]", "closed the connection"},
	}
}

// TestWhatMayPassIsSentAgainUntilItIsWritten: nothing fails, nothing is
// acknowledged that the server did not.
func TestWhatMayPassIsSentAgainUntilItIsWritten(t *testing.T) {
	for _, test := range passing() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, test.answer)
			o, log := newTestOutput(t, settingsYAML(f.URL))
			if failed := writeAll(t, o, predictions(5)); len(failed) > 0 {
				t.Errorf("failed: %v", failed)
			}
			if f.count() != 5 {
				t.Errorf("%d documents are stored, want 5", f.count())
			}
			var sent []int
			for _, lines := range f.sent() {
				sent = append(sent, len(lines))
			}
			if fmt.Sprint(sent) != test.sent {
				t.Errorf("requests had %v documents, want %s", sent, test.sent)
			}
			if !strings.Contains(log.String(), test.log) || !strings.Contains(log.String(), "can be written again") {
				t.Errorf("the log lacks %q or the end of the outage:\n%s", test.log, log)
			}
		})
	}
}

func TestADocumentThatCanNeverBeWrittenFailsAlone(t *testing.T) {
	f := newFake(t, func(f *fake, _ int, lines []line, w http.ResponseWriter) bool {
		f.store(lines, w, map[string]string{"r1": mappingItem})
		return true
	})
	o, _ := newTestOutput(t, settingsYAML(f.URL))
	failed := writeAll(t, o, predictions(4))
	if len(failed) != 1 || !strings.Contains(failed[1], "document_parsing_exception: [1:33] failed to parse field [user_id] of type [long]") || !strings.Contains(failed[1], `For input string: "abc"`) || !strings.Contains(failed[1], `"_id":"r1"`) {
		t.Errorf("failed: %v", failed)
	}
	if f.count() != 3 || len(f.sent()) != 1 {
		t.Errorf("%d documents in %d requests, want 3 in 1", f.count(), len(f.sent()))
	}
}

func TestARequestRefusedForOneDocumentIsHalvedUntilThatStandsAlone(t *testing.T) {
	f := newFake(t, func(_ *fake, _ int, lines []line, w http.ResponseWriter) bool {
		bad := slices.ContainsFunc(lines, func(l line) bool { return l.id == "r3" })
		return bad && reply(w, 400, badRequest)
	})
	o, _ := newTestOutput(t, settingsYAML(f.URL))
	failed := writeAll(t, o, predictions(8))
	if len(failed) != 1 || !strings.Contains(failed[3], "unknown field [x]") {
		t.Errorf("failed: %v", failed)
	}
	if f.count() != 7 {
		t.Errorf("%d documents are stored, want 7", f.count())
	}
}

func TestARequestThatIsTooLargeIsSentInPieces(t *testing.T) {
	const limit = 2000
	f := newFake(t, func(f *fake, n int, _ []line, w http.ResponseWriter) bool {
		f.mu.Lock()
		size := len(f.raw[n])
		f.mu.Unlock()
		return size > limit && reply(w, 413, "")
	})
	o, _ := newTestOutput(t, settingsYAML(f.URL))
	batch := predictions(20)
	batch[7].SetBytes(fmt.Appendf(nil, `{"request_id":"r7","requested_at":"2026-11-23T00:00:00Z","title":%q}`, strings.Repeat("x", limit)))
	failed := writeAll(t, o, batch)
	if len(failed) != 1 || !strings.Contains(failed[7], "status 413") {
		t.Errorf("failed: %v", failed)
	}
	if f.count() != 19 {
		t.Errorf("%d documents are stored, want 19", f.count())
	}
}

func TestARequestLargerThanAllTheServersRoomIsSentInPieces(t *testing.T) {
	f := newFake(t, func(_ *fake, _ int, lines []line, w http.ResponseWriter) bool {
		return len(lines) > 2 && reply(w, 429, `{"error":{"type":"es_rejected_execution_exception","reason":"rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0, all_bytes=0, coordinating_operation_bytes=3000000, max_coordinating_bytes=2097152]"},"status":429}`)
	})
	o, _ := newTestOutput(t, settingsYAML(f.URL))
	if failed := writeAll(t, o, predictions(8)); len(failed) > 0 || f.count() != 8 {
		t.Errorf("failed: %v, %d documents", failed, f.count())
	}
	if n := len(f.sent()); n != 7 {
		t.Errorf("%d requests, want 7: no attempt is repeated that cannot succeed", n)
	}
}

func TestConflicts(t *testing.T) {
	for action, want := range map[string]string{
		actionCreate: "", // it is there already
		actionIndex:  "version_conflict_engine_exception",
		actionUpdate: "", // tried again
	} {
		t.Run(action, func(t *testing.T) {
			f := newFake(t, func(f *fake, n int, lines []line, w http.ResponseWriter) bool {
				if n > 0 {
					return false
				}
				f.store(lines, w, map[string]string{"r1": conflictItem})
				return true
			})
			o, _ := newTestOutput(t, settingsYAML(f.URL)+"action: "+action+"\n")
			failed := writeAll(t, o, predictions(3))
			if want == "" && len(failed) > 0 || want != "" && !strings.Contains(failed[1], want) {
				t.Errorf("failed: %v, want %q", failed, want)
			}
			if sent := len(f.sent()); sent != map[bool]int{true: 2, false: 1}[action == actionUpdate] {
				t.Errorf("%d requests", sent)
			}
		})
	}
}

func TestWhatIsNotThereCountsAsDeleted(t *testing.T) {
	f := newFake(t, func(_ *fake, _ int, _ []line, w http.ResponseWriter) bool {
		return reply(w, 200, `{"errors":false,"items":[{"delete":{"status":200}},{"delete":{"status":404}}]}`)
	})
	o, _ := newTestOutput(t, settingsYAML(f.URL)+"action: delete\n")
	if failed := writeAll(t, o, predictions(2)); len(failed) > 0 {
		t.Errorf("failed: %v", failed)
	}
}

func TestAMessageThatNamesAMissingIndexFails(t *testing.T) {
	f := newFake(t, func(f *fake, _ int, lines []line, w http.ResponseWriter) bool {
		f.store(lines, w, map[string]string{"r1": noIndexItem})
		return true
	})
	yaml := strings.Replace(settingsYAML(f.URL), "index: predictions", `index: ${! json("model_version") }`, 1)
	o, _ := newTestOutput(t, yaml)
	if failed := writeAll(t, o, predictions(2)); len(failed) != 1 || !strings.Contains(failed[1], "no such index") {
		t.Errorf("failed: %v", failed)
	}
}

// TestALaterDocumentOfTheSameIDIsNotOverwritten: the first of two is rejected for
// want of room while the second is stored; sent again alone it would win.
func TestALaterDocumentOfTheSameIDIsNotOverwritten(t *testing.T) {
	f := newFake(t, func(_ *fake, n int, _ []line, w http.ResponseWriter) bool {
		return n == 0 && reply(w, 200, `{"errors":true,"items":[{"index":`+rejectedItem+`},{"index":{"status":201}},{"index":{"status":200}}]}`)
	})
	o, _ := newTestOutput(t, settingsYAML(f.URL))
	batch := predictions(3)
	for i, prediction := range []int{1, 2, 3} {
		id := []string{"same", "other", "same"}[i]
		batch[i].SetBytes(fmt.Appendf(nil, `{"request_id":%q,"requested_at":"2026-11-23T00:00:00Z","prediction":%d}`, id, prediction))
	}
	if failed := writeAll(t, o, batch); len(failed) > 0 {
		t.Errorf("failed: %v", failed)
	}
	if fmt.Sprint(f.order) != "[same same]" || !strings.Contains(f.stored["same"], `"prediction":3`) {
		t.Errorf("stored %v, last %s", f.order, f.stored["same"])
	}
}

func TestABatchIsSplitByBytes(t *testing.T) {
	f := newFake(t, nil)
	o, _ := newTestOutput(t, settingsYAML(f.URL)+"max_bulk_bytes: 1KiB\ngzip_compression: false\n")
	if failed := writeAll(t, o, predictions(10)); len(failed) > 0 || f.count() != 10 {
		t.Errorf("failed: %v, %d documents", failed, f.count())
	}
	for i, raw := range f.raw {
		if len(raw) > 1024 {
			t.Errorf("request %d has %d bytes", i, len(raw))
		}
	}
}

func TestMessagesThatAreNoDocumentsFailAlone(t *testing.T) {
	f := newFake(t, nil)
	o, _ := newTestOutput(t, settingsYAML(f.URL))
	var batch service.MessageBatch
	wants := []string{
		"",
		"field requested_at of the message: missing is not a time since 1970",
		`field requested_at of the message: "yesterday" is not a time since 1970`,
		"field request_id of the message, its id, is missing",
		"field request_id of the message, its id, is 1.5",
		"an id of 600 bytes is over Elasticsearch's limit of 512",
		"is not valid JSON",
		"a document is a JSON object",
		"",
	}
	for _, text := range []string{
		"{\n \"request_id\": \"good\",\r\n \"requested_at\": \"2026-11-23T23:59:59.999Z\"\n}\n",
		`{"request_id":"a"}`,
		`{"request_id":"a","requested_at":"yesterday"}`,
		`{"requested_at":"2026-11-23T00:00:00Z"}`,
		`{"request_id":1.5,"requested_at":"2026-11-23T00:00:00Z"}`,
		`{"request_id":"` + strings.Repeat("i", 600) + `","requested_at":"2026-11-23T00:00:00Z"}`,
		"{\"request_id\":\"a\",\"requested_at\":\"2026-11-23T00:00:00Z\"}\n{\"delete\":{\"_id\":\"b\"}}",
		`["request_id"]`,
		`{"request_id":7,"requested_at":"2026-11-24T01:00:00+02:00"}`,
	} {
		batch = append(batch, service.NewMessage([]byte(text)))
	}
	// gjson reads no field of an array: it fails for its date before its shape.
	wants[7] = "field requested_at of the message: missing"
	failed := writeAll(t, o, batch)
	for i, want := range wants {
		if want == "" && failed[i] != "" || !strings.Contains(failed[i], want) {
			t.Errorf("message %d: %q, want %q", i, failed[i], want)
		}
	}
	if fmt.Sprint(f.order) != "[good 7]" || len(f.sent()) != 1 {
		t.Errorf("stored %v in %d requests", f.order, len(f.sent()))
	}
	if strings.Count(f.raw[0], "predictions-2026.11.23") != 2 || strings.Count(f.raw[0], "\n") != 4 {
		t.Errorf("the request is:\n%s", f.raw[0])
	}
}
