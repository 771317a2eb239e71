package kafka

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Fields of the input, beside those of connection and subscription.
const (
	fieldCheckpointLimit   = "checkpoint_limit"
	fieldPartitionBuffer   = "partition_buffer_bytes"
	fieldAutoReplay        = service.AutoRetryNacksToggleFieldName
	fieldBatching          = "batching"
	fieldBatchCount        = "count"
	fieldBatchBytes        = "byte_size"
	fieldBatchPeriod       = "period"
	fieldFetchMaxBytes     = "fetch_max_bytes"
	fieldFetchMinBytes     = "fetch_min_bytes"
	fieldFetchMaxPartition = "fetch_max_partition_bytes"
	fieldFetchMaxWait      = "fetch_max_wait"
	fieldIsolation         = "transaction_isolation_level"
	fieldMultiHeader       = "multi_header"
	fieldLagPeriod         = "topic_lag_refresh_period"
	fieldEventTypes        = "event_types"
	fieldEmitEnd           = "emit_end_of_partition"
	fieldRecordMetadata    = "record_metadata"
)

// How much of a record becomes metadata.
const (
	metadataAll  = "all"
	metadataKey  = "key"
	metadataNone = "none"
)

const (
	defaultBatchCount = 1000
	minCommitPeriod   = 100 * time.Millisecond // of franz-go
)

func inputSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Stable().
		Version("0.1.0").
		Categories("Services").
		Summary("Reads Kafka topics, at least once and in the order of each partition.").
		Description(`
With a consumer group, partitions are shared among all processes of the group, and only what was acknowledged is committed. Without one the input is a follower: it reads all partitions of its topics from `+"`start_offset`"+` at each start, and commits nothing.

### Delivery

Each partition has at most one batch that is not yet acknowledged, and partitions proceed in parallel. So the order within a partition holds even when a batch is rejected and sent again. Before a partition is given to another process, its batch is waited for and its offsets are committed.

With `+"`transactional_id`"+` delivery is exactly once from topic to topic: offsets are committed in the transaction that holds what the outputs of this pipeline write to the same cluster.

When brokers are away the input waits for them, and says so in the log once a minute.

### Metadata

- kafka_key
- kafka_topic
- kafka_partition
- kafka_offset
- kafka_lag
- kafka_timestamp_ms
- kafka_timestamp_unix
- kafka_tombstone_message
- kafka_tombstone (only when the value is null: "true")
- kafka_end_of_partition (only of the markers of `+"`emit_end_of_partition`"+`: "true")
- all record headers

Metadata costs more than all else that this input does; `+"`record_metadata`"+` limits it. The original record stays attached to each message whatever that field says, for `+"`dead_letter`"+` and for the key `+"`${! @kafka_key }`"+` of this plugin's outputs.

### Metrics

The gauge `+"`kafka_lag`"+`, with the labels topic and partition, counts the records that are not yet acknowledged.`).
		Fields(inputFields()...).
		LintRule(`root = match {`+connectionLints+subscriptionLints+`
  this.emit_end_of_partition.or(false) && this.consumer_group.or("") != "" => "field emit_end_of_partition is for followers: remove it, or consumer_group",
}`).
		Example("One pipeline of many", "Reads rating events in a consumer group. Every process that runs this gets its share of the partitions.", `
input:
  kafka_franz:
    seed_brokers: ["${KAFKA_BROKERS:127.0.0.1:9092}"]
    topics: [events]
    consumer_group: ingest
    event_types: [rate]
`).
		Example("A follower", "Reads a compacted topic from its first record at each start, in every process, and says when it has caught up.", `
input:
  kafka_franz:
    seed_brokers: ["${KAFKA_BROKERS:127.0.0.1:9092}"]
    topics: [models]
    emit_end_of_partition: true
`)
}

func inputFields() []*service.ConfigField {
	return slices.Concat(connectionFields(), subscriptionFields(), bufferFields(), fetchFields(), transactionFields(), ownFields())
}

func bufferFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewIntField(fieldCheckpointLimit).
			Description("How many messages of one partition may be buffered or unacknowledged before fetching from it pauses; a whole batch at least. One fetch more may be held.").
			Default(1024).Advanced(),
		service.NewStringField(fieldPartitionBuffer).
			Description("How many bytes of one partition may be buffered before fetching from it pauses. One fetch more may be held.").
			Default("4MiB").Advanced(),
		service.NewAutoRetryNacksToggleField(),
		service.NewObjectField(fieldBatching,
			service.NewIntField(fieldBatchCount).
				Description("The most messages of a batch; 0 means the default.").Default(defaultBatchCount),
			service.NewIntField(fieldBatchBytes).
				Description("The most bytes of a batch, one larger message aside; 0 means no limit of its own.").Default(1<<20),
			service.NewStringField(fieldBatchPeriod).
				Description("How long to wait for a batch to fill. When empty, whatever has arrived is a batch at once.").Default("").Example("10ms"),
		).Description("Batches are formed per partition.").Advanced(),
	}
}

func fetchFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewStringField(fieldFetchMaxBytes).
			Description("The most bytes a broker may return to one fetch.").Default("50MiB").Advanced(),
		service.NewStringField(fieldFetchMinBytes).
			Description("The least bytes a broker should collect before it answers a fetch.").Default("1B").Advanced(),
		service.NewStringField(fieldFetchMaxPartition).
			Description("The most bytes of one partition in a fetch. A larger record still comes through. Memory holds them decompressed, two fetches of each partition at most.").Default("256KiB").Advanced(),
		service.NewDurationField(fieldFetchMaxWait).
			Description("How long a broker may wait for `fetch_min_bytes`. A partition that was paused, because its messages are slow while others have run dry, goes on after this time.").Default("100ms").Advanced(),
		service.NewStringEnumField(fieldIsolation, "read_uncommitted", "read_committed").
			Description("Whether records of open and aborted transactions are read.").Default("read_uncommitted").Advanced(),
		service.NewBoolField(fieldMultiHeader).
			Description("Whether headers become lists, for records that have several headers of one key. Else the last one counts.").Default(false).Advanced(),
		service.NewDurationField(fieldLagPeriod).
			Description("How often the end of each partition is asked for, for the metric `kafka_lag`. 0s means never.").Default("5s").Advanced(),
	}
}

// ownFields are those that Connect's component does not have.
func ownFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewStringListField(fieldEventTypes).
			Description("When set, JSON records whose `event_type` is another string are skipped and count as acknowledged. Records without an `event_type`, and such that are no valid JSON, pass, so that a processor can reject them.").
			Default([]any{}).Example([]string{"rate", "unrate"}),
		service.NewBoolField(fieldEmitEnd).
			Description("For followers: sends one empty message per partition, with the metadata `kafka_end_of_partition` set to `true`, when everything that was there at the start has been read. An empty partition gets its marker at once.").
			Default(false),
		service.NewStringAnnotatedEnumField(fieldRecordMetadata, map[string]string{
			metadataAll:  "All keys, and the headers.",
			metadataKey:  "Only kafka_key, kafka_tombstone and kafka_end_of_partition.",
			metadataNone: "Only kafka_tombstone and kafka_end_of_partition.",
		}).Description("How much of a record becomes metadata of its message.").Default(metadataAll).Advanced(),
	}
}

// inputConfig is what an input was configured with.
type inputConfig struct {
	connection
	subscription
	committedOnly   bool // isolation level
	checkpointLimit int
	bufferBytes     int
	autoReplay      bool
	batchCount      int
	batchBytes      int
	batchPeriod     time.Duration
	lagPeriod       time.Duration
	eventTypes      map[string]bool
	eventHeads      [][]byte // how records of these types begin, as a rule
	emitEnd         bool
	metadata        string
	multiHeader     bool
	traced          bool // spans go somewhere

	transactionalID    string
	transactionRecords int
}

func parseInput(conf *service.ParsedConfig) (*inputConfig, error) {
	c := &inputConfig{}
	var err error
	if c.connection, err = parseConnection(conf); err != nil {
		return nil, err
	}
	for _, parse := range []func(*service.ParsedConfig) error{
		c.parseGroup, c.parseStart, c.parseTopics, c.parseIsolation, c.parseFetching,
		c.parseBatching, c.parseOwn, c.parseTransaction,
	} {
		if err := parse(conf); err != nil {
			return nil, err
		}
	}
	return c, validate(c.opts)
}

func (c *inputConfig) parseIsolation(conf *service.ParsedConfig) error {
	isolation, err := conf.FieldString(fieldIsolation)
	if err != nil {
		return err
	}
	level := kgo.ReadUncommitted()
	if c.committedOnly = isolation == "read_committed"; c.committedOnly {
		level = kgo.ReadCommitted()
	}
	c.opts = append(c.opts, kgo.FetchIsolationLevel(level))
	return nil
}

func (c *inputConfig) parseFetching(conf *service.ParsedConfig) error {
	maxBytes, err := parseBytes(conf, fieldFetchMaxBytes)
	if err != nil {
		return err
	}
	minBytes, err := parseBytes(conf, fieldFetchMinBytes)
	if err != nil {
		return err
	}
	partitionBytes, err := parseBytes(conf, fieldFetchMaxPartition)
	if err != nil {
		return err
	}
	wait, err := conf.FieldDuration(fieldFetchMaxWait)
	if err != nil {
		return err
	}
	rack, err := conf.FieldString(fieldRackID)
	if err != nil {
		return err
	}
	if partitionBytes > maxBytes {
		return fmt.Errorf("field %s: must not exceed %s", fieldFetchMaxPartition, fieldFetchMaxBytes)
	}
	c.opts = append(c.opts,
		kgo.FetchMaxBytes(maxBytes),
		kgo.FetchMinBytes(minBytes),
		kgo.FetchMaxPartitionBytes(partitionBytes),
		kgo.FetchMaxWait(wait),
		kgo.Rack(rack))
	return nil
}

func (c *inputConfig) parseBatching(conf *service.ParsedConfig) error {
	var err error
	if c.checkpointLimit, err = conf.FieldInt(fieldCheckpointLimit); err != nil {
		return err
	}
	if c.checkpointLimit < 1 {
		return fmt.Errorf("field %s: must be at least 1", fieldCheckpointLimit)
	}
	bufferBytes, err := parseBytes(conf, fieldPartitionBuffer)
	if err != nil {
		return err
	}
	c.bufferBytes = int(bufferBytes)
	if c.autoReplay, err = conf.FieldBool(fieldAutoReplay); err != nil {
		return err
	}
	batching := conf.Namespace(fieldBatching)
	if c.batchCount, err = batching.FieldInt(fieldBatchCount); err != nil {
		return err
	}
	if c.batchCount <= 0 {
		c.batchCount = defaultBatchCount
	}
	c.checkpointLimit = max(c.checkpointLimit, c.batchCount)
	if c.batchBytes, err = batching.FieldInt(fieldBatchBytes); err != nil {
		return err
	}
	if c.batchBytes <= 0 {
		c.batchBytes = math.MaxInt
	}
	period, err := batching.FieldString(fieldBatchPeriod)
	if err != nil || period == "" {
		return err
	}
	if c.batchPeriod, err = time.ParseDuration(period); err != nil {
		return fmt.Errorf("field %s.%s: %w", fieldBatching, fieldBatchPeriod, err)
	}
	return nil
}

// parseOwn reads the fields that Connect's component does not have.
func (c *inputConfig) parseOwn(conf *service.ParsedConfig) error {
	types, err := conf.FieldStringList(fieldEventTypes)
	if err != nil {
		return err
	}
	if types = splitList(types); len(types) > 0 {
		c.eventTypes = map[string]bool{}
		for _, t := range types {
			c.eventTypes[t] = true
			c.eventHeads = append(c.eventHeads, fmt.Appendf(nil, `{"event_type":%q,`, t))
		}
	}
	if c.emitEnd, err = conf.FieldBool(fieldEmitEnd); err != nil {
		return err
	}
	if c.emitEnd && c.group != "" {
		return errors.New("field " + fieldEmitEnd + ": only for followers; remove it, or " + fieldConsumerGroup)
	}
	if c.emitEnd && (c.partitions != nil || c.fromTime) {
		return errors.New("field " + fieldEmitEnd + ": only for whole topics from their start or end; remove it, or the partitions in " + fieldTopics + " and " + fieldStartTimestamp)
	}
	if c.emitEnd {
		// The last offset of a partition may be a transaction's marker.
		c.opts = append(c.opts, kgo.KeepControlRecords())
	}
	if c.metadata, err = conf.FieldString(fieldRecordMetadata); err != nil {
		return err
	}
	if c.lagPeriod, err = conf.FieldDuration(fieldLagPeriod); err != nil {
		return err
	}
	c.multiHeader, err = conf.FieldBool(fieldMultiHeader)
	return err
}

// parseBytes reads a size such as 1MiB.
func parseBytes(conf *service.ParsedConfig, field string) (int32, error) {
	text, err := conf.FieldString(field)
	if err != nil {
		return 0, err
	}
	size, err := humanize.ParseBytes(text)
	if err != nil {
		return 0, fmt.Errorf("field %s: %w; write it as 512KiB or 4MiB", field, err)
	}
	if size < 1 || size > 1<<30 {
		return 0, fmt.Errorf("field %s: must be from 1B to 1GiB", field)
	}
	return int32(size), nil
}
