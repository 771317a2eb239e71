package kafka

import (
	"bytes"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// Metadata keys.
const (
	metaKey           = "kafka_key"
	metaTopic         = "kafka_topic"
	metaPartition     = "kafka_partition"
	metaOffset        = "kafka_offset"
	metaLag           = "kafka_lag"
	metaTimestampMs   = "kafka_timestamp_ms"
	metaTimestampUnix = "kafka_timestamp_unix"
	metaTombstoneFlag = "kafka_tombstone_message"
	metaTombstone     = "kafka_tombstone"
	metaEnd           = "kafka_end_of_partition"
)

// wanted says whether a record passes the event_types filter. What is no valid
// JSON passes: a processor shall reject it, with a reason.
func (c *inputConfig) wanted(r *kgo.Record) bool {
	if r.Attrs.IsControl() {
		return false
	}
	if c.eventTypes == nil {
		return true
	}
	for _, head := range c.eventHeads {
		if bytes.HasPrefix(r.Value, head) {
			return true
		}
	}
	eventType := gjson.GetBytes(r.Value, "event_type")
	return eventType.Type != gjson.String || c.eventTypes[eventType.Str] || !gjson.ValidBytes(r.Value)
}

// messages makes the messages of a batch, each with its origin, in contexts
// within the batch's. end is the high watermark. Of p it needs only the name,
// because it runs without the input's mutex.
func (c *inputConfig) messages(p *partition, b *batch, end int64) service.MessageBatch {
	if b.marker {
		return service.MessageBatch{endMessage(p)}
	}
	ctx, records := b.context(), b.records
	origins := message.NewOrigins(len(records))
	messages := make(service.MessageBatch, len(records))
	for i, r := range records {
		o := origins.At(i)
		o.Topic, o.Partition, o.Offset = r.Topic, r.Partition, r.Offset
		o.Key, o.Value, o.Time = r.Key, r.Value, r.Timestamp
		if len(r.Headers) > 0 {
			o.Headers = make([]message.Header, len(r.Headers))
			for j, h := range r.Headers {
				o.Headers[j] = message.Header{Key: h.Key, Value: h.Value}
			}
		}
		of := ctx
		if c.traced {
			of = within(ctx, r.Headers)
		}
		m := service.NewMessageWithContext(origins.Context(of, i), r.Value)
		c.setMetadata(m, p, r, end)
		messages[i] = m
	}
	return messages
}

func endMessage(p *partition) *service.Message {
	m := service.NewMessage([]byte{})
	m.MetaSetMut(metaEnd, "true")
	m.MetaSetMut(metaTopic, p.topicValue)
	m.MetaSetMut(metaPartition, p.idValue)
	return m
}

func (c *inputConfig) setMetadata(m *service.Message, p *partition, r *kgo.Record, end int64) {
	if r.Value == nil {
		m.MetaSetMut(metaTombstone, "true")
	}
	if c.metadata == metadataNone {
		return
	}
	if c.metadata == metadataAll {
		c.setHeaders(m, r) // first, so that no header passes for a kafka_ key
	}
	m.MetaSetMut(metaKey, string(r.Key))
	if c.metadata != metadataAll {
		return
	}
	m.MetaSetMut(metaTopic, p.topicValue)
	m.MetaSetMut(metaPartition, p.idValue)
	m.MetaSetMut(metaOffset, int(r.Offset))
	m.MetaSetMut(metaLag, max(end-r.Offset-1, 0))
	ms := r.Timestamp.UnixMilli()
	m.MetaSetMut(metaTimestampMs, ms)
	m.MetaSetMut(metaTimestampUnix, ms/1000)
	m.MetaSetMut(metaTombstoneFlag, r.Value == nil)
}

func (c *inputConfig) setHeaders(m *service.Message, r *kgo.Record) {
	if !c.multiHeader {
		for _, h := range r.Headers {
			if h.Key != metaTombstone && h.Key != metaEnd {
				m.MetaSetMut(h.Key, string(h.Value))
			}
		}
		return
	}
	lists := map[string][]any{}
	for _, h := range r.Headers {
		lists[h.Key] = append(lists[h.Key], string(h.Value))
	}
	for key, list := range lists {
		if key != metaTombstone && key != metaEnd {
			m.MetaSetMut(key, list)
		}
	}
}
