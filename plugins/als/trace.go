package als

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// told is what a span says of the prediction that it is about. Who asked for it, and
// of which movie, it does not say.
type told struct {
	version, role       string
	coldUser, coldMovie bool
}

// annotate adds to the span of a message how its prediction was made. Of messages that
// are not sampled it does nothing.
func (b *predicting) annotate(ctx context.Context, batch int) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		attribute.String("recsys.model_version", b.last.version),
		attribute.Int("recsys.batch_size", batch),
		attribute.Bool("recsys.cold_user", b.last.coldUser),
		attribute.Bool("recsys.cold_movie", b.last.coldMovie),
	)
	if b.last.role != "" {
		span.SetAttributes(attribute.String("recsys.role", b.last.role))
	}
}
