package kafka

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	lagFieldGroups   = "groups"
	lagFieldInterval = "interval"

	metaKind = "recsys_kind" // tells these messages from records of topics
	lagKind  = "consumer_lag"

	minLagInterval = 100 * time.Millisecond
)

func lagSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Services").
		Summary("Tells how far the consumer groups of a Kafka cluster are behind.").
		Description(`
At every interval there is one message for each group and topic, with the metadata field `+"`recsys_kind: consumer_lag`"+`:

`+"```json"+`
{"group": "predict", "topic": "requests", "state": "Stable", "members": 2, "partitions": 4, "lag": 120}
`+"```"+`

lag is in records, from what the group has committed to the end of the topic; members are the processes that read the topic for the group, 0 where nobody does. While the cluster cannot be reached there are no messages, and the log says why. The dashboard shows these messages; with any other output they make an alarm. The user needs the ACLs DESCRIBE of the groups and of their topics.`).
		Fields(connectionFields()...).
		Field(service.NewStringListField(lagFieldGroups).
			Description("The groups to tell of; none is all of them.").
			Default([]any{})).
		Field(service.NewDurationField(lagFieldInterval).
			Description("How often, at least 100ms.").
			Default("5s")).
		LintRule(`root = match {`+connectionLints+`
}`).
		Example("An alarm", "Says when a group is more than 10,000 records behind.", `
input:
  kafka_lag:
    seed_brokers: [ "${KAFKA_BROKERS:127.0.0.1:9092}" ]
    interval: 1m

pipeline:
  processors:
    - mapping: root = if this.lag < 10000 { deleted() }

output:
  kafka_franz:
    seed_brokers: [ "${KAFKA_BROKERS:127.0.0.1:9092}" ]
    topic: alarms
`)
}

func init() {
	service.MustRegisterBatchInput("kafka_lag", lagSpec(), newLagInput)
}

// lagInput asks the cluster at every interval.
type lagInput struct {
	opts     []kgo.Opt
	groups   []string
	interval time.Duration
	log      *service.Logger

	mu     sync.Mutex
	client *kgo.Client // nil before Connect and after Close

	next   time.Time // when to ask again; this and the next are of ReadBatch alone
	failed bool      // the log says so already
}

func newLagInput(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchInput, error) {
	c, err := parseConnection(conf)
	if err != nil {
		return nil, err
	}
	i := &lagInput{opts: c.opts, log: mgr.Logger()}
	if i.groups, err = conf.FieldStringList(lagFieldGroups); err != nil {
		return nil, err
	}
	if i.interval, err = conf.FieldDuration(lagFieldInterval); err != nil {
		return nil, err
	}
	if i.interval < minLagInterval {
		return nil, fmt.Errorf("field %s: %v is too often; give at least %v", lagFieldInterval, i.interval, minLagInterval)
	}
	return i, validate(c.opts)
}

// Connect makes the client, which finds the cluster by itself when it is there.
func (i *lagInput) Connect(context.Context) (err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.client == nil {
		i.client, err = kgo.NewClient(i.opts...)
	}
	return err
}

// ReadBatch waits for the next interval, and until the cluster answers.
func (i *lagInput) ReadBatch(ctx context.Context) (service.MessageBatch, service.AckFunc, error) {
	i.mu.Lock()
	client := i.client
	i.mu.Unlock()
	if client == nil {
		return nil, nil, service.ErrNotConnected
	}
	for {
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(time.Until(i.next)):
		}
		i.next = time.Now().Add(i.interval)
		lags, err := readLags(ctx, kadm.NewClient(client), i.groups)
		switch {
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case err != nil && !i.failed:
			i.failed = true
			i.log.Warnf("The lag of consumer groups is not known: %s; asking again every %v", Explain(err), i.interval)
		case err == nil:
			i.failed = false
			batch, err := lagMessages(lags)
			if err != nil || len(batch) > 0 {
				return batch, func(context.Context, error) error { return nil }, err
			}
		}
	}
}

// groupLag is how far a group is behind in a topic, as JSON.
type groupLag struct {
	Group      string `json:"group"`
	Topic      string `json:"topic"`
	State      string `json:"state"`
	Members    int    `json:"members"`
	Partitions int    `json:"partitions"`
	Lag        int64  `json:"lag"`
}

// readLags asks for the groups, all of them if none is named, and returns what is
// known by group and topic. A group that nothing is known of is left out.
func readLags(ctx context.Context, admin *kadm.Client, groups []string) ([]groupLag, error) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	described, err := admin.Lag(ctx, groups...)
	if err != nil {
		return nil, err
	}
	var all []groupLag
	for _, group := range described {
		if group.Error() != nil {
			continue
		}
		for topic, partitions := range group.Lag {
			lag := groupLag{Group: group.Group, Topic: topic, State: group.State}
			members := map[string]bool{}
			for _, p := range partitions {
				lag.Partitions++
				lag.Lag += max(p.Lag, 0)
				if p.Member != nil {
					members[p.Member.MemberID] = true
				}
			}
			lag.Members = len(members)
			all = append(all, lag)
		}
	}
	slices.SortFunc(all, func(a, b groupLag) int { return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Topic, b.Topic)) })
	return all, nil
}

func lagMessages(lags []groupLag) (service.MessageBatch, error) {
	batch := make(service.MessageBatch, 0, len(lags))
	for _, lag := range lags {
		text, err := json.Marshal(lag)
		if err != nil {
			return nil, err
		}
		msg := service.NewMessage(text)
		msg.MetaSetMut(metaKind, lagKind)
		batch = append(batch, msg)
	}
	return batch, nil
}

// Close ends the connection. Closing again does nothing.
func (i *lagInput) Close(context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.client != nil {
		i.client.Close()
		i.client = nil
	}
	return nil
}
