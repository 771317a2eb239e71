package commands

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/plugins/cassandra"
	"github.com/recsys-benthos/recsys-benthos/plugins/elasticsearch"
	"github.com/recsys-benthos/recsys-benthos/plugins/kafka"
)

func setupCommand() *cli.Command {
	return &cli.Command{
		Name:  "setup",
		Usage: "Create topics, tables, index template and dashboard on a profile's servers, or check them",
		Description: `Creates what the profile's servers lack: the topics of its kafka_cluster, the keyspace and tables of its cassandra_ratings
(config/schema.cql), the index template and policy of its elasticsearch_v8 (config/elasticsearch). What exists stays as it is, so it may run
at any time. With KIBANA_URL it imports the dashboard of predictions (config/kibana) as well; that replaces an earlier one of the same ids, so
edit a copy of it. --check changes nothing: it says what breaks a promise of the pipelines, and ends with 1 if anything does.

  recsys-benthos setup
  recsys-benthos setup --dry-run
  recsys-benthos setup --check --profile my/cluster.yaml`,
		Flags: append([]cli.Flag{
			profileFlag(),
			&cli.BoolFlag{Name: "dry-run", Usage: "print what would be created, and create nothing"},
			&cli.BoolFlag{Name: "check", Usage: "compare what is there with what the pipelines rely on"},
			&cli.StringFlag{Name: "cassandra-replication", Usage: "replication of a new keyspace, as CQL; by default 3, or as many as there are nodes", EnvVars: []string{"CASSANDRA_REPLICATION"}},
			replicasFlag(),
			sessionFlag(),
			&cli.DurationFlag{Name: "timeout", Usage: "how long to try to reach each server", Value: 30 * time.Second},
			jsonFlag(),
		}, kibanaFlags()...),
		Action: setupAction,
	}
}

// servers are those a profile names; nil ones it does without.
type servers struct {
	kafka         *kafka.Cluster
	cassandra     *cassandra.Settings
	elasticsearch *elasticsearch.Settings
	kibana        *dashboards // named by flags, not by the profile
}

func profileServers(path string) (s servers, err error) {
	p, err := readProfile(path)
	if err != nil {
		return s, err
	}
	text, ok, err := p.fields("kafka_cluster")
	if err == nil && ok {
		s.kafka, err = kafka.ParseCluster(text)
	}
	if err != nil {
		return s, fmt.Errorf("kafka_cluster of %s: %w", path, err)
	}
	text, ok, err = p.fields("cassandra_ratings")
	if err == nil && ok {
		var settings cassandra.Settings
		settings, _, err = cassandra.ParseSettings(text)
		s.cassandra = &settings
	}
	if err != nil {
		return s, fmt.Errorf("cassandra_ratings of %s: %w", path, err)
	}
	text, ok, err = p.fields("elasticsearch_v8")
	if err == nil && ok {
		var settings elasticsearch.Settings
		settings, err = parseElasticsearch(text)
		s.elasticsearch = &settings
	}
	if err != nil {
		return s, fmt.Errorf("elasticsearch_v8 of %s: %w", path, err)
	}
	if s == (servers{}) {
		return s, fmt.Errorf("the profile %s has no kafka_cluster, cassandra_ratings or elasticsearch_v8: there is nothing to set up", path)
	}
	return s, nil
}

func parseElasticsearch(yaml string) (elasticsearch.Settings, error) {
	conf, err := service.NewConfigSpec().Fields(elasticsearch.ConnectionFields()...).ParseYAML(yaml, nil)
	if err != nil {
		return elasticsearch.Settings{}, err
	}
	return elasticsearch.ParseSettings(conf)
}

func setupAction(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	s, err := profileServers(c.String("profile"))
	if err != nil {
		return err
	}
	if s.kibana, err = kibanaDashboards(c, s.elasticsearch); err != nil {
		return err
	}
	if c.Bool("check") {
		return reportCheck(c, s)
	}
	created := []string{}
	told := func(line string) {
		created = append(created, line)
		if !c.Bool("json") {
			fmt.Println(line)
		}
	}
	for _, step := range []struct {
		server string
		run    func(context.Context) error
	}{
		{"Kafka", func(ctx context.Context) error { return s.setUpKafka(ctx, c.Bool("dry-run"), told) }},
		{"Cassandra", func(ctx context.Context) error {
			return s.setUpCassandra(ctx, c.Bool("dry-run"), c.String("cassandra-replication"), told)
		}},
		{"Elasticsearch", func(ctx context.Context) error {
			return s.setUpElasticsearch(ctx, c.Bool("dry-run"), c.Int("index-replicas"), told)
		}},
		{"Kibana", func(ctx context.Context) error { return s.setUpKibana(ctx, c.Bool("dry-run"), told) }},
	} {
		ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
		done := busy("setting up " + step.server)
		err := step.run(ctx)
		done()
		cancel()
		if err != nil {
			return fmt.Errorf("setting up %s: %w", step.server, err)
		}
	}
	if c.Bool("json") {
		return printJSON(map[string]any{"created": created, "dry_run": c.Bool("dry-run")})
	}
	if len(created) == 0 {
		fmt.Fprintln(os.Stderr, "Everything is there; nothing was changed. --check says whether it fits.")
	}
	return nil
}

func (s servers) setUpKafka(ctx context.Context, dryRun bool, told func(string)) error {
	if s.kafka == nil {
		return nil
	}
	return kafka.SetupTopics(ctx, s.kafka, dryRun, told)
}

func (s servers) setUpCassandra(ctx context.Context, dryRun bool, replication string, told func(string)) error {
	if s.cassandra == nil {
		return nil
	}
	return cassandra.Setup(ctx, *s.cassandra, cassandra.SetupOptions{Replication: replication, DryRun: dryRun, Print: told})
}

func (s servers) setUpElasticsearch(ctx context.Context, dryRun bool, replicas int, told func(string)) error {
	if s.elasticsearch == nil {
		return nil
	}
	changes, err := elasticsearch.Setup(ctx, *s.elasticsearch, elasticsearch.SetupOptions{DryRun: dryRun, Replicas: &replicas})
	for _, change := range changes {
		switch change.Action {
		case elasticsearch.Kept:
		case elasticsearch.Skipped:
			fmt.Fprintln(os.Stderr, change)
		default:
			told(change.String())
		}
	}
	return err
}

// replicasFlag is what index templates shall say.
func replicasFlag() cli.Flag {
	return &cli.IntFlag{Name: "index-replicas", Usage: "replicas of each index", Value: 1, EnvVars: []string{"ELASTICSEARCH_REPLICAS"}}
}
