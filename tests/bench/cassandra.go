package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/plugins/cassandra"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

const keyspace = "recsys"

// clusterProfile writes those resources of config/cluster.yaml that a pipeline
// needs, so that no other server has to run, and returns the file's path.
func (b *bench) clusterProfile(labels ...string) (string, error) {
	data, err := os.ReadFile(filepath.Join(b.root, "config/cluster.yaml"))
	if err != nil {
		return "", err
	}
	var profile map[string][]yaml.Node // nodes keep their quotes, which a variable that is empty needs
	if err := yaml.Unmarshal(data, &profile); err != nil {
		return "", err
	}
	for section, resources := range profile {
		profile[section] = slices.DeleteFunc(resources, func(resource yaml.Node) bool {
			var labelled struct{ Label string }
			return resource.Decode(&labelled) != nil || !slices.Contains(labels, labelled.Label)
		})
	}
	if data, err = yaml.Marshal(profile); err != nil {
		return "", err
	}
	path := filepath.Join(b.dir, labels[len(labels)-1]+".yaml")
	return path, os.WriteFile(path, data, 0o600)
}

// cassandraTable writes b.rows events and reads all ratings.
func cassandraTable(ctx context.Context, b *bench) (table, error) {
	s, err := b.openStage(ctx)
	if err != nil {
		return table{}, err
	}
	node, err := servers.StartCassandra(ctx, servers.CassandraOptions{Bench: true})
	if err != nil {
		return table{}, err
	}
	defer node.Close()
	address := node.Addresses()[0]
	settings := cassandra.NewSettings(keyspace, address)
	if err := cassandra.Setup(ctx, settings, cassandra.SetupOptions{}); err != nil {
		return table{}, err
	}
	profile, err := b.clusterProfile("kafka", "dead_letters", "ratings_sink", "rating_store")
	if err != nil {
		return table{}, err
	}
	e, err := b.events(4)
	if err != nil {
		return table{}, err
	}
	if err := s.fill(ctx, "events", b.rows, e.rating); err != nil {
		return table{}, err
	}
	ours := &contender{name: "ingest.yaml", run: func(ctx context.Context, _ int) (result, error) {
		return b.drain(ctx, s, profile, "ingest", []string{"CASSANDRA_ADDRESSES=" + address})
	}}
	contenders := []*contender{ours}
	for _, variant := range []struct {
		name    string
		workers int
	}{{"users", 64}, {"users", 256}, {"rows", 256}} {
		contenders = append(contenders, &contender{
			name: fmt.Sprintf("%s by hand, %d at a time", variant.name, variant.workers),
			run: func(ctx context.Context, _ int) (result, error) {
				return b.drainByHand(ctx, s, "events", b.rows, "cassandra-by-hand", "--servers", address,
					"--variant", variant.name, "--workers", fmt.Sprint(variant.workers))
			},
		})
	}
	if err := b.inTurns(ctx, contenders...); err != nil {
		return table{}, err
	}
	best := fastest(contenders[1:])
	rows := []row{
		{what: "Kafka → Cassandra, against " + best.name, unit: "rows/s", ours: ours.perSecond(), yardstick: best.perSecond(), floor: 0.8, aim: 0.95},
		{what: "CPU per row of it", unit: "µs", ours: ours.cpu(), yardstick: best.cpu()},
	}
	scans, err := b.scans(ctx, settings, address)
	return table{note: fmt.Sprintf("the second half of %s events per run, one node, synced commit log", digits(float64(b.rows))), rows: append(rows, scans)}, err
}

func fastest(contenders []*contender) *contender {
	return slices.MaxFunc(contenders, func(x, y *contender) int {
		return int(median(x.perSecond()) - median(y.perSecond()))
	})
}

// drain runs one of our pipelines until its input has no lag.
func (b *bench) drain(ctx context.Context, s *stage, profile, pipeline string, env []string) (result, error) {
	if err := s.rewind(ctx, pipeline); err != nil {
		return result{}, err
	}
	p, err := b.startOurs(ctx, profile, append(env, "KAFKA_BROKERS="+s.address()), pipeline)
	if err != nil {
		return result{}, err
	}
	defer p.stop()
	return measure(ctx, b.rows, 5*pollInterval, func(ctx context.Context) (int64, error) {
		lag, known := p.lag(ctx, partitions)
		if !known {
			return 0, nil
		}
		return int64(b.rows) - lag, nil
	}, p)
}

// drainByHand runs a yardstick, which writes how much it has done.
func (b *bench) drainByHand(ctx context.Context, s *stage, topic string, n int, command string, args ...string) (result, error) {
	if err := s.rewind(ctx, "yardstick"); err != nil {
		return result{}, err
	}
	args = append([]string{command, "--brokers", s.address(), "--topic", topic, "--group", "yardstick"}, args...)
	p, err := b.start(ctx, command, nil, b.self, args...)
	if err != nil {
		return result{}, err
	}
	defer p.stop()
	return measure(ctx, n, 5*pollInterval, func(context.Context) (int64, error) { return p.counted.Load(), nil }, p)
}

// scans reads all ratings as training does, and by hand. There are 500,000.
func (b *bench) scans(ctx context.Context, settings cassandra.Settings, address string) (row, error) {
	const scanned = 500_000
	store, err := cassandra.OpenStore(ctx, settings, cassandra.StoreOptions{}, nil)
	if err != nil {
		return row{}, err
	}
	defer store.Close(context.WithoutCancel(ctx))
	for user := int64(1_000_000); user < 1_000_000+scanned/125; user += 20 {
		rows := make([]ratings.Rating, 2500)
		for i := range rows {
			rows[i] = ratings.Rating{User: user + int64(i/125), Movie: int64(i % 125), Value: 3.5, Time: 1_700_000_000_000}
		}
		if err := store.Apply(ctx, ratings.Changes{Ratings: rows}); err != nil {
			return row{}, err
		}
	}
	ours := &contender{name: "store.Scan", run: timedScan(func(ctx context.Context) (n int, err error) {
		err = store.Scan(ctx, func(page []ratings.Rating) error {
			n += len(page)
			return nil
		})
		return n, err
	})}
	contenders := []*contender{ours}
	for _, workers := range []int{4, 8} {
		contenders = append(contenders, &contender{
			name: fmt.Sprintf("%d ranges by hand, %d at a time", 4*workers, workers),
			run:  timedScan(func(ctx context.Context) (int, error) { return scanByHand(ctx, address, 4*workers, workers) }),
		})
	}
	if err := b.inTurns(ctx, contenders...); err != nil {
		return row{}, err
	}
	best := fastest(contenders[1:])
	return row{what: "Cassandra scan for training, against " + best.name, unit: "rows/s", ours: ours.perSecond(), yardstick: best.perSecond(), floor: 0.8, aim: 0.95}, nil
}

// timedScan scans until five seconds are over and counts rows.
func timedScan(scan func(context.Context) (int, error)) func(context.Context, int) (result, error) {
	return func(ctx context.Context, _ int) (result, error) {
		if _, err := scan(ctx); err != nil { // warm
			return result{}, err
		}
		begin, total := time.Now(), 0
		for time.Since(begin) < 5*time.Second {
			n, err := scan(ctx)
			if err != nil {
				return result{}, err
			}
			total += n
		}
		return result{perSecond: float64(total) / time.Since(begin).Seconds()}, nil
	}
}
