package sqlite

import (
	"fmt"
	"slices"

	"github.com/redpanda-data/benthos/v4/public/bloblang"
	"github.com/redpanda-data/benthos/v4/public/service"
)

const (
	fieldTable          = "table"
	fieldColumnsMapping = "columns_mapping"
	fieldKey            = "key"
	fieldInitStatement  = "init_statement"
	fieldAction         = "action"
	fieldBatching       = "batching"
)

// What a message does to the table.
const (
	actionUpsert = "upsert"
	actionDelete = "delete"
)

func outputSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Services").
		Summary("Upserts each message as one row of a table in a SQLite file, or deletes rows.").
		Description(`A batch is one transaction, on disk before it is acknowledged. A row whose key exists replaces the columns it names, so writing a message
again changes nothing.

Values: numbers and texts as they are, true and false as 1 and 0, times as RFC 3339 text, arrays and objects as JSON text. A table that does not
exist is created from the columns of the first row; give `+"`init_statement`"+` where types or further indexes matter. Give every column in every row,
with null where there is no value: a column that the table lacks makes its message fail.

A message that can never be written (its mapping fails, it breaks a constraint, it names a column that the table lacks) fails alone. While the file is
locked, the disk full or unreadable, the whole batch is tried again until it succeeds or the pipeline stops.`).
		Fields(
			service.NewStringField(fieldPath).
				Description("The SQLite file. It is created with its folder where it is missing.").
				Example("recsys-data/predictions.db"),
			service.NewStringField(fieldTable).
				Description("The table to write.").
				Example("predictions"),
			service.NewBloblangField(fieldColumnsMapping).
				Description("A mapping from a message to an object of column names and values. `root = deleted()` leaves a message out.").
				Example("root.request_id = this.request_id\nroot.prediction = this.prediction").
				Example("root = this"),
			service.NewStringListField(fieldKey).
				Description("The columns that tell rows apart: the primary key, or the columns of a unique index, of the table.").
				Example([]string{"request_id"}).
				Example([]string{"user_id", "movie_id"}),
			service.NewStringEnumField(fieldAction, actionUpsert, actionDelete).
				Description("What a message does: upsert writes its row, delete deletes all rows that have its values in the columns of key, of which each message gives every one; the table needs no index on them then, and where it does not exist there is nothing to delete.").
				Default(actionUpsert).Advanced(),
			service.NewStringField(fieldInitStatement).
				Description("SQL to run when the file is opened, before the first write. It runs at every start, so it must allow for what exists already.").
				Example("CREATE TABLE IF NOT EXISTS predictions (request_id TEXT PRIMARY KEY, prediction REAL)").
				Optional().Advanced(),
			service.NewOutputMaxInFlightField().Default(1),
			service.NewBatchPolicyField(fieldBatching),
		).
		Example("A table of predictions",
			"Keeps every prediction in a file that any SQL tool can query.", `
input:
  stdin: {}

output:
  sqlite:
    path: recsys-data/predictions.db
    table: predictions
    key: [request_id]
    columns_mapping: |
      root.request_id = this.request_id
      root.user_id = this.user_id
      root.movie_id = this.movie_id
      root.prediction = this.prediction
      root.title = this.title
      root.genres = this.genres
      root.model_version = this.model_version
      root.predicted_at = this.predicted_at
      root.actual = this.actual | null
    init_statement: |
      CREATE TABLE IF NOT EXISTS predictions (
        request_id TEXT PRIMARY KEY, user_id INTEGER, movie_id INTEGER, prediction REAL, title TEXT, genres TEXT,
        model_version TEXT, predicted_at TEXT, actual REAL);
      CREATE INDEX IF NOT EXISTS predictions_by_user ON predictions (user_id, predicted_at);
    batching:
      count: 500
      period: 200ms
`)
}

func init() {
	service.MustRegisterBatchOutput("sqlite", outputSpec(), newOutputFromConfig)
}

// outputConfig is what the YAML says.
type outputConfig struct {
	path, table   string
	columns       *bloblang.Executor
	key           []string
	initStatement string
	deletes       bool
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
	if c.path, err = conf.FieldString(fieldPath); err != nil {
		return c, err
	}
	if c.table, err = conf.FieldString(fieldTable); err != nil {
		return c, err
	}
	if c.columns, err = conf.FieldBloblang(fieldColumnsMapping); err != nil {
		return c, err
	}
	if c.key, err = conf.FieldStringList(fieldKey); err != nil {
		return c, err
	}
	action, err := conf.FieldString(fieldAction)
	if err != nil {
		return c, err
	}
	c.deletes = action == actionDelete
	if conf.Contains(fieldInitStatement) {
		if c.initStatement, err = conf.FieldString(fieldInitStatement); err != nil {
			return c, err
		}
	}
	switch {
	case c.path == "":
		return c, fmt.Errorf("field %s is empty; give the name of a file", fieldPath)
	case c.table == "":
		return c, fmt.Errorf("field %s is empty; give the name of a table", fieldTable)
	case len(c.key) == 0 || slices.Contains(c.key, ""):
		return c, fmt.Errorf("field %s names no column; give the columns that tell rows apart, such as [request_id]", fieldKey)
	}
	return c, nil
}
