package kafka

import (
	"context"
	"fmt"

	"github.com/redpanda-data/benthos/v4/public/service"
)

func deadLettersField() *service.ConfigField {
	return service.NewOutputField(fieldDeadLetters).
		Description("The output for messages that have failed: those that a processor has marked with an error, and those that Kafka can never take. They count as written once they are there. Without this field the marked ones are written like all others, and what Kafka can never take is rejected. A `fallback` with a `reject_errored` around this output does the same for any output, but copies every message to be able to: six allocations of some 25 that a message takes in predict.yaml.").
		Example(map[string]any{"resource": "dead_letters"}).
		Optional().Advanced()
}

// rejected is a message of a write that is not for Kafka.
type rejected struct {
	index int
	err   error // why
}

// settle hands what was rejected to the dead letters, or to Benthos where the output
// has none, or they cannot be written.
func (w *write) settle(ctx context.Context) error {
	if len(w.rejected) == 0 {
		return nil // a nil *BatchError would be an error
	}
	if w.conf.deadLetters != nil {
		err := w.writeDeadLetters(ctx)
		if err == nil {
			return nil
		}
		for i := range w.rejected {
			w.rejected[i].err = fmt.Errorf("writing a dead letter: %v; its reason was: %w", err, w.rejected[i].err)
		}
	}
	failed := service.NewBatchError(w.messages, w.rejected[0].err)
	for _, r := range w.rejected {
		failed.Failed(r.index, r.err)
	}
	return failed
}

// writeDeadLetters leaves the messages themselves as they are: the batch may have to be
// written again.
func (w *write) writeDeadLetters(ctx context.Context) error {
	letters := make(service.MessageBatch, len(w.rejected))
	for i, r := range w.rejected {
		letters[i] = w.messages[r.index].Copy()
		letters[i].SetError(r.err)
	}
	return w.conf.deadLetters.WriteBatch(ctx, letters)
}
