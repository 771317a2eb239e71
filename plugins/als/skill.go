package als

import (
	"context"
	"fmt"
	"sync"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const (
	skillFieldWindow = "window"
	skillFieldDrop   = "drop"
)

func skillSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("Tells when the version that serves predicts worse than when it began to, relative to the users' online biases.").
		Description(`
It reads predictions as als_predict makes them. Those of the champion with an actual rating count; all messages pass unchanged. Beside each it predicts by biases alone, beginning with the champion's and keeping the user's current rating by rating.

The skill of a version is 1 − RMSE / RMSE of the baseline, over a window of ratings by at least 30 effective users. Its first window is the reference. The message that closes a window with a skill that has fallen by drop, and by more than two standard errors over users, gets the metadata field als_skill with the value fallen, and als_skill_value and als_skill_reference, which a pipeline can make a trigger for als_train of. That is told once, until the skill falls further.

The raw error of a window says little: that of one unchanged model swings by half as users come and go.

Metrics: als_skill is the skill of the last window, als_skill_reference what it is compared with.`).
		Field(modelField()).
		Field(service.NewIntField(skillFieldWindow).
			Description("Ratings of a window. It is longer while its users are too few.").
			Default(2000).
			LintRule(`root = if this < 1 { ["field window must be at least 1"] }`)).
		Field(service.NewFloatField(skillFieldDrop).
			Description("How much the skill has to fall.").
			Default(0.02)).
		Example("Ask for a training when skill falls", "", `
input:
  kafka_franz:
    seed_brokers: [127.0.0.1:9092]
    topics: [predictions]
    consumer_group: skill
pipeline:
  processors:
    - als_skill: {}
output:
  switch:
    cases:
      - check: '@als_skill == "fallen"'
        output:
          kafka_franz:
            seed_brokers: [127.0.0.1:9092]
            topic: train
          processors:
            - mapping: 'root = {"trigger": "skill", "skill": @als_skill_value}'
      - output:
          drop: {}

cache_resources:
  - label: model
    als_model:
      registry: file://./recsys-data/registry
`)
}

func init() {
	service.MustRegisterProcessor("als_skill", skillSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.Processor, error) {
			return newSkillMeter(conf, mgr)
		})
}

type skillMeter struct {
	label string
	mgr   *service.Resources

	mu       sync.Mutex
	skill    experiment.Skill
	baseline model.Baseline

	log              *service.Logger
	value, reference *service.MetricGauge
}

func newSkillMeter(conf *service.ParsedConfig, mgr *service.Resources) (*skillMeter, error) {
	m := &skillMeter{mgr: mgr, log: mgr.Logger(), value: mgr.Metrics().NewGauge("als_skill"), reference: mgr.Metrics().NewGauge("als_skill_reference")}
	var err error
	if m.skill.Window, err = conf.FieldInt(skillFieldWindow); err != nil {
		return nil, err
	}
	if m.skill.Window < 1 {
		return nil, fmt.Errorf("field %s: %d is less than 1", skillFieldWindow, m.skill.Window)
	}
	if m.skill.Drop, err = conf.FieldFloat(skillFieldDrop); err != nil {
		return nil, err
	}
	if m.label, err = conf.FieldString(fieldModel); err != nil {
		return nil, err
	}
	if err := build(mgr, m.label); err != nil {
		return nil, err
	}
	_, err = m.live()
	return m, err
}

func (m *skillMeter) live() (*model.Live, error) {
	return resource[*model.Live](m.mgr, model.LiveKey{Label: m.label}, m.label, "an als_model")
}

func (m *skillMeter) Process(_ context.Context, msg *service.Message) (service.MessageBatch, error) {
	data, err := msg.AsBytes()
	if err != nil || msg.GetError() != nil {
		return service.MessageBatch{msg}, err
	}
	live, err := m.live()
	if err != nil {
		return nil, err
	}
	fields := gjson.GetManyBytes(data, "model_version", "user_id", "movie_id", "prediction", "actual", "late")
	for _, f := range fields[1:5] {
		if f.Type != gjson.Number {
			return service.MessageBatch{msg}, nil
		}
	}
	champion := live.Current()
	if champion == nil || champion.Name != fields[0].Str || fields[5].Bool() { // late: the model may have seen the answer
		return service.MessageBatch{msg}, nil
	}
	window := m.observe(champion, fields[1].Int(), fields[2].Int(), fields[3].Num, fields[4].Num)
	if !window.Closed {
		return service.MessageBatch{msg}, nil
	}
	m.value.SetFloat64(window.Skill)
	m.reference.SetFloat64(window.Reference)
	if window.Fallen {
		m.log.Warnf("The skill of version %s has fallen from %.4f to %.4f over %d ratings by %d users",
			fields[0].Str, window.Reference, window.Skill, window.Ratings, window.Users)
		msg.MetaSetMut("als_skill", "fallen")
		msg.MetaSetMut("als_skill_value", window.Skill)
		msg.MetaSetMut("als_skill_reference", window.Reference)
	}
	return service.MessageBatch{msg}, nil
}

func (m *skillMeter) observe(champion *model.Version, user, movie int64, predicted, actual float64) experiment.SkillWindow {
	m.mu.Lock()
	defer m.mu.Unlock()
	baseline := m.baseline.Observe(champion.Model, ratings.Rating{User: user, Movie: movie, Value: float32(actual)})
	return m.skill.Observe(champion.Name, user, predicted, float64(baseline), actual)
}

func (m *skillMeter) Close(context.Context) error { return nil }
