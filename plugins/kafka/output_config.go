package kafka

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Fields of the output.
const (
	fieldTopic           = "topic"
	fieldKey             = "key"
	fieldPartitioner     = "partitioner"
	fieldPartition       = "partition"
	fieldMetadata        = "metadata"
	fieldTimestampMs     = "timestamp_ms"
	fieldIdempotentWrite = "idempotent_write"
	fieldAcks            = "acks"
	fieldCompression     = "compression"
	fieldAutoTopics      = "allow_auto_topic_creation"
	fieldTimeout         = "timeout"
	fieldLinger          = "linger"
	fieldMaxMessageBytes = "max_message_bytes"
	fieldBrokerMaxWrite  = "broker_write_max_bytes"
	fieldMaxInFlight     = "max_in_flight"
	fieldSkipMetadata    = "skip_metadata"
	fieldReplyTopics     = "reply_topics"
	fieldDeadLetters     = "dead_letters"
)

const (
	murmur2     = "murmur2_hash"
	roundRobin  = "round_robin"
	leastBackup = "least_backup"
	manual      = "manual"
)

func outputSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Stable().
		Version("0.1.0").
		Categories("Services").
		Summary("Writes messages to Kafka, at least once and in order.").
		Description(`
### Delivery

A message is acknowledged when all in-sync replicas have it. When brokers are away, or a topic does not exist, the output waits and tries again for as long as the pipeline runs, and says so in the log: an outage rejects nothing. Only what can never be written is rejected, message by message: a record over the size limit, an invalid topic name, a failing interpolation, a partition that does not exist.

Messages of one batch with the same key are written in the order of the batch. Idempotent writes keep that order, and add no duplicates, when a write has to be repeated.

### Tombstones

A message with the metadata `+"`kafka_tombstone`"+` set to `+"`true`"+` is written with a null value, which deletes its key from a compacted topic.`).
		Fields(outputFields()...).
		LintRule(`root = match {`+connectionLints+`
  this.partitioner == "manual" && this.partition.or("") == "" => "field partition is required when partitioner is manual",
  this.partitioner != "manual" && this.partition.or("") != "" => "field partition needs partitioner: manual",
  this.idempotent_write.or(true) && this.acks.or("all") != "all" => "field acks must be all when idempotent_write is true",
}`).
		Example("Predictions, and what could not be predicted", "Writes good messages to one topic and failed ones, with their original bytes and the reason, to another.", `
output:
  kafka_franz:
    seed_brokers: ["${KAFKA_BROKERS:127.0.0.1:9092}"]
    topic: predictions
    key: ${! @kafka_key }
    dead_letters:
      kafka_franz:
        seed_brokers: ["${KAFKA_BROKERS:127.0.0.1:9092}"]
        topic: dead_letters
        key: ${! @kafka_key }
        metadata:
          include_patterns: [".*"]
`)
}

func outputFields() []*service.ConfigField {
	return slices.Concat(connectionFields(), recordFields(), writeFields())
}

func recordFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewInterpolatedStringField(fieldTopic).
			Description("The topic to write to."),
		service.NewInterpolatedStringField(fieldKey).
			Description("The key of each record. An empty key is none. `${! @kafka_key }` is the key of the record that the message began as, also where the input has `record_metadata: none`.").
			Example("${! @kafka_key }").Optional(),
		service.NewStringAnnotatedEnumField(fieldPartitioner, map[string]string{
			murmur2:     "By the hash of the key, as Kafka's own clients do. Records without a key stay together by batch.",
			roundRobin:  "To all partitions in turn.",
			leastBackup: "To the partition with the fewest records waiting.",
			manual:      "To the partition that the field `partition` names.",
		}).Description("How records are spread over partitions.").Default(murmur2).Advanced(),
		service.NewInterpolatedStringField(fieldPartition).
			Description("The partition, for the partitioner `manual`.").
			Example("${! @kafka_partition }").Optional().Advanced(),
		service.NewMetadataFilterField(fieldMetadata).
			Description("Which metadata become record headers; none by default. kafka_key and kafka_tombstone never do.").Optional(),
		service.NewStringField(fieldSkipMetadata).
			Description("The name of a metadata: messages that have it are not written, and count as written. A `switch` around the output would do the same, and cost all other messages a microsecond each.").
			Default("").Advanced(),
		replyTopicsField(),
		deadLettersField(),
		service.NewInterpolatedStringField(fieldTimestampMs).
			Description("The timestamp of each record in milliseconds since 1970; the current time by default.").
			Example("${! @kafka_timestamp_ms }").Optional().Advanced(),
	}
}

func writeFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewBoolField(fieldIdempotentWrite).
			Description("Whether repeated writes are recognised by the broker. Needs the permission IDEMPOTENT_WRITE before Kafka 3.").Default(true).Advanced(),
		service.NewStringAnnotatedEnumField(fieldAcks, map[string]string{
			"all":    "All in-sync replicas have the record.",
			"leader": "The leader has it; it is lost if the leader fails before others copied it.",
			"none":   "Nobody said so; records may be lost.",
		}).Description("When a record counts as written.").Default("all").Advanced(),
		service.NewStringEnumField(fieldCompression, "lz4", "snappy", "gzip", "none", "zstd").
			Description("The compression of record batches; by default snappy where the broker supports it.").Optional().Advanced(),
		service.NewBoolField(fieldAutoTopics).
			Description("Whether a missing topic is created, where the broker allows that.").Default(true).Advanced(),
		service.NewDurationField(fieldTimeout).
			Description("How long a broker may take to write a batch of records before the write is repeated.").Default("10s").Advanced(),
		service.NewDurationField(fieldLinger).
			Description("How long to wait for more records before writing. 0s gives the lowest latency; under load records are batched anyway.").Default("0s").Advanced(),
		service.NewStringField(fieldMaxMessageBytes).
			Description("The largest record, and batch of records, to write. Where the topic's own limit is lower, that one holds.").Default("1MiB").Advanced(),
		service.NewStringField(fieldBrokerMaxWrite).
			Description("The most bytes to write to a broker at once.").Default("100MiB").Advanced(),
		service.NewIntField(fieldMaxInFlight).
			Description("The most batches to write at the same time. Batches of one input partition never are, so that order is kept with any number.").Default(256),
		service.NewBatchPolicyField(fieldBatching),
	}
}

// metaKeyAlone is what nearly every pipeline has as its key.
var metaKeyAlone = regexp.MustCompile(`^\$\{!\s*@kafka_key(\.or\(""\))?\s*\}$`)

// outputConfig is what an output was configured with.
type outputConfig struct {
	connection
	topic           *service.InterpolatedString
	key             *service.InterpolatedString
	keyIsMeta       bool // key is the metadata kafka_key, nothing else
	partition       *service.InterpolatedString
	timestamp       *service.InterpolatedString
	headers         *service.MetadataFilter
	skip            string               // metadata of messages that are not written; empty for none
	replyTopics     []string             // that a record that was read may ask for; empty: none may
	deadLetters     *service.OwnedOutput // of messages that have failed; nil for none
	maxMessageBytes int32
}

func parseOutput(conf *service.ParsedConfig) (*outputConfig, error) {
	c := &outputConfig{}
	var err error
	if c.connection, err = parseConnection(conf); err != nil {
		return nil, err
	}
	if err := c.parseRecord(conf); err != nil {
		return nil, err
	}
	if err := c.parsePartitioner(conf); err != nil {
		return nil, err
	}
	if err := c.parseWriting(conf); err != nil {
		return nil, err
	}
	if err := c.parseLimits(conf); err != nil {
		return nil, err
	}
	return c, validate(c.opts)
}

func (c *outputConfig) parseRecord(conf *service.ParsedConfig) error {
	var err error
	if c.topic, err = conf.FieldInterpolatedString(fieldTopic); err != nil {
		return err
	}
	if topic, static := c.topic.Static(); static {
		if reason := invalidTopic(topic); reason != "" {
			return fmt.Errorf("field %s: %s", fieldTopic, reason)
		}
	}
	for field, target := range map[string]**service.InterpolatedString{
		fieldKey: &c.key, fieldPartition: &c.partition, fieldTimestampMs: &c.timestamp,
	} {
		if !conf.Contains(field) {
			continue
		}
		if *target, err = conf.FieldInterpolatedString(field); err != nil {
			return err
		}
	}
	if c.key != nil {
		text, err := conf.FieldString(fieldKey)
		c.keyIsMeta = err == nil && metaKeyAlone.MatchString(text)
	}
	if conf.Contains(fieldMetadata) {
		if c.headers, err = conf.FieldMetadataFilter(fieldMetadata); err != nil {
			return err
		}
	}
	if c.skip, err = conf.FieldString(fieldSkipMetadata); err != nil {
		return err
	}
	if conf.Contains(fieldDeadLetters) {
		if c.deadLetters, err = conf.FieldOutput(fieldDeadLetters); err != nil {
			return err
		}
	}
	c.replyTopics, err = parseReplyTopics(conf, c.topic)
	return err
}

func (c *outputConfig) parsePartitioner(conf *service.ParsedConfig) error {
	partitioner, err := conf.FieldString(fieldPartitioner)
	if err != nil {
		return err
	}
	if partitioner == manual && c.partition == nil {
		return errors.New("field " + fieldPartition + ": required when " + fieldPartitioner + " is " + manual)
	}
	if partitioner != manual && c.partition != nil {
		return errors.New("field " + fieldPartition + ": needs " + fieldPartitioner + ": " + manual)
	}
	partitioners := map[string]func() kgo.Partitioner{
		murmur2:     func() kgo.Partitioner { return kgo.StickyKeyPartitioner(nil) },
		roundRobin:  kgo.RoundRobinPartitioner,
		leastBackup: kgo.LeastBackupPartitioner,
		manual:      kgo.ManualPartitioner,
	}
	c.opts = append(c.opts, kgo.RecordPartitioner(partitioners[partitioner]()))
	return nil
}

func (c *outputConfig) parseWriting(conf *service.ParsedConfig) error {
	idempotent, err := conf.FieldBool(fieldIdempotentWrite)
	if err != nil {
		return err
	}
	acks, err := conf.FieldString(fieldAcks)
	if err != nil {
		return err
	}
	if idempotent && acks != "all" {
		return fmt.Errorf("field %s: must be all when %s is true", fieldAcks, fieldIdempotentWrite)
	}
	if !idempotent {
		c.opts = append(c.opts, kgo.DisableIdempotentWrite())
	}
	levels := map[string]kgo.Acks{"all": kgo.AllISRAcks(), "leader": kgo.LeaderAck(), "none": kgo.NoAck()}
	c.opts = append(c.opts, kgo.RequiredAcks(levels[acks]))

	if conf.Contains(fieldCompression) {
		compression, err := conf.FieldString(fieldCompression)
		if err != nil {
			return err
		}
		codecs := map[string]kgo.CompressionCodec{
			"lz4": kgo.Lz4Compression(), "snappy": kgo.SnappyCompression(), "gzip": kgo.GzipCompression(),
			"none": kgo.NoCompression(), "zstd": kgo.ZstdCompression(),
		}
		c.opts = append(c.opts, kgo.ProducerBatchCompression(codecs[compression]))
	}
	autoTopics, err := conf.FieldBool(fieldAutoTopics)
	if err != nil {
		return err
	}
	if autoTopics {
		c.opts = append(c.opts, kgo.AllowAutoTopicCreation())
	}
	return nil
}

func (c *outputConfig) parseLimits(conf *service.ParsedConfig) error {
	timeout, err := conf.FieldDuration(fieldTimeout)
	if err != nil {
		return err
	}
	linger, err := conf.FieldDuration(fieldLinger)
	if err != nil {
		return err
	}
	if c.maxMessageBytes, err = parseBytes(conf, fieldMaxMessageBytes); err != nil {
		return err
	}
	if c.maxMessageBytes < minMessageBytes {
		return fmt.Errorf("field %s: must be at least %d bytes", fieldMaxMessageBytes, minMessageBytes)
	}
	brokerMax, err := parseBytes(conf, fieldBrokerMaxWrite)
	if err != nil {
		return err
	}
	if brokerMax < c.maxMessageBytes {
		return fmt.Errorf("field %s: must not be below %s", fieldBrokerMaxWrite, fieldMaxMessageBytes)
	}
	c.opts = append(c.opts,
		kgo.ProduceRequestTimeout(timeout),
		kgo.ProducerLinger(linger),
		kgo.BrokerMaxWriteBytes(brokerMax),
		// An outage, or a topic still to be created, is waited for.
		kgo.UnknownTopicRetries(-1))
	return nil
}

// invalidTopic says why name cannot be a topic, or returns nothing.
func invalidTopic(name string) string {
	const most = 249
	switch {
	case name == "":
		return "topic name is empty"
	case name == "." || name == "..":
		return fmt.Sprintf("topic name %q is not allowed", name)
	case len(name) > most:
		return fmt.Sprintf("topic name of %d bytes is too long; at most %d are allowed", len(name), most)
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-' {
			return fmt.Sprintf("topic name %q has the character %q; letters, digits, '.', '_' and '-' are allowed", name, r)
		}
	}
	return ""
}
