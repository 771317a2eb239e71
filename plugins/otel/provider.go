package otel

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	otelapi "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"
)

const (
	// shutdownTimeout is how long the last spans may take. Benthos gives no limit of
	// its own, and a collector may be away.
	shutdownTimeout = time.Second
	exportTimeout   = 5 * time.Second
	sendPeriod      = time.Second // of the spans that are ready
	complainPeriod  = time.Minute
)

// provider stands before the SDK's. Benthos asks for a tracer and starts a span for
// every message in every component, so what is not sampled has to cost nothing: it is
// decided once, where a message comes in, and remembered by one value in its context.
type provider struct {
	embedded.TracerProvider
	sdk   *trace.TracerProvider
	ratio float64

	tracers sync.Map // name → *tracer
}

func newProvider(c config) (*provider, error) {
	attributes := []attribute.KeyValue{attribute.String("service.name", c.service)}
	for _, key := range slices.Sorted(maps.Keys(c.tags)) {
		attributes = append(attributes, attribute.String(key, c.tags[key]))
	}
	options := []trace.TracerProviderOption{
		trace.WithResource(resource.NewSchemaless(attributes...)),
		trace.WithSampler(trace.ParentBased(trace.AlwaysSample())), // the ratio is the provider's
	}
	exporters, err := c.exporters(context.Background())
	if err != nil {
		return nil, err
	}
	for _, exporter := range exporters {
		options = append(options, trace.WithBatcher(exporter, trace.WithBatchTimeout(sendPeriod), trace.WithExportTimeout(exportTimeout)))
	}
	otelapi.SetTextMapPropagator(propagation.TraceContext{}) // for Benthos's own mappings of spans
	otelapi.SetErrorHandler(&complaints{log: c.log})
	return &provider{sdk: trace.NewTracerProvider(options...), ratio: c.ratio}, nil
}

// exporters are one for each collector. None waits for its collector to be there.
func (c config) exporters(ctx context.Context) ([]trace.SpanExporter, error) {
	var all []trace.SpanExporter
	for _, to := range c.http {
		options := []otlptracehttp.Option{otlptracehttp.WithEndpoint(to.address), otlptracehttp.WithTimeout(exportTimeout)}
		if !to.secure {
			options = append(options, otlptracehttp.WithInsecure())
		}
		exporter, err := otlptracehttp.New(ctx, options...)
		if err != nil {
			return nil, fmt.Errorf("field %s: collector %s: %w", fieldHTTP, to.address, err)
		}
		all = append(all, exporter)
	}
	for _, to := range c.grpc {
		options := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(to.address), otlptracegrpc.WithTimeout(exportTimeout)}
		if !to.secure {
			options = append(options, otlptracegrpc.WithInsecure())
		}
		exporter, err := otlptracegrpc.New(ctx, options...)
		if err != nil {
			return nil, fmt.Errorf("field %s: collector %s: %w", fieldGRPC, to.address, err)
		}
		all = append(all, exporter)
	}
	return all, nil
}

// Tracer returns the tracer of a name, always the same.
func (p *provider) Tracer(name string, options ...api.TracerOption) api.Tracer {
	if known, ok := p.tracers.Load(name); ok {
		return known.(*tracer)
	}
	known, _ := p.tracers.LoadOrStore(name, &tracer{provider: p, sdk: p.sdk.Tracer(name, options...)})
	return known.(*tracer)
}

// Shutdown sends what is left, within its time; Benthos calls it at last.
func (p *provider) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	return p.sdk.Shutdown(ctx)
}

// tracer starts spans, if they are sampled.
type tracer struct {
	embedded.Tracer
	provider *provider
	sdk      api.Tracer
}

// dropped is the span of a message that is not sampled; its children are the same.
type dropped struct{ noop.Span }

var drop api.Span = dropped{}

// Start implements trace.Tracer.
func (t *tracer) Start(ctx context.Context, name string, options ...api.SpanStartOption) (context.Context, api.Span) {
	parent := api.SpanFromContext(ctx)
	if _, decided := parent.(dropped); decided {
		return ctx, parent
	}
	if of := parent.SpanContext(); of.IsValid() {
		if !of.IsSampled() {
			return ctx, parent // the sender's decision; it is passed on as it came
		}
	} else if t.provider.ratio < 1 && rand.Float64() >= t.provider.ratio {
		return api.ContextWithSpan(ctx, drop), drop
	}
	return t.sdk.Start(ctx, name, options...)
}

// complaints tells what went wrong with sending, at most once a minute.
type complaints struct {
	log  *service.Logger
	mu   sync.Mutex
	told time.Time
}

// Handle implements otel.ErrorHandler.
func (c *complaints) Handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.told) >= complainPeriod {
		c.told = now
		c.log.Warnf("Traces cannot be sent: %v; dropping them until the collector answers", err)
	}
}
