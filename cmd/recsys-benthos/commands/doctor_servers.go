package commands

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/recsys-benthos/recsys-benthos/plugins/cassandra"
	"github.com/recsys-benthos/recsys-benthos/plugins/elasticsearch"
	"github.com/recsys-benthos/recsys-benthos/plugins/kafka"
)

// greatestSkew is how far clocks may be apart: time stamps order events of different
// machines.
const greatestSkew = 5 * time.Second

// checkServers looks at each server of the profile: whether it answers, its version,
// and, where it does, what setup --check looks at.
func (d *doctor) checkServers(ctx context.Context) {
	s, err := profileServers(d.profile)
	if err != nil {
		d.say("profile", trouble, "correct the resource in the profile", "%v", err)
		return
	}
	if d.embedded && s.kafka != nil {
		embedded := *s.kafka
		embedded.Topics = embeddedTopics()
		s.kafka = &embedded
	}
	if s.kafka != nil && !d.checkKafka(ctx, s.kafka) {
		s.kafka = nil
	}
	if s.cassandra != nil && !d.checkCassandra(ctx, *s.cassandra) {
		s.cassandra = nil
	}
	if s.elasticsearch != nil && !d.checkElasticsearch(ctx, *s.elasticsearch) {
		s.elasticsearch = nil
	}
	areas := map[string]string{"Kafka": "topics", "Cassandra": "schema", "Elasticsearch": "schema"}
	found := map[string]int{}
	for _, p := range s.check(ctx, d.timeout, d.session, d.replicas) {
		mend := p.Mend
		if d.embedded && p.Server == "Kafka" {
			mend = "start recsys-benthos up or recsys-benthos broker again: it makes the topics that are missing"
		}
		bad := warning
		if p.fatal {
			bad = trouble
		}
		d.say(areas[p.Server], bad, cmp.Or(mend, "look at the server's log"), "%s: %s: %s", p.Server, p.Where, p.What)
		found[p.Server]++
	}
	if s.kafka != nil && found["Kafka"] == 0 {
		d.say("topics", fine, "", "%d topics are as the pipelines need them", len(s.kafka.Topics))
	}
	if s.cassandra != nil && found["Cassandra"] == 0 {
		d.say("schema", fine, "", "Cassandra's keyspace %s is as the pipelines need it", s.cassandra.Keyspace)
	}
	if s.elasticsearch != nil && found["Elasticsearch"] == 0 {
		d.say("schema", fine, "", "Elasticsearch's templates and indices are as the pipelines need them")
	}
}

// embeddedTopics are those of the embedded broker, as a profile would name them.
func embeddedTopics() (specs []kafka.TopicSpec) {
	for _, topic := range brokerTopics() {
		specs = append(specs, kafka.TopicSpec{Name: topic.Name, Partitions: int(topic.Partitions), Replication: 1})
	}
	return specs
}

// checkKafka reports whether the cluster can be looked at.
func (d *doctor) checkKafka(ctx context.Context, cluster *kafka.Cluster) bool {
	where := strings.Join(cluster.Seeds(), ", ")
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	client, err := kgo.NewClient(cluster.Options()...)
	if err != nil {
		d.say("connection", trouble, "correct kafka_cluster in "+d.profile, "Kafka: %v", err)
		return false
	}
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		if d.embedded {
			d.say("connection", warning, "start it with: recsys-benthos up (or recsys-benthos broker), or say where it is in KAFKA_BROKERS", "nothing is running: no Kafka broker answers at %s", where)
		} else {
			d.say("connection", trouble, "start the brokers, or correct KAFKA_BROKERS and the login", "Kafka at %s: %s", where, kafka.Explain(err))
		}
		return false
	}
	d.say("connection", fine, "", "Kafka answers at %s", where)
	version, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, client)
	if err == nil {
		d.say("versions", fine, "", "Kafka speaks the protocol of %s", kversion.FromApiVersionsResponse(version).VersionGuess())
	}
	d.checkKafkaClock(ctx, client, cluster)
	return true
}

// checkKafkaClock finds records from the future: their writer's clock is ahead, or ours
// is behind.
func (d *doctor) checkKafkaClock(ctx context.Context, client *kgo.Client, cluster *kafka.Cluster) {
	var names []string
	for _, topic := range cluster.Topics {
		names = append(names, topic.Name)
	}
	newest, err := kadm.NewClient(client).ListMaxTimestampOffsets(ctx, names...)
	if err != nil {
		return // an old broker does not know that
	}
	last := int64(0)
	newest.Each(func(o kadm.ListedOffset) {
		if o.Err == nil {
			last = max(last, o.Timestamp)
		}
	})
	if last > 0 {
		d.judgeSkew("the newest record in Kafka", max(0, time.Until(time.UnixMilli(last))))
	}
}

// judgeSkew says how far a clock is ahead of ours.
func (d *doctor) judgeSkew(whose string, ahead time.Duration) {
	if ahead.Abs() > greatestSkew {
		where := "ahead of"
		if ahead < 0 {
			where = "behind"
		}
		d.say("clock", trouble, "set both clocks, best by NTP (timedatectl set-ntp true)", "%s is %s %s this machine's clock", whose, ahead.Abs().Round(time.Second), where)
		return
	}
	d.say("clock", fine, "", "%s agrees with this machine's clock", whose)
}

func (d *doctor) checkCassandra(ctx context.Context, settings cassandra.Settings) bool {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	version, err := cassandra.Server(ctx, settings)
	if err != nil {
		d.say("connection", trouble, "start the nodes, or correct CASSANDRA_ADDRESSES and the login", "Cassandra at %s: %v", strings.Join(settings.Addresses, ", "), err)
		return false
	}
	d.say("connection", fine, "", "Cassandra answers at %s", strings.Join(settings.Addresses, ", "))
	d.judgeVersion("Cassandra", version, 4)
	return true
}

func (d *doctor) checkElasticsearch(ctx context.Context, settings elasticsearch.Settings) bool {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	version, clock, err := elasticsearch.Server(ctx, settings)
	if err != nil {
		d.say("connection", trouble, "start the nodes, or correct ELASTICSEARCH_URLS and the login", "%v", err)
		return false
	}
	var urls []string
	for _, u := range settings.URLs {
		urls = append(urls, u.Redacted())
	}
	d.say("connection", fine, "", "Elasticsearch answers at %s", strings.Join(urls, ", "))
	d.judgeVersion("Elasticsearch", version, 8)
	if !clock.IsZero() {
		d.judgeSkew("Elasticsearch's clock", time.Until(clock.Add(time.Second/2))) // it says whole seconds
	}
	return true
}

// judgeVersion warns of a version older than those that the pipelines are tested with.
func (d *doctor) judgeVersion(server, version string, oldest int) {
	major := 0
	if _, err := fmt.Sscanf(version, "%d", &major); err != nil || slices.Contains([]string{"", "0"}, version) {
		d.say("versions", warning, "look whether it is "+server+" that answers there", "%s does not say its version", server)
		return
	}
	if major < oldest {
		d.say("versions", warning, fmt.Sprintf("use %s %d or newer", server, oldest), "%s %s is older than what the pipelines are tested with", server, version)
		return
	}
	d.say("versions", fine, "", "%s is %s", server, version)
}
