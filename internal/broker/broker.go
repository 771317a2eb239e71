package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Defaults of Config.
const (
	DefaultAddress  = "127.0.0.1:9092"
	DefaultMaxBytes = 64 << 20
)

const (
	maxSegmentBytes = 4 << 20
	minSegmentBytes = 64 << 10
	retentionPeriod = time.Second
	startTimeout    = 30 * time.Second
)

// Errors of Open.
var (
	// ErrLocked: another process has this folder open.
	ErrLocked = errors.New("data folder is in use by another broker")
	// ErrAddressInUse: another program listens on the port.
	ErrAddressInUse = errors.New("address is already in use")
	// ErrNotLoopback: the address could be reached from other machines.
	ErrNotLoopback = errors.New("embedded broker listens on loopback only")
)

// Topic is created by Open unless it exists.
type Topic struct {
	Name       string
	Partitions int32 // zero means 1
}

// Config of an embedded broker. Only Dir is required.
type Config struct {
	// Dir holds all data, and the lock. It is created if missing.
	Dir string
	// Address is host:port on 127.0.0.1; empty means DefaultAddress, port 0 a free port.
	Address string
	// Topics exist after Open. A topic that exists already stays as it is.
	Topics []Topic
	// MaxBytes bounds the segments of all topics together; zero means DefaultMaxBytes.
	MaxBytes int64
	// MaxAge bounds the wall-clock age of a segment's newest record; zero means no bound.
	MaxAge time.Duration
	// Logger may be nil.
	Logger *slog.Logger
}

// Broker is a running embedded broker. Its methods are safe for concurrent use.
type Broker struct {
	cfg     Config
	dataDir string
	addr    string
	log     *slog.Logger
	lock    *folderLock
	cluster *kfake.Cluster
	client  *kgo.Client
	admin   *kadm.Client

	stop      context.CancelFunc
	done      sync.WaitGroup
	closeOnce sync.Once
	closeErr  error

	heldBack atomic.Bool // the last round of retention could not get below MaxBytes
	full     atomic.Bool // there is no room on the disk
}

// Open starts a broker on the data of cfg.Dir, creates the missing topics and
// returns when it answers. The caller must Close it.
func Open(cfg Config) (*Broker, error) {
	port, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("creating the broker's data folder: %w", err)
	}
	lock, err := lockFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	b := &Broker{cfg: cfg, dataDir: filepath.Join(cfg.Dir, "data"), log: cfg.Logger, lock: lock}
	if err := b.start(port); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// complete fills in the defaults and returns the port.
func (c *Config) complete() (int, error) {
	if c.Dir == "" {
		return 0, errors.New("opening the embedded broker: Dir is empty; name a folder for its data")
	}
	if c.Address == "" {
		c.Address = DefaultAddress
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	host, service, err := net.SplitHostPort(c.Address)
	if err != nil {
		return 0, fmt.Errorf("reading the embedded broker's address %q: %w; write it as 127.0.0.1:9092", c.Address, err)
	}
	if host != "127.0.0.1" && host != "localhost" {
		return 0, fmt.Errorf("%w: %q is not 127.0.0.1 or localhost; use a real Kafka cluster to serve other machines", ErrNotLoopback, c.Address)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("reading the embedded broker's address %q: the port must be a number from 0 to 65535", c.Address)
	}
	return int(port), nil
}

func (b *Broker) start(port int) error {
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.Ports(port),
		kfake.ClusterID("recsys-benthos"),
		kfake.DataDir(b.dataDir),
		kfake.DefaultNumPartitions(1),
		kfake.GroupMinSessionTimeout(time.Second),
		kfake.WithLogger(clusterLog{b.log}),
		kfake.BrokerConfigs(map[string]string{
			"log.retention.ms":        "-1",
			"log.retention.bytes":     "-1",
			"log.segment.bytes":       strconv.FormatInt(b.cfg.segmentBytes(), 10),
			"state.log.compact.bytes": "1048576",
		}),
	)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: port %d of 127.0.0.1; stop the program that listens there, or choose another port (0 picks a free one)", ErrAddressInUse, port)
	}
	if err != nil {
		return fmt.Errorf("starting the embedded broker on %s: %w", b.cfg.Dir, err)
	}
	b.cluster = cluster
	b.guardRoom(cluster)
	b.addr = cluster.ListenAddrs()[0]

	b.client, err = kgo.NewClient(kgo.SeedBrokers(b.addr), kgo.ClientID("recsys-broker"))
	if err != nil {
		return fmt.Errorf("connecting to the embedded broker: %w", err)
	}
	b.admin = kadm.NewClient(b.client)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := b.createTopics(ctx); err != nil {
		return err
	}

	loopCtx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.done.Go(func() { b.retentionLoop(loopCtx) })
	return nil
}

// segmentBytes is small enough for whole segments to be a useful unit of
// deletion: the newest segment of each partition always stays.
func (c *Config) segmentBytes() int64 {
	partitions := int64(0)
	for _, t := range c.Topics {
		partitions += int64(max(t.Partitions, 1))
	}
	return min(max(c.MaxBytes/(2*max(partitions, 1)), minSegmentBytes), maxSegmentBytes)
}

func (b *Broker) createTopics(ctx context.Context) error {
	for _, t := range b.cfg.Topics {
		_, err := b.admin.CreateTopic(ctx, max(t.Partitions, 1), 1, nil, t.Name)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("creating topic %q on the embedded broker: %w", t.Name, err)
		}
	}
	return nil
}

// Addr returns the address the broker listens on, as host:port.
func (b *Broker) Addr() string { return b.addr }

// Close stops the broker, writes its state and releases the folder. Further
// calls return the same error.
func (b *Broker) Close() error {
	b.closeOnce.Do(func() {
		if b.stop != nil {
			b.stop()
		}
		b.done.Wait()
		if b.client != nil {
			b.client.Close()
		}
		if b.cluster != nil {
			b.cluster.Close()
		}
		b.closeErr = b.lock.release()
	})
	return b.closeErr
}

// clusterLog passes kfake's warnings on.
type clusterLog struct{ log *slog.Logger }

func (l clusterLog) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.log.Error("embedded broker: " + fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.log.Warn("embedded broker: " + fmt.Sprintf(format, args...))
	}
}
