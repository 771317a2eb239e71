package otel

import (
	"context"
	"encoding/hex"
	"net"
	"sync"
	"testing"
	"time"

	api "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/recsys-benthos/recsys-benthos/internal/tracing"
)

// receiver is a collector that takes OTLP by gRPC.
type receiver struct {
	collectorpb.UnimplementedTraceServiceServer
	address string
	mu      sync.Mutex
	parents map[string]string // by span, of all that came
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{address: listener.Addr().String(), parents: map[string]string{}}
	server := grpc.NewServer()
	collectorpb.RegisterTraceServiceServer(server, r)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return r
}

func (r *receiver) Export(_ context.Context, request *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range request.ResourceSpans {
		for _, scope := range of.ScopeSpans {
			for _, span := range scope.Spans {
				r.parents[hex.EncodeToString(span.SpanId)] = hex.EncodeToString(span.ParentSpanId)
			}
		}
	}
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

func open(t testing.TB, yaml string) api.TracerProvider {
	t.Helper()
	conf, err := spec().ParseYAML(yaml, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parse(conf)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.http)+len(c.grpc) == 0 {
		return noop.NewTracerProvider()
	}
	p, err := newProvider(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSpansArriveByGRPCWithTheirParents(t *testing.T) {
	to := newReceiver(t)
	p := open(t, "grpc: [{address: '"+to.address+"'}]").(*provider)
	ctx, above := p.Tracer("a").Start(t.Context(), "above")
	_, below := p.Tracer("a").Start(ctx, "below")
	below.End()
	above.End()
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := to.parents[below.SpanContext().SpanID().String()]
	if len(to.parents) != 2 || got != above.SpanContext().SpanID().String() {
		t.Errorf("%d spans came; the parent is %s, want %s", len(to.parents), got, above.SpanContext().SpanID())
	}
}

func TestARequestIsSampledOnceForAll(t *testing.T) {
	p := open(t, "http: [{address: '127.0.0.1:1'}]\nsampling: {enabled: true, ratio: 0.25}")
	tracer, sampled := p.Tracer("redpanda-connect"), 0
	const requests = 4000
	for range requests {
		ctx, input := tracer.Start(t.Context(), "input")
		ctx, processor := tracer.Start(ctx, "processor")
		_, output := tracer.Start(ctx, "output")
		if input.IsRecording() != processor.IsRecording() || input.IsRecording() != output.IsRecording() {
			t.Fatal("a trace has a part of its spans")
		}
		if input.IsRecording() {
			sampled++
		} else if parent, _ := tracing.Inject(ctx); parent != "" {
			t.Fatalf("a request that is not sampled says traceparent %s", parent)
		}
	}
	// 1000 ± 27.4 of a binomial distribution: six times that is one test of 10⁹.
	if sampled < 835 || sampled > 1165 {
		t.Errorf("%d of %d requests are sampled, want a quarter", sampled, requests)
	}
	for flags, want := range map[string]bool{"00": false, "01": true} { // who asks decides
		ctx := tracing.Extract(t.Context(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"+flags, "")
		if _, span := tracer.Start(ctx, "input"); span.IsRecording() != want {
			t.Errorf("with flags %s a span is recorded: %t", flags, span.IsRecording())
		}
	}
}

func TestACollectorThatIsAwayHoldsUpNothing(t *testing.T) {
	p := open(t, "http: [{address: '127.0.0.1:1'}]\ngrpc: [{address: '127.0.0.1:1'}]").(*provider)
	begin := time.Now()
	for range 10_000 { // more than a queue holds
		_, span := p.Tracer("a").Start(t.Context(), "a")
		span.End()
	}
	_ = p.Shutdown(context.Background())
	if took := time.Since(begin); took > 20*shutdownTimeout {
		t.Errorf("it took %s", took)
	}
}

func TestWithoutACollectorThereAreNoTraces(t *testing.T) {
	for _, yaml := range []string{"", "http: [{address: ''}]"} {
		if tracing.On(open(t, yaml)) {
			t.Errorf("with %q spans go somewhere", yaml)
		}
	}
	if conf, err := spec().ParseYAML("http: [{}]\nsampling: {enabled: true, ratio: 1.5}", nil); err != nil {
		t.Error(err)
	} else if _, err := parse(conf); err == nil {
		t.Error("a ratio of 1.5 passes")
	}
}

// BenchmarkNotSampled is what a message costs in three components, beside the tracer
// none of Benthos.
func BenchmarkNotSampled(b *testing.B) {
	for name, p := range map[string]api.TracerProvider{
		"none": noop.NewTracerProvider(), "no collector": silent{}, "sampling": open(b, "http: [{address: '127.0.0.1:1'}]\nsampling: {enabled: true, ratio: 0.0}"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ctx, _ := p.Tracer("redpanda-connect").Start(context.Background(), "input")
				ctx, _ = p.Tracer("redpanda-connect").Start(ctx, "processor")
				_, _ = p.Tracer("redpanda-connect").Start(ctx, "output")
			}
		})
	}
}
