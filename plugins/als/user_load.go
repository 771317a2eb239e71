package als

import (
	"context"
	"strconv"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

func userLoadSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("Takes users' records from the topic user_factors into the live model, whoever rated where.").
		Description(`
A record of als_fold_in is merged with what the process remembers of the user, so that records may come again or late: the newest of each rating wins, and what was taken back or erased stays away. A tombstone erases the user up to the time in its header erased_until, or without one up to the time of the record; no model knows the user from then on but by what comes later.

What is no such record is marked with an error.`).
		Field(modelField()).
		Example("Follow the topic user_factors", "Every predicting process reads the whole topic, so there is no consumer group.", `
input:
  kafka_franz:
    seed_brokers: [127.0.0.1:9092]
    topics: [user_factors]
pipeline:
  processors:
    - user_load:
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
	service.MustRegisterBatchProcessor("user_load", userLoadSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchProcessor, error) {
			return newUserLoader(conf, mgr)
		})
}

type userLoader struct {
	label string
	mgr   *service.Resources
	now   func() time.Time
}

func newUserLoader(conf *service.ParsedConfig, mgr *service.Resources) (*userLoader, error) {
	label, err := conf.FieldString(fieldModel)
	if err != nil {
		return nil, err
	}
	if err := build(mgr, label); err != nil {
		return nil, err
	}
	l := &userLoader{label: label, mgr: mgr, now: time.Now}
	_, err = l.live()
	return l, err
}

func (l *userLoader) live() (*model.Live, error) {
	return resource[*model.Live](l.mgr, model.LiveKey{Label: l.label}, l.label, "an als_model")
}

func (l *userLoader) ProcessBatch(_ context.Context, batch service.MessageBatch) ([]service.MessageBatch, error) {
	live, err := l.live()
	if err != nil {
		return nil, err
	}
	for _, msg := range batch {
		if msg.GetError() != nil {
			continue
		}
		if _, end := msg.MetaGetMut("kafka_end_of_partition"); end {
			continue
		}
		known, err := l.read(msg)
		if err != nil {
			msg.SetError(err)
			continue
		}
		live.Users.Merge(known, l.now().UnixMilli())
	}
	return []service.MessageBatch{batch}, nil
}

func (l *userLoader) read(msg *service.Message) (model.Remembered, error) {
	if tombstone, _ := msg.MetaGet(metaTombstone); tombstone == "true" {
		return l.readTombstone(msg)
	}
	data, err := msg.AsBytes()
	if err != nil {
		return model.Remembered{}, message.Rejectf("user_load", "%v", err)
	}
	record, err := message.DecodeUserFactors("user_load", data)
	if err != nil {
		return model.Remembered{}, err
	}
	known := model.Remembered{
		User: record.User, Erased: record.Erased, Until: record.ErasedUntil,
		Ratings: make([]ratings.Rating, 0, len(record.History)),
	}
	for _, r := range record.History {
		known.Ratings = append(known.Ratings, ratings.Rating{User: record.User, Movie: r.Movie, Value: r.Value, Time: r.Time})
	}
	for _, r := range record.Unrated {
		known.Unrated = append(known.Unrated, ratings.Unrated{User: record.User, Movie: r.Movie, Time: r.Time})
	}
	return known, nil
}

func (l *userLoader) readTombstone(msg *service.Message) (model.Remembered, error) {
	key, _ := msg.MetaGet(metaKey)
	until := l.now().UnixMilli()
	if origin := message.OriginFrom(msg.Context()); origin != nil {
		until = origin.Time.UnixMilli()
	}
	user, err := strconv.ParseInt(key, 10, 64)
	if err != nil {
		return model.Remembered{}, message.Rejectf("user_load", "a tombstone with the key %q, which is no user's id", key)
	}
	if text, set := msg.MetaGet(metaErasedUntil); set {
		if until, err = strconv.ParseInt(text, 10, 64); err != nil {
			return model.Remembered{}, message.Rejectf("user_load", "a tombstone of user %d whose header %s is %q, which is no time in milliseconds", user, metaErasedUntil, text)
		}
	}
	return model.Remembered{User: user, Erased: true, Until: until}, nil
}

func (l *userLoader) Close(context.Context) error { return nil }
