package als

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

const (
	compareFieldRegistry = "registry"
	compareFieldAlpha    = "alpha"
	compareFieldMinUsers = "min_users"
	compareFieldPeriod   = "period"
	compareFieldMargin   = "margin"
	compareFieldAction   = "action"
)

const (
	actionNone     = "none"
	actionRollback = "rollback"
)

func compareSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("Compares the champion with its challengers on the ratings that come in, and takes back a promotion that made predictions worse.").
		Description(`
Reads predictions. Where one has an actual rating and shadows, the versions' squared errors are compared: a user's ratings of one period make one value, clipped to ±1 stars², and users count the same. A value counts once its period is over. The gain is the mean squared error of the champion minus that of the challenger; around it stands a confidence sequence, which holds at all times at once, so that the first moment at which it does not hold 0 settles the comparison. All other messages pass untouched.

The champion before is a challenger too, challenger:previous, in shadow, as long as the new one is on probation. With the action rollback:

- if it is settled as better than the champion, a promotion makes it the champion again;
- if it is settled that it is not better by as much as margin, the probation is over: it loses its role.

Either is recorded in the registry with its figures as the reason, once, also if several processes find it: what is recorded decides. The message at which it was found becomes the announcement, which the topic models needs; its metadata say what it is.

| metadata | |
| - | - |
| als_compare | none: the message as it came; rolled_back, settled: the announcement of the promotion, for the topic models; found: a comparison that is settled and changes no role, as JSON |
| role | of the announcement |

Comparisons are kept in memory, and made again from the topic at each start: read it from the earliest record and without a consumer group.`).
		Field(modelField()).
		Field(service.NewStringField(compareFieldRegistry).
			Description("The registry in which promotions are recorded; empty for that of the als_model.").
			Default("").Advanced()).
		Field(service.NewFloatField(compareFieldAlpha).
			Description("The probability with which a comparison of equally good versions may ever be settled.").
			Default(0.05).
			LintRule(`root = if this <= 0 || this >= 1 { ["field alpha must lie between 0 and 1"] }`)).
		Field(service.NewIntField(compareFieldMinUsers).
			Description("Nothing is settled with fewer users.").
			Default(30)).
		Field(service.NewDurationField(compareFieldPeriod).
			Description("Of how much time a user's ratings make one value. A value counts when its period is over: 24h is a UTC day. Where all requests come within minutes, as in a simulation, no day would ever be over.").
			Default("24h")).
		Field(service.NewFloatField(compareFieldMargin).
			Description("How much better than the champion, in stars² of mean squared error, the champion before could be without anybody caring. 0.02 is about a hundredth of a star of RMSE.").
			Default(0.02)).
		Field(service.NewStringEnumField(compareFieldAction, actionNone, actionRollback).
			Description("What to do when challenger:previous is settled.").
			Default(actionNone)).
		Example("Probation", "Every process finds the same; the registry takes it once.", `
input:
  kafka_franz:
    seed_brokers: [127.0.0.1:9092]
    topics: [predictions]
    start_offset: earliest
pipeline:
  threads: 1
  processors:
    - als_compare:
        model: model
        action: rollback
output:
  switch:
    cases:
      - check: '@als_compare == "rolled_back" || @als_compare == "settled"'
        output:
          kafka_franz:
            seed_brokers: [127.0.0.1:9092]
            topic: models
            key: ${! @role }
      - output:
          drop: {}

cache_resources:
  - label: model
    als_model:
      registry: file://./recsys-data/registry
`)
}

func init() {
	service.MustRegisterBatchProcessor("als_compare", compareSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchProcessor, error) {
			return newComparer(conf, mgr)
		})
}

type comparer struct {
	label    string
	registry *registry.Registry // nil: that of the als_model
	config   experiment.Config
	margin   float64
	action   string
	mgr      *service.Resources
	log      *service.Logger
	now      func() time.Time

	comparisons                    *experiment.Comparisons
	gain, low, high, users, eValue *service.MetricGauge

	mu    sync.Mutex
	told  map[finding]bool
	found []found // not told yet, oldest first
}

func newComparer(conf *service.ParsedConfig, mgr *service.Resources) (*comparer, error) {
	c := &comparer{mgr: mgr, log: mgr.Logger(), now: time.Now, told: map[finding]bool{}}
	if err := c.parse(conf); err != nil {
		return nil, err
	}
	if err := build(mgr, c.label); err != nil {
		return nil, err
	}
	if _, err := c.follower(); err != nil {
		return nil, err
	}
	c.comparisons = experiment.NewComparisons(c.config)
	gauge := func(name string) *service.MetricGauge {
		return mgr.Metrics().NewGauge("als_compare_"+name, "champion", "challenger", "role")
	}
	c.gain, c.low, c.high = gauge("gain"), gauge("low"), gauge("high")
	c.users, c.eValue = gauge("users"), gauge("e_value")
	return c, nil
}

func (c *comparer) parse(conf *service.ParsedConfig) (err error) {
	if c.label, err = conf.FieldString(fieldModel); err != nil {
		return err
	}
	url, err := conf.FieldString(compareFieldRegistry)
	if err != nil {
		return err
	}
	if url != "" {
		if c.registry, err = registry.Open(url); err != nil {
			return err
		}
	}
	if c.config.Alpha, err = conf.FieldFloat(compareFieldAlpha); err != nil {
		return err
	}
	if !(c.config.Alpha > 0 && c.config.Alpha < 1) {
		return fmt.Errorf("field %s: %v does not lie between 0 and 1", compareFieldAlpha, c.config.Alpha)
	}
	if c.config.MinUsers, err = conf.FieldInt(compareFieldMinUsers); err != nil {
		return err
	}
	if c.config.MinUsers < 2 {
		return fmt.Errorf("field %s: %d users have no spread; give at least 2", compareFieldMinUsers, c.config.MinUsers)
	}
	if c.config.Period, err = conf.FieldDuration(compareFieldPeriod); err != nil {
		return err
	}
	if c.config.Period < time.Second {
		return fmt.Errorf("field %s: %s is too short; give at least 1s", compareFieldPeriod, c.config.Period)
	}
	if c.margin, err = conf.FieldFloat(compareFieldMargin); err != nil {
		return err
	}
	if !(c.margin >= 0) {
		return fmt.Errorf("field %s: %v is negative", compareFieldMargin, c.margin)
	}
	c.action, err = conf.FieldString(compareFieldAction)
	return err
}

func (c *comparer) follower() (*registry.Follower, error) {
	return resource[*registry.Follower](c.mgr, registry.FollowerKey{Label: c.label}, c.label, "an als_model")
}

// ProcessBatch compares what is in a batch, and tells what it finds in place of
// the messages at which it does.
func (c *comparer) ProcessBatch(ctx context.Context, batch service.MessageBatch) ([]service.MessageBatch, error) {
	follower, err := c.follower()
	if err != nil {
		return nil, err
	}
	lineUp, err := follower.Live.Wait(ctx)
	if err != nil {
		return nil, err
	}
	for _, msg := range batch {
		if msg.GetError() != nil {
			continue
		}
		msg.MetaSetMut("als_compare", tellNothing)
		closed, err := c.add(msg)
		if err != nil {
			msg.SetError(err)
			continue
		}
		if closed {
			c.look(lineUp)
		}
		if err := c.tell(ctx, follower, msg); err != nil {
			return nil, err
		}
	}
	return []service.MessageBatch{batch}, nil
}

// add takes a message into the comparisons.
func (c *comparer) add(msg *service.Message) (closed bool, err error) {
	data, err := msg.AsBytes()
	if err != nil {
		return false, message.Rejectf("als_compare", "%v", err)
	}
	record, ok, err := experiment.DecodeRecord(data)
	if err != nil {
		return false, message.Rejectf("als_compare", "%v", err)
	}
	if !ok {
		return false, nil
	}
	rating, ok := record.Rating()
	if origin := message.OriginFrom(msg.Context()); origin != nil {
		rating.Partition = origin.Partition
	}
	return ok && c.comparisons.Add(rating), nil
}

// look exports the comparisons of the line-up, and notes what is settled.
func (c *comparer) look(lineUp *model.LineUp) {
	results := c.comparisons.Results()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range results {
		if r.Champion != lineUp.Champion.Name || !hasRole(lineUp, r) {
			continue
		}
		c.gain.SetFloat64(r.Gain, r.Champion, r.Challenger, r.Role)
		c.low.SetFloat64(r.Low, r.Champion, r.Challenger, r.Role)
		c.high.SetFloat64(r.High, r.Champion, r.Challenger, r.Role)
		c.users.Set(int64(r.Users), r.Champion, r.Challenger, r.Role)
		c.eValue.SetFloat64(r.EValue, r.Champion, r.Challenger, r.Role)
		if f := c.judge(r); f.outcome != "" && !c.told[f] {
			c.told[f] = true
			c.found = append(c.found, found{f, r})
		}
	}
}

func hasRole(lineUp *model.LineUp, r experiment.Result) bool {
	for _, challenger := range lineUp.Challengers {
		if challenger.Role == r.Role && challenger.Name == r.Challenger {
			return true
		}
	}
	return false
}

func (c *comparer) Close(context.Context) error { return nil }
