package als

import (
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

func similarSpec() *service.ConfigSpec {
	return answerSpec("Turns requests of kind similar into lists of movies like a movie, or of users like a user.", `
`+"```json"+`
{"kind": "similar", "movie_id": 318, "n": 10}
{"kind": "similar", "of": "users", "user_id": 514}
`+"```"+`

becomes the n (1 to 1000, 10 by default) movies or users whose factors have the greatest cosine with those of the one asked for, exactly and without that one; score is the cosine:

`+"```json"+`
{"request_id": "r1", "kind": "similar", "movie_id": 318, "title": "Shawshank Redemption, The (1994)", "genres": ["Crime", "Drama"], "year": 1994, "items": [{"movie_id": 527, "score": 0.83, "title": "Schindler's List (1993)", "genres": ["Drama", "War"], "year": 1993}], "model_version": "20260102-150405-9f86d0", "head": "preference", "requested_at": "…", "predicted_at": "…", "cold": []}
`+"```"+`

offset and exclude are those of als_recommend; filters are for movies only. Users are compared with what the user asked for has rated until now; those in the list are the ones that the model was trained on. To a movie or user that the model does not know nothing is similar: items is empty, and cold says so.`).
		Example("Answer what is similar", "", `
pipeline:
  processors:
    - als_similar:
        model: model
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
	service.MustRegisterBatchProcessor("als_similar", similarSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchProcessor, error) {
			return newAnswerer(conf, mgr, message.KindSimilar, similar)
		})
}

func similar(b *answering, request *message.RecommendRequest, reply *message.Recommendation) error {
	of, q, err := b.query(request, reply)
	if err != nil {
		return err
	}
	ask := of.Similar
	if request.OfUsers {
		ask = of.SimilarUsers
	} else {
		b.asks(request, reply)
	}
	answer := ask(q)
	reply.Head = string(answer.Head)
	reply.ColdUser, reply.ColdMovie = answer.Cold && request.OfUsers, answer.Cold && !request.OfUsers
	reply.Items = make([]message.RecommendedItem, len(answer.Items))
	for k, item := range answer.Items {
		reply.Items[k] = message.RecommendedItem{ID: item.ID, IsUser: request.OfUsers, Score: float64(item.Cosine)}
		if !request.OfUsers {
			reply.Items[k].Fields = b.fields(item.ID)
		}
	}
	return nil
}
