package deadletter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

const fieldMaxBytes = "max_bytes"

// Metadata of a dead letter; all but metaKey become record headers.
const (
	metaError          = "error"
	metaComponent      = "component"
	metaTopic          = "topic"
	metaPartition      = "partition"
	metaOffset         = "offset"
	metaTime           = "time"
	metaTruncated      = "truncated"
	metaOriginalSHA256 = "original_sha256"
	metaOriginalSize   = "original_size"
	metaKey            = "kafka_key"
)

// Where the reason may come from, and what Benthos puts before it.
const (
	metaFallbackError = "fallback_error"
	rejectedPrefix    = "rejecting due to failed processing: "
)

const (
	maxErrorBytes     = 4 << 10
	maxComponentBytes = 128
	unknownError      = "no reason was given"
)

func spec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Stable().
		Version("0.1.0").
		Categories("Utility").
		Summary("Turns a message that could not be handled into a dead letter: its original bytes, with the reason and the origin as metadata.").
		Description(`
For the processors of an output that receives failed messages, such as the second output of a `+"`fallback`"+`. Give that output a metadata filter, so that these become record headers:

- error: what went wrong
- component: the component that rejected the message, where known
- topic, partition, offset, time: where the message came from; absent for a message that did not come from Kafka
- truncated: "true" when the value was longer than `+"`max_bytes`"+` and is cut; then also
- original_size, original_sha256: of the whole value

The key stays in kafka_key. All other metadata is removed, and so is the message's error state.`).
		Field(service.NewStringField(fieldMaxBytes).
			Description("The most bytes of a value; a longer one is cut, so that the dead letter fits into a topic with Kafka's default limits.").
			Default("900KiB")).
		Example("Dead letters in Kafka", "Good messages go to predictions, failed ones to dead_letters.", `
output:
  fallback:
    - reject_errored:
        kafka_franz:
          seed_brokers: ["${KAFKA_BROKERS:127.0.0.1:9092}"]
          topic: predictions
          key: ${! @kafka_key }
    - resource: dead_letters

output_resources:
  - label: dead_letters
    kafka_franz:
      seed_brokers: ["${KAFKA_BROKERS:127.0.0.1:9092}"]
      topic: dead_letters
      key: ${! @kafka_key }
      metadata:
        include_patterns: [".*"]
    processors:
      - dead_letter: {}
`)
}

func init() {
	service.MustRegisterBatchProcessor("dead_letter", spec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchProcessor, error) {
			text, err := conf.FieldString(fieldMaxBytes)
			if err != nil {
				return nil, err
			}
			maxBytes, err := humanize.ParseBytes(text)
			if err != nil {
				return nil, fmt.Errorf("field %s: %w; write it as 900KiB", fieldMaxBytes, err)
			}
			if maxBytes < 1 || maxBytes > 1<<30 {
				return nil, fmt.Errorf("field %s: must be from 1B to 1GiB", fieldMaxBytes)
			}
			return &processor{maxBytes: int(maxBytes), tally: newTally(mgr.Logger())}, nil
		})
}

type processor struct {
	maxBytes int
	tally    *tally
}

// ProcessBatch returns one batch with a dead letter for each message.
func (p *processor) ProcessBatch(_ context.Context, batch service.MessageBatch) ([]service.MessageBatch, error) {
	letters, components := make(service.MessageBatch, len(batch)), map[string]int{}
	for i, m := range batch {
		letter, err := p.letter(m)
		if err != nil {
			return nil, err
		}
		letters[i] = letter
		component, _ := letter.MetaGet(metaComponent)
		components[component]++
	}
	p.tally.add(components)
	return []service.MessageBatch{letters}, nil
}

func (p *processor) Close(context.Context) error {
	p.tally.close()
	return nil
}

// letter makes a new message with the context of m, which Benthos knows it by.
func (p *processor) letter(m *service.Message) (*service.Message, error) {
	origin := message.OriginFrom(m.Context())
	value, err := original(m, origin)
	if err != nil {
		return nil, err
	}
	letter := service.NewMessageWithContext(m.Context(), value)
	if len(value) > p.maxBytes {
		sum := sha256.Sum256(value)
		letter.SetBytes(value[:p.maxBytes:p.maxBytes])
		letter.MetaSet(metaTruncated, "true")
		letter.MetaSet(metaOriginalSize, strconv.Itoa(len(value)))
		letter.MetaSet(metaOriginalSHA256, hex.EncodeToString(sum[:]))
	}

	reason, component := explain(m)
	letter.MetaSet(metaError, cut(reason, maxErrorBytes))
	letter.MetaSet(metaComponent, cut(component, maxComponentBytes))
	if origin == nil {
		if key, ok := m.MetaGet(metaKey); ok {
			letter.MetaSetMut(metaKey, key)
		}
		return letter, nil
	}
	letter.MetaSetMut(metaKey, string(origin.Key))
	letter.MetaSet(metaTopic, origin.Topic)
	letter.MetaSet(metaPartition, strconv.Itoa(int(origin.Partition)))
	letter.MetaSet(metaOffset, strconv.FormatInt(origin.Offset, 10))
	letter.MetaSet(metaTime, origin.Time.UTC().Format(time.RFC3339Nano))
	return letter, nil
}

func original(m *service.Message, origin *message.Origin) ([]byte, error) {
	if origin != nil {
		return origin.Value, nil
	}
	value, err := m.AsBytes()
	if err != nil {
		return nil, fmt.Errorf("encoding a dead letter: %w", err)
	}
	return value, nil
}

// explain returns why m failed, and which component said so, if any did.
func explain(m *service.Message) (reason, component string) {
	err := m.GetError()
	var rejection *message.Rejection
	if errors.As(err, &rejection) {
		return rejection.Reason, rejection.Component
	}
	if err != nil {
		reason = err.Error()
	} else if reason, _ = m.MetaGet(metaFallbackError); reason == "" {
		return unknownError, ""
	}
	return splitComponent(strings.TrimPrefix(reason, rejectedPrefix))
}

// splitComponent takes "component: reason" apart, the text of a Rejection.
func splitComponent(text string) (reason, component string) {
	name, rest, found := strings.Cut(text, ": ")
	if !found || name == "" || len(name) > maxComponentBytes {
		return text, ""
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' {
			return text, ""
		}
	}
	return rest, name
}

// cut shortens text to at most n bytes, between two characters.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	const mark = "…"
	end := n - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}
