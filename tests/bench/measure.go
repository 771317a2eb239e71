package main

import (
	"context"
	"fmt"
	"time"
)

// stuckAfter is how long a program may do nothing.
const stuckAfter = 60 * time.Second

// result is what the second half of a run cost.
type result struct {
	perSecond float64 // messages
	cpu       float64 // µs of all processes per message
	whole     float64 // the same from the start of the processes on
	rss       float64 // MiB, the most of any process until the end
	first     float64 // seconds from the start to the first message

	p50, p99 float64 // ms from request to prediction, where that was measured
}

// sample is one look at a run.
type sample struct {
	at   time.Time
	cpu  time.Duration
	done int64
}

// measure follows processes until progress says that n messages are done.
func measure(ctx context.Context, n int, interval time.Duration, progress func(context.Context) (int64, error), processes ...*process) (result, error) {
	var first, half, last sample
	begin := time.Now()
	last.at = begin
	for {
		done, err := progress(ctx)
		if err != nil {
			return result{}, err
		}
		now := sample{at: time.Now(), done: done}
		for _, p := range processes {
			if err := p.check(); err != nil {
				return result{}, err
			}
			now.cpu += p.cpu()
		}
		if first.done == 0 {
			first = now
		}
		if half.done == 0 && done >= int64(n)/2 {
			half = now
		}
		if done >= int64(n) {
			r := between(half, now, processes)
			r.first = first.at.Sub(begin).Seconds()
			return r, nil
		}
		if done > last.done {
			last = now
		} else if time.Since(last.at) > stuckAfter {
			return result{}, fmt.Errorf("%s is stuck at %d of %d messages\n%s", processes[0].name, done, n, processes[0].logTail())
		}
		if err := pause(ctx, interval); err != nil {
			return result{}, err
		}
	}
}

func between(half, end sample, processes []*process) result {
	messages := float64(end.done - half.done)
	r := result{
		perSecond: messages / end.at.Sub(half.at).Seconds(),
		cpu:       float64((end.cpu - half.cpu).Microseconds()) / messages,
		whole:     float64(end.cpu.Microseconds()) / float64(end.done),
	}
	for _, p := range processes {
		r.rss = max(r.rss, float64(p.peakRSS())/(1<<20))
	}
	return r
}

// contender is one of those that are compared.
type contender struct {
	name    string
	run     func(ctx context.Context, round int) (result, error)
	results []result
}

// inTurns runs all contenders in each round, in changing order.
func (b *bench) inTurns(ctx context.Context, contenders ...*contender) error {
	for round := range b.rounds {
		for i := range contenders {
			c := contenders[(i+round)%len(contenders)]
			r, err := c.run(ctx, round)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.results = append(c.results, r)
			progressf("round %d, %s: %s/s, %.2f µs CPU, %.2f in all, %.0f MiB", round+1, c.name, digits(r.perSecond), r.cpu, r.whole, r.rss)
		}
	}
	return nil
}

func (c *contender) perSecond() []float64 {
	return c.each(func(r result) float64 { return r.perSecond })
}

func (c *contender) cpu() []float64 { return c.each(func(r result) float64 { return r.cpu }) }

func (c *contender) rss() []float64 { return c.each(func(r result) float64 { return r.rss }) }

func (c *contender) each(value func(result) float64) []float64 {
	values := make([]float64, len(c.results))
	for i, r := range c.results {
		values[i] = value(r)
	}
	return values
}
