package ratings

import (
	"context"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

const (
	eventFieldOnInvalidRating = "on_invalid_rating"
	eventFieldMaxFuture       = "max_future"
)

func eventSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("Decodes, checks and normalises events: what a user rated, tagged, viewed, took back, or wants forgotten, and what was entered of movies and users.").
		Description(`
An event is the original system's JSON, in which every value may be a string:

`+"```json"+`
{"event_type": "rate", "user_id": "514", "movie_id": "318", "value": "4.5", "timestamp": "1533873124"}
`+"```"+`

An event of type item says all of a movie, one of type user all of a user's profile:

`+"```json"+`
{"event_type": "item", "movie_id": 318, "title": "Shawshank Redemption, The (1994)", "genres": ["Crime", "Drama"], "hidden": false, "imdb_id": "0111161", "tmdb_id": 278, "labels": {}, "added_at": "2026-01-02T15:04:05Z", "timestamp": "2026-01-02T15:04:05Z"}
{"event_type": "user", "user_id": 514, "labels": {}, "comment": "", "timestamp": "2026-01-02T15:04:05Z"}
`+"```"+`

It leaves with ids and ratings as numbers, the time as RFC 3339, and an event_id (derived from the other fields where it is absent). Fields that are not known pass through untouched.
An event that cannot be used is marked with an error whose reason names the field; the output's dead-letter shape takes it from there. Messages that already carry an error are left alone.`).
		Field(service.NewStringEnumField(eventFieldOnInvalidRating, "reject", "warn").
			Description("What to do with a rating outside 0.5 to 5 or not a multiple of 0.5: reject it, or let it pass with a warning in the log and in the metadata field rating_warning. What is not a number is always rejected.").
			Default("reject")).
		Field(service.NewDurationField(eventFieldMaxFuture).
			Description("How far an event's time may lie ahead of this machine's clock before it is rejected.").
			Default("5m").Advanced()).
		Example("Check events on their way to the rating store", "", `
pipeline:
  processors:
    - rating_event:
        on_invalid_rating: reject
`)
}

func init() {
	service.MustRegisterBatchProcessor("rating_event", eventSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchProcessor, error) {
			return newEventProcessor(conf, mgr)
		})
}

type eventProcessor struct {
	rules    message.EventRules
	log      *service.Logger
	rejected *service.MetricCounter
	warned   *service.MetricCounter
}

func newEventProcessor(conf *service.ParsedConfig, mgr *service.Resources) (*eventProcessor, error) {
	onInvalid, err := conf.FieldString(eventFieldOnInvalidRating)
	if err != nil {
		return nil, err
	}
	maxFuture, err := conf.FieldDuration(eventFieldMaxFuture)
	if err != nil {
		return nil, err
	}
	return &eventProcessor{
		rules: message.EventRules{
			KeepInvalidRatings: onInvalid == "warn",
			MaxFuture:          maxFuture,
			Now:                time.Now,
		},
		log:      mgr.Logger(),
		rejected: mgr.Metrics().NewCounter("rating_event_rejected"),
		warned:   mgr.Metrics().NewCounter("rating_event_warned"),
	}, nil
}

func (p *eventProcessor) ProcessBatch(_ context.Context, batch service.MessageBatch) ([]service.MessageBatch, error) {
	for _, msg := range batch {
		if msg.GetError() != nil {
			continue
		}
		if err := p.process(msg); err != nil {
			p.rejected.Incr(1)
			msg.SetError(err)
		}
	}
	return []service.MessageBatch{batch}, nil
}

func (p *eventProcessor) process(msg *service.Message) error {
	data, err := msg.AsBytes()
	if err != nil {
		return message.Rejectf("rating_event", "%v", err)
	}
	event, err := p.rules.DecodeEvent("rating_event", data)
	if err != nil {
		return err
	}
	if event.Warning != "" {
		p.warned.Incr(1)
		p.log.Warnf("Event %s of user %d: %s", event.ID, event.User, event.Warning)
		msg.MetaSetMut("rating_warning", event.Warning)
	}
	msg.SetBytes(event.AppendJSON(make([]byte, 0, len(data)+96)))
	return nil
}

func (p *eventProcessor) Close(context.Context) error { return nil }
