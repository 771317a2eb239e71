package cassandra

import (
	"fmt"

	"github.com/redpanda-data/benthos/v4/public/service"
)

const (
	fieldSplits      = "splits"
	fieldConcurrency = "concurrency"
	fieldBatchSize   = "batch_size"
	fieldUnacked     = "max_unacknowledged_batches"
)

func inputSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Services").
		Summary("Runs a CQL query and gives each row as a JSON object, then ends.").
		Description(`A query that reads a whole table (SELECT … FROM table, and nothing behind it) is cut into token ranges, which are read in parallel, each
from a node that owns it; the order of rows is then none in particular. Every other query runs as it is, page by page.

The input ends only when every row was given. When a node dies or does not answer, each range is read on from the same place on another, so no row is
lost, and none is given twice. An error that waiting does not mend stops the input loudly: it does not end, and does not pretend to have read everything.

Columns become fields: numbers are numbers, timestamps RFC 3339 text, UUIDs and addresses text, blobs base64 text, lists, sets and tuples arrays, maps
and user-defined types objects; null is null.`).
		Fields(connectionFields(keyspaceField())...).
		Fields(
			service.NewStringField(fieldQuery).
				Description("The SELECT to run.").
				Example("SELECT user_id, movie_id, rating, timestamp FROM recsys.ratings"),
			service.NewIntField(fieldSplits).
				Description("Into how many token ranges a table is cut, at least.").
				Default(32).Advanced(),
			service.NewIntField(fieldConcurrency).
				Description("How many token ranges are read at the same time.").
				Default(4).Advanced(),
			service.NewIntField(fieldPageSize).
				Description("How many rows are read at a time.").
				Default(5000).Advanced(),
			service.NewIntField(fieldBatchSize).
				Description("How many rows are given on as one batch.").
				Default(500).Advanced(),
			service.NewIntField(fieldUnacked).
				Description("How many batches may be under way in the pipeline before reading waits.").
				Default(16).Advanced(),
			service.NewAutoRetryNacksToggleField(),
		).
		Example("All ratings as lines of JSON",
			"Exports the ratings table.", `
input:
  cassandra:
    addresses: ["${CASSANDRA_ADDRESSES:127.0.0.1:9042}"]
    keyspace: recsys
    query: SELECT user_id, movie_id, rating, timestamp FROM ratings

output:
  stdout: {}
`)
}

func init() {
	service.MustRegisterBatchInput("cassandra", inputSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchInput, error) {
			parsed, err := parseInputConfig(conf)
			if err != nil {
				return nil, err
			}
			return service.AutoRetryNacksBatchedToggled(conf, newInput(parsed, mgr.Logger()))
		})
}

// inputConfig is what the YAML says.
type inputConfig struct {
	settings                                          Settings
	statement                                         string
	splits, concurrency, pageSize, batchSize, unacked int
}

func parseInputConfig(conf *service.ParsedConfig) (c inputConfig, err error) {
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
	if !tokenize(c.statement)[0].is("SELECT") {
		return c, fmt.Errorf("field %s: it is no SELECT; write with the output cassandra", fieldQuery)
	}
	for _, field := range []struct {
		name string
		to   *int
	}{
		{fieldSplits, &c.splits},
		{fieldConcurrency, &c.concurrency},
		{fieldPageSize, &c.pageSize},
		{fieldBatchSize, &c.batchSize},
		{fieldUnacked, &c.unacked},
	} {
		if *field.to, err = positive(conf, field.name); err != nil {
			return c, err
		}
	}
	return c, nil
}
