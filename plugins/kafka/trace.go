package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/tracing"
)

// within returns ctx within the span that a record was written in, if it says so.
func within(ctx context.Context, headers []kgo.RecordHeader) context.Context {
	if len(headers) == 0 {
		return ctx
	}
	return tracing.Extract(ctx, header(headers, tracing.Header), header(headers, tracing.State))
}

// header is the last one of a key, or empty.
func header(headers []kgo.RecordHeader, key string) (value string) {
	for _, h := range headers {
		if h.Key == key {
			value = string(h.Value)
		}
	}
	return value
}

// tell has a record say which span it was written in, in place of the span that its
// message came in.
func tell(ctx context.Context, headers []kgo.RecordHeader) []kgo.RecordHeader {
	parent, state := tracing.Inject(ctx)
	if parent == "" {
		return headers
	}
	kept := headers[:0]
	for _, h := range headers {
		if h.Key != tracing.Header && h.Key != tracing.State {
			kept = append(kept, h)
		}
	}
	kept = append(kept, kgo.RecordHeader{Key: tracing.Header, Value: []byte(parent)})
	if state != "" {
		kept = append(kept, kgo.RecordHeader{Key: tracing.State, Value: []byte(state)})
	}
	return kept
}
