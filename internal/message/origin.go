package message

import (
	"context"
	"time"
)

// Origin is the Kafka record a message began as. It is immutable: processors
// change the message, never its origin, so that a dead letter can always give
// back the original bytes.
type Origin struct {
	Topic     string
	Partition int32
	Offset    int64
	Key       []byte
	Value     []byte
	Headers   []Header
	Time      time.Time // the record's timestamp: wall clock, not event time
}

// Header is one Kafka record header.
type Header struct {
	Key   string
	Value []byte
}

type originKey struct{}

// originContext is what context.WithValue would make, in one piece with others.
type originContext struct {
	context.Context
	origin *Origin
}

func (c *originContext) Value(key any) any {
	if key == (originKey{}) {
		return c.origin
	}
	return c.Context.Value(key)
}

// WithOrigin returns a context that carries o, which must not change after.
func WithOrigin(ctx context.Context, o *Origin) context.Context {
	return &originContext{ctx, o}
}

// Origins are the origins of a batch and the contexts that carry them, in one
// piece of memory each.
type Origins struct {
	origins  []Origin
	contexts []originContext
}

// NewOrigins returns n empty origins.
func NewOrigins(n int) *Origins {
	return &Origins{make([]Origin, n), make([]originContext, n)}
}

// At returns the i-th origin, to be filled.
func (o *Origins) At(i int) *Origin { return &o.origins[i] }

// Context returns a context within ctx that carries the i-th origin.
func (o *Origins) Context(ctx context.Context, i int) context.Context {
	c := &o.contexts[i]
	c.Context, c.origin = ctx, &o.origins[i]
	return c
}

// OriginFrom returns the origin that ctx carries, or nil where there is none:
// a message that did not come from Kafka has no origin.
func OriginFrom(ctx context.Context) *Origin {
	o, _ := ctx.Value(originKey{}).(*Origin)
	return o
}
