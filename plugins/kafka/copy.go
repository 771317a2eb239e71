package kafka

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Fields of the processor.
const (
	fieldKeyField       = "key_field"
	fieldOnlyMetadata   = "only_metadata"
	fieldMaxBuffered    = "max_buffered_records"
	fieldMaxBufferBytes = "max_buffered_bytes"
	fieldEnabled        = "enabled"
)

const (
	copyLinger  = 20 * time.Millisecond // many copies in one request
	copyTimeout = time.Minute           // after which a copy that Kafka does not take is given up
	copyFlush   = 2 * time.Second       // that a stop waits for what is under way
	copyQueue   = 256                   // copies on their way into the buffer
)

func copySpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Services").
		Summary("Copies messages to Kafka in passing, without waiting for it.").
		Description(`
Every message passes unchanged and at once. A copy of it goes into a buffer, from which it is written to the topic, at most once: what Kafka has not taken after a minute, and what the buffer has no room for, is dropped and counted. So Kafka may be slow, away, or never there, and who waits for the message does not notice. Where each copy counts, write them with an output.

Metrics: kafka_copy_sent and kafka_copy_dropped. The log tells of drops, once a minute.`).
		Fields(connectionFields()...).
		Field(service.NewStringField(fieldTopic).Description("The topic to copy to.")).
		Field(service.NewBoolField(fieldEnabled).
			Description("Whether anything is copied. Where it is not, there is no connection.").Default(true)).
		Field(service.NewStringField(fieldKeyField).
			Description("The field of the message, which is JSON, whose number or text is the record's key. Empty, or where the message has none: no key.").
			Default("").Example("user_id")).
		Field(service.NewStringField(fieldOnlyMetadata).
			Description("The name of a metadata: messages without it are not copied. Messages with an error never are.").
			Default("").Example("recsys_kind")).
		Field(service.NewIntField(fieldMaxBuffered).
			Description("The most copies that wait to be written.").Default(10_000).Advanced().
			LintRule(`root = if this < 1 { ["field max_buffered_records must be at least 1"] }`)).
		Field(service.NewStringField(fieldMaxBufferBytes).
			Description("The most bytes that wait to be written.").Default("16MiB").Advanced()).
		LintRule("root = match {"+connectionLints+"\n}").
		Example("Lists that are answered by HTTP, for those who count what comes of them", "", `
pipeline:
  processors:
    - als_recommend:
        model: model
    - kafka_copy:
        seed_brokers: ["${KAFKA_BROKERS:127.0.0.1:9092}"]
        topic: recommendations
        key_field: user_id
        only_metadata: recsys_kind # is a reply

cache_resources:
  - label: model
    als_model:
      registry: file://./recsys-data/registry
`)
}

func init() {
	service.MustRegisterBatchProcessor("kafka_copy", copySpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchProcessor, error) {
			return newCopier(conf, mgr)
		})
}

type copierProcessor struct {
	topic, keyField, only string
	client                *kgo.Client // nil: nothing is copied
	log                   *service.Logger
	sent, dropped         *service.MetricCounter
	slow                  repeatFilter

	queue   chan *kgo.Record // what the client has no room for yet
	stop    context.CancelFunc
	stopped chan struct{}
}

func newCopier(conf *service.ParsedConfig, mgr *service.Resources) (*copierProcessor, error) {
	c := &copierProcessor{log: mgr.Logger(), sent: mgr.Metrics().NewCounter("kafka_copy_sent"), dropped: mgr.Metrics().NewCounter("kafka_copy_dropped")}
	connection, err := parseConnection(conf)
	if err != nil {
		return nil, err
	}
	for field, target := range map[string]*string{fieldTopic: &c.topic, fieldKeyField: &c.keyField, fieldOnlyMetadata: &c.only} {
		if *target, err = conf.FieldString(field); err != nil {
			return nil, err
		}
	}
	if reason := invalidTopic(c.topic); reason != "" {
		return nil, fmt.Errorf("field %s: %s", fieldTopic, reason)
	}
	records, err := conf.FieldInt(fieldMaxBuffered)
	if err != nil {
		return nil, err
	}
	bytes, err := parseBytes(conf, fieldMaxBufferBytes)
	if err != nil {
		return nil, err
	}
	if records < 1 || bytes < 1 {
		return nil, fmt.Errorf("fields %s and %s must be at least 1", fieldMaxBuffered, fieldMaxBufferBytes)
	}
	enabled, err := conf.FieldBool(fieldEnabled)
	if err != nil || !enabled {
		return c, err
	}
	// It connects when there is something to write.
	c.client, err = kgo.NewClient(append(slices.Clone(connection.opts),
		kgo.MaxBufferedRecords(records), kgo.MaxBufferedBytes(int(bytes)), kgo.ProducerLinger(copyLinger),
		kgo.RecordDeliveryTimeout(copyTimeout), kgo.UnknownTopicRetries(-1), kgo.AllowAutoTopicCreation())...)
	if err != nil {
		return nil, fmt.Errorf("configuring the Kafka client: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	c.queue, c.stop, c.stopped = make(chan *kgo.Record, copyQueue), stop, make(chan struct{})
	go c.run(ctx)
	return c, nil
}

// run hands copies to the client, and waits while that has no room, until ctx ends.
func (c *copierProcessor) run(ctx context.Context) {
	defer close(c.stopped)
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-c.queue:
			c.client.Produce(ctx, r, c.done)
		}
	}
}

func (c *copierProcessor) ProcessBatch(_ context.Context, batch service.MessageBatch) ([]service.MessageBatch, error) {
	if c.client == nil {
		return []service.MessageBatch{batch}, nil
	}
	for _, m := range batch {
		if m.GetError() != nil {
			continue
		}
		if c.only != "" {
			if _, set := m.MetaGetImmut(c.only); !set {
				continue
			}
		}
		data, err := m.AsBytes()
		if err != nil {
			continue // whoever writes the message itself says so
		}
		r := &kgo.Record{Topic: c.topic, Value: data}
		if c.keyField != "" {
			if key := gjson.GetBytes(data, c.keyField); key.Exists() {
				r.Key = []byte(key.String())
			}
		}
		select {
		case c.queue <- r:
		default:
			c.done(r, kgo.ErrMaxBuffered)
		}
	}
	return []service.MessageBatch{batch}, nil
}

func (c *copierProcessor) done(_ *kgo.Record, err error) {
	if err == nil {
		c.sent.Incr(1)
		return
	}
	c.dropped.Incr(1)
	if c.slow.pass(err.Error(), time.Now()) {
		c.log.Warnf("A copy for topic %q is dropped: %v", c.topic, err)
	}
}

// Close waits a moment for what is under way.
func (c *copierProcessor) Close(ctx context.Context) error {
	if c.client == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, copyFlush)
	defer cancel()
	for len(c.queue) > 0 && sleep(ctx, time.Millisecond) == nil {
	}
	_ = c.client.Flush(ctx) // what is left is dropped
	c.stop()
	<-c.stopped
	c.client.Close()
	return nil
}
