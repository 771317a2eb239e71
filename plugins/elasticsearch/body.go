package elasticsearch

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

const (
	component  = "elasticsearch_v8"
	dateSuffix = "-2006.01.02"

	mostIDBytes     = 512      // Elasticsearch's own limit
	mostPooledBytes = 32 << 20 // larger buffers are left to the garbage collector
	millisFrom      = 1e11     // epochs from here on are milliseconds, as in internal/message
)

// document is one action of a bulk request: the lines of body from start to
// end. Its action line ends at source.
type document struct {
	message            int // index in the batch
	start, source, end int
}

// body is the documents of a batch in the form of bulk requests, one after the
// other, so that any run of them is a request.
type body struct {
	bytes     []byte
	documents []document
}

// target names a document: index, id and routing, as written.
func (b *body) target(d document) []byte { return b.bytes[d.start:d.source] }

func (b *body) reset() { b.bytes, b.documents = b.bytes[:0], b.documents[:0] }

var bodies = sync.Pool{New: func() any { return new(body) }}

func (b *body) free() {
	if cap(b.bytes) <= mostPooledBytes {
		b.reset()
		bodies.Put(b)
	}
}

// add appends the document of a message; when it cannot, it leaves nothing
// behind.
func (b *body) add(c *outputConfig, i int, m *service.Message) *message.Rejection {
	start := len(b.bytes)
	rejection := b.append(c, i, m)
	if rejection != nil {
		b.bytes = b.bytes[:start]
	}
	return rejection
}

func (b *body) append(c *outputConfig, i int, m *service.Message) *message.Rejection {
	source, err := m.AsBytes()
	if err != nil {
		return message.Rejectf(component, "encoding the message: %v", err)
	}
	action, err := c.action.of(m)
	if err != nil {
		return message.Rejectf(component, "field %s: %v", fieldAction, err)
	}
	d := document{message: i, start: len(b.bytes)}
	if err := b.appendAction(c, m, action, source); err != nil {
		return message.Rejectf(component, "%v", err)
	}
	d.source = len(b.bytes)
	if action != actionDelete {
		if err := b.appendSource(action, source); err != nil {
			return message.Rejectf(component, "%v", err)
		}
	}
	d.end = len(b.bytes)
	b.documents = append(b.documents, d)
	return nil
}

// appendAction appends the line that says what to do with which document.
func (b *body) appendAction(c *outputConfig, m *service.Message, action string, source []byte) error {
	dst := b.bytes
	switch action {
	case actionUpsert:
		dst = append(dst, `{"update":{"_index":`...)
	case actionIndex, actionCreate, actionUpdate, actionDelete:
		dst = append(append(append(dst, `{"`...), action...), `":{"_index":`...)
	case actionDeleteByQuery:
		return fmt.Errorf("field %s: %s is for all messages; write it without interpolation", fieldAction, action)
	default:
		return fmt.Errorf("field %s: %q is not one of %s", fieldAction, action, strings.Join(actions, ", "))
	}
	dst, err := appendIndex(dst, c, m, source)
	if err != nil {
		return err
	}
	dst = append(dst, `,"_id":`...)
	if dst, err = appendID(dst, c, m, source); err != nil {
		return err
	}
	if dst, err = appendOption(dst, m, fieldRouting, c.routing); err != nil {
		return err
	}
	if action != actionDelete && action != actionUpdate && action != actionUpsert {
		if dst, err = appendOption(dst, m, fieldPipeline, c.pipeline); err != nil {
			return err
		}
	}
	if (action == actionUpdate || action == actionUpsert) && c.retryOnConflict > 0 {
		dst = append(dst, `,"retry_on_conflict":`...)
		dst = strconv.AppendInt(dst, int64(c.retryOnConflict), 10)
	}
	b.bytes = append(dst, "}}\n"...)
	return nil
}

func appendIndex(dst []byte, c *outputConfig, m *service.Message, source []byte) ([]byte, error) {
	index, err := c.index.of(m)
	if err != nil {
		return dst, fmt.Errorf("field %s: %w", fieldIndex, err)
	}
	if c.index.each != nil {
		if reason := invalidIndex(index); reason != "" {
			return dst, fmt.Errorf("field %s: %s", fieldIndex, reason)
		}
	}
	dst = message.AppendString(dst, index)
	if c.dateField == "" {
		return dst, nil
	}
	t, err := parseTime(field(source, c.dateField))
	if err != nil {
		return dst, fmt.Errorf("field %s of the message: %w; it names the daily index", c.dateField, err)
	}
	dst = t.AppendFormat(dst[:len(dst)-1], dateSuffix)
	return append(dst, '"'), nil
}

func appendID(dst []byte, c *outputConfig, m *service.Message, source []byte) ([]byte, error) {
	id, err := documentID(c, m, source)
	if err != nil {
		return dst, err
	}
	if len(id) > mostIDBytes {
		return dst, fmt.Errorf("an id of %d bytes is over Elasticsearch's limit of %d", len(id), mostIDBytes)
	}
	return message.AppendString(dst, id), nil
}

func documentID(c *outputConfig, m *service.Message, source []byte) (string, error) {
	if c.idField == "" {
		id, err := c.id.of(m)
		switch {
		case err != nil:
			return "", fmt.Errorf("field %s: %w", fieldID, err)
		case id == "" || id == "null":
			return "", fmt.Errorf("field %s gives no id, but %q", fieldID, id)
		}
		return id, nil
	}
	value := field(source, c.idField)
	switch {
	case value.Type == gjson.String && value.Str != "":
		return value.Str, nil
	case value.Type == gjson.Number && !strings.ContainsAny(value.Raw, ".eE"):
		return value.Raw, nil
	}
	return "", fmt.Errorf("field %s of the message, its id, is %s; give a text or a whole number", c.idField, found(value))
}

func appendOption(dst []byte, m *service.Message, name string, option text) ([]byte, error) {
	value, err := option.of(m)
	if err != nil {
		return dst, fmt.Errorf("field %s: %w", name, err)
	}
	if value == "" {
		return dst, nil
	}
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return message.AppendString(dst, value), nil
}

// appendSource appends the document itself, on one line: a line break ends an
// action, and what follows it would be read as another one.
func (b *body) appendSource(action string, source []byte) error {
	source = bytes.TrimSpace(source)
	if len(source) == 0 || source[0] != '{' {
		return fmt.Errorf("the message is %s; a document is a JSON object", excerpt(source))
	}
	partial := action == actionUpdate || action == actionUpsert
	broken := bytes.IndexByte(source, '\n') >= 0
	// Elasticsearch finds faults in other documents by itself, one by one.
	if (partial || broken) && !gjson.Valid(asText(source)) {
		return fmt.Errorf("the message is not valid JSON: %s", excerpt(source))
	}
	if partial {
		b.bytes = append(b.bytes, `{"doc":`...)
	}
	start := len(b.bytes)
	b.bytes = append(b.bytes, source...)
	if broken { // in valid JSON a line break is white space
		for i, c := range b.bytes[start:] {
			if c == '\n' {
				b.bytes[start+i] = ' '
			}
		}
	}
	switch action {
	case actionUpdate:
		b.bytes = append(b.bytes, '}')
	case actionUpsert:
		b.bytes = append(b.bytes, `,"doc_as_upsert":true}`...)
	}
	b.bytes = append(b.bytes, '\n')
	return nil
}

// field reads a field of a JSON object. The result points into source.
func field(source []byte, name string) gjson.Result { return gjson.Get(asText(source), name) }

// asText looks at bytes as text without copying them. The bytes of a message do
// not change while it is written.
func asText(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func found(value gjson.Result) string {
	if !value.Exists() {
		return "missing"
	}
	return excerpt([]byte(value.Raw))
}

// parseTime reads the forms of time that the project's messages have.
func parseTime(value gjson.Result) (time.Time, error) {
	raw := value.Raw
	switch value.Type {
	case gjson.Number:
	case gjson.String:
		raw = value.Str
		if t, err := time.Parse(time.RFC3339, raw); err == nil && t.Unix() >= 0 {
			return t.UTC(), nil
		}
		if t, err := time.Parse(time.DateTime, raw); err == nil && t.Unix() >= 0 {
			return t, nil
		}
	default:
		raw = ""
	}
	if epoch, err := strconv.ParseInt(raw, 10, 64); err == nil && epoch >= 0 {
		if epoch < millisFrom {
			epoch *= 1000
		}
		if t := time.UnixMilli(epoch).UTC(); t.Year() <= 9999 {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf(`%s is not a time since 1970; give RFC 3339 ("2026-01-02T15:04:05Z"), "2026-01-02 15:04:05" in UTC, or Unix seconds or milliseconds`, found(value))
}
