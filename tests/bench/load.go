package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

const (
	soakShare     = 0.6 // of the measured maximum
	soakSamples   = 120
	overloadTimes = 3
	overloadFor   = 10 * time.Second
	recoverWithin = 30 * time.Second
	mostBehind    = 300_000 // requests that may wait while the maximum is measured
)

// soakTable runs the predictor, with everything on that observes it, for --soak at 60 %
// of what it does at most, and sees whether anything grows.
func soakTable(ctx context.Context, b *bench) (table, error) {
	l, err := b.openLoaded(ctx)
	if err != nil {
		return table{}, err
	}
	defer l.close()
	rate := soakShare * l.most
	progressf("at most %s/s; %s at %s/s", digits(l.most), b.soak, digits(rate))
	sent, done := make(chan error, 1), make(chan struct{})
	go func() { sent <- l.send(ctx, rate, done) }()
	if err := pause(ctx, b.soak/20); err != nil { // until all is warm
		return table{}, err
	}
	var memory, goroutines, behind []float64
	for n := range soakSamples {
		if err := pause(ctx, b.soak/soakSamples); err != nil {
			return table{}, err
		}
		s, err := l.look(ctx)
		if err != nil {
			return table{}, err
		}
		memory, goroutines, behind = append(memory, s.memory), append(goroutines, s.goroutines), append(behind, s.behind/rate*1000)
		if n%10 == 9 {
			progressf("%3d of %d: %.0f MiB, %.0f goroutines, %.0f ms behind, %s requests", n+1, soakSamples, s.memory, s.goroutines, behind[n], digits(float64(l.produced.Load())))
		}
	}
	close(done)
	if err := errors.Join(<-sent, l.caughtUp(ctx, recoverWithin)); err != nil {
		return table{}, err
	}
	late, early := soakSamples*3/4, soakSamples/4
	note := fmt.Sprintf("for %s at %s requests/s, 60 %% of %s; the last quarter against the first, %d looks in each; of %d requests each has its prediction, none twice",
		b.soak, digits(rate), digits(l.most), early, l.produced.Load())
	return table{note: note, rows: []row{
		{what: "memory", unit: "MiB", ours: memory[late:], yardstick: memory[:early], floor: 1.1, less: true},
		{what: "goroutines", unit: "", ours: goroutines[late:], yardstick: goroutines[:early], floor: 1.1, less: true},
		{what: "requests that wait, as time", unit: "ms", ours: behind[late:], floor: 1000, less: true},
	}}, nil
}

// overloadTable sends three times as much as the predictor can do, and sees when it is
// over it.
func overloadTable(ctx context.Context, b *bench) (table, error) {
	l, err := b.openLoaded(ctx)
	if err != nil {
		return table{}, err
	}
	defer l.close()
	var offered, peak, steady, recovery []float64
	for round := range b.rounds {
		before, err := l.look(ctx)
		if err != nil {
			return table{}, err
		}
		begin, sent := l.produced.Load(), time.Now()
		done := make(chan struct{})
		time.AfterFunc(overloadFor, func() { close(done) })
		if err := l.send(ctx, overloadTimes*l.most, done); err != nil {
			return table{}, err
		}
		times := float64(l.produced.Load()-begin) / time.Since(sent).Seconds() / l.most
		waiting, err := l.look(ctx)
		if err != nil {
			return table{}, err
		}
		over := time.Now()
		if err := l.caughtUp(ctx, 10*recoverWithin); err != nil {
			return table{}, err
		}
		offered, recovery = append(offered, times), append(recovery, time.Since(over).Seconds())
		steady, peak = append(steady, before.memory), append(peak, max(waiting.memory, before.memory))
		progressf("round %d: %.1f times the maximum for %s, then %.0f requests wait, and %.1f s later none; %.0f MiB, before it %.0f",
			round+1, times, overloadFor, waiting.behind, recovery[round], peak[round], steady[round])
	}
	note := fmt.Sprintf("%s at up to %d times the maximum of %s requests/s; what cannot be done waits in Kafka; of %d requests each has its prediction, none twice",
		overloadFor, overloadTimes, digits(l.most), l.produced.Load())
	return table{note: note, rows: []row{
		{what: "requests offered, against the maximum", unit: "times", ours: offered},
		{what: "until nothing waits any more, from the end of the overload", unit: "s", ours: recovery, floor: recoverWithin.Seconds(), less: true},
		{what: "memory at its end against before", unit: "MiB", ours: peak, yardstick: steady, floor: 1.25, less: true},
	}}, nil
}

// loaded is a Kafka that keeps little, and a predictor that is observed.
type loaded struct {
	*stage
	bench   *bench
	process *process
	events  *events
	most    float64 // predictions a second while as many are asked for

	produced atomic.Int64
	failed   atomic.Int64
}

func (b *bench) openLoaded(ctx context.Context) (*loaded, error) {
	kafka, err := servers.StartKafka(ctx, servers.KafkaOptions{Bench: true, Properties: map[string]string{"log.retention.check.interval.ms": "10000"}})
	if err != nil {
		return nil, err
	}
	s, err := newStage(kafka)
	if err != nil {
		return nil, errors.Join(err, kafka.Close())
	}
	l := &loaded{stage: s, bench: b}
	if err := l.open(ctx); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *loaded) open(ctx context.Context) (err error) {
	little := map[string]*string{"segment.bytes": new("67108864"), "retention.bytes": new("536870912"), "file.delete.delay.ms": new("1000")}
	if _, err := l.admin.CreateTopics(ctx, partitions, 1, little, "requests", "predictions", "dead_letters"); err != nil {
		return err
	}
	if _, err := l.admin.CreateTopics(ctx, 1, 1, nil, "models"); err != nil {
		return err
	}
	if l.events, err = l.bench.events(3); err != nil {
		return err
	}
	l.process, err = l.bench.startOurs(ctx, l.bench.embedded(), []string{"KAFKA_BROKERS=" + l.address(), "RECSYS_EVALUATE=true"}, "predict", "models")
	if err != nil {
		return err
	}
	if err := l.joined(ctx, "predict", 1); err != nil {
		return err
	}
	l.most, err = l.maximum(ctx)
	return err
}

func (l *loaded) close() {
	if l.process != nil {
		l.process.stop()
	}
	l.stage.close()
}

// send produces requests at the rate until done is closed.
func (l *loaded) send(ctx context.Context, perSecond float64, done <-chan struct{}) error {
	begin, n := time.Now(), 0
	for {
		select {
		case <-done:
			return l.flushed(ctx)
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		due := int(perSecond * time.Since(begin).Seconds())
		if n >= due {
			if err := pause(ctx, time.Millisecond); err != nil {
				return err
			}
		}
		for ; n < due; n++ {
			key, value := l.events.rating(int(l.produced.Load()) % 100_000_000)
			l.produced.Add(1)
			l.client.Produce(ctx, &kgo.Record{Topic: "requests", Key: key, Value: value}, func(_ *kgo.Record, err error) {
				if err != nil {
					l.failed.Add(1)
				}
			})
		}
	}
}

func (l *loaded) flushed(ctx context.Context) error {
	if err := l.client.Flush(ctx); err != nil {
		return err
	}
	if n := l.failed.Load(); n > 0 {
		return fmt.Errorf("%d requests could not be produced", n)
	}
	return nil
}

// maximum is how many predictions a second come while requests are sent as fast as they
// are answered.
func (l *loaded) maximum(ctx context.Context) (float64, error) {
	done := make(chan struct{})
	sent := make(chan error, 1)
	go func() { sent <- l.sendAhead(ctx, done) }()
	for warm := int64(0); warm < mostBehind; { // a broker that has just started compiles itself
		err := pause(ctx, 100*time.Millisecond)
		if err == nil {
			warm, err = l.end(ctx, "predictions")
		}
		if err != nil {
			return 0, err
		}
	}
	begin := time.Now()
	before, err := l.end(ctx, "predictions")
	if err == nil {
		err = pause(ctx, 2*l.bench.duration)
	}
	if err != nil {
		return 0, err
	}
	after, err := l.end(ctx, "predictions")
	seconds := time.Since(begin).Seconds()
	close(done)
	if err := errors.Join(err, <-sent, l.caughtUp(ctx, time.Minute)); err != nil {
		return 0, err
	}
	return float64(after-before) / seconds, nil
}

// sendAhead keeps up to mostBehind requests waiting.
func (l *loaded) sendAhead(ctx context.Context, done <-chan struct{}) error {
	for {
		answered, err := l.end(ctx, "predictions")
		if err != nil {
			return err
		}
		for range mostBehind - (l.produced.Load() - answered) {
			key, value := l.events.rating(int(l.produced.Add(1)))
			l.client.Produce(ctx, &kgo.Record{Topic: "requests", Key: key, Value: value}, nil)
		}
		select {
		case <-done:
			return l.flushed(ctx)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// state is one look at the predictor.
type state struct {
	memory     float64 // MiB
	goroutines float64
	behind     float64 // requests without a prediction
}

func (l *loaded) look(ctx context.Context) (s state, err error) {
	if err := l.process.check(); err != nil {
		return s, err
	}
	answered, err := l.end(ctx, "predictions")
	if err != nil {
		return s, err
	}
	s.behind = float64(l.produced.Load() - answered)
	s.memory = float64(rssOf(l.process.cmd.Process.Pid)) / (1 << 20)
	s.goroutines, err = l.process.goroutines(ctx)
	return s, err
}

// caughtUp waits until each request has its prediction, and fails if one has two or
// there is a dead letter.
func (l *loaded) caughtUp(ctx context.Context, within time.Duration) error {
	deadline := time.Now().Add(within)
	for {
		s, err := l.look(ctx)
		if err != nil {
			return err
		}
		if s.behind <= 0 {
			dead, err := l.end(ctx, "dead_letters")
			if s.behind < 0 || dead > 0 {
				err = errors.Join(err, fmt.Errorf("%.0f predictions too many, %d dead letters", -s.behind, dead))
			}
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%.0f requests have no prediction after %s", s.behind, within)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// goroutines counts those of our process.
func (p *process) goroutines(ctx context.Context) (n float64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+"/debug/pprof/goroutine?debug=1", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = fmt.Fscanf(response.Body, "goroutine profile: total %g", &n)
	return n, err
}

// What comes between good requests.
const (
	oddRate  = 5000 // good requests a second
	oddPause = 100 * time.Millisecond
	megabyte = 990_000 // bytes: producers send no batch above 1,000,012
)

// oddTable sends what is unusual between good requests, and sees how much later their
// predictions come.
func oddTable(ctx context.Context, b *bench) (table, error) {
	s, err := b.openStage(ctx)
	if err != nil {
		return table{}, err
	}
	run := func(during func(context.Context) error) (float64, error) {
		p, err := b.startPredicting(ctx, s)
		if err != nil {
			return 0, err
		}
		_, p99, err := b.latency(ctx, s, p, load{topic: "predictions", perSecond: oddRate, duration: b.duration, during: during})
		return p99, err
	}
	if _, err := run(nil); err != nil { // warms the broker
		return table{}, err
	}
	t := table{note: fmt.Sprintf("for %s at %s good requests/s, each of which has its prediction", b.duration, digits(oddRate))}
	for _, odd := range []struct {
		what    string
		letters bool // each makes a dead letter, not a prediction
		record  func(i int) *kgo.Record
		n       int
	}{
		{"a poison message every 100 ms", true, poison, 1},
		{"a hot key: as many again of one user, in bursts", false, hot, int(oddRate * oddPause / time.Second)},
		{"a message of 1 MB every 100 ms", false, large, 1},
	} {
		var with, without []float64
		for round := range b.rounds {
			before, err := s.account(ctx)
			if err != nil {
				return t, err
			}
			sent := 0
			turns := []func() error{func() error {
				p99, err := run(func(ctx context.Context) (err error) {
					sent, err = s.between(ctx, b.duration-time.Second, odd.n, odd.record) // so that good ones end it
					return err
				})
				with = append(with, p99)
				return err
			}, func() error {
				p99, err := run(nil)
				without = append(without, p99)
				return err
			}}
			if round%2 == 1 {
				slices.Reverse(turns)
			}
			if err := errors.Join(turns[0](), turns[1]()); err != nil {
				return t, err
			}
			after, err := s.account(ctx)
			if err != nil {
				return t, err
			}
			letters := after.letters - before.letters
			if lost := after.open - before.open; lost != 0 || odd.letters != (letters == int64(sent)) || !odd.letters && letters != 0 {
				return t, fmt.Errorf("%s: of %d that were sent there are %d dead letters, and %d requests have neither one nor a prediction", odd.what, sent, letters, lost)
			}
			progressf("round %d, %s: p99 %.2f ms, without %.2f; %d sent, %d dead letters", round+1, odd.what, with[round], without[round], sent, letters)
		}
		t.rows = append(t.rows, row{what: "p99 of the others, with " + odd.what, unit: "ms", ours: with, yardstick: without, floor: 3, less: true})
	}
	return t, nil
}

// account is what became of the requests.
type account struct{ open, letters int64 } // open: without a prediction or a dead letter

func (s *stage) account(ctx context.Context) (a account, err error) {
	requests, err := s.end(ctx, "requests")
	if err != nil {
		return a, err
	}
	if a.letters, err = s.end(ctx, "dead_letters"); err != nil {
		return a, err
	}
	predictions, err := s.end(ctx, "predictions")
	a.open = requests - (predictions - s.probes) - a.letters
	return a, err
}

// between produces n records every oddPause.
func (s *stage) between(ctx context.Context, d time.Duration, n int, record func(i int) *kgo.Record) (sent int, err error) {
	for begin := time.Now(); time.Since(begin) < d; {
		for range n {
			r := record(sent)
			sent++
			s.client.Produce(ctx, r, func(_ *kgo.Record, e error) { err = errors.Join(err, e) })
		}
		if err := pause(ctx, oddPause); err != nil {
			return sent, err
		}
	}
	return sent, errors.Join(s.client.Flush(ctx), err)
}

// poison is what no decoder can read, of several kinds.
func poison(i int) *kgo.Record {
	kinds := [][]byte{
		[]byte(`{"user_id":1,"movie_id":`), []byte("\xff\xfe\x00"),
		{},
		bytes.Repeat([]byte("["), 100_000),
		[]byte(`{"user_id":1e400,"movie_id":1}`), []byte(`{"user_id":"1","movie_id":{"a":[1]}}`), bytes.Repeat([]byte(`{"a":`), 50_000),
	}
	return &kgo.Record{Topic: "requests", Key: strconv.AppendInt(nil, int64(i), 10), Value: kinds[i%len(kinds)]}
}

func hot(i int) *kgo.Record {
	return &kgo.Record{Topic: "requests", Key: []byte("1"), Value: fmt.Appendf(nil, `{"request_id":"hot-%d","user_id":1,"movie_id":318}`, i)}
}

// large is a request with an unknown field, which its prediction has too.
func large(i int) *kgo.Record {
	value := fmt.Appendf(nil, `{"request_id":"large-%d","user_id":1,"movie_id":318,"x":"`, i)
	value = append(value, bytes.Repeat([]byte("x"), megabyte-len(value)-2)...)
	return &kgo.Record{Topic: "requests", Key: strconv.AppendInt(nil, int64(i), 10), Value: append(value, `"}`...)}
}
