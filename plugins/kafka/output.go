package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/tracing"
)

const (
	component       = "kafka_franz"
	minMessageBytes = 1024
	slowWrite       = 3 * time.Second
	limitTimeout    = 2 * time.Second

	defaultBatchLimit = 1_000_012 // bytes; of Kafka's Java client
)

func init() {
	for _, name := range []string{"kafka_franz", "redpanda"} {
		service.MustRegisterBatchOutput(name, outputSpec(),
			func(conf *service.ParsedConfig, res *service.Resources) (service.BatchOutput, service.BatchPolicy, int, error) {
				c, err := parseOutput(conf)
				if err != nil {
					return nil, service.BatchPolicy{}, 0, err
				}
				policy, err := conf.FieldBatchPolicy(fieldBatching)
				if err != nil {
					return nil, service.BatchPolicy{}, 0, err
				}
				maxInFlight, err := conf.FieldInt(fieldMaxInFlight)
				if err != nil {
					return nil, service.BatchPolicy{}, 0, err
				}
				return newOutput(c, res), policy, maxInFlight, nil
			})
	}
}

// output writes batches with one franz-go producer, which retries by itself;
// what that gives up for a passing reason is tried again here.
type output struct {
	conf   *outputConfig
	log    *service.Logger
	traced bool // spans go somewhere

	mu     sync.Mutex
	client *kgo.Client
	admin  *kadm.Client
	id     string // of the cluster
	closed bool
	stop   context.CancelFunc // of the watch over the cluster
	watch  sync.WaitGroup
	here   *presence

	limits sync.Map // topic → topicLimit
	slow   repeatFilter
}

func newOutput(c *outputConfig, res *service.Resources) *output {
	return &output{conf: c, log: res.Logger(), traced: tracing.On(res.OtelTracer()), here: newPresence(res, "output", c.seeds, nil)}
}

// Connect returns once a broker answers.
func (o *output) Connect(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return service.ErrEndOfInput
	}
	if o.client != nil {
		return nil
	}
	opts := append([]kgo.Opt{
		kgo.WithHooks(newConnectionLog(o.log), o.here),
		kgo.ProducerBatchMaxBytesFn(o.limit),
	}, o.conf.opts...)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("configuring the Kafka client: %w", err)
	}
	if err := awaitBrokers(ctx, client, o.conf.seeds, o.log); err != nil {
		client.Close()
		return err
	}
	id, err := clusterID(ctx, client)
	if err != nil {
		client.Close()
		return err
	}
	if o.conf.deadLetters != nil {
		if err := o.conf.deadLetters.Prime(); err != nil {
			client.Close()
			return err
		}
	}
	o.client, o.admin, o.id = client, kadm.NewClient(client), id
	watching, stop := context.WithCancel(context.Background())
	o.stop = stop
	o.watch.Go(func() { o.here.watch(watching, client) })
	return nil
}

// topicLimit is the largest record batch that a topic takes, as far as known.
type topicLimit struct {
	bytes    int32
	askAgain time.Time // zero once the broker has told
}

// limit is the largest record batch that topic takes.
func (o *output) limit(topic string) int32 {
	if limit, ok := o.limits.Load(topic); ok {
		return limit.(topicLimit).bytes
	}
	return o.conf.maxMessageBytes
}

// learnLimit asks for the topic's max.message.bytes, once: a record batch over
// it would be refused as a whole. Where the broker does not tell, because it is
// away or does not allow it, the configured limit holds, and it is asked later.
func (o *output) learnLimit(ctx context.Context, topic string) {
	if known, ok := o.limits.Load(topic); ok {
		if again := known.(topicLimit).askAgain; again.IsZero() || time.Now().Before(again) {
			return
		}
	}
	limit := topicLimit{bytes: o.conf.maxMessageBytes}
	ctx, cancel := context.WithTimeout(ctx, limitTimeout)
	defer cancel()
	if n, err := o.askLimit(ctx, topic); err != nil {
		limit.askAgain = time.Now().Add(repeatLogPeriod)
	} else if n >= minMessageBytes {
		limit.bytes = min(limit.bytes, n)
	}
	o.limits.Store(topic, limit)
}

func (o *output) askLimit(ctx context.Context, topic string) (int32, error) {
	configs, err := o.admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return 0, err
	}
	config, err := configs.On(topic, nil)
	if err != nil {
		return 0, err
	}
	if config.Err != nil {
		return 0, config.Err
	}
	for _, entry := range config.Configs {
		if entry.Key == "max.message.bytes" && entry.Value != nil {
			n, err := strconv.ParseInt(*entry.Value, 10, 32)
			return int32(n), err
		}
	}
	return 0, nil
}

// WriteBatch returns when all messages are written, to Kafka or to the dead letters. It
// fails single messages that can never be written, and all of them only when ctx ends.
func (o *output) WriteBatch(ctx context.Context, messages service.MessageBatch) error {
	o.mu.Lock()
	client := o.client
	o.mu.Unlock()
	if client == nil {
		return service.ErrNotConnected
	}
	w := &write{output: o, plain: client, client: client, messages: messages, records: make([]kgo.Record, len(messages))}
	for i, m := range messages {
		if o.conf.deadLetters != nil {
			if err := m.GetError(); err != nil {
				w.reject(i, err)
				continue
			}
		}
		if o.conf.skip != "" {
			if _, set := m.MetaGetImmut(o.conf.skip); set {
				continue
			}
		}
		if rejection := o.record(ctx, m, &w.records[i]); rejection != nil {
			w.reject(i, rejection)
			continue
		}
		w.pending = append(w.pending, i)
	}
	if err := w.run(ctx); err != nil {
		return err
	}
	return w.settle(ctx)
}

// transactionOf returns the transaction that a message belongs to, or nil. One
// of another cluster cannot hold what is written here.
func (o *output) transactionOf(m *service.Message) *transaction {
	t := transactionFrom(m)
	if t == nil || t.cluster != o.id {
		return nil
	}
	return t
}

// record makes the record of a message.
func (o *output) record(ctx context.Context, m *service.Message, r *kgo.Record) *message.Rejection {
	var rejection *message.Rejection
	if r.Topic, rejection = o.topic(m); rejection != nil {
		return rejection
	}
	var err error
	if flag, ok := m.MetaGet(metaTombstone); !ok || flag != "true" {
		if r.Value, err = m.AsBytes(); err != nil {
			return message.Rejectf(component, "encoding the message: %v", err)
		}
		if r.Value == nil {
			r.Value = []byte{} // a null value only on purpose
		}
	}
	if o.conf.key != nil {
		key, err := o.key(m)
		if err != nil {
			return message.Rejectf(component, "field %s: %v", fieldKey, err)
		}
		if len(key) > 0 {
			r.Key = key
		}
	}
	if rejection = o.placeRecord(ctx, m, r); rejection != nil {
		return rejection
	}
	if o.conf.headers != nil {
		err := o.conf.headers.Walk(m, func(key, value string) error {
			if key != metaKey && key != metaTombstone {
				r.Headers = append(r.Headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
			}
			return nil
		})
		if err != nil {
			return message.Rejectf(component, "field %s: %v", fieldMetadata, err)
		}
		slices.SortFunc(r.Headers, func(x, y kgo.RecordHeader) int { return strings.Compare(x.Key, y.Key) })
	}
	if o.traced {
		r.Headers = tell(m.Context(), r.Headers)
	}
	o.learnLimit(ctx, r.Topic)
	if transactors.Load() > 0 {
		if t := o.transactionOf(m); t != nil {
			t.limits.Store(r.Topic, o.limit(r.Topic))
		}
	}
	if size, limit := recordBytes(r), int(o.limit(r.Topic)); size > limit {
		return message.Rejectf(component, "record of %d bytes is over the limit of %d bytes of topic %q; raise the topic's max.message.bytes and the field %s", size, limit, r.Topic, fieldMaxMessageBytes)
	}
	return nil
}

// topic is where the record goes: where its origin asks for the reply, or where the
// configuration says.
func (o *output) topic(m *service.Message) (string, *message.Rejection) {
	if len(o.conf.replyTopics) > 0 {
		if topic, rejection := o.replyTopic(m); topic != "" || rejection != nil {
			return topic, rejection
		}
	}
	if topic, static := o.conf.topic.Static(); static {
		return topic, nil
	}
	topic, err := o.conf.topic.TryString(m)
	if err != nil {
		return "", message.Rejectf(component, "field %s: %v", fieldTopic, err)
	}
	if reason := invalidTopic(topic); reason != "" {
		return "", message.Rejectf(component, "field %s: %s", fieldTopic, reason)
	}
	return topic, nil
}

// key is the record's key. For the usual one Bloblang is not asked, and if it is
// still that of the record that was read, nothing is copied.
func (o *output) key(m *service.Message) ([]byte, error) {
	if o.conf.keyIsMeta {
		origin := message.OriginFrom(m.Context())
		value, set := m.MetaGetImmut(metaKey)
		switch text, ok := value.(string); {
		case origin != nil && (!set || ok && string(origin.Key) == text):
			return origin.Key, nil
		case ok:
			return []byte(text), nil
		}
	}
	return o.conf.key.TryBytes(m)
}

// placeRecord sets partition and timestamp where they are configured.
func (o *output) placeRecord(ctx context.Context, m *service.Message, r *kgo.Record) *message.Rejection {
	if o.conf.partition != nil {
		text, err := o.conf.partition.TryString(m)
		if err != nil {
			return message.Rejectf(component, "field %s: %v", fieldPartition, err)
		}
		partition, err := strconv.ParseInt(text, 10, 32)
		if err != nil || partition < 0 {
			return message.Rejectf(component, "field %s: %q is not a partition number", fieldPartition, text)
		}
		r.Partition = int32(partition)
		r.Context = context.WithValue(ctx, chosenPartition{}, true)
	}
	if o.conf.timestamp != nil {
		text, err := o.conf.timestamp.TryString(m)
		if err != nil {
			return message.Rejectf(component, "field %s: %v", fieldTimestampMs, err)
		}
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return message.Rejectf(component, "field %s: %q is not a number of milliseconds", fieldTimestampMs, text)
		}
		r.Timestamp = time.UnixMilli(ms)
	}
	return nil
}

// Close drops what is not written; Benthos calls it after the last WriteBatch.
func (o *output) Close(ctx context.Context) error {
	o.mu.Lock()
	client := o.client
	o.client, o.closed = nil, true
	o.mu.Unlock()
	if client == nil {
		return nil
	}
	o.stop()
	o.watch.Wait()
	client.Close()
	if o.conf.deadLetters != nil { // it was started with the client
		return o.conf.deadLetters.Close(ctx)
	}
	return nil
}

// permanent says whether trying again is pointless.
func permanent(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge) ||
		errors.Is(err, kerr.InvalidRecord) || errors.Is(err, kerr.InvalidTopicException) ||
		errors.Is(err, kerr.InvalidTimestamp) || isInvalidPartition(err)
}

// isInvalidPartition recognises franz-go's error for a partition number that
// the topic does not have; it has no sentinel.
func isInvalidPartition(err error) bool {
	return strings.Contains(err.Error(), "invalid record partitioning choice")
}
