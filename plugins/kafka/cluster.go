package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"
)

func clusterSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Stable().
		Version("0.1.0").
		Categories("Services").
		Summary("Says where a Kafka cluster is, and how to log in.").
		Description(`
A resource for the inputs and outputs `+"`kafka_franz` and `redpanda`"+`: their field `+"`cluster`"+` names it. So the same pipelines run against a broker on
this machine and against a cluster with TLS and passwords: only the resource differs. It opens no connection itself, and cannot be read or written as a cache.`).
		Fields(clientFields()...).
		Field(topicsField()).
		LintRule(`root = if this.seed_brokers.or([]).length() == 0 { "field seed_brokers: name at least one broker, as host:port" }`).
		Example("A cluster with TLS and a password", "Every pipeline that says `cluster: kafka` uses it.", `
cache_resources:
  - label: kafka
    kafka_cluster:
      seed_brokers: ["${KAFKA_BROKERS:127.0.0.1:9092}"]
      tls:
        enabled: true
        root_cas_file: "${KAFKA_CA:}"
      sasl:
        - mechanism: SCRAM-SHA-512
          username: "${KAFKA_USER:}"
          password: "${KAFKA_PASSWORD:}"

input:
  kafka_franz:
    cluster: kafka
    topics: [events]
    consumer_group: ingest
`)
}

func init() {
	service.MustRegisterCache("kafka_cluster", clusterSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.Cache, error) {
			cluster, err := parseCluster(conf)
			if err != nil {
				return nil, err
			}
			mgr.SetGeneric(ClusterKey{Label: mgr.Label()}, cluster)
			return clusterCache{}, nil
		})
}

func parseCluster(conf *service.ParsedConfig) (*Cluster, error) {
	c, err := clientOptions(conf)
	if err != nil {
		return nil, err
	}
	if err := validate(c.opts); err != nil {
		return nil, err
	}
	topics, err := parseTopicSpecs(conf)
	if err != nil {
		return nil, err
	}
	return &Cluster{connection: c, Topics: topics}, nil
}

// ParseCluster reads the fields of a kafka_cluster resource.
func ParseCluster(yaml string) (*Cluster, error) {
	conf, err := clusterSpec().ParseYAML(yaml, nil)
	if err != nil {
		return nil, err
	}
	return parseCluster(conf)
}

// ClusterKey is the key of a *Cluster among the generic values of a Benthos
// resource manager; Label is the label of the resource.
type ClusterKey struct{ Label string }

// Cluster is how to reach a Kafka cluster, and the topics it shall have. It is
// immutable.
type Cluster struct {
	connection
	Topics []TopicSpec
}

// Seeds returns the addresses that the cluster is found by, as host:port.
func (c *Cluster) Seeds() []string { return slices.Clone(c.seeds) }

// Options returns what a franz-go client of the cluster is made with.
func (c *Cluster) Options() []kgo.Opt { return slices.Clone(c.opts) }

// FindCluster builds the kafka_cluster resource with the given label, if it is
// not built yet, and returns what it says.
func FindCluster(mgr *service.Resources, label string) (*Cluster, error) {
	if err := mgr.AccessCache(context.Background(), label, func(service.Cache) {}); err != nil {
		return nil, fmt.Errorf("opening the resource %q: %w", label, err)
	}
	value, _ := mgr.GetGeneric(ClusterKey{Label: label})
	cluster, ok := value.(*Cluster)
	if !ok {
		return nil, fmt.Errorf("resource %q is not a Kafka cluster; give the label of a kafka_cluster resource", label)
	}
	return cluster, nil
}

var errNoCache = errors.New("a kafka_cluster resource says where a cluster is; it holds no values")

// clusterCache is the resource as Benthos sees it.
type clusterCache struct{}

func (clusterCache) Get(context.Context, string) ([]byte, error) { return nil, errNoCache }

func (clusterCache) Set(context.Context, string, []byte, *time.Duration) error { return errNoCache }

func (clusterCache) Add(context.Context, string, []byte, *time.Duration) error { return errNoCache }

func (clusterCache) Delete(context.Context, string) error { return errNoCache }

func (clusterCache) Close(context.Context) error { return nil }
