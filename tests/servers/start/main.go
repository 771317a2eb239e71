// Command start runs real servers until Ctrl-C, for people:
//
//	go run ./tests/servers/start kafka=1 cassandra=3 elasticsearch=1
//
// It prints lines to paste into another shell, which export the servers' addresses.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

const usage = "usage: start kafka=NODES …, with NODES from 1 to 3"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run starts what args name, waits for the end of ctx, and stops it all.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	if missing := servers.Missing(); missing != "" {
		return errors.New(missing)
	}
	if len(args) == 0 {
		return errors.New(usage)
	}
	for _, arg := range args {
		began := time.Now()
		variable, cluster, startErr := start(ctx, arg)
		if startErr != nil {
			return startErr
		}
		defer func() { err = errors.Join(err, cluster.Close()) }()
		fmt.Fprintf(out, "export %s=%s\n", variable, strings.Join(cluster.Addresses(), ","))
		fmt.Fprintf(out, "# %s: %.1f s, %d MB, files in %s\n", arg, time.Since(began).Seconds(), cluster.RSS()>>20, cluster.Dir)
	}
	fmt.Fprintln(out, "# Ctrl-C stops them and removes their files")
	<-ctx.Done()
	return nil
}

// start starts one kind of server and returns the variable for its addresses.
func start(ctx context.Context, arg string) (variable string, cluster *servers.Cluster, err error) {
	kind, count, _ := strings.Cut(arg, "=")
	nodes, err := strconv.Atoi(count)
	if err != nil {
		return "", nil, fmt.Errorf("reading %q: %s", arg, usage)
	}
	switch kind {
	case "kafka":
		k, err := servers.StartKafka(ctx, servers.KafkaOptions{Nodes: nodes})
		if err != nil {
			return "", nil, err
		}
		return "KAFKA_BROKERS", &k.Cluster, nil
	case "cassandra":
		c, err := servers.StartCassandra(ctx, servers.CassandraOptions{Nodes: nodes})
		if err != nil {
			return "", nil, err
		}
		return "CASSANDRA_ADDRESSES", &c.Cluster, nil
	case "elasticsearch":
		e, err := servers.StartElasticsearch(ctx, servers.ElasticsearchOptions{Nodes: nodes})
		if err != nil {
			return "", nil, err
		}
		return "ELASTICSEARCH_URLS", &e.Cluster, nil
	case "s3":
		s, err := servers.StartS3(ctx)
		if err != nil {
			return "", nil, err
		}
		return "S3_ENDPOINT", &s.Cluster, nil
	}
	return "", nil, fmt.Errorf("reading %q: %s", arg, usage)
}
