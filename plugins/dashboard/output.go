package dashboard

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
	"github.com/recsys-benthos/recsys-benthos/internal/live"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/origin"
)

// The topics whose messages are not predictions.
const (
	modelsTopic      = "models"
	deadLettersTopic = "dead_letters"
	eventsTopic      = "events"
)

// listenRetry is the wait between two attempts to listen on the address.
const listenRetry = time.Second

// dashboard is the output: messages go into the aggregates, the server shows
// them, or an input recommend_http at the same address does.
type dashboard struct {
	config config
	live   *live.Aggregates
	origin *origin.Origin

	mu     sync.Mutex
	page   *page         // nil before Connect and after Close
	guest  *origin.Guest // the same
	failed bool          // the address was found taken, and Benthos has logged it
	closed bool

	server *server // nil unless the guest listens; the origin's lock guards it
}

func newDashboard(c config, origins *origin.Origins) *dashboard {
	return &dashboard{
		config: c, live: live.New(live.Config{Window: c.window, Compare: experiment.Config{Period: c.period}}),
		origin: origins.At(c.address),
	}
}

// state is what the page is given.
type state struct {
	Title         string `json:"title"`
	Notice        string `json:"notice"`
	RefreshMillis int64  `json:"refresh_ms"`
	live.Snapshot
}

func (d *dashboard) encode(window int) ([]byte, error) {
	return json.Marshal(state{d.config.title, d.config.notice, d.config.refresh.Milliseconds(), d.live.SnapshotOver(window)})
}

// Connect starts the server. An address that is taken is an error the first
// time, which Benthos logs; after that Connect waits until it is free, so that
// the log does not fill with one line a second.
func (d *dashboard) Connect(ctx context.Context) error {
	for {
		wait, err := d.listen()
		if err == nil || !wait {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(listenRetry):
		}
	}
}

// listen starts the server if there is none. It says to wait where the same
// trouble was told before.
func (d *dashboard) listen() (wait bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false, service.ErrNotConnected
	}
	if d.page != nil {
		return false, nil
	}
	p := startPage(d.live, d.encode, d.config.refresh)
	guest := &origin.Guest{Handler: p.handler()}
	guest.Listen = func() (err error) {
		d.server, err = startServer(d.config.address, guest.Handler)
		return err
	}
	guest.Leave = func() {
		d.server.leave()
		d.server = nil
	}
	if err := d.origin.Join(guest); err != nil {
		p.end()
		wait, d.failed = d.failed, true
		return wait, err
	}
	d.page, d.guest, d.failed = p, guest, false
	return false, nil
}

// WriteBatch adds all messages that can be read, and names the others in a
// BatchError.
func (d *dashboard) WriteBatch(_ context.Context, batch service.MessageBatch) error {
	var failed *service.BatchError
	for i, m := range batch {
		err := d.add(m)
		if err == nil {
			continue
		}
		rejection := message.Rejectf("dashboard", "%v", err)
		if failed == nil {
			failed = service.NewBatchError(batch, rejection)
		}
		failed = failed.Failed(i, rejection)
	}
	if failed == nil {
		return nil
	}
	return failed
}

func (d *dashboard) add(m *service.Message) error {
	if metaIsTrue(m, "kafka_end_of_partition") {
		d.live.EndOfPartition()
		return nil
	}
	if metaIsTrue(m, "kafka_tombstone") {
		return nil
	}
	from := message.OriginFrom(m.Context())
	topic, named := m.MetaGet("kafka_topic")
	if !named && from != nil {
		topic = from.Topic
	}
	if topic == deadLettersTopic {
		d.live.DeadLetter(deadLetter(m))
		return nil
	}
	data, err := m.AsBytes()
	if err != nil {
		return err
	}
	if kind, _ := m.MetaGet("recsys_kind"); kind == "consumer_lag" {
		return d.live.Lag(data)
	}
	switch topic {
	case modelsTopic:
		return d.live.Announcement(data)
	case eventsTopic:
		d.forget(data, from)
		return nil
	}
	var partition int32
	if from != nil {
		partition = from.Partition
	}
	return d.live.Prediction(partition, data)
}

// forget takes the rows of a user away who wants that. Of other events, and of what is
// none, the page has nothing to show: ingest.yaml reports them.
func (d *dashboard) forget(data []byte, from *message.Origin) {
	rules := message.EventRules{MaxFuture: time.Hour} // clocks differ
	event, err := rules.DecodeEvent("dashboard", data)
	if err != nil || event.Type != message.ForgetUser {
		return
	}
	at := time.Now()
	if from != nil {
		at = from.Time
	}
	d.live.Forget(event.User, at.UnixMilli())
}

func metaIsTrue(m *service.Message, key string) bool {
	value, _ := m.MetaGet(key)
	return value == "true"
}

// deadLetter reads the headers of a dead letter; none of them is required, so
// that no dead letter causes another. id is its place in its topic.
func deadLetter(m *service.Message) (id string, d live.DeadLetter) {
	get := func(key string) string {
		value, _ := m.MetaGet(key)
		return value
	}
	d = live.DeadLetter{
		Reason: get("error"), Component: get("component"), Topic: get("topic"), Partition: get("partition"), Offset: get("offset"),
	}
	if d.Reason == "" {
		d.Reason = "no reason given"
	}
	if millis, err := json.Number(get("kafka_timestamp_ms")).Int64(); err == nil {
		d.At = millis
	} else if at, err := time.Parse(time.RFC3339, get("time")); err == nil {
		d.At = at.UnixMilli()
	}
	if offset := get("kafka_offset"); offset != "" {
		id = get("kafka_partition") + "/" + offset
	}
	return id, d
}

// Close stops the server within ctx. Closing again does nothing.
func (d *dashboard) Close(ctx context.Context) error {
	d.mu.Lock()
	p, guest := d.page, d.guest
	d.page, d.guest, d.closed = nil, nil, true
	d.mu.Unlock()
	if p == nil {
		return nil
	}
	d.origin.Part(guest)
	p.end()
	if d.server == nil {
		return nil
	}
	return d.server.close(ctx)
}
