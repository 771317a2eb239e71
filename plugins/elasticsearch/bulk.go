package elasticsearch

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
)

// maxAnswerBytes bounds what is read of an answer; a bulk answer has at most
// some hundred bytes for each document.
const maxAnswerBytes = 256 << 20

// answerFields leaves out of bulk answers what nobody reads: nine tenths.
const answerFields = "errors,error,items.*.status,items.*.error"

var (
	answers     = sync.Pool{New: func() any { return new(bytes.Buffer) }}
	compressors = sync.Pool{New: func() any {
		w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		return w
	}}
)

// bulkClient sends bulk requests.
type bulkClient struct {
	transport *elastictransport.Client
	wire      *http.Transport
	timeout   time.Duration
	gzip      bool
	query     string
}

func newBulkClient(s Settings) (*bulkClient, error) {
	transport, wire, err := newTransport(s)
	if err != nil {
		return nil, err
	}
	// The server gives up a little earlier, so that it is heard why.
	query := url.Values{
		"filter_path": {answerFields},
		"timeout":     {strconv.FormatInt((s.Timeout*3/4).Milliseconds(), 10) + "ms"},
	}
	return &bulkClient{transport: transport, wire: wire, timeout: s.Timeout, gzip: s.Gzip, query: query.Encode()}, nil
}

// post sends a bulk request and reads the whole answer into answer.
func (c *bulkClient) post(ctx context.Context, payload []byte, answer *bytes.Buffer) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	header := http.Header{"Content-Type": {"application/x-ndjson"}, "Accept": {"application/json"}}
	if c.gzip {
		if payload, err = compress(payload); err != nil {
			return 0, err
		}
		header.Set("Content-Encoding", "gzip")
	}
	content := &guardedBytes{bytes: payload}
	defer content.close()
	request := (&http.Request{
		Method:        http.MethodPost,
		URL:           &url.URL{Path: "/_bulk", RawQuery: c.query},
		Header:        header,
		Body:          content.reader(),
		ContentLength: int64(len(payload)),
		GetBody:       func() (io.ReadCloser, error) { return content.reader(), nil },
	}).WithContext(ctx)
	response, err := c.transport.Perform(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = answer.ReadFrom(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return 0, &nodeError{node: request.URL.Host, err: err}
	}
	return response.StatusCode, nil
}

func compress(payload []byte) ([]byte, error) {
	var packed bytes.Buffer
	w := compressors.Get().(*gzip.Writer)
	defer compressors.Put(w)
	w.Reset(&packed)
	if _, err := w.Write(payload); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// guardedBytes are not read any more once they are closed. net/http may go on
// reading a request's body after it returned, and the bytes are then used for
// another request.
type guardedBytes struct {
	mu    sync.Mutex
	bytes []byte // nil: closed
}

func (g *guardedBytes) reader() io.ReadCloser {
	return io.NopCloser(&guardedReader{guard: g})
}

func (g *guardedBytes) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bytes = nil
}

type guardedReader struct {
	guard *guardedBytes
	at    int
}

func (r *guardedReader) Read(p []byte) (int, error) {
	r.guard.mu.Lock()
	defer r.guard.mu.Unlock()
	if r.guard.bytes == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	if r.at >= len(r.guard.bytes) {
		return 0, io.EOF
	}
	n := copy(p, r.guard.bytes[r.at:])
	r.at += n
	return n, nil
}

// outcome is what became of one request.
type outcome struct {
	verdict  verdict
	left     []document // to be sent again, in their order
	halve    bool       // in smaller requests
	tooLarge bool       // later requests should be smaller too
	why      string     // for the log; "" says nothing
}

// attempt sends documents once, records those that are refused, and says what is
// left to do.
func (w *write) attempt(ctx context.Context, documents []document) outcome {
	answer := answers.Get().(*bytes.Buffer)
	answer.Reset()
	defer answers.Put(answer)
	payload := w.payload(documents)
	status, err := w.client.post(ctx, payload, answer)
	switch {
	case err != nil:
		cut := errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
		result := outcome{verdict: again, left: documents, why: explain(err)}
		if cut && len(payload) > 1<<20 {
			result.verdict = overloaded // a server may cut off what is too large
		}
		return result
	case status == http.StatusOK && allWritten(answer.Bytes(), len(documents)):
		return outcome{}
	case status == http.StatusOK:
		return w.judgeItems(documents, answer.Bytes())
	}
	return w.judgeWhole(documents, status, answer.Bytes())
}

// payload is the request of these documents: a part of the body where they
// follow each other in it, else a copy.
func (w *write) payload(documents []document) []byte {
	first, last := documents[0], documents[len(documents)-1]
	size := 0
	for _, d := range documents {
		size += d.end - d.start
	}
	if size == last.end-first.start {
		return w.body.bytes[first.start:last.end]
	}
	picked := make([]byte, 0, size)
	for _, d := range documents {
		picked = append(picked, w.body.bytes[d.start:d.end]...)
	}
	return picked
}

// judgeItems reads an answer that did not simply say that all went well.
func (w *write) judgeItems(documents []document, answer []byte) outcome {
	items, whole := readItems(answer, len(documents))
	if !whole {
		result := outcome{verdict: again, left: documents, why: "the answer to a bulk request is not whole: " + excerpt(answer)}
		if start := bytes.TrimSpace(answer); len(start) > 0 && start[0] != '{' {
			result.verdict = hold
			result.why = "what answers is not Elasticsearch, but a proxy or another server: " + excerpt(answer) + "; check field " + fieldURLs
		}
		return result
	}
	var result outcome
	repeat := map[string]bool{}
	for i, read := range items {
		d := documents[i]
		var v verdict
		var why string
		if read.err.status/100 != 2 {
			v, why = judge(read.err, read.action, w.named())
		}
		switch {
		case v == refused:
			w.reject(d, why)
		case v == overloaded && len(documents) == 1 && neverFits(read.err.reason):
			w.reject(d, read.err.String())
		case v != written:
			if v > result.verdict {
				result.verdict, result.why = v, why
			}
			repeat[string(w.body.target(d))] = true
			result.left = append(result.left, d)
		case len(repeat) > 0 && repeat[string(w.body.target(d))]:
			result.left = append(result.left, d) // else the earlier one would overwrite it
		}
	}
	return result
}

// judgeWhole reads an answer that is an error for all documents together.
func (w *write) judgeWhole(documents []document, status int, answer []byte) outcome {
	result := outcome{left: documents}
	object, ours := isError(answer)
	alone := len(documents) == 1
	if status == http.StatusRequestEntityTooLarge {
		if alone {
			d := documents[0]
			w.reject(d, fmt.Sprintf("a document of %d bytes is over the limit of the server or of a proxy before it (status 413); raise http.max_content_length there", d.end-d.start))
			return outcome{}
		}
		result.verdict, result.halve, result.tooLarge = again, true, true
		result.why = "a bulk request is over the limit of the server or of a proxy before it (status 413); sending it in halves, set " + fieldMaxBulkBytes + " lower"
		return result
	}
	e := serverError{status: status, reason: excerpt(answer)}
	if ours {
		e = readError(status, object)
	}
	result.verdict, result.why = judge(e, "", w.named())
	switch {
	case result.verdict == overloaded && neverFits(e.reason):
		result.halve, result.tooLarge = true, true
		if alone {
			w.reject(documents[0], e.String())
			return outcome{}
		}
	case result.verdict == refused && status == http.StatusBadRequest && ours:
		if alone {
			w.reject(documents[0], result.why)
			return outcome{}
		}
		// One document made the request unreadable; the halves tell which.
		result.verdict, result.halve, result.why = again, true, ""
	case result.verdict == refused:
		result.verdict = hold
		result.why = "what answers at this path is not Elasticsearch's bulk endpoint (" + e.String() + "); check field " + fieldURLs
	}
	return result
}
