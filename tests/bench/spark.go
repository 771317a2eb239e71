package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

//go:embed spark.py
var sparkProgram []byte

// sparkTable compares our predictor with the original's on Spark Structured
// Streaming, over the same requests.
func sparkTable(ctx context.Context, b *bench) (table, error) {
	spark, err := servers.FetchSpark(ctx)
	if err != nil {
		return table{}, err
	}
	model, err := b.sparkModel()
	if err != nil {
		return table{}, err
	}
	script := filepath.Join(b.dir, "spark.py")
	if err := os.WriteFile(script, sparkProgram, 0o600); err != nil {
		return table{}, err
	}
	s, err := b.openStage(ctx)
	if err != nil {
		return table{}, err
	}
	if err := b.fillRequests(ctx, s); err != nil {
		return table{}, err
	}
	ours := &contender{name: "recsys-benthos", run: func(ctx context.Context, _ int) (result, error) {
		return b.predictAtLeastOnce(ctx, s, false)
	}}
	theirs := &contender{name: "Spark Structured Streaming", run: func(ctx context.Context, round int) (result, error) {
		progress, err := s.appended(ctx, "out")
		if err != nil {
			return result{}, err
		}
		n, err := s.end(ctx, "requests")
		if err != nil {
			return result{}, err
		}
		p, err := b.start(ctx, "spark", nil, spark.Python, script, spark.Jars, s.address(), model,
			filepath.Join(b.data, "movies.csv"), filepath.Join(b.dir, fmt.Sprint("checkpoint-", round)))
		if err != nil {
			return result{}, err
		}
		defer p.stop()
		return measure(ctx, int(n), 10*pollInterval, progress, p)
	}}
	if err := b.inTurns(ctx, ours, theirs); err != nil {
		return table{}, err
	}
	return table{note: "the second half of " + digits(float64(b.messages)) + " events per run, or the whole", rows: []row{
		{what: "CPU per message after warm-up, against the original's predictor on Spark", unit: "µs", ours: ours.cpu(), yardstick: theirs.cpu(), floor: 1.0 / 7, aim: 1.0 / 11, less: true},
		{what: "CPU per message from the start of the process on", unit: "µs", ours: ours.whole(), yardstick: theirs.whole(), floor: 1.0 / 7, aim: 1.0 / 11, less: true},
		{what: "throughput", unit: "msg/s", ours: ours.perSecond(), yardstick: theirs.perSecond()},
		{what: "peak memory", unit: "MiB", ours: ours.rss(), yardstick: theirs.rss(), less: true},
	}}, nil
}

// sparkModel is the folder of the original's model, beside MovieLens.
func (b *bench) sparkModel() (string, error) {
	for _, root := range []string{os.Getenv("RECSYS_DATA"), filepath.Dir(b.data)} {
		folder := filepath.Join(root, "spark-2.4-als-model")
		if _, err := os.Stat(folder); err == nil {
			return folder, nil
		}
	}
	return "", fmt.Errorf("RECSYS_DATA=%s: there is no folder spark-2.4-als-model, a model saved by Spark", os.Getenv("RECSYS_DATA"))
}
