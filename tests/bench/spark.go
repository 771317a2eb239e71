package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

//go:embed spark.py
var sparkProgram []byte

// sparkTable compares our predictor with the original's on Spark Structured
// Streaming, over the same requests, with the same model.
func sparkTable(ctx context.Context, b *bench) (table, error) {
	spark, err := servers.FetchSpark(ctx)
	if err != nil {
		return table{}, err
	}
	model, err := b.sparkModel()
	if err != nil {
		return table{}, err
	}
	imported, err := b.importModel(ctx, model)
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
		n, progress, err := s.again(ctx, "predict", "predictions")
		if err != nil {
			return result{}, err
		}
		p, err := b.startOurs(ctx, b.embedded(), []string{"KAFKA_BROKERS=" + s.address(), "RECSYS_REGISTRY=" + imported}, "predict", "models")
		if err != nil {
			return result{}, err
		}
		return b.catchUpThenWait(ctx, s, p, n, pollInterval, progress, "predictions")
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
		return b.catchUpThenWait(ctx, s, p, n, 10*pollInterval, progress, "out")
	}}
	if err := b.inTurns(ctx, ours, theirs); err != nil {
		return table{}, err
	}
	less := func(what, unit string, floor, aim float64, value func(result) float64) row {
		return row{what: what, unit: unit, ours: ours.each(value), yardstick: theirs.each(value), floor: floor, aim: aim, less: true}
	}
	at := fmt.Sprintf(" from request to prediction at %d/s", sparkRate)
	note := fmt.Sprintf("the second half of %s events per run, or the whole; then single requests for %s", digits(float64(b.messages)), b.duration)
	return table{note: note, rows: []row{
		less("CPU per message after warm-up, against the original's predictor on Spark", "µs", 1.0/7, 1.0/11, func(r result) float64 { return r.cpu }),
		less("CPU per message from the start of the process on", "µs", 1.0/7, 1.0/11, func(r result) float64 { return r.whole }),
		less("p99"+at, "ms", 1.0/100, 0, func(r result) float64 { return r.p99 }),
		less("p50"+at, "ms", 0, 0, func(r result) float64 { return r.p50 }),
		less("from the start to the first prediction", "s", 1.0/10, 0, func(r result) float64 { return r.first }),
		less("peak memory", "MiB", 1.0/8, 0, func(r result) float64 { return r.rss }),
		{what: "throughput", unit: "msg/s", ours: ours.perSecond(), yardstick: theirs.perSecond()},
	}}, nil
}

// sparkRate is how many requests a second have their latencies measured.
const sparkRate = 100

// catchUpThenWait measures how a predictor reads n requests that are there, and then,
// when it is warm, how long single ones take. It stops the predictor.
func (b *bench) catchUpThenWait(ctx context.Context, s *stage, p *process, n int64, interval time.Duration,
	progress func(context.Context) (int64, error), replies string,
) (result, error) {
	r, err := measure(ctx, int(n), interval, progress, p)
	if err != nil {
		p.stop()
		return r, err
	}
	r.p50, r.p99, err = b.latency(ctx, s, p, load{topic: replies, perSecond: sparkRate, duration: b.duration})
	return r, err
}

// importModel returns the URL of a registry whose champion is a model that Spark saved.
func (b *bench) importModel(ctx context.Context, folder string) (string, error) {
	url := "file://" + filepath.Join(b.dir, "imported")
	out, err := exec.CommandContext(ctx, b.binary, "models", "import", "--format", "spark", "--json", "--registry", url, folder).Output()
	if err != nil {
		return "", fmt.Errorf("importing %s: %w", folder, err)
	}
	var manifest struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(out, &manifest); err != nil {
		return "", fmt.Errorf("importing %s: %w", folder, err)
	}
	return url, b.run(ctx, b.binary, "models", "promote", "--force", "--registry", url, manifest.Version)
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
