package cassandra

import (
	"fmt"

	"github.com/redpanda-data/benthos/v4/public/bloblang"
	"github.com/redpanda-data/benthos/v4/public/service"
)

const (
	fieldQuery          = "query"
	fieldArgsMapping    = "args_mapping"
	fieldUsingTimestamp = "using_timestamp"
	fieldLoggedBatch    = "logged_batch"
	fieldStatements     = "max_statements_in_flight"
	fieldBatching       = "batching"
)

func outputSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Services").
		Summary("Runs a CQL query for each message, and acknowledges what the server acknowledged.").
		Description(`The query is prepared once. The rows of a message batch that have the same partition key are written together, in one request to a node
that owns them; many partitions are written at the same time. Rows of different partitions never share a request: it would burden one node with the rows
of others.

While nodes are away, busy or frozen, or it is not known whether a write was done, the output tries again, ever more slowly, until it succeeds or the
pipeline stops. So a row may be written twice, and the query should be one for which that changes nothing: no counters, no appending to lists. A message
that can never be written (its mapping fails, a value does not fit its column, the role may not write the table) fails alone.

With `+"`using_timestamp`"+` the time of the event is the time of writing: the newest event wins whatever the order in which they arrive, and at equal times the
greater value of each column. Without it the last write wins; rows of one primary key are then written in their order within a batch, and to keep it
between batches `+"`max_in_flight`"+` must be 1.

Values: a column of timestamps takes a timestamp, RFC 3339 text or Unix seconds; numbers may be given as text; lists and sets are arrays, maps and
user-defined types objects. A column that is a tuple cannot be written.`).
		Fields(connectionFields(keyspaceField())...).
		Fields(
			service.NewStringField(fieldQuery).
				Description("An INSERT, UPDATE or DELETE with a ? for each argument.").
				Example("INSERT INTO recsys.ratings (user_id, movie_id, rating, timestamp) VALUES (?, ?, ?, ?)"),
			service.NewBloblangField(fieldArgsMapping).
				Description("A mapping from a message to an array of the arguments of the query. `root = deleted()` leaves a message out.").
				Example("root = [ this.user_id, this.movie_id, this.value, this.timestamp ]").
				Optional(),
			service.NewBloblangField(fieldUsingTimestamp).
				Description("A mapping from a message to its event time, as microseconds since 1970, a timestamp or RFC 3339 text. The query gets USING TIMESTAMP with it.").
				Example("root = this.timestamp.number() * 1000000").
				Example("root = this.timestamp.ts_parse(\"2006-01-02T15:04:05Z07:00\")").
				Optional(),
			service.NewBoolField(fieldLoggedBatch).
				Description("Write the rows of a partition as a logged batch. They are of one partition and so are written as a whole either way.").
				Default(false).Advanced(),
			service.NewOutputMaxInFlightField().Default(4),
			service.NewIntField(fieldStatements).
				Description("How many requests are under way at the same time.").
				Default(256).Advanced(),
			service.NewBatchPolicyField(fieldBatching),
		).
		Example("Ratings with the time of their event",
			"Writes ratings so that the newest wins, whatever the order in which they arrive.", `
input:
  stdin: {}

output:
  cassandra:
    addresses: ["${CASSANDRA_ADDRESSES:127.0.0.1:9042}"]
    keyspace: recsys
    consistency: LOCAL_QUORUM
    query: INSERT INTO ratings (user_id, movie_id, rating, timestamp) VALUES (?, ?, ?, ?)
    args_mapping: root = [ this.user_id, this.movie_id, this.value, this.timestamp ]
    using_timestamp: root = this.timestamp.ts_parse("2006-01-02T15:04:05Z07:00")
    batching:
      count: 500
      period: 100ms
`)
}

func init() {
	service.MustRegisterBatchOutput("cassandra", outputSpec(), newOutputFromConfig)
}

// outputConfig is what the YAML says.
type outputConfig struct {
	settings  Settings
	statement string // with USING TIMESTAMP ? where that is asked for
	timeIndex int    // position of its argument; -1 without
	args      *bloblang.Executor
	eventTime *bloblang.Executor
	logged    bool
	inFlight  int
}

func newOutputFromConfig(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchOutput, service.BatchPolicy, int, error) {
	policy, err := conf.FieldBatchPolicy(fieldBatching)
	if err != nil {
		return nil, policy, 0, err
	}
	inFlight, err := conf.FieldMaxInFlight()
	if err != nil {
		return nil, policy, 0, err
	}
	parsed, err := parseOutputConfig(conf)
	if err != nil {
		return nil, policy, 0, err
	}
	return newOutput(parsed, mgr.Logger()), policy, inFlight, nil
}

func parseOutputConfig(conf *service.ParsedConfig) (c outputConfig, err error) {
	if c.settings, err = parseSettings(conf); err != nil {
		return c, err
	}
	query, err := conf.FieldString(fieldQuery)
	if err != nil {
		return c, err
	}
	if c.statement, err = oneStatement(query); err != nil {
		return c, fmt.Errorf("field %s: %w", fieldQuery, err)
	}
	if conf.Contains(fieldArgsMapping) {
		if c.args, err = conf.FieldBloblang(fieldArgsMapping); err != nil {
			return c, err
		}
	}
	c.timeIndex = -1
	if conf.Contains(fieldUsingTimestamp) {
		if c.eventTime, err = conf.FieldBloblang(fieldUsingTimestamp); err != nil {
			return c, err
		}
		if c.statement, c.timeIndex, err = withTimestamp(c.statement); err != nil {
			return c, fmt.Errorf("field %s with %s: %w", fieldQuery, fieldUsingTimestamp, err)
		}
	}
	if c.logged, err = conf.FieldBool(fieldLoggedBatch); err != nil {
		return c, err
	}
	c.inFlight, err = positive(conf, fieldStatements)
	return c, err
}
