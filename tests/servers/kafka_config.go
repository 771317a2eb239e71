package servers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const kafkaLogging = `status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{HH:mm:ss.SSS} %-5p %c{1}: %m%n%throwable
rootLogger.level=info
rootLogger.appenderRef.out.ref=out
logger.config.name=org.apache.kafka.common.config.AbstractConfig
logger.config.level=warn
logger.server.name=kafka.server.KafkaConfig
logger.server.level=warn
`

// kafkaLayout is what the nodes' settings are made of. Clients, brokers and controllers
// have listeners of their own: security is for clients only, so that this package can
// look at the brokers whatever their certificates and users.
type kafkaLayout struct {
	KafkaOptions
	dir                          string
	client, internal, controller int // ports, the same on all nodes
	username, password           string
	certificates                 certificates
}

func (l kafkaLayout) file(i int) string {
	return filepath.Join(l.dir, fmt.Sprintf("kafka-%d.properties", i+1))
}

func (l kafkaLayout) data(i int) string {
	if i < len(l.Data) && l.Data[i] != "" {
		return l.Data[i]
	}
	return filepath.Join(l.dir, fmt.Sprintf("kafka-%d", i+1))
}

// properties returns the server.properties of node i.
func (l kafkaLayout) properties(i int) string {
	var voters []string
	for j, host := range hosts(l.Nodes) {
		voters = append(voters, fmt.Sprintf("%d@%s:%d", j+1, host, l.controller))
	}
	host := hosts(l.Nodes)[i]
	listeners := fmt.Sprintf("CLIENT://%s:%d,INTERNAL://%s:%d", host, l.client, host, l.internal)
	replicas, insync := fmt.Sprint(l.Nodes), fmt.Sprint(min(2, l.Nodes))
	p := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        fmt.Sprint(i + 1),
		"controller.quorum.voters":       strings.Join(voters, ","),
		"listeners":                      listeners + fmt.Sprintf(",CONTROLLER://%s:%d", host, l.controller),
		"advertised.listeners":           listeners,
		"controller.listener.names":      "CONTROLLER",
		"inter.broker.listener.name":     "INTERNAL",
		"listener.security.protocol.map": "CLIENT:" + l.protocol() + ",INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"log.dirs":                       l.data(i),

		"auto.create.topics.enable":                        "false",
		"num.partitions":                                   "4",
		"default.replication.factor":                       replicas,
		"min.insync.replicas":                              insync,
		"offsets.topic.replication.factor":                 replicas,
		"offsets.topic.num.partitions":                     "4",
		"transaction.state.log.replication.factor":         replicas,
		"transaction.state.log.min.isr":                    insync,
		"transaction.state.log.num.partitions":             "4",
		"share.coordinator.state.topic.replication.factor": replicas,
		"share.coordinator.state.topic.min.isr":            insync,
		"log.cleaner.dedupe.buffer.size":                   "16777216", // 128 MB of heap by default

		// Fail-over in about 3 s.
		"broker.session.timeout.ms":    "3000",
		"broker.heartbeat.interval.ms": "500",
		// Consumers that vanish are noticed as fast as a test wants; those of the
		// protocol of KIP-848, whose session the broker sets, after 6 s.
		"group.initial.rebalance.delay.ms":         "0",
		"group.min.session.timeout.ms":             "1000",
		"group.consumer.min.session.timeout.ms":    "1000",
		"group.consumer.session.timeout.ms":        "6000",
		"group.consumer.min.heartbeat.interval.ms": "500",
		"group.consumer.heartbeat.interval.ms":     "1000",

		"super.users": "User:ANONYMOUS;User:" + l.username, // read if Properties set an authorizer
	}
	maps.Copy(p, l.security())
	maps.Copy(p, l.Properties)
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&b, "%s=%s\n", key, p[key])
	}
	return b.String()
}

func (l kafkaLayout) protocol() string {
	switch {
	case l.SASL && l.TLS:
		return "SASL_SSL"
	case l.SASL:
		return "SASL_PLAINTEXT"
	case l.TLS:
		return "SSL"
	}
	return "PLAINTEXT"
}

// security returns the settings of the clients' listener.
func (l kafkaLayout) security() map[string]string {
	const listener, modules = "listener.name.client.", "org.apache.kafka.common.security."
	p := map[string]string{}
	if l.TLS {
		p[listener+"ssl.keystore.type"] = "PEM"
		p[listener+"ssl.keystore.location"] = l.certificates.serverStore
		p[listener+"ssl.truststore.type"] = "PEM"
		p[listener+"ssl.truststore.location"] = l.certificates.ca
		p[listener+"ssl.client.auth"] = "none"
	}
	if l.ClientAuth {
		p[listener+"ssl.client.auth"] = "required"
	}
	if l.SASL {
		p[listener+"sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
		p[listener+"plain.sasl.jaas.config"] = fmt.Sprintf("%splain.PlainLoginModule required user_%s=\"%s\";", modules, l.username, l.password)
		p[listener+"scram-sha-256.sasl.jaas.config"] = modules + "scram.ScramLoginModule required;"
		p[listener+"scram-sha-512.sasl.jaas.config"] = modules + "scram.ScramLoginModule required;"
	}
	return p
}

// format prepares the nodes' data folders. Kafka's tool makes the first; those of the
// others differ in the names of node and folder alone, which spares two starts of a JVM.
func (l kafkaLayout) format(ctx context.Context, c *Cluster, jvm kafkaJVM) error {
	args := []string{"format", "-t", kafkaID(), "-c", l.file(0)}
	if l.SASL {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, l.username, l.password))
		}
	}
	tool := kafkaJVM{java: jvm.java, dir: jvm.dir} // an archive is made by a server, not by the tool
	for _, flag := range jvm.flags {
		if strings.HasPrefix(flag, "-XX:SharedArchiveFile=") {
			tool.flags = append(tool.flags, flag)
		}
	}
	cmd, err := tool.command(c, filepath.Join(c.Dir, "format.log"), append(tool.flags, "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"), "kafka.tools.StorageTool", args...)
	if err != nil {
		return err
	}
	if _, err := output(ctx, cmd); err != nil {
		return fmt.Errorf("formatting kafka's data folder: %w", err)
	}
	for i := 1; i < l.Nodes; i++ {
		if err := l.adopt(i); err != nil {
			return err
		}
	}
	return nil
}

// adopt makes the data folder of node i from the first node's.
func (l kafkaLayout) adopt(i int) error {
	if err := os.CopyFS(l.data(i), os.DirFS(l.data(0))); err != nil {
		return err
	}
	meta := filepath.Join(l.data(i), "meta.properties")
	text, err := os.ReadFile(meta)
	if err != nil {
		return err
	}
	return os.WriteFile(meta, []byte(renamed(string(text), i)), 0o644)
}

func renamed(meta string, i int) string {
	var b strings.Builder
	for line := range strings.Lines(meta) {
		switch key, _, _ := strings.Cut(line, "="); key {
		case "node.id":
			line = fmt.Sprintf("node.id=%d\n", i+1)
		case "directory.id":
			line = "directory.id=" + kafkaID() + "\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

// kafkaID returns a random UUID as Kafka writes it.
func kafkaID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	id[0] &= 0x7f // a leading "-" would read as a flag
	return base64.RawURLEncoding.EncodeToString(id[:])
}
