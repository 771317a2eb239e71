package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// CassandraOptions describe a Cassandra cluster. The zero value is one node without
// security. No keyspace is made.
type CassandraOptions struct {
	Nodes int // 1 (also for 0) to 3, all in datacenter1; node i is 127.0.0.i, on one port

	Auth       bool      // clients log in as Cluster.Username, a superuser, and others need grants
	TLS        bool      // clients connect by TLS
	ClientAuth bool      // with TLS: clients must show a certificate by Cluster.CAFile
	NotAfter   time.Time // with TLS: end of the servers' certificate; zero means in a day

	// Advertise is, by node, the host that clients are told, on the port of the nodes,
	// which is reserved there: that of a proxy in front of it. Nodes without one tell
	// their own.
	Advertise []string

	// Data is, by node, a folder for its data that exists, and that the caller removes.
	// Nodes without one have theirs in Cluster.Dir.
	Data []string

	// Settings are lines added to cassandra.yaml or replacing what is there, from the
	// name of a top-level setting to its value in YAML.
	Settings map[string]string

	Bench bool // a JVM that runs fast rather than starts fast
}

// Cassandra is a running Cassandra cluster.
type Cassandra struct {
	Cluster
	options CassandraOptions
}

// StartCassandra starts a Cassandra cluster and waits until all nodes answer and see
// each other. The caller closes it.
func StartCassandra(ctx context.Context, o CassandraOptions) (*Cassandra, error) {
	c, err := startCassandra(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("starting cassandra: %w", err)
	}
	return c, nil
}

func startCassandra(ctx context.Context, o CassandraOptions) (*Cassandra, error) {
	runtime, err := findJava()
	if err != nil {
		return nil, err
	}
	dir, err := cassandraRelease.fetch(ctx)
	if err != nil {
		return nil, err
	}
	archive, err := classArchive(ctx, cassandraRelease, runtime, func(ctx context.Context, path string) error {
		return trainCassandra(ctx, runtime, dir, path)
	})
	if err != nil {
		return nil, err
	}
	c, err := newCassandra(o, runtime, dir, "-XX:SharedArchiveFile="+archive)
	if err != nil {
		return nil, err
	}
	if err := c.Start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// trainCassandra has a node write the classes it uses to an archive as it stops.
func trainCassandra(ctx context.Context, runtime java, dir, archive string) error {
	c, err := newCassandra(CassandraOptions{}, runtime, dir, "-XX:ArchiveClassesAtExit="+archive)
	if err != nil {
		return err
	}
	err = c.Start(ctx)
	if err == nil {
		err = c.Nodes[0].Stop(ctx)
	}
	return errors.Join(err, c.Close())
}

// newCassandra lays out the folders of a cluster whose nodes can be started then.
func newCassandra(o CassandraOptions, runtime java, dir, archiveFlag string) (*Cassandra, error) {
	o.Nodes = max(o.Nodes, 1)
	base, err := newCluster("cassandra", o.Nodes)
	if err != nil {
		return nil, err
	}
	c := &Cassandra{options: o}
	c.Dir, c.release = base.Dir, base.release
	if err := c.layOut(runtime, dir, archiveFlag); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cassandra) layOut(runtime java, dir, archiveFlag string) error {
	o := c.options
	ports, err := c.reserve(2, append(hosts(o.Nodes), o.Advertise...))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "logback.xml"), []byte(cassandraLogging), 0o644); err != nil {
		return err
	}
	l := cassandraLayout{CassandraOptions: o, dir: c.Dir, client: ports[0], storage: ports[1]}
	if o.Auth {
		c.Username, c.Password = "cassandra", "cassandra" // as Cassandra makes it
	}
	if o.TLS {
		if l.certificates, err = issueCertificates(filepath.Join(c.Dir, "certificates"), o.NotAfter); err != nil {
			return err
		}
		l.certificates.use(&c.Cluster)
	}
	jars, err := classpath(dir)
	if err != nil {
		return err
	}
	for i, host := range hosts(o.Nodes) {
		if err := os.WriteFile(l.file(i), []byte(l.settings(i)), 0o644); err != nil {
			return err
		}
		n := &Node{Name: fmt.Sprintf("cassandra node %d", i+1), Address: net.JoinHostPort(host, strconv.Itoa(l.client))}
		n.command = command{
			path: runtime.binary(),
			args: append(l.flags(i, archiveFlag), "-cp", jars, "org.apache.cassandra.service.CassandraDaemon"),
			dir:  c.Dir,
			log:  filepath.Join(c.Dir, fmt.Sprintf("cassandra-%d.log", i+1)),
		}
		n.ready = func(ctx context.Context) error { return c.ready(ctx, i) }
		c.Nodes = append(c.Nodes, n)
	}
	return nil
}

// ready looks whether node i answers queries and has as many live replicas, itself
// included, as there are nodes running, all of which hold all of the keyspace that it
// asks; and whether the others count on it.
func (c *Cassandra) ready(ctx context.Context, i int) error {
	if err := reachable(ctx, c.Nodes[i].Address); err != nil {
		return err // the driver's error would be longer, and slower
	}
	all := c.running()
	levels := map[int]gocql.Consistency{1: gocql.One, 2: gocql.Two, 3: gocql.Three}
	for _, n := range all {
		if err := c.query(ctx, n, levels[len(all)]); err != nil {
			return fmt.Errorf("asking %s: %w", n.Name, err)
		}
	}
	return nil
}

func reachable(ctx context.Context, address string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// query reads, at a level, from a keyspace that Cassandra keeps on up to three nodes.
func (c *Cassandra) query(ctx context.Context, n *Node, level gocql.Consistency) error {
	host, port, err := net.SplitHostPort(n.Address)
	if err != nil {
		return err
	}
	cfg := gocql.NewCluster(host)
	if cfg.Port, err = strconv.Atoi(port); err != nil {
		return err
	}
	cfg.ProtoVersion, cfg.NumConns = 4, 1
	cfg.ConnectTimeout, cfg.Timeout = 3*time.Second, 3*time.Second
	cfg.DisableInitialHostLookup, cfg.IgnorePeerAddr = true, true
	cfg.Logger = gocql.NewLogger(gocql.LogLevelNone)
	cfg.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 1, Interval: time.Second}
	if c.options.Auth {
		cfg.Authenticator = gocql.PasswordAuthenticator{Username: c.Username, Password: c.Password}
	}
	if c.options.TLS {
		conf, err := c.TLSConfig()
		if err != nil {
			return err
		}
		conf.InsecureSkipVerify = true // the certificate may be one that has expired
		cfg.SslOpts = &gocql.SslOptions{Config: conf}
	}
	session, err := cfg.CreateSession()
	if err != nil {
		return err
	}
	defer session.Close()
	return session.Query("SELECT view_name FROM system_distributed.view_build_status WHERE keyspace_name = '' AND view_name = ''").
		Consistency(level).ExecContext(ctx)
}
