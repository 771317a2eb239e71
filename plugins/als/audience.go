package als

import (
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

func audienceSpec() *service.ConfigSpec {
	return answerSpec("Turns requests of kind audience into lists of the users who would like a movie most.", `
`+"```json"+`
{"kind": "audience", "movie_id": 318, "n": 10}
`+"```"+`

becomes the n (1 to 1000, 10 by default) users in whose lists the movie has the greatest score, exactly:

`+"```json"+`
{"request_id": "r1", "kind": "audience", "movie_id": 318, "title": "Shawshank Redemption, The (1994)", "genres": ["Crime", "Drama"], "year": 1994, "items": [{"user_id": 514, "score": 0.93, "prediction": 4.7}], "model_version": "20260102-150405-9f86d0", "head": "preference", "requested_at": "…", "predicted_at": "…", "cold": []}
`+"```"+`

score and prediction are those that als_recommend has for the user and the movie. All users take part whom the champion was trained on or whose ratings are remembered, from the rating store, read at start, or from als_predict in this process: who has rated since training is folded in, and what users rated less than ten seconds ago may not have a part yet. Who has rated the movie is left out, unless exclude_seen is false. offset and popularity are those of als_recommend; exclude names users. A movie that the model does not know has no audience: items is empty, and cold says so.`).
		Example("Answer who would like a movie", "", `
pipeline:
  processors:
    - als_audience:
        model: model
        catalog: catalog

cache_resources:
  - label: model
    als_model:
      registry: file://./recsys-data/registry
      store: rating_store
  - label: rating_store
    sqlite_ratings:
      path: ./recsys-data/ratings.db
  - label: catalog
    movie_catalog:
      source: ./ml-latest-small
`)
}

func init() {
	service.MustRegisterBatchProcessor("als_audience", audienceSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchProcessor, error) {
			return newAnswerer(conf, mgr, message.KindAudience, audienceOf(&model.Crowds{}))
		})
}

func audienceOf(crowds *model.Crowds) func(*answering, *message.RecommendRequest, *message.Recommendation) error {
	return func(b *answering, request *message.RecommendRequest, reply *message.Recommendation) error {
		of, q, err := b.query(request, reply)
		if err != nil {
			return err
		}
		b.asks(request, reply)
		answer := crowds.Of(of, b.now).Audience(q)
		reply.Head, reply.ColdMovie = string(answer.Head), answer.Cold
		reply.Items = make([]message.RecommendedItem, len(answer.Items))
		for k, item := range answer.Items {
			reply.Items[k] = message.RecommendedItem{ID: item.User, IsUser: true, Score: float64(item.Score), Prediction: item.Prediction, HasPrediction: true}
		}
		return nil
	}
}
