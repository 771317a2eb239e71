package als

import (
	"context"
	"fmt"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

const (
	outcomeFieldReplies = "replies"
	outcomeFieldWindow  = "window"
	outcomeFieldReport  = "report"
)

func outcomeSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("Counts what users do with the lists they were shown, by the model version that made each.").
		Description(`
It reads replies as als_recommend makes them, and events. An event of type view or rate with a field request_id says which reply it comes from:

`+"```json"+`
{"event_type": "view", "user_id": 514, "movie_id": 318, "timestamp": "2026-01-02T15:04:05Z", "request_id": "r1"}
`+"```"+`

It counts if the list had the movie, was for that user (a list for nobody known may be anybody's), and was made known no more than window before the event, by the times of their Kafka records. Each movie of a list counts once as opened and once as rated. All messages pass unchanged; what is neither is of no meaning here.

Replies and events may come in any order, and what is read again is counted once. Only the newest replies are remembered, with their first 100 movies, and as many requests whose reply has not come.

Metrics, by model version and role ("" is the champion's), since the earliest record that was read: als_outcome_shown (lists), als_outcome_items (movies of those), als_outcome_hit (lists of which the user opened or rated a movie), als_outcome_clicked and als_outcome_rated (movies of lists). The hit rate is als_outcome_hit / als_outcome_shown, the click rate als_outcome_clicked / als_outcome_items. They are gauges, because a start counts anew from the topics. als_outcome_unattributed tells by reason what counts for no list: waiting (its reply has not been read), unknown (forgotten, or never made), late, other (another user's, or a movie that the list does not have). The log tells of the same where it changes.`).
		Field(service.NewIntField(outcomeFieldReplies).
			Description("How many replies are remembered, about 600 bytes each with ten movies.").Default(100_000).
			LintRule(`root = if this < 1 { ["field replies must be at least 1"] }`)).
		Field(service.NewDurationField(outcomeFieldWindow).
			Description("How long after a list what its user does comes from it.").Default("24h")).
		Field(service.NewDurationField(outcomeFieldReport).
			Description("How often the log tells what was counted, if that has changed.").Default("10m").Advanced()).
		Example("Hit rates of versions as metrics", "", `
input:
  kafka_franz:
    seed_brokers: [127.0.0.1:9092]
    topics: [recommendations, events]
    start_offset: earliest
pipeline:
  threads: 1
  processors:
    - als_outcome: {}
output:
  drop: {}
`)
}

func init() {
	service.MustRegisterBatchProcessor("als_outcome", outcomeSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchProcessor, error) {
			return newOutcomeMeter(conf, mgr)
		})
}

type outcomeMeter struct {
	outcomes *experiment.Outcomes
	report   time.Duration
	now      func() time.Time
	log      *service.Logger

	shown, items, hit, clicked, rated, unattributed *service.MetricGauge

	told    map[experiment.Tally]bool // by the log; belongs to run
	stop    context.CancelFunc
	stopped chan struct{}
}

func newOutcomeMeter(conf *service.ParsedConfig, mgr *service.Resources) (*outcomeMeter, error) {
	m := &outcomeMeter{now: time.Now, log: mgr.Logger()}
	var config experiment.OutcomeConfig
	var err error
	if config.Replies, err = conf.FieldInt(outcomeFieldReplies); err != nil {
		return nil, err
	}
	if config.Window, err = conf.FieldDuration(outcomeFieldWindow); err != nil {
		return nil, err
	}
	if m.report, err = conf.FieldDuration(outcomeFieldReport); err != nil {
		return nil, err
	}
	if config.Replies < 1 || config.Window <= 0 || m.report <= 0 {
		return nil, fmt.Errorf("fields %s, %s and %s: %d, %s and %s are not all above 0", outcomeFieldReplies, outcomeFieldWindow, outcomeFieldReport, config.Replies, config.Window, m.report)
	}
	m.outcomes = experiment.NewOutcomes(config)
	gauge := func(name string) *service.MetricGauge {
		return mgr.Metrics().NewGauge("als_outcome_"+name, "version", "role")
	}
	m.shown, m.items, m.hit = gauge("shown"), gauge("items"), gauge("hit")
	m.clicked, m.rated = gauge("clicked"), gauge("rated")
	m.unattributed = mgr.Metrics().NewGauge("als_outcome_unattributed", "reason")
	ctx, stop := context.WithCancel(context.Background())
	m.stop, m.stopped = stop, make(chan struct{})
	go m.run(ctx)
	return m, nil
}

// run tells the log until ctx ends.
func (m *outcomeMeter) run(ctx context.Context) {
	defer close(m.stopped)
	ticker := time.NewTicker(m.report)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			m.tell()
		}
	}
}

// ProcessBatch counts, and passes the batch on as it is.
func (m *outcomeMeter) ProcessBatch(_ context.Context, batch service.MessageBatch) ([]service.MessageBatch, error) {
	counted := false
	for _, msg := range batch {
		if msg.GetError() != nil {
			continue
		}
		if data, err := msg.AsBytes(); err == nil {
			counted = m.count(msg, data) || counted
		}
	}
	if counted {
		m.measure()
	}
	return []service.MessageBatch{batch}, nil
}

func (m *outcomeMeter) count(msg *service.Message, data []byte) bool {
	reply, action := experiment.DecodeOutcome(data)
	if reply == nil && action == nil {
		return false
	}
	var place experiment.Place
	at := m.now().UnixMilli()
	if origin := message.OriginFrom(msg.Context()); origin != nil {
		place = experiment.Place{Topic: origin.Topic, Partition: origin.Partition, Offset: origin.Offset}
		at = origin.Time.UnixMilli()
	}
	if reply != nil {
		reply.Place, reply.At = place, at
		return m.outcomes.Show(reply)
	}
	action.Place, action.At = place, at
	return m.outcomes.Act(action)
}

func (m *outcomeMeter) measure() {
	tallies, rest := m.outcomes.Tallies()
	for _, t := range tallies {
		m.shown.Set(t.Shown, t.Version, t.Role)
		m.items.Set(t.Items, t.Version, t.Role)
		m.hit.Set(t.Hit, t.Version, t.Role)
		m.clicked.Set(t.Clicked, t.Version, t.Role)
		m.rated.Set(t.Rated, t.Version, t.Role)
	}
	for reason, n := range map[string]int64{"waiting": rest.Waiting, "unknown": rest.Unknown, "late": rest.Late, "other": rest.Other} {
		m.unattributed.Set(n, reason)
	}
}

// tell logs what has changed.
func (m *outcomeMeter) tell() {
	tallies, _ := m.outcomes.Tallies()
	told := map[experiment.Tally]bool{}
	for _, t := range tallies {
		if told[t] = true; !m.told[t] {
			m.log.Infof("Of %d lists by version %s%s users opened or rated a movie of %d (%.1f %%): %d movies opened, %d rated",
				t.Shown, t.Version, as(t.Role), t.Hit, 100*float64(t.Hit)/float64(t.Shown), t.Clicked, t.Rated)
		}
	}
	m.told = told
}

func as(role string) string {
	if role == "" {
		return ""
	}
	return " as " + role
}

func (m *outcomeMeter) Close(context.Context) error {
	m.stop()
	<-m.stopped
	return nil
}
