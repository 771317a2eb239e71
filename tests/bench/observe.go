package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// watched is config/service.yaml with everything that observes, and a collector that
// takes spans and throws them away; unwatched has nothing of it.
const (
	watched = `
http: {address: %s}
metrics: {prometheus: {use_histogram_timing: true, add_process_metrics: true, add_go_metrics: true}}
tracer:
  open_telemetry_collector:
    http: [ { address: "%s" } ]
    sampling: {enabled: true, ratio: 0.01}
logger: {level: INFO, format: logfmt, add_timestamp: true}
shutdown_timeout: 4s
`
	unwatched = `
http: {address: %s}
metrics: {none: {}}
tracer: {none: {}} # %s
logger: {level: NONE}
shutdown_timeout: 4s
`
)

// observeTable compares the predictor that is observed with one that is not.
func observeTable(ctx context.Context, b *bench) (table, error) {
	s, err := b.openStage(ctx)
	if err != nil {
		return table{}, err
	}
	if err := b.fillRequests(ctx, s); err != nil {
		return table{}, err
	}
	collector, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return table{}, err
	}
	sink := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	})}
	go func() { _ = sink.Serve(collector) }()
	defer sink.Close()
	contend := func(name, service string, env ...string) *contender {
		return &contender{name: name, run: func(ctx context.Context, _ int) (result, error) {
			return b.observe(ctx, s, fmt.Sprintf(service, "%s", collector.Addr()), env...)
		}}
	}
	on := contend("everything on", watched, "RECSYS_EVALUATE=false")
	off := contend("everything off", unwatched, "RECSYS_EVALUATE=false")
	page := contend("and the page's evaluation", watched, "RECSYS_EVALUATE=true")
	if err := b.inTurns(ctx, on, off, page); err != nil {
		return table{}, err
	}
	const cpu, speed = "µs", "msg/s"
	return table{note: "the second half of " + digits(float64(b.messages)) + " events per run; histograms, traces of 1 % of the requests, a scrape every second and lag", rows: []row{
		{what: "throughput, everything that observes on against off", unit: speed, ours: on.perSecond(), yardstick: off.perSecond(), floor: 0.95, aim: 0.97},
		{what: "CPU per message, on against off", unit: cpu, ours: on.cpu(), yardstick: off.cpu(), floor: 1.05, aim: 1.03, less: true},
		{what: "throughput, and what the page wants to know of each prediction", unit: speed, ours: page.perSecond(), yardstick: off.perSecond()},
		{what: "CPU per message, the same", unit: cpu, ours: page.cpu(), yardstick: off.cpu()},
		{what: "peak memory, on", unit: "MiB", ours: on.rss()},
	}}, nil
}

// observe is one run of the predictor, with a service configuration that lacks the
// address of its admin server. Prometheus reads it once a second, which is often.
func (b *bench) observe(ctx context.Context, s *stage, service string, env ...string) (result, error) {
	n, progress, err := s.again(ctx, "predict", "predictions")
	if err != nil {
		return result{}, err
	}
	p, err := b.startWith(ctx, service, b.embedded(), append(env, "KAFKA_BROKERS="+s.address()), "predict", "models")
	if err != nil {
		return result{}, err
	}
	defer p.stop()
	scraping, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		for pause(scraping, time.Second) == nil {
			if response, err := http.Get("http://" + p.admin + "/metrics"); err == nil {
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
		}
	}()
	return measure(ctx, int(n), pollInterval, progress, p)
}
