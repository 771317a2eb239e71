package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Fields of every Kafka client.
const (
	fieldCluster         = "cluster"
	fieldSeedBrokers     = "seed_brokers"
	fieldClientID        = "client_id"
	fieldTLS             = "tls"
	fieldSASL            = "sasl"
	fieldMechanism       = "mechanism"
	fieldUsername        = "username"
	fieldPassword        = "password"
	fieldMetadataMaxAge  = "metadata_max_age"
	fieldRequestOverhead = "request_timeout_overhead"
	fieldConnIdleTimeout = "conn_idle_timeout"
)

const (
	pingTimeout     = 5 * time.Second
	connectMinWait  = 100 * time.Millisecond
	connectMaxWait  = 2 * time.Second
	repeatLogPeriod = time.Minute
)

func clientFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewStringListField(fieldSeedBrokers).
			Description("Addresses of brokers to find the cluster by. An item may hold several, separated by commas.").
			Example([]string{"localhost:9092"}).
			Example([]string{"kafka-1:9092,kafka-2:9092", "kafka-3:9092"}).
			Default([]any{}),
		service.NewStringField(fieldClientID).
			Description("How this client names itself to the brokers: in their logs, metrics and quotas.").
			Default("recsys-benthos").Advanced(),
		service.NewTLSToggledField(fieldTLS),
		service.NewObjectListField(fieldSASL,
			service.NewStringEnumField(fieldMechanism, "none", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512").
				Description("The SASL mechanism."),
			service.NewStringField(fieldUsername).Description("The user.").Default(""),
			service.NewStringField(fieldPassword).Description("The password.").Default("").Secret(),
		).Description("SASL mechanisms to authenticate with; the first that the broker supports is used.").
			Optional().Advanced().
			Example([]any{map[string]any{fieldMechanism: "SCRAM-SHA-512", fieldUsername: "recsys", fieldPassword: "${KAFKA_PASSWORD}"}}),
		service.NewDurationField(fieldMetadataMaxAge).
			Description("How old the knowledge of topics, partitions and leaders may become. New topics and partitions are found within this time.").
			Default("1m").Advanced(),
		service.NewDurationField(fieldRequestOverhead).
			Description("How long a broker may take to answer, on top of a request's own time limit.").
			Default("10s").Advanced(),
		service.NewDurationField(fieldConnIdleTimeout).
			Description("How long a connection may be idle before it is closed.").
			Default("20s").Advanced(),
	}
}

// connectionFields are how inputs and outputs reach their cluster: by a
// kafka_cluster resource, or by fields of their own.
func connectionFields() []*service.ConfigField {
	return append([]*service.ConfigField{
		service.NewStringField(fieldCluster).
			Description("The label of a `kafka_cluster` resource, which says where the brokers are and how to log in. It stands for `seed_brokers`, `client_id`, `tls`, `sasl` and the other fields of a connection, which must then be left out.").
			Default("").Example("kafka"),
	}, clientFields()...)
}

// connectionLints are cases of a lint rule for connectionFields.
const connectionLints = `
  this.cluster.or("") == "" && this.seed_brokers.or([]).length() == 0 => "name the cluster by its resource (field cluster) or by its brokers (field seed_brokers)",
  this.cluster.or("") != "" && this.seed_brokers.or([]).length() > 0 => "fields cluster and seed_brokers exclude each other: remove one",
  this.cluster.or("") != "" && this.sasl.or([]).length() > 0 => "field sasl belongs to the kafka_cluster resource that field cluster names",
  this.cluster.or("") != "" && this.tls.enabled.or(false) == true => "field tls belongs to the kafka_cluster resource that field cluster names",`

// connection is how to reach a cluster.
type connection struct {
	opts  []kgo.Opt
	seeds []string
}

// parseConnection reads the fields of connectionFields. It builds the resource
// that they name.
func parseConnection(conf *service.ParsedConfig) (connection, error) {
	label, err := conf.FieldString(fieldCluster)
	if err != nil {
		return connection{}, err
	}
	items, err := conf.FieldStringList(fieldSeedBrokers)
	if err != nil {
		return connection{}, err
	}
	switch {
	case label == "":
		return clientOptions(conf)
	case len(splitList(items)) > 0:
		return connection{}, fmt.Errorf("fields %s and %s exclude each other: remove one", fieldCluster, fieldSeedBrokers)
	}
	cluster, err := FindCluster(conf.Resources(), label)
	if err != nil {
		return connection{}, fmt.Errorf("field %s: %w", fieldCluster, err)
	}
	return connection{slices.Clone(cluster.opts), cluster.seeds}, nil
}

// clientOptions reads the fields of clientFields.
func clientOptions(conf *service.ParsedConfig) (c connection, err error) {
	if c.seeds, err = parseSeeds(conf); err != nil {
		return c, err
	}
	clientID, err := conf.FieldString(fieldClientID)
	if err != nil {
		return c, err
	}
	metadataMaxAge, err := conf.FieldDuration(fieldMetadataMaxAge)
	if err != nil {
		return c, err
	}
	overhead, err := conf.FieldDuration(fieldRequestOverhead)
	if err != nil {
		return c, err
	}
	idle, err := conf.FieldDuration(fieldConnIdleTimeout)
	if err != nil {
		return c, err
	}
	mechanisms, err := parseSASL(conf)
	if err != nil {
		return c, err
	}
	c.opts = []kgo.Opt{
		kgo.SeedBrokers(c.seeds...),
		kgo.ClientID(clientID),
		kgo.MetadataMaxAge(metadataMaxAge),
		kgo.MetadataMinAge(min(metadataMaxAge, 250*time.Millisecond)),
		kgo.RequestTimeoutOverhead(overhead),
		kgo.ConnIdleTimeout(idle),
		kgo.RetryBackoffFn(backOff),
		kgo.SASL(mechanisms...),
	}
	tlsConf, enabled, err := conf.FieldTLSToggled(fieldTLS)
	if err != nil {
		return c, err
	}
	if enabled {
		c.opts = append(c.opts, kgo.DialTLSConfig(tlsConf))
	}
	return c, nil
}

// validate has franz-go check the options, so that a pipeline with a wrong one
// does not start.
func validate(opts []kgo.Opt) error {
	if err := kgo.ValidateOpts(opts...); err != nil {
		return fmt.Errorf("checking the Kafka settings: %w", err)
	}
	return nil
}

func parseSeeds(conf *service.ParsedConfig) ([]string, error) {
	items, err := conf.FieldStringList(fieldSeedBrokers)
	if err != nil {
		return nil, err
	}
	seeds := splitList(items)
	if len(seeds) == 0 {
		return nil, fmt.Errorf("field %s: name at least one broker, as host:port", fieldSeedBrokers)
	}
	return seeds, nil
}

// splitList splits items at commas and drops what is empty.
func splitList(items []string) []string {
	var list []string
	for _, item := range items {
		for part := range strings.SplitSeq(item, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
	}
	return list
}

func parseSASL(conf *service.ParsedConfig) ([]sasl.Mechanism, error) {
	if !conf.Contains(fieldSASL) {
		return nil, nil
	}
	items, err := conf.FieldObjectList(fieldSASL)
	if err != nil {
		return nil, err
	}
	var mechanisms []sasl.Mechanism
	for i, item := range items {
		mechanism, err := item.FieldString(fieldMechanism)
		if err != nil {
			return nil, err
		}
		user, err := item.FieldString(fieldUsername)
		if err != nil {
			return nil, err
		}
		password, err := item.FieldString(fieldPassword)
		if err != nil {
			return nil, err
		}
		switch mechanism {
		case "none":
		case "PLAIN":
			mechanisms = append(mechanisms, plain.Auth{User: user, Pass: password}.AsMechanism())
		case "SCRAM-SHA-256":
			mechanisms = append(mechanisms, scram.Auth{User: user, Pass: password}.AsSha256Mechanism())
		case "SCRAM-SHA-512":
			mechanisms = append(mechanisms, scram.Auth{User: user, Pass: password}.AsSha512Mechanism())
		default:
			return nil, fmt.Errorf("field %s.%d.%s: %q is not supported; use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", fieldSASL, i, fieldMechanism, mechanism)
		}
	}
	return mechanisms, nil
}

// backOff is the wait before try number tries: from 50 ms up to 2 s.
func backOff(tries int) time.Duration {
	return min(50*time.Millisecond<<min(tries, 8), connectMaxWait)
}

// awaitBrokers returns once a broker answers, or ctx ends. Until then it logs
// what is wrong: once per reason, and again every minute.
func awaitBrokers(ctx context.Context, client *kgo.Client, seeds []string, log *service.Logger) error {
	var repeat repeatFilter
	for wait := connectMinWait; ; wait = min(2*wait, connectMaxWait) {
		pingCtx, cancel := context.WithTimeout(ctx, pingTimeout)
		err := client.Ping(pingCtx)
		cancel()
		if err == nil {
			if repeat.used() {
				log.Infof("Kafka answers at %s", strings.Join(seeds, ", "))
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if reason := Explain(err); repeat.pass(reason, time.Now()) {
			log.Errorf("Kafka does not answer at %s: %s; trying again until it does", strings.Join(seeds, ", "), reason)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// repeatFilter passes a line when its text is new, and else once a minute, so
// that an outage is told and the log stays readable.
type repeatFilter struct {
	mu   sync.Mutex
	last map[string]time.Time
}

func (f *repeatFilter) pass(line string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if last, ok := f.last[line]; ok && now.Sub(last) < repeatLogPeriod {
		return false
	}
	if f.last == nil || len(f.last) > 100 {
		f.last = map[string]time.Time{}
	}
	f.last[line] = now
	return true
}

func (f *repeatFilter) used() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.last) > 0
}

// connectionLog tells when a broker cannot be reached, and when it can again.
// franz-go retries by itself and silently. Of the time before the first
// connection awaitBrokers tells.
type connectionLog struct {
	log       *service.Logger
	mu        sync.Mutex
	connected bool
	failed    map[string]time.Time // by address: when it was last told
}

func newConnectionLog(log *service.Logger) *connectionLog {
	return &connectionLog{log: log, failed: map[string]time.Time{}}
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (c *connectionLog) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) {
		return
	}
	address := net.JoinHostPort(meta.Host, fmt.Sprint(meta.Port))
	now := time.Now()
	c.mu.Lock()
	last, known := c.failed[address]
	switch {
	case err == nil:
		c.connected = true
		delete(c.failed, address)
	case !c.connected:
		c.mu.Unlock()
		return
	case !known || now.Sub(last) >= repeatLogPeriod:
		c.failed[address] = now
	}
	c.mu.Unlock()
	switch {
	case err == nil && known:
		c.log.Infof("Kafka broker %s is connected again", address)
	case err != nil && (!known || now.Sub(last) >= repeatLogPeriod):
		c.log.Warnf("Kafka broker %s cannot be reached: %s; trying again until it can", address, Explain(err))
	}
}
