package main

import (
	"context"
	"syscall"
)

// scaleTable compares two processes of one thread with one of two.
func scaleTable(ctx context.Context, b *bench) (table, error) {
	s, err := b.openStage(ctx)
	if err != nil {
		return table{}, err
	}
	one := &contender{name: "one process, two threads", run: func(ctx context.Context, _ int) (result, error) {
		return b.predictTogether(ctx, s, 1, "GOMAXPROCS=2")
	}}
	two := &contender{name: "two processes, one thread each", run: func(ctx context.Context, _ int) (result, error) {
		return b.predictTogether(ctx, s, 2, "GOMAXPROCS=1")
	}}
	if err := b.inTurns(ctx, one, two); err != nil {
		return table{}, err
	}
	return table{note: "the second half of " + digits(float64(b.messages)) + " events per run", rows: []row{
		{what: "throughput of two processes against one with two threads", unit: "msg/s", ours: two.perSecond(), yardstick: one.perSecond(), floor: 0.9},
		{what: "CPU per message of two processes against one", unit: "µs", ours: two.cpu(), yardstick: one.cpu()},
	}}, nil
}

// predictTogether has processes share out the partitions first, and go through
// new requests then: they sleep while these are written.
func (b *bench) predictTogether(ctx context.Context, s *stage, processes int, env ...string) (result, error) {
	if err := s.skip(ctx, "predict", "requests"); err != nil {
		return result{}, err
	}
	env = append(env, "KAFKA_BROKERS="+s.address(), "RECSYS_SESSION_TIMEOUT=60s")
	var started []*process
	for range processes {
		p, err := b.startOurs(ctx, b.embedded(), env, "predict", "models")
		if err != nil {
			return result{}, err
		}
		defer p.stop()
		started = append(started, p)
	}
	if err := s.joined(ctx, "predict", processes); err != nil {
		return result{}, err
	}
	for _, p := range started {
		if err := p.signal(syscall.SIGSTOP); err != nil {
			return result{}, err
		}
	}
	e, err := b.events(3)
	if err != nil {
		return result{}, err
	}
	filled := s.fill(ctx, "requests", b.messages, e.rating)
	progress, err := s.appended(ctx, "predictions")
	for _, p := range started {
		if err := p.signal(syscall.SIGCONT); err != nil {
			return result{}, err
		}
	}
	if filled != nil || err != nil {
		return result{}, filled
	}
	return measure(ctx, b.messages, pollInterval, progress, started...)
}
