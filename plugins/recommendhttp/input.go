package recommendhttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"sync"

	"github.com/redpanda-data/benthos/v4/public/service"
	"go.opentelemetry.io/otel/trace"

	"github.com/recsys-benthos/recsys-benthos/internal/api"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/origin"
	"github.com/recsys-benthos/recsys-benthos/internal/tracing"
)

// The metadata of messages.
const (
	metaKind    = "kind"
	metaUser    = "user_id"
	metaKey     = "key"
	metaMessage = "http_message" // the message's place in its batch
)

func init() {
	service.MustRegisterBatchInput("recommend_http", inputSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchInput, error) {
			c, err := parseConfig(conf)
			if err != nil {
				return nil, err
			}
			return newInput(c, mgr)
		})
}

// input is a server whose requests are read as batches. It does not try again
// what fails: the error is an answer.
type input struct {
	conf          *config
	mgr           *service.Resources
	log           *service.Logger
	answered      *tally
	origin        *origin.Origin // nil if the page is not shared
	reads, writes chan *call
	tracer        trace.Tracer // nil where spans go nowhere
	modelKey      any          // of the resources' values
	catalogKey    any
	storeKey      any
	registryKey   any

	draining chan struct{} // closed when no more requests are read
	drain    func()

	mu     sync.Mutex
	server *server // nil before Connect and after Close
	leave  func() error
	closed bool
}

func newInput(c *config, mgr *service.Resources) (*input, error) {
	in := &input{
		conf: c, mgr: mgr, log: mgr.Logger(), answered: &tally{metric: mgr.Metrics().NewCounter("recommend_http_answers", "kind", "status")},
		reads: make(chan *call, c.requests), writes: make(chan *call, c.writes), draining: make(chan struct{}),
	}
	if provider := mgr.OtelTracer(); tracing.On(provider) {
		in.tracer = provider.Tracer("recsys-benthos")
	}
	in.drain = sync.OnceFunc(func() { close(in.draining) })
	if err := in.build(); err != nil {
		return nil, err
	}
	if c.sharesPage {
		origins, _ := mgr.GetOrSetGeneric(origin.Key{}, origin.New())
		in.origin = origins.(*origin.Origins).At(c.address)
	}
	if c.isOpen() {
		in.log.Warnf("%s can be reached from elsewhere and needs no key: set %s", c.address, fieldAuth)
	}
	return in, nil
}

// Connect starts the server.
func (in *input) Connect(context.Context) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return service.ErrEndOfInput
	}
	if in.server != nil {
		return nil
	}
	leave := func() error { return nil }
	if in.origin != nil {
		leave = in.origin.Host()
	}
	s, err := startServer(in)
	if err != nil {
		_ = leave() // the page's own complaint would be the same
		return err
	}
	in.server, in.leave = s, leave
	return nil
}

// ReadBatch returns the requests that wait, and waits for one if there is none.
func (in *input) ReadBatch(ctx context.Context) (service.MessageBatch, service.AckFunc, error) {
	for {
		var calls []*call
		select {
		case first := <-in.reads:
			calls = in.collect(first, in.reads)
		case first := <-in.writes:
			calls = in.collect(first, in.writes)
		case <-ctx.Done():
			in.drain()
			return nil, nil, ctx.Err()
		}
		if len(calls) == 0 { // all gave up before their turn
			continue
		}
		batch := messages(calls)
		index := batch.Index()
		batch, store := batch.WithSyncResponseStore()
		return batch, func(_ context.Context, err error) error {
			failures := make([]error, len(batch))
			if err != nil {
				fail(failures, index, err)
			}
			settle(calls, store, failures)
			return nil
		}, nil
	}
}

// collect takes what waits behind the first call, as long as it fits in a batch.
func (in *input) collect(first *call, queue <-chan *call) (calls []*call) {
	runtime.Gosched() // lets requests that have been read, but not queued, come along
	size := 0
	for next := first; ; {
		if next.take() {
			calls = append(calls, next)
			size += len(next.Messages)
		}
		if size >= in.conf.batch {
			return calls
		}
		select {
		case next = <-queue:
		default:
			return calls
		}
	}
}

// messages are those of all calls, in their order.
func messages(calls []*call) service.MessageBatch {
	var batch service.MessageBatch
	for _, c := range calls {
		for i, text := range c.Messages {
			m := service.NewMessageWithContext(c.ctx, text)
			m.MetaSetMut(metaKind, string(c.Route.Kind))
			m.MetaSetMut(metaMessage, strconv.Itoa(len(batch)))
			if c.Keys != nil {
				key := strconv.FormatInt(c.Keys[i], 10)
				m.MetaSetMut(metaKey, key)
				if c.Items == nil {
					m.MetaSetMut(metaUser, key)
				}
			}
			batch = append(batch, m)
		}
	}
	return batch
}

var errNoReply = errors.New("the pipeline gave no reply")

// fail marks the messages that err is about: all of them, unless it says which.
func fail(failures []error, index *service.Indexer, err error) {
	var partial *service.BatchError
	if errors.As(err, &partial) && partial.IndexedErrors() > 0 {
		found := 0
		partial.WalkMessagesIndexedBy(index, func(i int, _ *service.Message, err error) bool {
			if err != nil && i >= 0 && i < len(failures) {
				failures[i] = err
				found++
			}
			return true
		})
		if found > 0 {
			return
		}
	}
	for i := range failures {
		failures[i] = err
	}
}

// settle gives each call the replies to its messages, or why there are none.
func settle(calls []*call, store *service.SyncResponseStore, failures []error) {
	replies := make([][]byte, len(failures))
	for _, batch := range store.Read() {
		for _, m := range batch {
			at, ok := place(m, len(replies))
			if !ok || failures[at] != nil {
				continue
			}
			if failures[at] = m.GetError(); failures[at] == nil {
				replies[at], failures[at] = m.AsBytes()
			}
		}
	}
	for _, c := range calls {
		own := len(c.Messages)
		c.settle(replies[:own], failures[:own])
		replies, failures = replies[own:], failures[own:]
	}
}

// place is where a message stood in the batch of n that was read.
func place(m *service.Message, n int) (int, bool) {
	value, ok := m.MetaGet(metaMessage)
	if !ok {
		return 0, false
	}
	at, err := strconv.Atoi(value)
	return at, err == nil && at >= 0 && at < n
}

// problem is the answer for an error of the pipeline.
func problem(err error) *api.Problem {
	var own *api.Problem
	var rejection *message.Rejection
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &rejection):
		return api.Problemf(http.StatusUnprocessableEntity, "%s", rejection.Reason)
	case errors.Is(err, context.DeadlineExceeded):
		return api.Problemf(http.StatusGatewayTimeout, "the pipeline took too long").After(retryAfter)
	case errors.Is(err, context.Canceled), errors.Is(err, service.ErrNotConnected), errors.Is(err, service.ErrEndOfInput):
		return errStopping
	}
	return api.Problemf(http.StatusInternalServerError, "the pipeline failed: %v", err)
}

// Close lets answers that are under way finish within ctx, and stops the server.
// Closing again does nothing.
func (in *input) Close(ctx context.Context) error {
	in.drain()
	in.mu.Lock()
	s := in.server
	in.server, in.closed = nil, true
	in.mu.Unlock()
	if s == nil {
		return nil
	}
	if err := errors.Join(s.close(ctx), in.leave()); err != nil {
		return fmt.Errorf("closing %s: %w", in.conf.address, err)
	}
	return nil
}
