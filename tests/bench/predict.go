package main

import (
	"context"
	"path/filepath"
	"time"
)

const pollInterval = 20 * time.Millisecond

func (b *bench) embedded() string { return filepath.Join(b.root, "config/embedded.yaml") }

// predictTable compares whole processes that read b.messages requests.
func predictTable(ctx context.Context, b *bench) (table, error) {
	s, err := b.openStage(ctx)
	if err != nil {
		return table{}, err
	}
	if err := b.fillRequests(ctx, s); err != nil {
		return table{}, err
	}
	raw := &contender{name: "raw loop", run: func(ctx context.Context, _ int) (result, error) { return b.copyBy(ctx, s, "raw") }}
	hand := &contender{name: "by hand", run: func(ctx context.Context, _ int) (result, error) { return b.copyBy(ctx, s, "by-hand") }}
	ours := &contender{name: "recsys-benthos", run: func(ctx context.Context, round int) (result, error) {
		return b.predictAtLeastOnce(ctx, s, round == b.rounds-1)
	}}
	exactly := &contender{name: "recsys-benthos, exactly once", run: func(ctx context.Context, _ int) (result, error) {
		return b.predictExactlyOnce(ctx, s)
	}}
	if err := b.inTurns(ctx, raw, hand, ours, exactly); err != nil {
		return table{}, err
	}
	const cpu, speed = "µs", "msg/s"
	return table{note: "the second half of " + digits(float64(b.messages)) + " events per run", rows: []row{
		{what: "CPU per message, against franz-go + encoding/json + maps", unit: cpu, ours: ours.cpu(), yardstick: hand.cpu(), floor: 1.25, aim: 0.9, less: true},
		{what: "throughput, against the raw franz-go loop", unit: speed, ours: ours.perSecond(), yardstick: raw.perSecond(), floor: 0.25, aim: 0.45},
		{what: "peak memory", unit: "MiB", ours: ours.rss(), floor: 150, aim: 100, less: true},
		{what: "CPU per message, against the raw loop", unit: cpu, ours: ours.cpu(), yardstick: raw.cpu()},
		{what: "throughput, against franz-go + encoding/json + maps", unit: speed, ours: ours.perSecond(), yardstick: hand.perSecond()},
		{what: "throughput, exactly once against at least once", unit: speed, ours: exactly.perSecond(), yardstick: ours.perSecond()},
		{what: "CPU per message, exactly once against at least once", unit: cpu, ours: exactly.cpu(), yardstick: ours.cpu()},
		{what: "peak memory, exactly once", unit: "MiB", ours: exactly.rss()},
	}}, nil
}

// fillRequests makes the topic requests hold b.messages events, at least.
func (b *bench) fillRequests(ctx context.Context, s *stage) error {
	end, err := s.end(ctx, "requests")
	if err != nil {
		return err
	}
	e, err := b.events(1)
	if err != nil {
		return err
	}
	return s.fill(ctx, "requests", max(0, b.messages-int(end)), e.rating)
}

// appended says how many records a topic has got since now.
func (s *stage) appended(ctx context.Context, topic string) (func(context.Context) (int64, error), error) {
	begin, err := s.end(ctx, topic)
	return func(ctx context.Context) (int64, error) {
		end, err := s.end(ctx, topic)
		return end - begin, err
	}, err
}

// again lets a group read all requests anew, and returns how many there are and what
// tells how many are answered in topic out.
func (s *stage) again(ctx context.Context, group, out string) (n int64, progress func(context.Context) (int64, error), err error) {
	if err = s.rewind(ctx, group); err != nil {
		return 0, nil, err
	}
	if progress, err = s.appended(ctx, out); err != nil {
		return 0, nil, err
	}
	n, err = s.end(ctx, "requests")
	return n, progress, err
}

// copyBy runs a yardstick over all requests.
func (b *bench) copyBy(ctx context.Context, s *stage, command string) (result, error) {
	n, progress, err := s.again(ctx, "yardstick", "out")
	if err != nil {
		return result{}, err
	}
	p, err := b.start(ctx, command, nil, b.self, b.loopArguments(s, command)...)
	if err != nil {
		return result{}, err
	}
	defer p.stop()
	return measure(ctx, int(n), pollInterval, progress, p)
}

func (b *bench) loopArguments(s *stage, command string) []string {
	return []string{
		command, "--brokers", s.address(), "--topic", "requests", "--out", "out", "--group", "yardstick",
		"--registry", b.registry, "--data", b.data,
	}
}

func (b *bench) predictAtLeastOnce(ctx context.Context, s *stage, last bool) (result, error) {
	n, progress, err := s.again(ctx, "predict", "predictions")
	if err != nil {
		return result{}, err
	}
	p, err := b.startOurs(ctx, b.embedded(), []string{"KAFKA_BROKERS=" + s.address()}, "predict", "models")
	if err != nil {
		return result{}, err
	}
	defer p.stop()
	if b.pprof != "" && last {
		return b.profiled(ctx, n, progress, p)
	}
	return measure(ctx, int(n), pollInterval, progress, p)
}

// profiled writes a profile beside the measurement.
func (b *bench) profiled(ctx context.Context, n int64, progress func(context.Context) (int64, error), p *process) (result, error) {
	written := make(chan error, 1)
	go func() {
		for {
			if done, err := progress(ctx); err != nil || done > 0 {
				break
			}
			if err := pause(ctx, pollInterval); err != nil {
				break
			}
		}
		written <- p.profile(b.pprof, 3)
	}()
	r, err := measure(ctx, int(n), pollInterval, progress, p)
	if err != nil {
		return r, err
	}
	return r, <-written
}

// predictExactlyOnce is done when the offsets are committed, since the end of the
// topic counts the markers of transactions too.
func (b *bench) predictExactlyOnce(ctx context.Context, s *stage) (result, error) {
	if err := s.rewind(ctx, "predict"); err != nil {
		return result{}, err
	}
	n, err := s.end(ctx, "requests")
	if err != nil {
		return result{}, err
	}
	p, err := b.startOurs(ctx, b.embedded(), []string{"KAFKA_BROKERS=" + s.address(), "RECSYS_TRANSACTIONAL_ID=bench"}, "predict", "models")
	if err != nil {
		return result{}, err
	}
	defer p.stop()
	return measure(ctx, int(n), pollInterval, func(ctx context.Context) (int64, error) {
		return s.committed(ctx, "predict", "requests")
	}, p)
}
