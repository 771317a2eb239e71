package movies

import (
	"context"
	"fmt"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/catalog"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const loadFieldCatalog = "catalog"

func loadSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("Takes what was entered of movies into the catalog.").
		Description(`
A message is an event of type item, which says all of a movie:

`+"```json"+`
{"event_type": "item", "movie_id": 318, "title": "Shawshank Redemption, The (1994)", "genres": ["Crime", "Drama"], "hidden": false, "timestamp": "2026-01-02T15:04:05Z"}
`+"```"+`

Of two of a movie the one with the newer event time holds, so that reading the topic movies again changes nothing. What is no such event is marked with an error. Messages pass unchanged.`).
		Field(service.NewStringField(loadFieldCatalog).
			Description("The label of the movie_catalog resource.").
			Default("catalog")).
		Example("Follow the topic movies", "Every process that answers reads the whole topic, so there is no consumer group.", `
input:
  kafka_franz:
    seed_brokers: [127.0.0.1:9092]
    topics: [movies]
pipeline:
  processors:
    - movie_load:
        catalog: catalog
output:
  drop: {}

cache_resources:
  - label: catalog
    movie_catalog:
      source: ./ml-latest-small
`)
}

func init() {
	service.MustRegisterBatchProcessor("movie_load", loadSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchProcessor, error) {
			return newLoader(conf, mgr)
		})
}

type loader struct {
	label string
	mgr   *service.Resources
}

func newLoader(conf *service.ParsedConfig, mgr *service.Resources) (*loader, error) {
	label, err := conf.FieldString(loadFieldCatalog)
	if err != nil {
		return nil, err
	}
	if err := mgr.AccessCache(context.Background(), label, func(service.Cache) {}); err != nil {
		return nil, fmt.Errorf("opening movie catalog %q: %w", label, err)
	}
	l := &loader{label: label, mgr: mgr}
	_, err = l.catalog()
	return l, err
}

func (l *loader) catalog() (*catalog.Catalog, error) {
	value, _ := l.mgr.GetGeneric(catalog.Key{Label: l.label})
	movies, ok := value.(*catalog.Catalog)
	if !ok {
		return nil, fmt.Errorf("resource %q is not a movie_catalog", l.label)
	}
	return movies, nil
}

// anyTime lets every event time pass: rating_event has judged it already.
const anyTime = 100 * 365 * 24 * time.Hour

// ProcessBatch changes the catalog once for the whole batch.
func (l *loader) ProcessBatch(_ context.Context, batch service.MessageBatch) ([]service.MessageBatch, error) {
	movies, err := l.catalog()
	if err != nil {
		return nil, err
	}
	rules := message.EventRules{MaxFuture: anyTime}
	var items []ratings.Item
	for _, msg := range batch {
		if msg.GetError() != nil {
			continue
		}
		data, err := msg.AsBytes()
		var event message.Event
		if err == nil {
			event, err = rules.DecodeEvent("movie_load", data)
		}
		if err == nil && event.Type != message.SetItem {
			err = message.Rejectf("movie_load", "an event of type %s is no movie; expected one of type item", event.Type)
		}
		if err != nil {
			msg.SetError(err)
			continue
		}
		items = append(items, *event.Item)
	}
	if err := movies.Apply(items...); err != nil {
		return nil, err
	}
	return []service.MessageBatch{batch}, nil
}

func (l *loader) Close(context.Context) error { return nil }
