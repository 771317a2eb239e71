// Command bench measures the pipelines on real servers against programs that
// were written by hand for the same work, and the engine against other
// libraries, and prints the tables of docs/benchmarks.md:
//
//	RECSYS_DATA=… go run ./tests/bench                 # all tables
//	RECSYS_DATA=… go run ./tests/bench predict latency
//
// A machine is never quiet, so what is compared runs in turns, several rounds in
// one run, and what counts is the ratio. The servers are those of tests/servers,
// on the same machine, and compete with both sides for its cores. Only the second
// half of a run is measured, when everything is warm. It runs on Linux, because
// CPU and memory are read from /proc.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// subject is what one table is about.
type subject struct {
	name, about string
	servers     bool // it needs Kafka, Cassandra or Elasticsearch
	run         func(context.Context, *bench) (table, error)
}

// tables are what can be measured, in the order of docs/benchmarks.md.
var tables = []subject{
	{"explicit", "training by als, MovieLens 1M shape", false, explicitTable},
	{"implicit", "training the head that ranks, MovieLens 1M shape", false, implicitTable},
	{"spark-als", "training by als against Spark, MovieLens 1M shape", false, sparkALSTable},
	{"original", "the original's training job as its users run it", false, originalTable},
	{"engine", "training, ranking and folding in by themselves", false, engineTable},
	{"oryx", "top 10 of a million movies against Oryx", false, oryxTable},
	{"http", "GET /api/recommend/{user} and what else is asked by HTTP", false, httpTable},
	{"mix", "good requests with bad ones between them, by HTTP", false, mixTable},
	{"page", "the live page with 50 viewers", false, pageTable},
	{"capacity", "what users, movies and ratings take of memory", false, capacityTable},
	{"predict", "Kafka → als_predict → movie_enrich → Kafka", true, predictTable},
	{"observe", "the same with metrics, traces and evaluation, against without", true, observeTable},
	{"spark", "the same against the original's predictor", true, sparkTable},
	{"latency", "from a request to its prediction", true, latencyTable},
	{"swap", "models that change under traffic", true, swapTable},
	{"soak", "an hour at 60 % of the maximum", true, soakTable},
	{"overload", "three times the maximum", true, overloadTable},
	{"odd", "a poison message, a hot key, a large message between good ones", true, oddTable},
	{"scale", "two predicting processes against one", true, scaleTable},
	{"cassandra", "Kafka → Cassandra, and the scan for training", true, cassandraTable},
	{"elasticsearch", "Kafka → Elasticsearch", true, elasticsearchTable},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	app := &cli.App{
		Name:      "bench",
		Usage:     "Measure the pipelines on real servers",
		ArgsUsage: "[TABLE…]",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "messages", Usage: "events of predict and scale", Value: 1_000_000},
			&cli.IntFlag{Name: "rows", Usage: "messages of cassandra and elasticsearch", Value: 200_000},
			&cli.IntFlag{Name: "rounds", Usage: "how often everything is measured", Value: 3},
			&cli.DurationFlag{Name: "duration", Usage: "of one measurement of latency", Value: 10 * time.Second},
			&cli.DurationFlag{Name: "soak", Usage: "how long soak lasts", Value: time.Hour},
			&cli.StringFlag{Name: "pprof", Usage: "file for a CPU profile of our process (predict, at least once, and http; last round)"},
		},
		Action:   measureTables,
		Commands: handWritten(),
	}
	if err := app.RunContext(ctx, os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is what all tables share.
type bench struct {
	messages, rows, rounds int
	duration, soak         time.Duration
	pprof                  string

	root   string // the repository
	dir    string // removed at the end
	data   string // ml-latest-small
	binary string // recsys-benthos
	self   string // this program, for what is written by hand

	registry string // URL of a registry with a champion
	kafka    *stage // nil until something asks for it
}

func measureTables(c *cli.Context) error {
	names := c.Args().Slice()
	for _, name := range names {
		if !slices.ContainsFunc(tables, func(t subject) bool { return t.name == name }) {
			return fmt.Errorf("there is no table %q; give some of %s", name, strings.Join(tableNames(), ", "))
		}
	}
	wanted := tables
	if len(names) > 0 {
		wanted = slices.DeleteFunc(slices.Clone(tables), func(t subject) bool { return !slices.Contains(names, t.name) })
	}
	onServers := slices.ContainsFunc(wanted, func(t subject) bool { return t.servers })
	if missing := servers.Missing(); onServers && missing != "" {
		return errors.New(missing)
	}
	b := &bench{
		messages: c.Int("messages"), rows: c.Int("rows"), rounds: c.Int("rounds"),
		duration: c.Duration("duration"), soak: c.Duration("soak"), pprof: c.String("pprof"),
	}
	defer b.close()
	if err := b.prepare(c.Context, onServers); err != nil {
		return err
	}
	fmt.Printf("%s.\n", b.machine())
	for _, t := range wanted {
		started := time.Now()
		result, err := t.run(c.Context, b)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", t.name, err)
		}
		fmt.Printf("\n## %s: %s\n\n%s\n%s in %.0f s.\n", t.name, t.about, result.markdown(),
			strings.TrimSpace("Measured "+result.note), time.Since(started).Seconds())
	}
	return nil
}

func tableNames() []string {
	var names []string
	for _, t := range tables {
		names = append(names, t.name)
	}
	return names
}

// prepare builds the binary and, for the servers, trains the model.
func (b *bench) prepare(ctx context.Context, onServers bool) error {
	var err error
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "recsys-bench-"); err != nil {
		return err
	}
	if b.data, err = dataFolder(); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("finding the repository: %w; run this in it", err)
	}
	b.root = strings.TrimSpace(string(out))
	b.binary = filepath.Join(b.dir, "recsys-benthos")
	if err := b.run(ctx, "go", "build", "-o", b.binary, "./cmd/recsys-benthos"); err != nil {
		return err
	}
	if !onServers {
		return nil
	}
	b.registry = "file://" + filepath.Join(b.dir, "registry")
	return b.run(ctx, b.binary, "train", "--ratings", b.data, "--registry", b.registry)
}

func (b *bench) run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = b.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s %s: %w\n%s", filepath.Base(name), args[0], err, out)
	}
	return nil
}

// dataFolder is ml-latest-small, which RECSYS_DATA names itself or by its parent.
func dataFolder() (string, error) {
	root := os.Getenv("RECSYS_DATA")
	for _, folder := range []string{root, filepath.Join(root, "ml-latest-small")} {
		if _, err := os.Stat(filepath.Join(folder, "ratings.csv")); err == nil && root != "" {
			return folder, nil
		}
	}
	return "", fmt.Errorf("RECSYS_DATA=%s: neither it nor its folder ml-latest-small holds ratings.csv; set it to the unpacked folder of MovieLens ml-latest-small", root)
}

func (b *bench) close() {
	if b.kafka != nil {
		b.kafka.close()
	}
	if b.dir != "" {
		os.RemoveAll(b.dir)
	}
}
