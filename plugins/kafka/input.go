package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/recsys-benthos/recsys-benthos/internal/tracing"
)

const (
	starveWait    = 250 * time.Millisecond
	retryMinWait  = 10 * time.Millisecond
	retryMaxWait  = time.Second
	closeTimeout  = 2 * time.Second // of the last commit, and of leaving the group
	commitTimeout = 10 * time.Second
)

func init() {
	for _, name := range []string{"kafka_franz", "redpanda"} {
		service.MustRegisterBatchInput(name, inputSpec(),
			func(conf *service.ParsedConfig, res *service.Resources) (service.BatchInput, error) {
				c, err := parseInput(conf)
				if err != nil {
					return nil, err
				}
				return newInput(c, res), nil
			})
	}
}

// input reads partitions with franz-go and hands out one batch of each at a
// time. Its goroutines are pollLoop, lagLoop and that of presence; franz-go calls
// assigned, revoked and lost from its own.
type input struct {
	conf *inputConfig
	log  *service.Logger
	lag  *service.MetricGauge
	here *presence

	mu      sync.Mutex
	client  *kgo.Client
	closing bool
	parts   map[topicPartition]*partition
	list    []*partition  // the partitions of any client that are ready to hand out a batch
	wake    chan struct{} // something is in list
	room    chan struct{} // a partition has room, or came or went
	changed chan struct{} // closed and replaced whenever a batch is done

	txn         *transaction // the open one, of an input that reads in transactions
	outstanding int          // batches of txn that the pipeline has

	stop   context.CancelFunc
	loops  sync.WaitGroup
	errors repeatFilter
}

func newInput(c *inputConfig, res *service.Resources) *input {
	c.traced = tracing.On(res.OtelTracer())
	i := &input{
		conf:    c,
		log:     res.Logger(),
		lag:     res.Metrics().NewGauge("kafka_lag", "topic", "partition"),
		parts:   map[topicPartition]*partition{},
		wake:    make(chan struct{}, 1),
		room:    make(chan struct{}, 1),
		changed: make(chan struct{}),
	}
	i.here = newPresence(res, "input", c.seeds, func() { notify(i.wake) })
	return i
}

// Connect returns once a broker answers. An input whose cluster is away stays as it
// is; Benthos calls that not connected until the cluster is back.
func (i *input) Connect(ctx context.Context) error {
	if err := i.awaitBack(ctx); err != nil {
		return err
	}
	i.mu.Lock()
	connected, closing := i.client != nil, i.closing
	i.mu.Unlock()
	if closing {
		return service.ErrEndOfInput
	}
	if connected {
		return nil
	}
	opts, err := i.options(ctx)
	if err != nil {
		return err
	}
	if i.conf.transactionalID != "" {
		return i.startTransactor(ctx, opts)
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("configuring the Kafka client: %w", err)
	}
	if err := i.prepare(ctx, client); err != nil {
		client.CloseAllowingRebalance()
		return err
	}
	i.start(client, func(ctx context.Context) { i.pollLoop(ctx, client) })
	return nil
}

// awaitBack waits out an outage of an input that has a client. A batch that waits to
// be handed out ends the wait, because who writes it may need no Kafka.
func (i *input) awaitBack(ctx context.Context) error {
	for {
		i.mu.Lock()
		wait := i.client != nil && !i.closing && len(i.list) == 0 && i.here.away.Load()
		i.mu.Unlock()
		if !wait {
			return nil
		}
		select {
		case <-i.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// options are those of the client.
func (i *input) options(ctx context.Context) ([]kgo.Opt, error) {
	opts := append([]kgo.Opt{kgo.WithHooks(newConnectionLog(i.log), i.here)}, i.conf.opts...)
	if i.conf.group == "" {
		return opts, nil
	}
	opts = append(opts,
		kgo.OnPartitionsAssigned(i.assigned),
		kgo.OnPartitionsRevoked(i.revoked),
		kgo.OnPartitionsLost(i.lost))
	if i.conf.serverSide {
		supported, err := i.sharesOut(ctx)
		if err != nil {
			return nil, err
		}
		if supported {
			return append(opts, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer())), nil
		}
		i.log.Infof("this broker does not know the group protocol %q: using %q", consumerProtocol, classicProtocol)
	}
	return append(opts, kgo.Balancers(kgo.CooperativeStickyBalancer())), nil
}

// sharesOut says whether the broker shares out partitions by itself (KIP-848).
func (i *input) sharesOut(ctx context.Context) (bool, error) {
	client, err := kgo.NewClient(i.conf.connection.opts...)
	if err != nil {
		return false, fmt.Errorf("configuring the Kafka client: %w", err)
	}
	defer client.Close()
	if err := awaitBrokers(ctx, client, i.conf.seeds, i.log); err != nil {
		return false, err
	}
	versions, err := kadm.NewClient(client).ApiVersions(ctx)
	if err != nil {
		return false, fmt.Errorf("asking the brokers for their versions: %w", err)
	}
	for _, broker := range versions {
		highest, known := broker.KeyMaxVersion(int16(kmsg.ConsumerGroupHeartbeat))
		if broker.Err == nil && (!known || highest < 1) {
			return false, nil
		}
	}
	return true, nil
}

// start takes the client into use and runs its loops.
func (i *input) start(client *kgo.Client, read func(context.Context)) {
	loopCtx, stop := context.WithCancel(context.Background())
	i.mu.Lock()
	i.client, i.stop = client, stop
	i.mu.Unlock()
	i.loops.Go(func() { read(loopCtx) })
	i.loops.Go(func() { i.here.watch(loopCtx, client) })
	if i.conf.lagPeriod > 0 {
		i.loops.Go(func() { i.lagLoop(loopCtx, kadm.NewClient(client)) })
	}
}

func (i *input) prepare(ctx context.Context, client *kgo.Client) error {
	if err := awaitBrokers(ctx, client, i.conf.seeds, i.log); err != nil {
		return err
	}
	if !i.conf.emitEnd {
		i.warnOfMissingTopics(ctx, client)
		return nil
	}
	return i.findEnds(ctx, client)
}

// pollLoop moves fetched records into the queues of their partitions.
func (i *input) pollLoop(ctx context.Context, client *kgo.Client) {
	for i.awaitRoom(ctx, client) {
		fetches := client.PollFetches(ctx)
		i.enqueue(fetches)
		client.AllowRebalance()
	}
}

// awaitRoom returns when it is time to poll; it returns false when ctx ends.
//
// What stops fetching is, as a rule, that nobody polls: franz-go then holds one
// fetch per broker. A partition is paused only when another one has run dry for
// a while on its account, because pausing is dear: franz-go drops what it has
// fetched, and after resuming the partition waits for the fetch under way.
func (i *input) awaitRoom(ctx context.Context, client *kgo.Client) bool {
	begin := time.Now()
	timer := time.NewTimer(starveWait)
	defer timer.Stop()
	for {
		if ctx.Err() != nil {
			return false
		}
		if i.mayPoll(client, time.Since(begin) >= starveWait) {
			return true
		}
		select {
		case <-i.room:
		case <-timer.C:
			timer.Reset(starveWait)
		case <-ctx.Done():
			return false
		}
	}
}

func (i *input) mayPoll(client *kgo.Client, waited bool) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	anyFull, anyLow, anyEmpty := false, false, len(i.parts) == 0
	anyDry, anyHeavy := false, false
	for _, p := range i.parts {
		if p.paused {
			continue
		}
		anyFull = anyFull || p.full(i.conf)
		anyLow = anyLow || p.low(i.conf)
		anyEmpty = anyEmpty || len(p.queue) == 0
		anyDry = anyDry || p.dry()
		anyHeavy = anyHeavy || p.queuedBytes >= i.conf.bufferBytes
	}
	if !anyFull {
		return anyLow || anyEmpty
	}
	if anyDry && !anyHeavy {
		return true // fetches bring partitions different numbers of records
	}
	if !anyEmpty || !waited {
		return false
	}
	i.pauseFull(client)
	return true
}

func (i *input) pauseFull(client *kgo.Client) {
	pause := map[string][]int32{}
	for _, p := range i.parts {
		if !p.paused && p.full(i.conf) {
			p.paused = true
			pause[p.topic] = append(pause[p.topic], p.id)
		}
	}
	if len(pause) > 0 {
		client.PauseFetchPartitions(pause)
	}
}

func (i *input) enqueue(fetches kgo.Fetches) {
	fetches.EachError(func(topic string, id int32, err error) {
		if errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) {
			return
		}
		line := fmt.Sprintf("reading partition %d of topic %q: %v", id, topic, err)
		if topic == "" { // the client's way to tell of its group
			line = fmt.Sprintf("consumer group %q: %v; joining again", i.conf.group, err)
		}
		if i.errors.pass(line, time.Now()) {
			i.log.Warn(line)
		}
	})
	i.mu.Lock()
	defer i.mu.Unlock()
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		if len(f.Records) == 0 {
			return
		}
		tp := topicPartition{f.Topic, f.Partition}
		p := i.parts[tp]
		if p == nil {
			if i.conf.group != "" && i.txn == nil {
				return // given up in the meantime
			}
			p = i.addPartition(tp)
		}
		if p.revoking {
			return
		}
		i.accept(p, &f.FetchPartition)
	})
}

// accept takes the records of one fetch.
func (i *input) accept(p *partition, f *kgo.FetchPartition) {
	for _, r := range f.Records {
		if i.conf.wanted(r) {
			p.push(r)
		}
	}
	last := f.Records[len(f.Records)-1]
	p.next, p.epoch, p.end = last.Offset+1, last.LeaderEpoch, max(f.HighWatermark, last.Offset+1)
	p.pushEnd()
	if len(p.queue) == 0 && p.inFlight == nil {
		i.mark(p) // all were skipped
	}
	i.setLag(p)
	i.schedule(p)
}

func (i *input) addPartition(tp topicPartition) *partition {
	p := newPartition(tp)
	i.parts[tp] = p
	return p
}

// schedule puts p into the ready list if it can hand out a batch.
func (i *input) schedule(p *partition) {
	if p.scheduled || p.gone {
		return
	}
	if !p.ready(i.conf) {
		if i.conf.batchPeriod > 0 && len(p.queue) > 0 && p.inFlight == nil && p.timer == nil && !p.revoking {
			p.timer = time.AfterFunc(i.conf.batchPeriod, func() { i.batchDue(p) })
		}
		return
	}
	p.scheduled = true
	i.list = append(i.list, p)
	notify(i.wake)
}

func (i *input) batchDue(p *partition) {
	i.mu.Lock()
	defer i.mu.Unlock()
	p.timer = nil
	p.due = true
	i.schedule(p)
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ReadBatch waits for the next batch of any partition that has none in flight.
func (i *input) ReadBatch(ctx context.Context) (service.MessageBatch, service.AckFunc, error) {
	for {
		p, b, end, err := i.next()
		if err != nil {
			return nil, nil, err
		}
		if b != nil {
			var once sync.Once
			ack := func(_ context.Context, err error) error {
				once.Do(func() { i.finish(p, b, err) })
				return nil
			}
			return i.conf.messages(p, b, end), ack, nil
		}
		select {
		case <-i.wake:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

func (i *input) next() (*partition, *batch, int64, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closing {
		return nil, nil, 0, service.ErrEndOfInput
	}
	if i.client == nil {
		return nil, nil, 0, service.ErrNotConnected
	}
	for len(i.list) > 0 {
		p := i.list[0]
		i.list = i.list[1:]
		p.scheduled = false
		if !p.ready(i.conf) {
			continue
		}
		b := p.take(i.conf)
		if b.txn = i.txn; b.txn != nil {
			i.outstanding++
		}
		i.resume(p)
		return p, b, p.end, nil
	}
	if i.here.away.Load() {
		return nil, nil, 0, service.ErrNotConnected
	}
	return nil, nil, 0, nil
}

// resume lets fetching go on once p has room again.
func (i *input) resume(p *partition) {
	if !p.low(i.conf) {
		return
	}
	if p.paused {
		p.paused = false
		i.client.ResumeFetchPartitions(map[string][]int32{p.topic: {p.id}})
	}
	notify(i.room)
}

// mark lets franz-go commit what is acknowledged.
func (i *input) mark(p *partition) {
	position := p.position()
	if i.conf.group == "" || i.conf.transactionalID != "" || position < 1 || i.client == nil {
		return
	}
	i.client.MarkCommitRecords(&kgo.Record{Topic: p.topic, Partition: p.id, Offset: position - 1, LeaderEpoch: p.epoch})
}

func (i *input) setLag(p *partition) {
	if position := p.position(); position >= 0 {
		i.lag.Set(max(p.end-position, 0), p.topic, strconv.Itoa(int(p.id)))
	}
}

// Close stops reading, commits what is acknowledged and leaves the group. It
// waits for batches in flight until ctx ends; with a ctx that never ends it
// does not wait, because Benthos calls it so after it has itself waited.
func (i *input) Close(ctx context.Context) error {
	i.mu.Lock()
	client := i.client
	already := i.closing
	i.closing = true
	i.mu.Unlock()
	notify(i.wake)
	if client == nil || already {
		return nil
	}
	i.stop()
	i.loops.Wait()
	if _, bounded := ctx.Deadline(); bounded {
		i.awaitDone(ctx, nil)
	}
	commitCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if i.conf.group != "" {
		if i.conf.transactionalID == "" {
			if err := client.CommitMarkedOffsets(commitCtx); err != nil {
				i.log.Warnf("committing the last offsets of consumer group %q: %v; the messages since the last commit will be read again", i.conf.group, err)
			}
		}
		if err := client.LeaveGroupContext(commitCtx); err != nil {
			i.log.Debugf("leaving consumer group %q: %v", i.conf.group, err)
		}
	}
	client.CloseAllowingRebalance()
	i.mu.Lock()
	defer i.mu.Unlock()
	for tp := range i.parts {
		i.drop(tp)
	}
	return nil
}
