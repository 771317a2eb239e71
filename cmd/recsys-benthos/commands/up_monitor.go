package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// monitor follows the topics from outside, as anyone could, and keeps the
// accounts of this run: which requests have their reply. Requests that a
// previous run left unanswered belong to this one.
type monitor struct {
	client *kgo.Client
	admin  *kadm.Client
	done   chan struct{}

	mu        sync.Mutex // guards what follows
	first     kadm.ListedOffsets
	counts    status
	live      eval.RMSE
	open      map[string]int // request id → requests minus replies, where not 0
	consumed  map[string]map[int32]int64
	ends      kadm.ListedOffsets
	committed map[string]kadm.OffsetResponses
}

// status is a snapshot of the run's counts.
type status struct {
	events, requests, predictions, deadLetters, cold int64
	model                                            message.Announcement
	rmseLive                                         float64
	at                                               time.Time
}

// followed are the topics whose records are read.
var followed = []string{topicRequests, topicPredictions, topicDeadLetters, topicModels}

func newMonitor(ctx context.Context, brokers string) (*monitor, error) {
	m := &monitor{done: make(chan struct{}), open: map[string]int{}, consumed: map[string]map[int32]int64{}}
	var err error
	if m.admin, err = kadm.NewOptClient(kgo.SeedBrokers(brokers)); err != nil {
		return nil, err
	}
	if m.first, err = m.admin.ListEndOffsets(ctx, append([]string{topicEvents}, followed...)...); err != nil {
		return nil, fmt.Errorf("reading the topics' ends: %w", err)
	}
	m.ends = m.first
	starts, err := m.starts(ctx)
	if err != nil {
		return nil, err
	}
	m.client, err = kgo.NewClient(kgo.SeedBrokers(brokers), kgo.ConsumePartitions(starts), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return nil, err
	}
	go m.run()
	return m, nil
}

// starts says where reading begins: at the first unanswered request, at the first
// announcement that is kept, and at the end of the other topics.
func (m *monitor) starts(ctx context.Context) (map[string]map[int32]kgo.Offset, error) {
	answered, err := m.committedBy(ctx, "predict")
	if err != nil {
		return nil, fmt.Errorf("reading what was answered: %w", err)
	}
	earliest, err := m.admin.ListStartOffsets(ctx, topicRequests, topicModels)
	if err != nil {
		return nil, fmt.Errorf("reading the topics' starts: %w", err)
	}
	starts := map[string]map[int32]kgo.Offset{}
	for _, topic := range followed {
		starts[topic], m.consumed[topic] = map[int32]kgo.Offset{}, map[int32]int64{}
	}
	m.first.Each(func(o kadm.ListedOffset) {
		if starts[o.Topic] == nil {
			return
		}
		from := o.Offset
		if first, ok := earliest.Lookup(o.Topic, o.Partition); ok {
			from = first.Offset
		}
		if committed, ok := answered.Lookup(o.Topic, o.Partition); ok {
			from = max(from, committed.At)
		}
		starts[o.Topic][o.Partition] = kgo.NewOffset().At(from)
		m.consumed[o.Topic][o.Partition] = from
	})
	return starts, nil
}

// run reads until the client is closed.
func (m *monitor) run() {
	defer close(m.done)
	for {
		fetches := m.client.PollRecords(context.Background(), 1000)
		if fetches.IsClientClosed() {
			return
		}
		m.mu.Lock()
		fetches.EachRecord(m.count)
		m.mu.Unlock()
	}
}

func (m *monitor) close() {
	m.client.Close()
	<-m.done
	m.admin.Close()
}

// count takes one record into the accounts.
func (m *monitor) count(r *kgo.Record) {
	m.consumed[r.Topic][r.Partition] = r.Offset + 1
	switch r.Topic {
	case topicRequests:
		origin := message.Origin{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
		if id, ok := requestID(origin.RequestID(), r.Value); ok {
			m.counts.requests++
			m.account(id, 1)
		}
	case topicPredictions:
		m.prediction(r.Value)
	case topicDeadLetters:
		m.counts.deadLetters++
		headers := map[string]string{}
		for _, h := range r.Headers {
			headers[h.Key] = string(h.Value)
		}
		if headers["topic"] == topicRequests {
			place := strings.Join([]string{headers["topic"], headers["partition"], headers["offset"]}, "-")
			if id, ok := requestID(place, r.Value); ok {
				m.account(id, -1)
			}
		}
	case topicModels:
		if a, err := message.DecodeAnnouncement("up", r.Value); err == nil && a.Role == registry.Champion && a.Sequence >= m.counts.model.Sequence {
			m.counts.model = a
		}
	}
}

func (m *monitor) prediction(value []byte) {
	fields := gjson.GetManyBytes(value, "request_id", "prediction", "actual", "cold.#", "late")
	m.account(fields[0].String(), -1)
	m.counts.predictions++
	if fields[3].Int() > 0 {
		m.counts.cold++
	}
	if fields[2].Exists() && !fields[4].Bool() {
		m.live.Add(fields[1].Float(), fields[2].Float())
	}
}

// account adds to the balance of one request. Replies may be seen before their
// request.
func (m *monitor) account(id string, change int) {
	balance := m.open[id] + change
	if balance == 0 {
		delete(m.open, id)
	} else {
		m.open[id] = balance
	}
}

// requestID is the id a request's reply carries; false says that the reply is no
// prediction. A request that cannot be read has its place for an id.
func requestID(place string, value []byte) (string, bool) {
	request, err := message.DecodeRequest("up", message.MovieLensScale, value)
	var other message.OtherKind
	if errors.As(err, &other) {
		return "", false
	}
	if err != nil || request.ID == "" {
		return place, true
	}
	return strings.Clone(request.ID), true // the value is let go
}

// refresh asks the broker for the topics' ends and the groups' positions.
func (m *monitor) refresh(ctx context.Context) error {
	ends, err := m.admin.ListEndOffsets(ctx, append([]string{topicEvents}, followed...)...)
	if err != nil {
		return err
	}
	committed := map[string]kadm.OffsetResponses{}
	for _, group := range []string{"predict", "ingest", "index"} {
		if committed[group], err = m.committedBy(ctx, group); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ends, m.committed = ends, committed
	m.counts.events = 0
	ends.Each(func(o kadm.ListedOffset) {
		if before, ok := m.first.Lookup(o.Topic, o.Partition); ok && o.Topic == topicEvents {
			m.counts.events += o.Offset - before.Offset
		}
	})
	return nil
}

// committedBy returns what a group has acknowledged; a group that never ran has
// acknowledged nothing.
func (m *monitor) committedBy(ctx context.Context, group string) (kadm.OffsetResponses, error) {
	offsets, err := m.admin.FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	return offsets, err
}

func (m *monitor) status() status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.counts
	if m.behind() == 0 {
		s.predictions -= m.repeated()
	}
	if m.live.Count() > 0 {
		s.rmseLive = m.live.Value()
	}
	s.at = time.Now()
	return s
}

// drained reports whether all that is in the topics is read here, every request
// has its reply, and everything is stored and indexed.
func (m *monitor) drained() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.behind() == 0 && m.unanswered() == 0 &&
		m.lag("ingest", topicEvents) == 0 && m.lag("index", topicPredictions) == 0
}

// answered reports whether all that was read has its reply.
func (m *monitor) answered() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.behind() == 0 && m.unanswered() == 0
}

// imbalance says what is missing for drained.
func (m *monitor) imbalance() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprintf("%d requests, %d predictions, %d dead letters, %d requests without a reply; %d events to store, %d predictions to index",
		m.counts.requests, m.counts.predictions, m.counts.deadLetters, m.unanswered(),
		m.lag("ingest", topicEvents), m.lag("index", topicPredictions))
}

func (m *monitor) unanswered() (n int) {
	for _, balance := range m.open {
		n += max(balance, 0)
	}
	return n
}

// repeated is how many replies were given more than once, which at-least-once
// delivery allows; it is exact once everything is read.
func (m *monitor) repeated() (n int64) {
	for _, balance := range m.open {
		n += int64(max(-balance, 0))
	}
	return n
}

// behind is how many records of the followed topics were not read yet.
func (m *monitor) behind() (n int64) {
	m.ends.Each(func(o kadm.ListedOffset) {
		if at, ok := m.consumed[o.Topic][o.Partition]; ok {
			n += max(o.Offset-at, 0)
		}
	})
	return n
}

// lag is how many records a group has yet to acknowledge.
func (m *monitor) lag(group, topic string) (n int64) {
	m.ends.Each(func(o kadm.ListedOffset) {
		if o.Topic != topic {
			return
		}
		at := int64(0)
		if committed, ok := m.committed[group].Lookup(o.Topic, o.Partition); ok {
			at = max(committed.At, 0)
		}
		n += max(o.Offset-at, 0)
	})
	return n
}
