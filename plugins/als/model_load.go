package als

import (
	"context"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

const fieldModel = "model"

func modelField() *service.ConfigField {
	return service.NewStringField(fieldModel).
		Description("The label of the als_model resource.").
		Default("model")
}

func modelLoadSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("Loads the model version that an announcement names, and swaps it in.").
		Description(`
An announcement comes from the topic models. Its version is read from the registry of the als_model resource, its checksum verified, the model warmed, and then it serves. An announcement older than what serves changes nothing. One of a challenger, or that a challenger has its role no more, is a reason to look at the registry's log of promotions, which says who has which role.
A version that cannot be loaded marks the announcement with an error; the version that serves goes on.`).
		Field(modelField()).
		Example("Follow the topic models", "Every predicting process reads the whole topic, so there is no consumer group.", `
input:
  kafka_franz:
    seed_brokers: [127.0.0.1:9092]
    topics: [models]
pipeline:
  processors:
    - model_load:
        model: model
output:
  drop: {}

cache_resources:
  - label: model
    als_model:
      registry: file://./recsys-data/registry
`)
}

func init() {
	service.MustRegisterProcessor("model_load", modelLoadSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.Processor, error) {
			return newModelLoader(conf, mgr)
		})
}

type modelLoader struct {
	label string
	mgr   *service.Resources
}

func newModelLoader(conf *service.ParsedConfig, mgr *service.Resources) (*modelLoader, error) {
	label, err := conf.FieldString(fieldModel)
	if err != nil {
		return nil, err
	}
	if err := build(mgr, label); err != nil {
		return nil, err
	}
	l := &modelLoader{label: label, mgr: mgr}
	_, err = l.follower()
	return l, err
}

func (l *modelLoader) follower() (*registry.Follower, error) {
	return resource[*registry.Follower](l.mgr, registry.FollowerKey{Label: l.label}, l.label, "an als_model")
}

func (l *modelLoader) Process(_ context.Context, msg *service.Message) (service.MessageBatch, error) {
	if msg.GetError() != nil {
		return service.MessageBatch{msg}, nil
	}
	follower, err := l.follower()
	if err != nil {
		return nil, err
	}
	data, err := msg.AsBytes()
	if err != nil {
		return nil, err
	}
	announcement, err := message.DecodeAnnouncement("model_load", data)
	if err == nil {
		if err = follower.Announced(announcement); err != nil {
			err = message.Rejectf("model_load", "%v", err)
		}
	}
	if err != nil {
		msg.SetError(err)
	}
	return service.MessageBatch{msg}, nil
}

func (l *modelLoader) Close(context.Context) error { return nil }
