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

// WithOrigin returns a context that carries o, which must not change after.
func WithOrigin(ctx context.Context, o *Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginFrom returns the origin that ctx carries, or nil where there is none:
// a message that did not come from Kafka has no origin.
func OriginFrom(ctx context.Context) *Origin {
	o, _ := ctx.Value(originKey{}).(*Origin)
	return o
}
