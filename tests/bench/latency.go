package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"
)

// latencyWarmUp is how long requests are sent before they count.
const latencyWarmUp = 3 * time.Second

// latencyTable sends requests at a steady rate and sees when their predictions
// can be read, by pipelines/predict.yaml and, as the least possible, by the raw
// loop.
func latencyTable(ctx context.Context, b *bench) (table, error) {
	s, err := b.openStage(ctx)
	if err != nil {
		return table{}, err
	}
	t := table{note: fmt.Sprintf("for %s at each rate and round, after %s", b.duration, latencyWarmUp)}
	run := func(perSecond int) (p50, p99 float64, err error) {
		p, err := b.startPredicting(ctx, s)
		if err != nil {
			return 0, 0, err
		}
		return b.latency(ctx, s, p, load{topic: "predictions", perSecond: perSecond, duration: b.duration})
	}
	raw := func(perSecond int) (p50, p99 float64, err error) {
		p, err := b.startCopying(ctx, s)
		if err != nil {
			return 0, 0, err
		}
		return b.latency(ctx, s, p, load{topic: "out", perSecond: perSecond, duration: b.duration})
	}
	if _, _, err := run(5000); err != nil { // a broker that has just started compiles itself for half a minute
		return t, err
	}
	for _, rate := range []struct {
		perSecond              int
		p50, p99, aim50, aim99 float64
	}{{100, 3, 15, 1, 5}, {5000, 3, 15, 1, 5}} {
		var ours50, ours99, raw50, raw99 []float64
		for round := range b.rounds {
			turns := []func() error{func() error {
				p50, p99, err := run(rate.perSecond)
				ours50, ours99 = append(ours50, p50), append(ours99, p99)
				return err
			}, func() error {
				p50, p99, err := raw(rate.perSecond)
				raw50, raw99 = append(raw50, p50), append(raw99, p99)
				return err
			}}
			if round%2 == 1 {
				slices.Reverse(turns)
			}
			if err := errors.Join(turns[0](), turns[1]()); err != nil {
				return t, err
			}
			progressf("round %d, %d/s: p50 %.2f ms, p99 %.2f ms; raw loop %.2f, %.2f", round+1, rate.perSecond, ours50[round], ours99[round], raw50[round], raw99[round])
		}
		what := func(percentile string) string { return fmt.Sprintf("%s at %d/s", percentile, rate.perSecond) }
		t.rows = append(t.rows,
			row{what: what("p50"), unit: "ms", ours: ours50, floor: rate.p50, aim: rate.aim50, less: true},
			row{what: what("p99"), unit: "ms", ours: ours99, floor: rate.p99, aim: rate.aim99, less: true},
			row{what: what("p50") + ", against the raw loop", unit: "ms", ours: ours50, yardstick: raw50},
			row{what: what("p99") + ", against the raw loop", unit: "ms", ours: ours99, yardstick: raw99})
	}
	return t, nil
}

// startPredicting starts a predictor that has nothing to catch up with.
func (b *bench) startPredicting(ctx context.Context, s *stage, env ...string) (*process, error) {
	if err := s.skip(ctx, "predict", "requests"); err != nil {
		return nil, err
	}
	p, err := b.startOurs(ctx, b.embedded(), append([]string{"KAFKA_BROKERS=" + s.address()}, env...), "predict", "models")
	if err != nil {
		return nil, err
	}
	return p, s.joined(ctx, "predict", 1)
}

func (b *bench) startCopying(ctx context.Context, s *stage) (*process, error) {
	if err := s.skip(ctx, "yardstick", "requests"); err != nil {
		return nil, err
	}
	p, err := b.start(ctx, "raw", nil, b.self, b.loopArguments(s, "raw")...)
	if err != nil {
		return nil, err
	}
	return p, s.joined(ctx, "yardstick", 1)
}

// load is a steady stream of requests, and what else happens meanwhile.
type load struct {
	topic     string // where the replies are
	perSecond int
	duration  time.Duration // that counts, after latencyWarmUp

	reply  func(value []byte)          // called with each reply, may be nil
	during func(context.Context) error // begins when latencies count, may be nil
}

// arrivals are the latencies of requests, by their number.
type arrivals struct {
	reply  func(value []byte)
	mu     sync.Mutex
	sent   []time.Time
	took   []time.Duration
	missed int // not yet arrived
}

// latency returns p50 and p99 in milliseconds, and stops the process. It fails if a
// reply does not come.
func (b *bench) latency(ctx context.Context, s *stage, p *process, l load) (p50, p99 float64, err error) {
	defer p.stop()
	reader, err := kgo.NewClient(kgo.SeedBrokers(s.address()), kgo.ConsumeTopics(l.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()))
	if err != nil {
		return 0, 0, err
	}
	defer reader.Close()
	if err := s.positioned(ctx, reader, l.topic); err != nil {
		return 0, 0, err
	}
	run := strconv.FormatUint(rand.Uint64(), 36) + "-"
	n := int(float64(l.perSecond) * (latencyWarmUp + l.duration).Seconds())
	a := &arrivals{sent: make([]time.Time, n), missed: n, reply: l.reply}
	done, happened := make(chan error, 1), make(chan error, 1)
	go func() { done <- a.read(ctx, reader, run) }()
	go func() {
		err := pause(ctx, latencyWarmUp)
		if l.during != nil && err == nil {
			err = l.during(ctx)
		}
		happened <- err
	}()
	if err := b.send(ctx, s, a, run, l.perSecond); err != nil {
		return 0, 0, err
	}
	if err := errors.Join(<-done, <-happened, p.check()); err != nil {
		return 0, 0, err
	}
	slices.Sort(a.took)
	ms := func(share float64) float64 {
		return float64(a.took[int(share*float64(len(a.took)-1))].Microseconds()) / 1000
	}
	return ms(0.5), ms(0.99), nil
}

// positioned waits until the reader reads from the end on, by a record of its own.
func (s *stage) positioned(ctx context.Context, reader *kgo.Client, topic string) error {
	for range 100 {
		for id := range int32(partitions) {
			s.client.Produce(ctx, &kgo.Record{Topic: topic, Partition: id, Key: []byte{byte(id)}, Value: []byte("{}")}, nil)
			s.probes++
		}
		poll, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		fetches := reader.PollFetches(poll)
		cancel()
		if fetches.NumRecords() > 0 {
			return pause(ctx, 200*time.Millisecond)
		}
	}
	return fmt.Errorf("topic %s cannot be read", topic)
}

// send sends requests at the rate, in ticks of a millisecond or longer.
func (b *bench) send(ctx context.Context, s *stage, a *arrivals, run string, perSecond int) error {
	e, err := b.events(2)
	if err != nil {
		return err
	}
	begin := time.Now()
	for i := range a.sent {
		due := begin.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
		if wait := time.Until(due); wait > 0 {
			if err := pause(ctx, max(wait, time.Millisecond)); err != nil {
				return err
			}
		}
		user, movie := e.pair()
		value := fmt.Appendf(nil, `{"request_id":"%s%d","user_id":%d,"movie_id":%d}`, run, i, user, movie)
		a.mu.Lock()
		a.sent[i] = time.Now()
		a.mu.Unlock()
		s.client.Produce(ctx, &kgo.Record{Topic: "requests", Key: strconv.AppendInt(nil, user, 10), Value: value}, nil)
	}
	return s.client.Flush(ctx)
}

// read notes the predictions until all have arrived.
func (a *arrivals) read(ctx context.Context, reader *kgo.Client, run string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for a.missed > 0 {
		fetches := reader.PollFetches(ctx)
		now := time.Now()
		if ctx.Err() != nil {
			return fmt.Errorf("%d predictions have not arrived: %w", a.missed, ctx.Err())
		}
		a.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) {
			id := gjson.GetBytes(r.Value, "request_id").Str
			if len(id) <= len(run) || id[:len(run)] != run {
				return
			}
			i, err := strconv.Atoi(id[len(run):])
			if err != nil {
				return
			}
			a.missed--
			if a.reply != nil {
				a.reply(r.Value)
			}
			if a.sent[i].Sub(a.sent[0]) >= latencyWarmUp {
				a.took = append(a.took, now.Sub(a.sent[i]))
			}
		})
		a.mu.Unlock()
	}
	return nil
}
