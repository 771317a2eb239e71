package elasticsearch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// patience is how often a request is sent whole to a server that has no room for
// it, before its halves are.
const patience = 3

// minBulkBytes is the smallest that answers of "too large" make a bulk request.
const minBulkBytes = 64 << 10

func init() {
	service.MustRegisterBatchOutput("elasticsearch_v8", outputSpec(),
		func(conf *service.ParsedConfig, res *service.Resources) (service.BatchOutput, service.BatchPolicy, int, error) {
			c, err := parseOutput(conf)
			if err != nil {
				return nil, service.BatchPolicy{}, 0, err
			}
			policy, err := conf.FieldBatchPolicy(fieldBatching)
			if err != nil {
				return nil, service.BatchPolicy{}, 0, err
			}
			if label := res.Label(); label != "" {
				res.SetGeneric(SettingsKey{Label: label}, c.Settings)
			}
			out, err := newOutput(c, res.Logger())
			return out, policy, c.Connections, err
		})
}

// output writes batches by bulk requests. Its methods may run concurrently.
type output struct {
	conf   outputConfig
	log    *service.Logger
	client *bulkClient

	bulkBytes atomic.Int64 // of one request at most; shrinks when a server says 413
	trouble   repeatFilter
	closeOnce sync.Once
}

func newOutput(c outputConfig, log *service.Logger) (*output, error) {
	client, err := newBulkClient(c.Settings)
	if err != nil {
		return nil, err
	}
	o := &output{conf: c, log: log, client: client}
	o.bulkBytes.Store(int64(c.maxBulkBytes))
	return o, nil
}

// Connect returns once a node answers that is an Elasticsearch and accepts us.
func (o *output) Connect(ctx context.Context) error {
	for wait := o.conf.firstPause; ; wait = min(2*wait, o.conf.lastPause) {
		why := o.probe(ctx)
		if why == "" {
			o.tellWritable()
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		o.tell(why)
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// probe says why the cluster cannot be used, or "". It asks for what needs the
// least: a user who may only write gets a 403, and is a user.
func (o *output) probe(ctx context.Context) string {
	local := true
	status, answer, err := call(ctx, o.client.transport, o.conf.Timeout, esapi.ClusterHealthRequest{Local: &local})
	if err != nil {
		return explain(err)
	}
	object, ours := isError(answer)
	switch {
	case status == http.StatusOK && strings.Contains(string(answer), `"cluster_name"`), status == http.StatusForbidden && ours:
		return ""
	case status == http.StatusUnauthorized, ours:
		_, why := judge(readError(status, object), "", false)
		return why
	}
	return fmt.Sprintf("what answers is not Elasticsearch, but a proxy or another server (status %d: %s); check field %s", status, excerpt(answer), fieldURLs)
}

func (o *output) tell(why string) {
	if why != "" && o.trouble.pass(why, time.Now()) {
		o.log.Errorf("Elasticsearch at %s: %s. Nothing is lost; trying again until it succeeds", o.addresses(), why)
	}
}

func (o *output) tellWritable() {
	if o.trouble.over() {
		o.log.Infof("Elasticsearch at %s can be written again", o.addresses())
	}
}

func (o *output) addresses() string {
	hosts := make([]string, len(o.conf.URLs))
	for i, u := range o.conf.URLs {
		hosts[i] = u.Host
	}
	return strings.Join(hosts, ", ")
}

// WriteBatch returns when all documents are written, or deleted. It fails single messages
// that can never be written, and all of them only when ctx ends.
func (o *output) WriteBatch(ctx context.Context, batch service.MessageBatch) error {
	w := &write{output: o, batch: batch, body: bodies.Get().(*body)}
	defer w.body.free()
	work := w.index
	if o.conf.query != nil {
		work = w.erase
	}
	if err := work(ctx); err != nil || w.failed == nil {
		return err // a nil *BatchError would be an error
	}
	return w.failed
}

// index writes the documents of the batch.
func (w *write) index(ctx context.Context) error {
	for i, m := range w.batch {
		if rejection := w.body.add(&w.conf, i, m); rejection != nil {
			w.fail(i, rejection)
		}
	}
	return w.sendAll(ctx, w.body.documents)
}

// sendAll sends documents in requests that are not too large.
func (w *write) sendAll(ctx context.Context, documents []document) error {
	for len(documents) > 0 {
		n := w.fitting(documents)
		if err := w.send(ctx, documents[:n], w.conf.firstPause); err != nil {
			return err
		}
		documents = documents[n:]
	}
	return nil
}

// fitting is how many of the documents make one request: at least one.
func (o *output) fitting(documents []document) int {
	limit := documents[0].start + int(o.bulkBytes.Load())
	for i, d := range documents {
		if i > 0 && d.end > limit {
			return i
		}
	}
	return len(documents)
}

// shrink makes later requests half as large as that of these documents.
func (o *output) shrink(documents []document) {
	size := int64(0)
	for _, d := range documents {
		size += int64(d.end - d.start)
	}
	for {
		limit := o.bulkBytes.Load()
		smaller := max(size/2, minBulkBytes)
		if smaller >= limit || o.bulkBytes.CompareAndSwap(limit, smaller) {
			return
		}
	}
}

// write is one batch on its way.
type write struct {
	*output
	batch  service.MessageBatch
	body   *body
	failed *service.BatchError
}

func (w *write) fail(i int, err error) {
	if w.failed == nil {
		w.failed = service.NewBatchError(w.batch, err)
	}
	w.failed.Failed(i, err)
}

// reject fails the message of a document, which its action line names.
func (w *write) reject(d document, why string) {
	w.fail(d.message, message.Rejectf(component, "Elasticsearch refuses %s: %s", strings.TrimSpace(string(w.body.target(d))), why))
}

// named says whether messages name their index or pipeline.
func (w *write) named() bool { return w.conf.index.each != nil || w.conf.pipeline.each != nil }

// send sends documents until each is written or refused. wait is the first wait
// before something is sent again.
func (w *write) send(ctx context.Context, documents []document, wait time.Duration) error {
	for attempt := 1; ; attempt++ {
		before := len(documents)
		result := w.attempt(ctx, documents)
		documents = result.left
		if len(documents) == 0 {
			w.tellWritable()
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.tell(result.why)
		if len(documents) < before && result.verdict != hold {
			wait = w.conf.firstPause // it makes progress
		}
		if result.halve || result.verdict == overloaded && attempt >= patience {
			if len(documents) > 1 {
				return w.sendHalves(ctx, documents, wait, result)
			}
		}
		switch {
		case result.verdict == hold:
			wait = w.conf.lastPause
		case result.verdict == again && attempt < len(w.conf.URLs):
			continue // to the next node
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, w.conf.lastPause)
	}
}

func (w *write) sendHalves(ctx context.Context, documents []document, wait time.Duration, result outcome) error {
	middle := len(documents) / 2
	if result.tooLarge {
		w.shrink(documents)
	}
	if result.verdict == overloaded {
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, w.conf.lastPause)
	}
	if err := w.send(ctx, documents[:middle], wait); err != nil {
		return err
	}
	return w.send(ctx, documents[middle:], w.conf.firstPause)
}

// pause waits for a time between half of d and d, so that those who wait for one
// server do not return together.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d/2 + rand.N(d/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close closes the connections; Benthos calls it after the last WriteBatch.
func (o *output) Close(context.Context) error {
	o.closeOnce.Do(o.client.wire.CloseIdleConnections)
	return nil
}
