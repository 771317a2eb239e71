package als

import (
	"fmt"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/sparksubmit"
	"github.com/recsys-benthos/recsys-benthos/spark"
)

const (
	engineFieldInProcess  = "in_process"
	engineFieldSpark      = "spark"
	sparkFieldSubmit      = "submit"
	sparkFieldMaster      = "master"
	sparkFieldConf        = "conf"
	sparkFieldPackages    = "packages"
	sparkFieldScript      = "script"
	sparkFieldRatings     = "ratings"
	sparkFieldCassandra   = "cassandra"
	sparkFieldKeyspace    = "keyspace"
	sparkFieldParquet     = "parquet"
	sparkFieldCSV         = "csv"
	sparkFieldKafka       = "kafka"
	sparkFieldTopic       = "topic"
	sparkFieldBlocks      = "blocks"
	sparkFieldCheckpoint  = "checkpoint"
	sparkFieldGateRatings = "gate_ratings"
)

// engineField has no default for the master: a field without one has to be given, which
// is what tells whether spark is.
func engineField() *service.ConfigField {
	return service.NewObjectField(trainFieldEngine,
		service.NewObjectField(engineFieldInProcess).Description("In this process: `in_process: {}`, as without the field.").Optional(),
		service.NewObjectField(engineFieldSpark,
			service.NewStringField(sparkFieldSubmit).Description("The program spark-submit: a path, or a name to find in PATH. It runs as a child in a process group of its own, in deploy mode client.").Default("spark-submit"),
			service.NewStringField(sparkFieldMaster).Description("Spark's master; empty for that of Spark's own configuration.").Examples("local[2]", "spark://spark:7077", "yarn", "k8s://https://kubernetes:443"),
			service.NewStringMapField(sparkFieldConf).Description("Spark's configuration, each as --conf.").Default(map[string]any{}).Example(map[string]any{"spark.executor.memory": "16g"}),
			service.NewStringListField(sparkFieldPackages).Description("Maven coordinates of what reads the ratings: the connector of Cassandra, Spark's Kafka source.").Default([]any{}),
			service.NewStringField(sparkFieldScript).Description("The job to run instead of the one that this program carries.").Default("").Advanced(),
			service.NewObjectField(sparkFieldRatings,
				service.NewStringField(sparkFieldCassandra).Description("host or host:port of Cassandra.").Default(""),
				service.NewStringField(sparkFieldKeyspace).Description("Of Cassandra.").Default("recsys"),
				service.NewStringField(sparkFieldParquet).Description("URL of parquet with user_id, movie_id, rating and timestamp.").Default(""),
				service.NewStringField(sparkFieldCSV).Description("URL of CSV in this order.").Default(""),
				service.NewStringField(sparkFieldKafka).Description("Brokers of Kafka, whose topic of events is read from its beginning.").Default(""),
				service.NewStringField(sparkFieldTopic).Description("Of Kafka.").Default("events"),
			).Description("Where executors read the ratings: one of cassandra, parquet, csv and kafka. They must be those of the store, by which triggers are counted and the gate judges.").
				LintRule(`root = if [this.cassandra, this.parquet, this.csv, this.kafka].filter(given -> given.or("") != "").length() != 1 { ["give one of cassandra, parquet, csv and kafka"] }`),
			service.NewIntField(sparkFieldBlocks).Description("Blocks of users and of movies; 0 is one a core, or as many as keep what a block receives at a half-step below 1 GiB if that is more.").Default(0).Advanced(),
			service.NewStringField(sparkFieldCheckpoint).Description("A folder that all executors reach, as a URL, in which the job keeps what it learnt every three iterations.").Default("").Advanced(),
			service.NewIntField(sparkFieldGateRatings).Description("Ratings that the gate judges by at most, those of some of the users, in the memory of this process; 0 for all.").Default(20_000_000).Advanced(),
		).Description("On Spark: spark-submit runs the job that this program carries. It trains als without a head that ranks, and what the gate asks for; the gate judges here. See docs/scaling.md.").Optional(),
	).Description("Where models are trained: one of in_process and spark.").Optional().Advanced().
		LintRule(`root = if this.exists("spark") && this.exists("in_process") { ["fields in_process and spark exclude each other"] }`)
}

// longestWait is between two attempts that failed one after the other: longer where
// each asks a cluster for executors.
func (t *trainer) longestWait() time.Duration {
	if t.job.Engine != nil {
		return 5 * time.Minute
	}
	return 10 * time.Second
}

// parseEngine reads where to train into the job.
func (t *trainer) parseEngine(conf *service.ParsedConfig) error {
	if !conf.Contains(trainFieldEngine, engineFieldSpark) {
		return nil
	}
	launcher, err := parseSpark(conf.Namespace(trainFieldEngine, engineFieldSpark))
	if err != nil {
		return err
	}
	if t.sample, err = conf.FieldInt(trainFieldEngine, engineFieldSpark, sparkFieldGateRatings); err != nil {
		return err
	}
	launcher.Say = func(text string) { t.log.Info(text) }
	t.job.Parameters.Preference = nil
	t.job.Engine = launcher.Fit
	if err := t.job.CheckEngine(); err != nil {
		return fmt.Errorf("field %s.%s: %w", trainFieldEngine, engineFieldSpark, err)
	}
	if _, err := launcher.Source.Arguments(); err != nil {
		return fmt.Errorf("field %s.%s.%s: %w", trainFieldEngine, engineFieldSpark, sparkFieldRatings, err)
	}
	return nil
}

func parseSpark(conf *service.ParsedConfig) (*sparksubmit.Launcher, error) {
	l := &sparksubmit.Launcher{Scripts: spark.Files, Main: spark.Main}
	var err error
	for name, to := range map[string]*string{
		sparkFieldSubmit: &l.Submit, sparkFieldMaster: &l.Master, sparkFieldScript: &l.Script, sparkFieldCheckpoint: &l.Checkpoint,
	} {
		if *to, err = conf.FieldString(name); err != nil {
			return nil, err
		}
	}
	for name, to := range map[string]*string{
		sparkFieldCassandra: &l.Source.Cassandra, sparkFieldKeyspace: &l.Source.Keyspace, sparkFieldParquet: &l.Source.Parquet,
		sparkFieldCSV: &l.Source.CSV, sparkFieldKafka: &l.Source.Kafka, sparkFieldTopic: &l.Source.Topic,
	} {
		if *to, err = conf.FieldString(sparkFieldRatings, name); err != nil {
			return nil, err
		}
	}
	if l.Conf, err = conf.FieldStringMap(sparkFieldConf); err != nil {
		return nil, err
	}
	if l.Packages, err = conf.FieldStringList(sparkFieldPackages); err != nil {
		return nil, err
	}
	l.Blocks, err = conf.FieldInt(sparkFieldBlocks)
	return l, err
}
