package elasticsearch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/redpanda-data/benthos/v4/public/bloblang"
	"github.com/redpanda-data/benthos/v4/public/service"
)

// Fields of the output, beside those of the connection.
const (
	fieldIndex           = "index"
	fieldDateField       = "date_field"
	fieldAction          = "action"
	fieldQuery           = "query"
	fieldID              = "id"
	fieldIDField         = "id_field"
	fieldPipeline        = "pipeline"
	fieldRouting         = "routing"
	fieldRetryOnConflict = "retry_on_conflict"
	fieldMaxBulkBytes    = "max_bulk_bytes"
	fieldBackoff         = "backoff"
	fieldInitialInterval = "initial_interval"
	fieldMaxInterval     = "max_interval"
	fieldMaxInFlight     = "max_in_flight"
	fieldBatching        = "batching"
)

// Actions.
const (
	actionIndex  = "index"
	actionCreate = "create"
	actionUpdate = "update"
	actionUpsert = "upsert"
	actionDelete = "delete"

	actionDeleteByQuery = "delete_by_query"
)

var actions = []string{actionIndex, actionCreate, actionUpdate, actionUpsert, actionDelete, actionDeleteByQuery}

const description = `
### Delivery

A message is acknowledged when Elasticsearch has acknowledged its document. Whatever may pass is waited out inside the output, with back-off and jitter, for as long as the pipeline runs, and rejects nothing:

- No answer, a broken connection, a time-out, or the statuses 408, 429, 500, 502, 503 and 504, of a whole request or of single documents: they are sent again, to another node where there is one, and of a request that succeeded in part only the documents that failed.
- What an operator has to mend: a wrong password, a missing privilege, a write block, a disk over its flood-stage watermark, too many shards, a closed index, a pipeline that does not exist, an index that does not exist while ` + "`action.auto_create_index`" + ` forbids to create it. The log says once a minute what to do; the output tries again every ` + "`backoff.max_interval`" + `.

Only a document that can never be written fails, alone, with the server's type and reason: a mapping conflict, broken JSON, a name that is no index name, a document over the server's limit. Where a message itself names its index or pipeline by an interpolation, an index or pipeline that does not exist fails that message too.

A request that is too large (413), or that the server has no room for several times in a row, is sent in halves. A request refused as a whole for what one document holds is halved until that document stands alone.

### Sending twice changes nothing

After a crash or a time-out documents are sent again. So every document has an id, from its message, and a daily index takes its date from the message: a replay after midnight writes the same documents. ` + "`create`" + ` counts a document that is there already as written, ` + "`delete`" + ` one that is not there as deleted; an ` + "`update`" + ` of a document that is not there fails. A version conflict (409) of an ` + "`update`" + ` or ` + "`upsert`" + ` is tried again, that of an ` + "`index`" + ` or ` + "`delete`" + ` fails. Documents of one id keep their order within a batch.

### Deleting by query

With ` + "`action: delete_by_query`" + ` no document is written: all that the ` + "`query`" + ` of a message finds is deleted. The indices are refreshed and searched, and what is found is deleted by bulk requests, until nothing is found; then the message is acknowledged. That needs no module of the server's, and takes outages as writing does. ` + "`index`" + ` may name several indices, separated by commas and with ` + "`*`" + `; those that do not exist or are closed are left out. The user needs the privileges read, delete and maintenance on them. What is written while it runs may stay. A query that the server cannot read fails its message.

### Speed

` + "`id_field` and `date_field`" + ` read the JSON of a message directly and cost a tenth of the same by interpolation. Documents go out as they are, without being parsed; documents with line breaks between their fields are put on one line.`

func outputSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Services").
		Summary("Writes messages to Elasticsearch in bulk, at least once, under ids that make repetition harmless.").
		Description(description).
		Fields(slices.Concat(documentFields(), ConnectionFields(), writeFields())...).
		LintRule(`root = match {
  this.action.or("") == "delete_by_query" && !this.exists("query") => "give delete_by_query a query",
  this.action.or("") == "delete_by_query" && [this.id, this.id_field, this.date_field, this.pipeline, this.routing].any(v -> v.or("") != "") => "delete_by_query takes its documents from query: remove id, id_field, date_field, pipeline and routing",
  this.action.or("") != "delete_by_query" && this.exists("query") => "field query is for action delete_by_query: remove it",
  this.action.or("") != "delete_by_query" && this.id.or("") == "" && this.id_field.or("") == "" => "give every document an id: set id_field (a JSON field) or id (an interpolation)",
  this.id.or("") != "" && this.id_field.or("") != "" => "fields id and id_field exclude each other: remove one",
  this.api_key.or("") != "" && this.basic_auth.enabled.or(false) == true => "fields api_key and basic_auth exclude each other: remove one",
}`).
		Example("Predictions in daily indices",
			"Each prediction becomes a document under its request_id, in the index of the day it was asked for, such as predictions-2026.11.23.", `
input:
  kafka_franz:
    seed_brokers: ["${KAFKA_BROKERS:127.0.0.1:9092}"]
    topics: [predictions]
    consumer_group: index

output:
  elasticsearch_v8:
    urls: ["${ELASTICSEARCH_URLS:http://127.0.0.1:9200}"]
    index: predictions
    date_field: requested_at
    id_field: request_id
    batching:
      count: 2000
      period: 200ms
`).
		Example("With a password and a CA's fingerprint", "What fails alone goes to a file, with the server's reason.", `
output:
  fallback:
    - elasticsearch_v8:
        urls: ["https://es-1:9200", "https://es-2:9200"]
        basic_auth:
          enabled: true
          username: recsys
          password: "${ELASTICSEARCH_PASSWORD:}"
        certificate_fingerprint: A52DD93511E8C6045E21F16654B77C9EE0F34AEA26D9F40320B531C474676228
        index: movies
        action: upsert
        id: ${! json("movie_id") }
    - file:
        path: ./refused.jsonl
      processors:
        - mapping: |
            root.document = content().string()
            root.reason = @fallback_error
`).
		Example("Forgetting a user", "All documents of the user go, in every daily index and in the lists.", `
output:
  elasticsearch_v8:
    urls: ["${ELASTICSEARCH_URLS:http://127.0.0.1:9200}"]
    index: predictions-*,recommendations
    action: delete_by_query
    query: root.term.user_id = this.user_id.int64()
`)
}

func documentFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewInterpolatedStringField(fieldIndex).
			Description("The index, or the first part of its name where `date_field` is set.").
			Example("predictions").Example(`${! meta("index") }`),
		service.NewStringField(fieldDateField).
			Description("A JSON field with a time (RFC 3339, `2006-01-02 15:04:05` in UTC, Unix seconds or milliseconds). Its day in UTC is appended to the index, as -YYYY.MM.DD. A message without it fails.").
			Example("requested_at").Default(""),
		service.NewInterpolatedStringField(fieldID).
			Description("The id of each document, by interpolation. See `id_field`.").
			Example(`${! json("user_id") }-${! json("movie_id") }`).Default(""),
		service.NewStringField(fieldIDField).
			Description("A JSON field, text or a whole number, that is the id of each document. A message without it fails.").
			Example("request_id").Default(""),
		service.NewInterpolatedStringField(fieldAction).
			Description("What to do: `index` (write, replace), `create` (write unless it is there), `update` (merge into what is there), `upsert` (merge, or write where nothing is), `delete`, or, for all messages, `delete_by_query` (whatever `query` finds).").
			Default(actionIndex),
		service.NewBloblangField(fieldQuery).
			Description("With action `delete_by_query`: a mapping from a message to a query of Elasticsearch's, whose documents are deleted. `root = deleted()` leaves a message out.").
			Example("root.term.user_id = this.user_id").Optional(),
		service.NewInterpolatedStringField(fieldPipeline).
			Description("An ingest pipeline of Elasticsearch's to send documents through.").Default("").Advanced(),
		service.NewInterpolatedStringField(fieldRouting).
			Description("The routing of each document; its id by default.").Default("").Advanced(),
		service.NewIntField(fieldRetryOnConflict).
			Description("How often Elasticsearch itself tries an update again that met another one.").
			Default(3).LintRule(`root = if this < 0 { "field retry_on_conflict must not be negative" }`).Advanced(),
	}
}

func writeFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewIntField(fieldMaxInFlight).
			Description("The most batches to write at the same time. As many connections are kept to each node.").Default(4),
		service.NewStringField(fieldMaxBulkBytes).
			Description("The most bytes to send in one request, before compression; a larger batch is sent in several. Keep it below `http.max_content_length` (100 MB) of the servers, and well below a tenth of their heap.").
			Default("10MiB").Advanced(),
		service.NewObjectField(fieldBackoff,
			service.NewDurationField(fieldInitialInterval).Description("The first wait before something is tried again.").Default("100ms"),
			service.NewDurationField(fieldMaxInterval).Description("The longest wait, which is also the wait for what an operator has to mend.").Default("10s"),
		).Description("The wait between attempts. It doubles from the first to the longest; the true wait lies, by chance, between half of it and all.").Advanced(),
		service.NewBatchPolicyField(fieldBatching),
	}
}

// outputConfig is what an output was configured with.
type outputConfig struct {
	Settings
	index, id, action, pipeline, routing text
	dateField, idField                   string
	query                                *bloblang.Executor // of delete_by_query, else nil
	retryOnConflict                      int
	maxBulkBytes                         int
	firstPause, lastPause                time.Duration
}

// text is an interpolated string; static ones are not evaluated again.
type text struct {
	static string
	each   *service.InterpolatedString // nil: static
}

func (t text) of(m *service.Message) (string, error) {
	if t.each == nil {
		return t.static, nil
	}
	return t.each.TryString(m)
}

func parseOutput(conf *service.ParsedConfig) (c outputConfig, err error) {
	if c.Settings, err = ParseSettings(conf); err != nil {
		return c, err
	}
	for field, t := range map[string]*text{
		fieldIndex: &c.index, fieldID: &c.id, fieldAction: &c.action, fieldPipeline: &c.pipeline, fieldRouting: &c.routing,
	} {
		if *t, err = parseText(conf, field); err != nil {
			return c, err
		}
	}
	if c.dateField, err = conf.FieldString(fieldDateField); err != nil {
		return c, err
	}
	if c.idField, err = conf.FieldString(fieldIDField); err != nil {
		return c, err
	}
	if conf.Contains(fieldQuery) {
		if c.query, err = conf.FieldBloblang(fieldQuery); err != nil {
			return c, err
		}
	}
	if c.retryOnConflict, err = conf.FieldInt(fieldRetryOnConflict); err != nil {
		return c, err
	}
	if c.firstPause, err = conf.FieldDuration(fieldBackoff, fieldInitialInterval); err != nil {
		return c, err
	}
	if c.lastPause, err = conf.FieldDuration(fieldBackoff, fieldMaxInterval); err != nil {
		return c, err
	}
	if c.maxBulkBytes, err = parseBytes(conf, fieldMaxBulkBytes); err != nil {
		return c, err
	}
	if c.Connections, err = conf.FieldInt(fieldMaxInFlight); err != nil {
		return c, err
	}
	c.Index, c.Daily = c.index.static, c.dateField != ""
	return c, c.check()
}

// parseBytes reads a size such as 1MiB.
func parseBytes(conf *service.ParsedConfig, field string) (int, error) {
	written, err := conf.FieldString(field)
	if err != nil {
		return 0, err
	}
	size, err := humanize.ParseBytes(written)
	if err != nil {
		return 0, fmt.Errorf("field %s: %w; write it as 10MiB", field, err)
	}
	if size < 1024 || size > 1<<30 {
		return 0, fmt.Errorf("field %s: %q does not lie between 1KiB and 1GiB", field, written)
	}
	return int(size), nil
}

func parseText(conf *service.ParsedConfig, field string) (text, error) {
	each, err := conf.FieldInterpolatedString(field)
	if err != nil {
		return text{}, err
	}
	if static, ok := each.Static(); ok {
		return text{static: static}, nil
	}
	return text{each: each}, nil
}

func (c *outputConfig) check() error {
	erases := c.action.each == nil && c.action.static == actionDeleteByQuery
	hasID := c.id.each != nil || c.id.static != ""
	switch {
	case erases != (c.query != nil):
		return fmt.Errorf("field %s and action %s need each other", fieldQuery, actionDeleteByQuery)
	case erases && (hasID || c.idField != "" || c.dateField != "" || c.pipeline != text{} || c.routing != text{}):
		return fmt.Errorf("%s takes its documents from %s: remove %s, %s, %s, %s and %s",
			actionDeleteByQuery, fieldQuery, fieldID, fieldIDField, fieldDateField, fieldPipeline, fieldRouting)
	case c.id.each == nil && c.id.static != "":
		return fmt.Errorf("field %s is the same for all messages, %q; give an interpolation, or %s", fieldID, c.id.static, fieldIDField)
	case hasID && c.idField != "":
		return fmt.Errorf("fields %s and %s exclude each other: remove one", fieldID, fieldIDField)
	case !hasID && c.idField == "" && !erases:
		return fmt.Errorf("give every document an id: set %s (a JSON field) or %s (an interpolation)", fieldIDField, fieldID)
	case c.action.each == nil && !slices.Contains(actions, c.action.static):
		return fmt.Errorf("field %s: %q is not one of %s", fieldAction, c.action.static, strings.Join(actions, ", "))
	case c.retryOnConflict < 0:
		return fmt.Errorf("field %s must not be negative", fieldRetryOnConflict)
	case c.Connections < 1:
		return fmt.Errorf("field %s must be at least 1", fieldMaxInFlight)
	case c.firstPause <= 0 || c.lastPause < c.firstPause:
		return fmt.Errorf("field %s: %s must be positive, and %s not less", fieldBackoff, fieldInitialInterval, fieldMaxInterval)
	}
	if erases {
		return c.checkPatterns()
	}
	if c.index.each == nil {
		if reason := invalidIndex(c.index.static); reason != "" {
			return fmt.Errorf("field %s: %s", fieldIndex, reason)
		}
	}
	return nil
}

// checkPatterns: what is deleted from is not for messages to say.
func (c *outputConfig) checkPatterns() error {
	if c.index.each != nil {
		return fmt.Errorf("field %s: %s takes no interpolation", fieldIndex, actionDeleteByQuery)
	}
	for pattern := range strings.SplitSeq(c.index.static, ",") {
		if reason := invalidIndex(strings.ReplaceAll(pattern, "*", "x")); reason != "" {
			return fmt.Errorf("field %s: %q: %s", fieldIndex, pattern, reason)
		}
	}
	return nil
}

// invalidIndex says why Elasticsearch takes no index of this name, or "".
func invalidIndex(name string) string {
	const most = 255 - len(dateSuffix)
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Sprintf("%q is not the name of an index", name)
	case len(name) > most:
		return fmt.Sprintf("an index name of %d bytes is over the limit of %d", len(name), most)
	case strings.ToLower(name) != name:
		return fmt.Sprintf("index name %q has capital letters; Elasticsearch takes small ones only", name)
	case strings.ContainsRune("-_+", rune(name[0])):
		return fmt.Sprintf("index name %q begins with '%c', which Elasticsearch does not allow", name, name[0])
	}
	if at := strings.IndexAny(name, "\\/*?\"<>| ,#:"); at >= 0 {
		return fmt.Sprintf("index name %q has the character '%c', which Elasticsearch does not allow", name, name[at])
	}
	return ""
}
