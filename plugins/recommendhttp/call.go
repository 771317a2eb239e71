package recommendhttp

import (
	"context"
	"sync/atomic"

	"github.com/recsys-benthos/recsys-benthos/internal/api"
)

// The states of a call.
const (
	waiting int32 = iota
	taken         // in a batch
	givenUp       // the client is gone, or it took too long
)

// call is a request on its way through the pipeline.
type call struct {
	*api.Call
	ctx      context.Context // of the messages: the span that they are made in
	state    atomic.Int32
	release  func()        // of what the call holds, once settled or given up; may be nil
	done     chan struct{} // closed once settled
	replies  [][]byte
	failures []error
}

func newCall(c *api.Call, release func()) *call {
	return &call{Call: c, ctx: context.Background(), release: release, done: make(chan struct{})}
}

// take reports whether the call is still wanted.
func (c *call) take() bool { return c.state.CompareAndSwap(waiting, taken) }

// giveUp leaves the call out of batches. One that is in a batch already goes on.
func (c *call) giveUp() {
	if c.state.CompareAndSwap(waiting, givenUp) && c.release != nil {
		c.release()
	}
}

func (c *call) settle(replies [][]byte, failures []error) {
	c.replies, c.failures = replies, failures
	if c.release != nil {
		c.release()
	}
	close(c.done)
}

// failure is the first one of the call's messages. Feedback has no replies: that
// it did not fail is enough.
func (c *call) failure() error {
	for i, err := range c.failures {
		if err != nil {
			return err
		}
		if c.replies[i] == nil && c.Route.Kind != api.Feedback {
			return errNoReply
		}
	}
	return nil
}
