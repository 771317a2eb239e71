package recommendhttp

import (
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/recsys-benthos/recsys-benthos/internal/api"
	"github.com/recsys-benthos/recsys-benthos/internal/tracing"
)

// traced starts the span of a request, within the client's if there is one, and
// returns what ends it. The answer names the span. The path is told as the route has
// it: a user's id is nobody's business.
func (s *server) traced(w http.ResponseWriter, r *http.Request, route *api.Route) (http.ResponseWriter, *http.Request, func()) {
	if s.in.tracer == nil {
		return w, r, func() {}
	}
	ctx := tracing.Extract(r.Context(), r.Header.Get(tracing.Header), r.Header.Get(tracing.State))
	ctx, span := s.in.tracer.Start(ctx, route.Method+" "+route.Path, trace.WithSpanKind(trace.SpanKindServer))
	r = r.WithContext(ctx)
	if !span.IsRecording() {
		return w, r, func() {}
	}
	span.SetAttributes(attribute.String("http.request.method", route.Method), attribute.String("http.route", route.Path))
	parent, _ := tracing.Inject(ctx)
	w.Header().Set(tracing.Header, parent)
	watched := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	return watched, r, func() {
		span.SetAttributes(attribute.Int("http.response.status_code", watched.status))
		if watched.status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, http.StatusText(watched.status))
		}
		span.End()
	}
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController find what it needs.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
