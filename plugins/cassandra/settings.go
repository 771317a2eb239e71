package cassandra

import (
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/redpanda-data/benthos/v4/public/service"
)

const (
	fieldAddresses      = "addresses"
	fieldKeyspace       = "keyspace"
	fieldTLS            = "tls"
	fieldAuth           = "password_authenticator"
	fieldAuthEnabled    = "enabled"
	fieldAuthUsername   = "username"
	fieldAuthPassword   = "password"
	fieldNoHostLookup   = "disable_initial_host_lookup"
	fieldMaxRetries     = "max_retries"
	fieldBackoff        = "backoff"
	fieldBackoffInitial = "initial_interval"
	fieldBackoffMax     = "max_interval"
	fieldTimeout        = "timeout"
	fieldHostPolicy     = "host_selection_policy"
	fieldLocalDC        = "local_dc"
	fieldLocalRack      = "local_rack"
	fieldConsistency    = "consistency"
	fieldSpeculation    = "speculative_execution"
	fieldAttempts       = "attempts"
	fieldDelay          = "delay"
	fieldConnections    = "connections_per_host"
)

// Settings say how a cluster is reached. Use ParseSettings or NewSettings: the
// zero value lacks consistency, timeout and back-off.
type Settings struct {
	Addresses []string // host or host:port; any node leads to all
	Keyspace  string
	TLS       *tls.Config // nil: no TLS
	Username  string      // empty: no authentication
	Password  string

	LocalDC, LocalRack  string
	Consistency         gocql.Consistency
	Timeout             time.Duration // of one request to one node
	MaxRetries          int           // further nodes that a request is sent to at once
	BackOffMin          time.Duration
	BackOffMax          time.Duration
	SpeculativeAttempts int
	SpeculativeDelay    time.Duration
	ConnectionsPerHost  int
	NoHostLookup        bool
}

// NewSettings returns the defaults of the connection fields.
func NewSettings(keyspace string, addresses ...string) Settings {
	return Settings{
		Addresses: addresses, Keyspace: keyspace, Consistency: gocql.Quorum, Timeout: 5 * time.Second, MaxRetries: 3,
		BackOffMin: 100 * time.Millisecond, BackOffMax: 5 * time.Second, SpeculativeDelay: 200 * time.Millisecond, ConnectionsPerHost: 2,
	}
}

// connectionFields are those that all components share, named as in Redpanda
// Connect where it has them.
func connectionFields(keyspace *service.ConfigField) []*service.ConfigField {
	return []*service.ConfigField{
		service.NewStringListField(fieldAddresses).
			Description("Nodes to connect to first, as host or host:port; they name all others. An item may hold several, separated by commas.").
			Example([]string{"localhost:9042"}).
			Example([]string{"${CASSANDRA_ADDRESSES:127.0.0.1:9042}"}),
		keyspace,
		service.NewTLSToggledField(fieldTLS).Advanced(),
		service.NewObjectField(fieldAuth,
			service.NewBoolField(fieldAuthEnabled).Description("Whether to log in.").Default(false),
			service.NewStringField(fieldAuthUsername).Description("The role to log in as.").Default(""),
			service.NewStringField(fieldAuthPassword).Description("Its password.").Default("").Secret(),
		).Description("Log in with a password.").Advanced(),
		service.NewBoolField(fieldNoHostLookup).
			Description("Use only the addresses given, and do not ask them for the other nodes; rows are then not sent to the nodes that own them.").
			Default(false).Advanced(),
		service.NewIntField(fieldMaxRetries).
			Description("How many further nodes a request is sent to at once when one does not answer, is overloaded or lacks replicas. After that it waits and begins again.").
			Default(3).Advanced(),
		service.NewObjectField(fieldBackoff,
			service.NewDurationField(fieldBackoffInitial).Description("The first wait.").Default("100ms"),
			service.NewDurationField(fieldBackoffMax).Description("The longest wait.").Default("5s"),
		).Description("The growing wait between attempts.").Advanced(),
		service.NewDurationField(fieldTimeout).
			Description("How long to wait for a node to answer. Keep it above the servers' own time-outs for writes (2s by default).").
			Default("5s").Advanced(),
		service.NewObjectField(fieldHostPolicy,
			service.NewStringField(fieldLocalDC).Description("Use only nodes of this data centre.").Default(""),
			service.NewStringField(fieldLocalRack).Description("Prefer nodes of this rack; needs `local_dc`.").Default(""),
		).Description("Rows go to the nodes that own them; these fields say which of those come first.").Advanced(),
		service.NewStringEnumField(fieldConsistency,
			"ANY", "ONE", "TWO", "THREE", "QUORUM", "ALL", "LOCAL_QUORUM", "EACH_QUORUM", "LOCAL_ONE").
			Description("How many replicas must answer. With several data centres use `LOCAL_QUORUM` and `local_dc`.").
			Default("QUORUM").Advanced(),
		service.NewObjectField(fieldSpeculation,
			service.NewIntField(fieldAttempts).Description("How many further nodes to ask; 0 turns it off.").Default(0),
			service.NewDurationField(fieldDelay).Description("How long to wait for an answer before the next is asked.").Default("200ms"),
		).Description("Ask further nodes while one is slow: lower tail latency for more load.").Advanced(),
		service.NewIntField(fieldConnections).
			Description("Connections to each node.").
			Default(2).Advanced(),
	}
}

func keyspaceField() *service.ConfigField {
	return service.NewStringField(fieldKeyspace).
		Description("The keyspace of tables that the query names without one.").
		Example("recsys").
		Default("")
}

func parseSettings(conf *service.ParsedConfig) (s Settings, err error) {
	addresses, err := conf.FieldStringList(fieldAddresses)
	if err != nil {
		return s, err
	}
	for _, item := range addresses {
		s.Addresses = append(s.Addresses, splitList(item)...)
	}
	if s.Keyspace, err = conf.FieldString(fieldKeyspace); err != nil {
		return s, err
	}
	config, secure, err := conf.FieldTLSToggled(fieldTLS)
	if err != nil {
		return s, err
	}
	if secure {
		s.TLS = config
	}
	if err = parseLogin(conf.Namespace(fieldAuth), &s); err != nil {
		return s, err
	}
	if err = parseRouting(conf, &s); err != nil {
		return s, err
	}
	if err = parsePatience(conf, &s); err != nil {
		return s, err
	}
	return s, s.check()
}

func parseLogin(conf *service.ParsedConfig, s *Settings) error {
	enabled, err := conf.FieldBool(fieldAuthEnabled)
	if err != nil || !enabled {
		return err
	}
	if s.Username, err = conf.FieldString(fieldAuthUsername); err != nil {
		return err
	}
	if s.Username == "" {
		return fmt.Errorf("field %s.%s is empty; give the role to log in as, or set enabled: false", fieldAuth, fieldAuthUsername)
	}
	s.Password, err = conf.FieldString(fieldAuthPassword)
	return err
}

func parseRouting(conf *service.ParsedConfig, s *Settings) (err error) {
	if s.NoHostLookup, err = conf.FieldBool(fieldNoHostLookup); err != nil {
		return err
	}
	if s.LocalDC, err = conf.FieldString(fieldHostPolicy, fieldLocalDC); err != nil {
		return err
	}
	if s.LocalRack, err = conf.FieldString(fieldHostPolicy, fieldLocalRack); err != nil {
		return err
	}
	if s.ConnectionsPerHost, err = conf.FieldInt(fieldConnections); err != nil {
		return err
	}
	name, err := conf.FieldString(fieldConsistency)
	if err != nil {
		return err
	}
	if s.Consistency, err = gocql.ParseConsistencyWrapper(name); err != nil {
		return fmt.Errorf("field %s: %w", fieldConsistency, err)
	}
	return nil
}

func parsePatience(conf *service.ParsedConfig, s *Settings) (err error) {
	for _, field := range []struct {
		to   *int
		path []string
	}{{&s.MaxRetries, []string{fieldMaxRetries}}, {&s.SpeculativeAttempts, []string{fieldSpeculation, fieldAttempts}}} {
		if *field.to, err = conf.FieldInt(field.path...); err != nil {
			return err
		}
	}
	for _, field := range []struct {
		to   *time.Duration
		path []string
	}{
		{&s.Timeout, []string{fieldTimeout}},
		{&s.BackOffMin, []string{fieldBackoff, fieldBackoffInitial}},
		{&s.BackOffMax, []string{fieldBackoff, fieldBackoffMax}},
		{&s.SpeculativeDelay, []string{fieldSpeculation, fieldDelay}},
	} {
		if *field.to, err = conf.FieldDuration(field.path...); err != nil {
			return err
		}
	}
	return nil
}

// check finds settings that can never work.
func (s Settings) check() error {
	switch {
	case len(s.Addresses) == 0 || slices.Contains(s.Addresses, ""):
		return fmt.Errorf("field %s names no node; give at least one host or host:port", fieldAddresses)
	case s.Keyspace != "" && !isIdentifier(s.Keyspace):
		return fmt.Errorf("field %s: %q is no name of a keyspace; use letters, digits and _, at most 48", fieldKeyspace, s.Keyspace)
	case s.LocalRack != "" && s.LocalDC == "":
		return fmt.Errorf("field %s.%s needs %s; racks are named within a data centre", fieldHostPolicy, fieldLocalRack, fieldLocalDC)
	case s.Timeout <= 0:
		return fmt.Errorf("field %s is %s; it must be positive", fieldTimeout, s.Timeout)
	case s.BackOffMin <= 0 || s.BackOffMax < s.BackOffMin:
		return fmt.Errorf("field %s: %s is %s and %s is %s; the first must be positive and not above the second",
			fieldBackoff, fieldBackoffInitial, s.BackOffMin, fieldBackoffMax, s.BackOffMax)
	case s.MaxRetries < 0 || s.SpeculativeAttempts < 0:
		return fmt.Errorf("fields %s and %s.%s must not be negative", fieldMaxRetries, fieldSpeculation, fieldAttempts)
	case s.SpeculativeAttempts > 0 && s.SpeculativeDelay <= 0:
		return fmt.Errorf("field %s.%s is %s; it must be positive", fieldSpeculation, fieldDelay, s.SpeculativeDelay)
	case s.ConnectionsPerHost < 1:
		return fmt.Errorf("field %s is %d; it must be at least 1", fieldConnections, s.ConnectionsPerHost)
	}
	return nil
}

// cluster is what the driver connects with.
func (s Settings) cluster(keyspace string) *gocql.ClusterConfig {
	c := gocql.NewCluster(s.Addresses...)
	c.Keyspace = keyspace
	c.Timeout, c.WriteTimeout = s.Timeout, s.Timeout
	c.ConnectTimeout = max(s.Timeout, 5e9)
	c.NumConns = s.ConnectionsPerHost
	c.Consistency = s.Consistency
	c.DefaultIdempotence = true
	c.DisableInitialHostLookup = s.NoHostLookup
	c.ReconnectInterval = time.Second
	c.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 1, Interval: time.Second}
	c.RetryPolicy = nextNode{s.MaxRetries}
	c.SocketKeepalive = 15 * time.Second
	c.Metadata.CacheMode = gocql.Full
	if s.Username != "" {
		c.Authenticator = gocql.PasswordAuthenticator{Username: s.Username, Password: s.Password}
	}
	if s.TLS != nil {
		c.SslOpts = &gocql.SslOptions{Config: s.TLS.Clone(), EnableHostVerification: !s.TLS.InsecureSkipVerify}
	}
	c.PoolConfig.HostSelectionPolicy = newHealthPolicy(s.hostPolicy(), 2*s.Timeout)
	return c
}

func (s Settings) hostPolicy() gocql.HostSelectionPolicy {
	switch {
	case s.LocalRack != "":
		return gocql.TokenAwareHostPolicy(gocql.RackAwareRoundRobinPolicy(s.LocalDC, s.LocalRack), gocql.ShuffleReplicas())
	case s.LocalDC != "":
		return gocql.TokenAwareHostPolicy(gocql.DCAwareRoundRobinPolicy(s.LocalDC), gocql.ShuffleReplicas())
	}
	return gocql.TokenAwareHostPolicy(gocql.RoundRobinHostPolicy(), gocql.ShuffleReplicas())
}

// query and batch are requests as the settings want them: idempotent, and
// speculative where that is on.
func (s Settings) query(session *gocql.Session, statement string, args ...any) *gocql.Query {
	q := session.Query(statement, args...)
	if s.SpeculativeAttempts > 0 {
		q.SetSpeculativeExecutionPolicy(&gocql.SimpleSpeculativeExecution{NumAttempts: s.SpeculativeAttempts, TimeoutDelay: s.SpeculativeDelay})
	}
	return q
}

func (s Settings) batch(session *gocql.Session, kind gocql.BatchType) *gocql.Batch {
	b := session.Batch(kind)
	if s.SpeculativeAttempts > 0 {
		b.SpeculativeExecutionPolicy(&gocql.SimpleSpeculativeExecution{NumAttempts: s.SpeculativeAttempts, TimeoutDelay: s.SpeculativeDelay})
	}
	return b
}
