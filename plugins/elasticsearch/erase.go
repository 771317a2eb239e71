package elasticsearch

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// erasedAtOnce is how many documents are found for one bulk request.
const erasedAtOnce = 1000

// erase deletes what the query of each message finds. The server's own
// _delete_by_query is not used: it belongs to a module that not every
// distribution has, and stops half way when a node does.
func (w *write) erase(ctx context.Context) error {
	for i, m := range w.batch {
		query, err := w.conf.queryOf(m)
		if err != nil {
			w.fail(i, message.Rejectf(component, "field %s: %v", fieldQuery, err))
			continue
		}
		if query == nil { // deleted()
			continue
		}
		if err := w.eraseFound(ctx, i, query); err != nil {
			return err
		}
	}
	return nil
}

// queryOf is what the mapping makes of a message, nil for deleted().
func (c *outputConfig) queryOf(m *service.Message) ([]byte, error) {
	mapped, err := m.BloblangQuery(c.query)
	if err != nil || mapped == nil {
		return nil, err
	}
	query, err := mapped.AsBytes()
	if err != nil {
		return nil, err
	}
	if object := gjson.ParseBytes(query); !object.IsObject() || len(object.Map()) == 0 {
		return nil, fmt.Errorf(`it gives %s; give a query such as {"term": {"user_id": 514}}`, excerpt(query))
	}
	return query, nil
}

// eraseFound deletes page after page, until nothing is found after a refresh.
func (w *write) eraseFound(ctx context.Context, i int, query []byte) error {
	for failures := w.failures(); ; {
		hits, err := w.find(ctx, i, query)
		if err != nil || len(hits) == 0 {
			return err
		}
		w.body.reset()
		for _, hit := range hits {
			w.body.addDeletion(i, hit)
		}
		if err := w.sendAll(ctx, w.body.documents); err != nil {
			return err
		}
		if w.failures() > failures { // what is refused would be found again
			return nil
		}
	}
}

func (w *write) failures() int {
	if w.failed == nil {
		return 0
	}
	return w.failed.IndexedErrors()
}

// find searches for documents, those of a moment ago included.
func (w *write) find(ctx context.Context, i int, query []byte) ([]gjson.Result, error) {
	index, yes, no := []string{w.conf.index.static}, true, false
	refreshed, err := w.ask(ctx, i, query, func() esapi.Request {
		return esapi.IndicesRefreshRequest{Index: index, IgnoreUnavailable: &yes, AllowNoIndices: &yes}
	})
	if err != nil || refreshed == nil {
		return nil, err
	}
	search := fmt.Appendf(nil, `{"query":%s,"size":%d,"sort":["_doc"],"_source":false,"track_total_hits":false}`, query, erasedAtOnce)
	found, err := w.ask(ctx, i, query, func() esapi.Request {
		return esapi.SearchRequest{
			Index: index, Body: bytes.NewReader(search), IgnoreUnavailable: &yes, AllowNoIndices: &yes, AllowPartialSearchResults: &no,
		}
	})
	return gjson.GetBytes(found, "hits.hits").Array(), err
}

// ask sends a request until it is answered. Its answer is nil, and message i
// failed, where the query is refused.
func (w *write) ask(ctx context.Context, i int, query []byte, request func() esapi.Request) ([]byte, error) {
	wait := w.conf.firstPause
	for attempt := 1; ; attempt++ {
		status, answer, err := call(ctx, w.client.transport, w.conf.Timeout, request())
		v, why := judgeFound(status, answer, err)
		switch {
		case v == written:
			w.tellWritable()
			return answer, nil
		case v == refused:
			w.fail(i, message.Rejectf(component, "Elasticsearch refuses the query %s: %s", excerpt(query), why))
			return nil, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		w.tell(why)
		switch {
		case v == hold:
			wait = w.conf.lastPause
		case v == again && attempt < len(w.conf.URLs):
			continue // to the next node
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
		wait = min(2*wait, w.conf.lastPause)
	}
}

// judgeFound says what the answer to a refresh or a search means, and why.
func judgeFound(status int, answer []byte, err error) (verdict, string) {
	if err != nil {
		return again, explain(err)
	}
	object, ours := isError(answer)
	if ours {
		if cause := object.Get("root_cause.0"); object.Get("type").Str == "search_phase_execution_exception" && cause.Exists() {
			object = cause // "all shards failed" says nothing
		}
		return judge(readError(status, object), actionDelete, false)
	}
	failed := gjson.GetBytes(answer, "_shards.failed")
	switch {
	case status != http.StatusOK:
		if v, why := judge(serverError{status: status, reason: excerpt(answer)}, actionDelete, false); v != refused {
			return v, why
		}
	case failed.Type == gjson.Number && failed.Int() > 0:
		return again, "a shard does not answer: " + excerpt(answer)
	case failed.Type == gjson.Number && gjson.ValidBytes(answer):
		return written, ""
	}
	return hold, fmt.Sprintf("what answers is not Elasticsearch, but a proxy or another server (status %d: %s); check field %s", status, excerpt(answer), fieldURLs)
}

// addDeletion appends the deletion of a document that was found.
func (b *body) addDeletion(i int, hit gjson.Result) {
	d := document{message: i, start: len(b.bytes)}
	dst := append(b.bytes, `{"delete":{"_index":`...)
	dst = message.AppendString(dst, hit.Get("_index").Str)
	dst = append(dst, `,"_id":`...)
	dst = message.AppendString(dst, hit.Get("_id").Str)
	if routing := hit.Get("_routing").Str; routing != "" {
		dst = append(dst, `,"routing":`...)
		dst = message.AppendString(dst, routing)
	}
	b.bytes = append(dst, "}}\n"...)
	d.source, d.end = len(b.bytes), len(b.bytes)
	b.documents = append(b.documents, d)
}
