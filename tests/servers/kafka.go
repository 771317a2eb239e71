package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// KafkaOptions describe a Kafka cluster. The zero value is one node in plain text.
type KafkaOptions struct {
	Nodes int // 1 (also for 0) to 3; each is broker and controller

	SASL       bool      // clients log in as Cluster.Username by PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	TLS        bool      // clients connect by TLS
	ClientAuth bool      // with TLS: clients must show a certificate by Cluster.CAFile
	NotAfter   time.Time // with TLS: end of the servers' certificate; zero means in a day

	// Data is, by node, a folder for its data that exists, and that the caller removes.
	// Nodes without one have theirs in Cluster.Dir.
	Data []string

	// Properties are added to server.properties or replace what is there. With
	// authorizer.class.name set to org.apache.kafka.metadata.authorizer.StandardAuthorizer
	// only Cluster.Username, and the brokers themselves, may do what no ACL allows.
	Properties map[string]string

	Bench bool // a JVM that runs fast rather than starts fast
}

// Kafka is a running Kafka cluster.
type Kafka struct {
	Cluster
	internal []string // plain-text addresses of the nodes for this package, in their order
}

// StartKafka starts a Kafka cluster and waits until all nodes are ready. The caller
// closes it.
func StartKafka(ctx context.Context, o KafkaOptions) (*Kafka, error) {
	k, err := startKafka(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("starting kafka: %w", err)
	}
	return k, nil
}

func startKafka(ctx context.Context, o KafkaOptions) (*Kafka, error) {
	runtime, err := findJava()
	if err != nil {
		return nil, err
	}
	dir, err := kafkaRelease.fetch(ctx)
	if err != nil {
		return nil, err
	}
	archive, err := classArchive(ctx, kafkaRelease, runtime, func(ctx context.Context, path string) error {
		return trainKafka(ctx, runtime, dir, path)
	})
	if err != nil {
		return nil, err
	}
	k, err := newKafka(ctx, o, kafkaJVM{java: runtime, dir: dir, flags: []string{"-XX:SharedArchiveFile=" + archive}})
	if err != nil {
		return nil, err
	}
	if err := k.Start(ctx); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// trainKafka has a node write the classes it uses to an archive as it stops.
func trainKafka(ctx context.Context, runtime java, dir, archive string) error {
	k, err := newKafka(ctx, KafkaOptions{}, kafkaJVM{java: runtime, dir: dir, flags: []string{"-XX:ArchiveClassesAtExit=" + archive}})
	if err != nil {
		return err
	}
	err = k.Start(ctx)
	if err == nil {
		err = k.Nodes[0].Stop(ctx)
	}
	return errors.Join(err, k.Close())
}

// kafkaJVM is how Kafka's classes are run.
type kafkaJVM struct {
	java  java
	dir   string // of the release
	flags []string
}

// command runs a class, with the settings of log4j.
func (j kafkaJVM) command(c *Cluster, log string, flags []string, class string, args ...string) (command, error) {
	jars, err := classpath(j.dir)
	if err != nil {
		return command{}, err
	}
	all := append([]string{
		"-Djava.net.preferIPv4Stack=true",
		"-Dlog4j2.configurationFile=" + fileURL(filepath.Join(c.Dir, "log4j2.properties")),
		"-XX:-UsePerfData",
	}, flags...)
	all = append(append(all, "-cp", jars, class), args...)
	return command{path: j.java.binary(), args: all, dir: c.Dir, log: log}, nil
}

// newKafka lays out the folders of a cluster whose nodes can be started then.
func newKafka(ctx context.Context, o KafkaOptions, jvm kafkaJVM) (*Kafka, error) {
	o.Nodes = max(o.Nodes, 1)
	c, err := newCluster("kafka", o.Nodes)
	if err != nil {
		return nil, err
	}
	k := &Kafka{}
	k.Dir, k.release = c.Dir, c.release
	if err := k.layOut(ctx, o, jvm); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

func (k *Kafka) layOut(ctx context.Context, o KafkaOptions, jvm kafkaJVM) error {
	ports, err := k.reserve(3, hosts(o.Nodes))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(k.Dir, "log4j2.properties"), []byte(kafkaLogging), 0o644); err != nil {
		return err
	}
	l := kafkaLayout{KafkaOptions: o, dir: k.Dir, client: ports[0], internal: ports[1], controller: ports[2]}
	if o.SASL {
		k.Username, k.Password = "recsys", "recsys-secret"
		l.username, l.password = k.Username, k.Password
	}
	if o.TLS {
		if l.certificates, err = issueCertificates(filepath.Join(k.Dir, "certificates"), o.NotAfter); err != nil {
			return err
		}
		l.certificates.use(&k.Cluster)
	}
	flags := append([]string{"-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}, jvm.flags...)
	if o.Bench {
		flags = append([]string{"-Xms1g", "-Xmx1g", "-XX:+UseG1GC"}, jvm.flags...)
	}
	for i, host := range hosts(o.Nodes) {
		n := &Node{Name: fmt.Sprintf("kafka node %d", i+1), Address: net.JoinHostPort(host, strconv.Itoa(l.client))}
		if err := os.WriteFile(l.file(i), []byte(l.properties(i)), 0o644); err != nil {
			return err
		}
		log := filepath.Join(k.Dir, fmt.Sprintf("kafka-%d.log", i+1))
		if n.command, err = jvm.command(&k.Cluster, log, flags, "kafka.Kafka", l.file(i)); err != nil {
			return err
		}
		n.ready = func(ctx context.Context) error { return k.ready(ctx, i) }
		k.Nodes = append(k.Nodes, n)
		k.internal = append(k.internal, net.JoinHostPort(host, strconv.Itoa(l.internal)))
	}
	return l.format(ctx, &k.Cluster, jvm)
}

// ready looks whether node i, as it sees the cluster itself, is a member along with all
// others that run.
func (k *Kafka) ready(ctx context.Context, i int) error {
	cl, err := k.client(k.internal[i])
	if err != nil {
		return err
	}
	defer cl.Close()
	m, err := kadm.NewClient(cl).BrokerMetadata(ctx)
	if err != nil {
		return err
	}
	for j, n := range k.Nodes {
		if n.answers() && !slices.Contains(m.Brokers.NodeIDs(), int32(j+1)) {
			return fmt.Errorf("%s does not know %s yet", k.Nodes[i].Name, n.Name)
		}
	}
	return nil
}

// client connects to nodes over the listener that needs no log-in.
func (k *Kafka) client(addresses ...string) (*kgo.Client, error) {
	return kgo.NewClient(kgo.SeedBrokers(addresses...), kgo.DialTimeout(time.Second), kgo.RequestRetries(2),
		kgo.RetryTimeout(5*time.Second), kgo.MetadataMinAge(10*time.Millisecond))
}

// ask retries a question, to the nodes that answer, until it is answered or ctx ends;
// the answer is the id of a node.
func (k *Kafka) ask(ctx context.Context, question func(context.Context, *kgo.Client) (int32, error)) (*Node, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var id int32
	err := poll(ctx, nil, func(ctx context.Context) error {
		var seeds []string
		for i, n := range k.Nodes {
			if n.answers() {
				seeds = append(seeds, k.internal[i])
			}
		}
		if len(seeds) == 0 {
			return errors.New("no node runs")
		}
		cl, err := k.client(seeds...)
		if err != nil {
			return err
		}
		defer cl.Close()
		if id, err = question(ctx, cl); err != nil {
			return err
		}
		if id < 1 || int(id) > len(k.Nodes) || !k.Nodes[id-1].answers() {
			return fmt.Errorf("node %d, which does not answer, is still named", id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return k.Nodes[id-1], nil
}

// Controller returns the node that is the active controller; while none is, or it is
// one that is down, it waits for the election.
func (k *Kafka) Controller(ctx context.Context) (*Node, error) {
	n, err := k.ask(ctx, func(ctx context.Context, cl *kgo.Client) (int32, error) {
		req := kmsg.NewPtrDescribeQuorumRequest()
		topic := kmsg.NewDescribeQuorumRequestTopic()
		topic.Topic = "__cluster_metadata"
		topic.Partitions = append(topic.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
		req.Topics = append(req.Topics, topic)
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return 0, err
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return 0, err
		}
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return 0, errors.New("the answer has no quorum")
		}
		p := resp.Topics[0].Partitions[0]
		return p.LeaderID, kerr.ErrorForCode(p.ErrorCode)
	})
	if err != nil {
		return nil, fmt.Errorf("asking kafka for its controller: %w", err)
	}
	return n, nil
}

// Leader returns the node that leads a partition; while none does, or it is one that is
// down, it waits for the election.
func (k *Kafka) Leader(ctx context.Context, topic string, partition int32) (*Node, error) {
	n, err := k.ask(ctx, func(ctx context.Context, cl *kgo.Client) (int32, error) {
		m, err := kadm.NewClient(cl).Metadata(ctx, topic)
		if err != nil {
			return 0, err
		}
		t := m.Topics[topic]
		if t.Err != nil {
			return 0, t.Err
		}
		p, ok := t.Partitions[partition]
		if !ok {
			return 0, fmt.Errorf("the topic has %d partitions", len(t.Partitions))
		}
		return p.Leader, p.Err
	})
	if err != nil {
		return nil, fmt.Errorf("asking kafka for the leader of %s/%d: %w", topic, partition, err)
	}
	return n, nil
}

// fileURL is a path as Java's libraries want it where they take URLs.
func fileURL(path string) string {
	return "file://" + strings.ReplaceAll(filepath.ToSlash(path), " ", "%20")
}
