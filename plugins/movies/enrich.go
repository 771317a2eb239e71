package movies

import (
	"bytes"
	"context"
	"fmt"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/internal/catalog"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

const enrichFieldCatalog = "catalog"

func enrichSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("Adds title and genres to messages that name a movie.").
		Description("The message must be a JSON object with a movie_id. A movie that is not in the catalog gets an empty title and no genres. While the catalog has never been read, because its store is away, messages wait. Messages that already carry an error are left alone.").
		Field(service.NewStringField(enrichFieldCatalog).
			Description("The label of the movie_catalog resource.").
			Default("catalog")).
		Example("Predictions with titles", "", `
pipeline:
  processors:
    - als_predict:
        model: model
    - movie_enrich:
        catalog: catalog

cache_resources:
  - label: model
    als_model:
      registry: file://./recsys-data/registry
  - label: catalog
    movie_catalog:
      source: ./ml-latest-small
`)
}

func init() {
	service.MustRegisterBatchProcessor("movie_enrich", enrichSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchProcessor, error) {
			return newEnricher(conf, mgr)
		})
}

type enricher struct {
	label string
	mgr   *service.Resources
}

func newEnricher(conf *service.ParsedConfig, mgr *service.Resources) (*enricher, error) {
	label, err := conf.FieldString(enrichFieldCatalog)
	if err != nil {
		return nil, err
	}
	if err := mgr.AccessCache(context.Background(), label, func(service.Cache) {}); err != nil {
		return nil, fmt.Errorf("opening movie catalog %q: %w", label, err)
	}
	e := &enricher{label: label, mgr: mgr}
	_, err = e.catalog()
	return e, err
}

func (e *enricher) catalog() (*catalog.Catalog, error) {
	value, _ := e.mgr.GetGeneric(catalog.Key{Label: e.label})
	movies, ok := value.(*catalog.Catalog)
	if !ok {
		return nil, fmt.Errorf("resource %q is not a movie catalog; give the label of a movie_catalog resource", e.label)
	}
	return movies, nil
}

func (e *enricher) ProcessBatch(ctx context.Context, batch service.MessageBatch) ([]service.MessageBatch, error) {
	movies, err := e.catalog()
	if err != nil {
		return nil, err
	}
	if err := movies.Wait(ctx); err != nil {
		return nil, err
	}
	for _, msg := range batch {
		if msg.GetError() != nil {
			continue
		}
		if err := enrich(movies, msg); err != nil {
			msg.SetError(err)
		}
	}
	return []service.MessageBatch{batch}, nil
}

func enrich(movies *catalog.Catalog, msg *service.Message) error {
	data, err := msg.AsBytes()
	if err != nil {
		return message.Rejectf("movie_enrich", "%v", err)
	}
	data = bytes.TrimRight(data, " \t\r\n")
	id := gjson.GetBytes(data, "movie_id")
	if id.Type != gjson.Number || len(data) == 0 || data[len(data)-1] != '}' {
		return message.Rejectf("movie_enrich", `expected a JSON object with a numeric "movie_id"`)
	}
	fields, _ := movies.JSON(id.Int())
	enriched := make([]byte, 0, len(data)+len(fields)+1)
	enriched = append(enriched, data[:len(data)-1]...)
	enriched = append(enriched, ',')
	enriched = append(enriched, fields...)
	msg.SetBytes(append(enriched, '}'))
	return nil
}

func (e *enricher) Close(context.Context) error { return nil }
