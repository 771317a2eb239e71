// Package tracing carries traces from one process to the next, in the W3C header
// traceparent (https://www.w3.org/TR/trace-context/) of Kafka records and of HTTP.
package tracing

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Header names the span that a record or a request was sent in.
const Header = "traceparent"

// State is the header that may stand beside it, with what vendors add.
const State = "tracestate"

var w3c propagation.TraceContext

// On says whether spans go anywhere: nothing is asked of messages where they do not.
func On(provider trace.TracerProvider) bool {
	switch provider.(type) {
	case nil, noop.TracerProvider, *noop.TracerProvider, interface{ Silent() }:
		return false
	}
	return true
}

// carrier is the two headers.
type carrier struct{ parent, state string }

func (c *carrier) Get(key string) string {
	switch key {
	case Header:
		return c.parent
	case State:
		return c.state
	}
	return ""
}

func (c *carrier) Set(key, value string) {
	switch key {
	case Header:
		c.parent = value
	case State:
		c.state = value
	}
}

func (c *carrier) Keys() []string { return []string{Header, State} }

// Extract returns ctx within the span that the headers name. Headers that are none,
// or wrong, change nothing: a broken trace is no reason to refuse a request.
func Extract(ctx context.Context, parent, state string) context.Context {
	if parent == "" {
		return ctx
	}
	return w3c.Extract(ctx, &carrier{parent, state})
}

// Inject returns the headers that name the span of ctx; parent is empty where it has
// none.
func Inject(ctx context.Context) (parent, state string) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return "", ""
	}
	var c carrier
	w3c.Inject(ctx, &c)
	return c.parent, c.state
}

// Within returns ctx with the span of from as if it came from another process: who
// starts a span there makes a child of its own and does not end the parent.
func Within(ctx, from context.Context) context.Context {
	span := trace.SpanFromContext(from)
	if span.IsRecording() {
		return trace.ContextWithRemoteSpanContext(ctx, span.SpanContext())
	}
	return trace.ContextWithSpan(ctx, span)
}
