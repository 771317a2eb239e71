package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Fields of a topic in a kafka_cluster resource.
const (
	fieldName        = "name"
	fieldPartitions  = "partitions"
	fieldReplication = "replication_factor"
	fieldCompact     = "compact"
	fieldRetention   = "retention"
	fieldConfig      = "config"
)

// Names of topic settings.
const (
	cleanupPolicy = "cleanup.policy"
	retentionMs   = "retention.ms"
	minInSync     = "min.insync.replicas"
)

func topicsField() *service.ConfigField {
	return service.NewObjectListField(fieldTopics,
		service.NewStringField(fieldName).Description("The topic's name."),
		service.NewIntField(fieldPartitions).
			Description("How many processes of a consumer group can share the work. Choose it for years: keys move to other partitions when it grows, so that one user's messages are no longer in order.").
			Default(4),
		service.NewIntField(fieldReplication).
			Description("On how many brokers each partition is. With 3, any one may die.").
			Default(3),
		service.NewBoolField(fieldCompact).
			Description("Whether the newest record of each key is kept for ever, instead of all records for a time.").
			Default(false),
		service.NewDurationField(fieldRetention).
			Description("How long records are kept; the broker's own default if empty.").
			Default("").Example("168h"),
		service.NewStringMapField(fieldConfig).
			Description("Other settings of the topic, by Kafka's names.").
			Default(map[string]any{}).Example(map[string]any{"max.message.bytes": "2097152"}),
	).Description("The topics that `recsys-benthos setup` creates, and its `--check` compares with what is there. Inputs and outputs do not need it.").
		Default([]any{}).Advanced()
}

// TopicSpec is a topic as it shall be.
type TopicSpec struct {
	Name        string
	Partitions  int
	Replication int
	Config      map[string]string // by Kafka's names
}

func parseTopicSpecs(conf *service.ParsedConfig) ([]TopicSpec, error) {
	items, err := conf.FieldObjectList(fieldTopics)
	if err != nil {
		return nil, err
	}
	var specs []TopicSpec
	for i, item := range items {
		spec, err := parseTopicSpec(item)
		if err != nil {
			return nil, fmt.Errorf("field %s.%d: %w", fieldTopics, i, err)
		}
		specs = append(specs, spec)
	}
	return specs, nil
}

func parseTopicSpec(conf *service.ParsedConfig) (t TopicSpec, err error) {
	if t.Name, err = conf.FieldString(fieldName); err != nil {
		return t, err
	}
	if reason := invalidTopic(t.Name); reason != "" {
		return t, errors.New(reason)
	}
	if t.Partitions, err = conf.FieldInt(fieldPartitions); err != nil {
		return t, err
	}
	if t.Replication, err = conf.FieldInt(fieldReplication); err != nil {
		return t, err
	}
	if t.Partitions < 1 || t.Replication < 1 {
		return t, fmt.Errorf("topic %q: %s and %s must be at least 1", t.Name, fieldPartitions, fieldReplication)
	}
	if t.Config, err = conf.FieldStringMap(fieldConfig); err != nil {
		return t, err
	}
	compact, err := conf.FieldBool(fieldCompact)
	if err != nil {
		return t, err
	}
	t.Config[cleanupPolicy] = "delete"
	if compact {
		t.Config[cleanupPolicy] = "compact"
	}
	text, err := conf.FieldString(fieldRetention)
	if err != nil {
		return t, err
	}
	if text != "" {
		retention, err := time.ParseDuration(text)
		if err != nil {
			return t, fmt.Errorf("field %s: %w", fieldRetention, err)
		}
		t.Config[retentionMs] = strconv.FormatInt(retention.Milliseconds(), 10)
	}
	if _, given := t.Config[minInSync]; !given && t.Replication >= 3 {
		t.Config[minInSync] = "2" // one may die, and what is acknowledged is on two
	}
	return t, nil
}

// SetupTopics creates the topics of c that are missing. What exists stays as it
// is; CheckTopics tells whether it fits. It calls told for each topic that it
// creates or, with dryRun, would create.
func SetupTopics(ctx context.Context, c *Cluster, dryRun bool, told func(line string)) error {
	client, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	existing, err := admin.ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("listing the topics of Kafka at %s: %w", c.where(), err)
	}
	for _, t := range c.Topics {
		if existing.Has(t.Name) {
			continue
		}
		told(t.String())
		if dryRun {
			continue
		}
		config := map[string]*string{}
		for key, value := range t.Config {
			config[key] = &value
		}
		_, err := admin.CreateTopic(ctx, int32(t.Partitions), int16(t.Replication), config, t.Name)
		switch {
		case errors.Is(err, kerr.TopicAlreadyExists): // another setup was quicker
		case errors.Is(err, kerr.InvalidReplicationFactor):
			return fmt.Errorf("creating topic %q on %d brokers: %w; start more brokers, or lower its %s", t.Name, t.Replication, err, fieldReplication)
		case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
			return fmt.Errorf("creating topic %q: %w; run setup as a user who may create topics", t.Name, err)
		case err != nil:
			return fmt.Errorf("creating topic %q: %w", t.Name, err)
		}
	}
	return nil
}

// String is the topic in one line.
func (t TopicSpec) String() string {
	settings := make([]string, 0, len(t.Config))
	for key, value := range t.Config {
		settings = append(settings, key+"="+value)
	}
	slices.Sort(settings)
	return fmt.Sprintf("topic %s: %d partitions on %d brokers each, %s", t.Name, t.Partitions, t.Replication, strings.Join(settings, ", "))
}

// connect returns a client once a broker answers, or what is wrong.
func (c *Cluster) connect(ctx context.Context) (*kgo.Client, error) {
	client, err := kgo.NewClient(c.opts...)
	if err != nil {
		return nil, fmt.Errorf("configuring the Kafka client: %w", err)
	}
	pingCtx, cancel := context.WithTimeout(ctx, 3*pingTimeout)
	defer cancel()
	if err := client.Ping(pingCtx); err != nil {
		client.Close()
		return nil, fmt.Errorf("reaching Kafka at %s: %s", c.where(), Explain(err))
	}
	return client, nil
}

func (c *Cluster) where() string { return strings.Join(c.seeds, ", ") }

// Problem is something that breaks a promise of the pipelines.
type Problem struct {
	Where string // topic events
	What  string
	Mend  string
	Fatal bool // a pipeline cannot work
}

// CheckTopics says what of the topics of c, and of the brokers' limits for
// consumer sessions of the given length, does not fit. An error means that it
// could not look.
func CheckTopics(ctx context.Context, c *Cluster, session time.Duration) ([]Problem, error) {
	client, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	names := make([]string, len(c.Topics))
	for i, t := range c.Topics {
		names[i] = t.Name
	}
	details, err := admin.ListTopics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("listing the topics of Kafka at %s: %w", c.where(), err)
	}
	var problems []Problem
	for _, t := range c.Topics {
		detail, ok := details[t.Name]
		if !ok || errors.Is(detail.Err, kerr.UnknownTopicOrPartition) {
			problems = append(problems, Problem{"topic " + t.Name, "there is no such topic", "recsys-benthos setup", true})
			continue
		}
		if detail.Err != nil {
			problems = append(problems, Problem{"topic " + t.Name, detail.Err.Error(), "the right DESCRIBE on the topic for this user", true})
			continue
		}
		problems = append(problems, t.compare(detail)...)
		configs, err := admin.DescribeTopicConfigs(ctx, t.Name)
		if err != nil {
			return nil, fmt.Errorf("reading the settings of topic %q: %w", t.Name, err)
		}
		problems = append(problems, t.compareConfig(configs)...)
	}
	return append(problems, checkSession(ctx, admin, session)...), nil
}

// compare judges partitions and replicas.
func (t TopicSpec) compare(detail kadm.TopicDetail) []Problem {
	var problems []Problem
	where := "topic " + t.Name
	switch n := len(detail.Partitions); {
	case n < t.Partitions:
		problems = append(problems, Problem{
			where, fmt.Sprintf("has %d partitions, want %d: no more than %d processes share its work", n, t.Partitions, n),
			fmt.Sprintf("partitions: %d in the profile; or, while the topic is empty, kafka-topics.sh --alter --partitions %d (later it moves users to other partitions, and breaks their order)", n, t.Partitions), false,
		})
	case n > t.Partitions:
		problems = append(problems, Problem{
			where, fmt.Sprintf("has %d partitions, want %d: if it grew under keyed records, older records of a user may be in another partition than newer ones, out of order", n, t.Partitions),
			fmt.Sprintf("partitions: %d in the profile, once the older records have been read by all groups", n), false,
		})
	}
	if n := detail.Partitions.NumReplicas(); n < t.Replication {
		problems = append(problems, Problem{
			where, fmt.Sprintf("has %d copies of each partition, want %d: it may be away while a broker is", n, t.Replication),
			"kafka-reassign-partitions.sh with more replicas, or replication_factor in the profile", false,
		})
	}
	return problems
}

// compareConfig judges the settings that promises rest on.
func (t TopicSpec) compareConfig(configs kadm.ResourceConfigs) []Problem {
	found := map[string]string{}
	for _, resource := range configs {
		for _, entry := range resource.Configs {
			if entry.Value != nil {
				found[entry.Key] = *entry.Value
			}
		}
	}
	keys := make([]string, 0, len(t.Config))
	for key := range t.Config {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var problems []Problem
	for _, key := range keys {
		if value, known := found[key]; known && value != t.Config[key] {
			problems = append(problems, Problem{
				"topic " + t.Name, fmt.Sprintf("%s is %s, want %s", key, value, t.Config[key]),
				fmt.Sprintf("kafka-configs.sh --alter --topic %s --add-config %s=%s", t.Name, key, t.Config[key]), false,
			})
		}
	}
	return problems
}

// checkSession compares the session of consumers with what the brokers allow.
func checkSession(ctx context.Context, admin *kadm.Client, session time.Duration) []Problem {
	brokers, err := admin.ListBrokers(ctx)
	if err != nil || session <= 0 {
		return nil
	}
	for _, broker := range brokers {
		configs, err := admin.DescribeBrokerConfigs(ctx, broker.NodeID)
		if err != nil {
			return nil // needs a right that pipelines do without
		}
		for _, entry := range configs {
			for _, config := range entry.Configs {
				if config.Key != "group.min.session.timeout.ms" && config.Key != "group.max.session.timeout.ms" || config.Value == nil {
					continue
				}
				ms, err := strconv.ParseInt(*config.Value, 10, 64)
				limit := time.Duration(ms) * time.Millisecond
				below := strings.Contains(config.Key, ".min.") && session < limit
				above := strings.Contains(config.Key, ".max.") && session > limit
				if err == nil && (below || above) {
					return []Problem{{
						fmt.Sprintf("broker %d", broker.NodeID), fmt.Sprintf("%s is %s: consumers with a session_timeout of %v cannot join their group", config.Key, limit, session),
						fmt.Sprintf("RECSYS_SESSION_TIMEOUT=%v, or the broker's setting", limit), true,
					}}
				}
			}
		}
	}
	return nil
}
