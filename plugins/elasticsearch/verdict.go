package elasticsearch

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// verdict is what an answer of Elasticsearch's means for what was sent.
type verdict int

const (
	written    verdict = iota
	again              // it may succeed soon
	overloaded         // it may succeed soon, or in smaller pieces
	hold               // it may succeed once an operator has mended something
	refused            // it never succeeds
)

// serverError is an error as Elasticsearch tells it.
type serverError struct {
	status       int
	kind, reason string
}

func (e serverError) String() string {
	if e.kind == "" {
		return fmt.Sprintf("status %d: %s", e.status, e.reason)
	}
	return fmt.Sprintf("%s: %s (status %d)", e.kind, e.reason, e.status)
}

// readError reads the error object of an item or of an answer. The reason of its
// cause often says what is wrong where its own does not.
func readError(status int, object gjson.Result) serverError {
	e := serverError{status: status, kind: object.Get("type").Str, reason: object.Get("reason").Str}
	if cause := object.Get("caused_by.reason").Str; cause != "" && !strings.Contains(e.reason, cause) {
		e.reason += ": " + cause
	}
	e.reason = strings.Join(strings.Fields(e.reason), " ") // parsers' reasons have line breaks
	return e
}

// judge says what an error means for a document or a whole request that was sent
// to do action, and why. named says that the message names its index or
// pipeline, so that a wrong name is the message's fault.
func judge(e serverError, action string, named bool) (verdict, string) {
	configured := hold
	if named {
		configured = refused
	}
	switch {
	case e.kind == "cluster_block_exception" && e.status != http.StatusServiceUnavailable:
		return hold, explainBlock(e.reason)
	case e.kind == "index_not_found_exception":
		return configured, "the index does not exist and is not created by itself (" + e.reason + "); run `recsys-benthos setup`, create it, or allow it in action.auto_create_index"
	case e.kind == "index_closed_exception":
		return configured, "an index is closed (" + e.reason + "); open it: POST INDEX/_open"
	case e.kind == "illegal_argument_exception" && strings.Contains(e.reason, "pipeline with id [") && strings.Contains(e.reason, "does not exist"):
		return configured, "the ingest pipeline does not exist (" + e.reason + "); create it, or mend field " + fieldPipeline
	case strings.Contains(e.reason, "maximum normal shards open") || strings.Contains(e.reason, "maximum shards open"):
		return hold, "the cluster has no room for the shards of a new index (" + e.reason + "); delete old indices, add nodes, or raise cluster.max_shards_per_node"
	case e.status == http.StatusUnauthorized:
		return hold, "Elasticsearch refuses the user name, password or API key (" + e.String() + "); mend basic_auth or api_key"
	case e.status == http.StatusForbidden:
		return hold, "a privilege is missing (" + e.String() + "); give the user create_doc, index, delete and auto_configure on the index as the action needs, and read, delete and maintenance for delete_by_query"
	case e.status == http.StatusConflict:
		return judgeConflict(action), "a version conflict: " + e.String()
	case e.status == http.StatusTooManyRequests:
		return overloaded, "Elasticsearch is overloaded (" + e.kind + "); waiting for it"
	case e.status >= 500 || e.status == http.StatusRequestTimeout:
		return again, "Elasticsearch cannot do it now: " + e.String()
	}
	return refused, e.String()
}

// judgeConflict: what is to be created is there already, from the attempt whose
// answer was lost or from another run; an update met another one.
func judgeConflict(action string) verdict {
	switch action {
	case actionCreate:
		return written
	case actionUpdate:
		return again
	}
	return refused
}

// explainBlock says what has to be done about a block on writing.
func explainBlock(reason string) string {
	switch {
	case strings.Contains(reason, "flood-stage") || strings.Contains(reason, "read-only-allow-delete") || strings.Contains(reason, "read-only / allow delete"):
		return "a disk is over its flood-stage watermark, and Elasticsearch has made the index read-only (" + reason + "); free disk space or add a node, and the block goes away by itself"
	case strings.Contains(reason, "index write (api)"):
		return "the index has a write block (" + reason + `); remove it: PUT INDEX/_settings {"index.blocks.write": null}`
	case strings.Contains(reason, "cluster read-only"):
		return "the cluster is read-only (" + reason + `); remove it: PUT _cluster/settings {"persistent": {"cluster.blocks.read_only": null}}`
	case strings.Contains(reason, "index read-only"):
		return "the index is read-only (" + reason + `); remove it: PUT INDEX/_settings {"index.blocks.read_only": null}`
	}
	return "writing is blocked (" + reason + ")"
}

// isError says whether an answer is an error in Elasticsearch's form, and not
// that of a proxy or of another server.
func isError(answer []byte) (gjson.Result, bool) {
	if !gjson.ValidBytes(answer) {
		return gjson.Result{}, false
	}
	object := gjson.GetBytes(answer, "error")
	return object, object.Get("type").Type == gjson.String
}

var (
	noErrors   = []byte(`{"errors":false,`)
	itemStatus = []byte(`"status":`)
	itemsEnd   = []byte(`}]}`)
)

// allWritten says whether an answer to a bulk request of n actions says that all
// succeeded. The answer was asked to hold the items' statuses and errors only,
// so that counting them needs no parser; anything else is looked at closely.
func allWritten(answer []byte, n int) bool {
	return bytes.HasPrefix(answer, noErrors) && bytes.HasSuffix(answer, itemsEnd) && bytes.Count(answer, itemStatus) == n
}

// item is what Elasticsearch says about one action of a bulk request.
type item struct {
	action string
	err    serverError // of status only where it succeeded
}

// readItems reads the answer to a bulk request of n actions; ok is false when it
// is no whole answer to it.
func readItems(answer []byte, n int) (items []item, ok bool) {
	if !gjson.ValidBytes(answer) {
		return nil, false
	}
	items = make([]item, 0, n)
	whole := true
	gjson.GetBytes(answer, "items").ForEach(func(_, entry gjson.Result) bool {
		entry.ForEach(func(action, outcome gjson.Result) bool {
			status := int(outcome.Get("status").Int())
			read := item{action: action.Str, err: serverError{status: status}}
			object := outcome.Get("error")
			if object.Exists() {
				read.err = readError(status, object)
			}
			deleted := read.action == actionDelete && status == http.StatusNotFound && !object.Exists()
			if deleted {
				read.err.status = http.StatusOK
			}
			whole = whole && status != 0 && (object.Exists() || deleted || status/100 == 2)
			items = append(items, read)
			return false
		})
		return true
	})
	return items, whole && len(items) == n
}

var indexingPressure = regexp.MustCompile(`operation_bytes=(\d+), (?:\w+=\d+, )*?max_\w*bytes=(\d+)`)

// neverFits says whether a rejected request is larger than all the room that the
// server has for requests.
func neverFits(reason string) bool {
	m := indexingPressure.FindStringSubmatch(reason)
	if m == nil {
		return false
	}
	size, _ := strconv.ParseInt(m[1], 10, 64)
	room, _ := strconv.ParseInt(m[2], 10, 64)
	return room > 0 && size > room
}
