package als

import (
	"slices"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

func explainSpec() *service.ConfigSpec {
	return answerSpec("Turns requests of kind explain into which of the user's own ratings speak for a movie.", `
`+"```json"+`
{"kind": "explain", "user_id": 514, "movie_id": 318, "n": 3}
`+"```"+`

becomes the score that als_recommend gives the movie for this user (without popularity), and the n (1 to 1000, 10 by default) rated movies that contribute most to it, with the user's ratings:

`+"```json"+`
{"request_id": "r1", "kind": "explain", "user_id": 514, "movie_id": 318, "title": "Shawshank Redemption, The (1994)", "genres": ["Crime", "Drama"], "year": 1994, "score": 0.91, "prediction": 4.6, "items": [{"movie_id": 50, "score": 0.2, "rating": 5, "title": "Usual Suspects, The (1995)", "genres": ["Crime", "Mystery", "Thriller"], "year": 1995}], "base": 0.11, "rest": 0.6, "model_version": "20260102-150405-9f86d0", "head": "preference", "basis": "user", "requested_at": "…", "predicted_at": "…", "cold": []}
`+"```"+`

score = base + the scores of the items + rest. By the head "preference" base is the part that the predicted rating has in the score, and the items are those of Hu, Koren & Volinsky 2008, section 5; by the head "rating" base is the mean and the movie's bias. rest is the contribution of the ratings that are not listed, and of tags and views.

Ratings are those that the model's rating store or als_predict knows. An anonymous user gives liked in place of user_id; the items then have no rating.`).
		Example("Answer why", "", `
pipeline:
  processors:
    - als_explain:
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
	service.MustRegisterBatchProcessor("als_explain", explainSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchProcessor, error) {
			return newAnswerer(conf, mgr, message.KindExplain, explain)
		})
}

func explain(b *answering, request *message.RecommendRequest, reply *message.Recommendation) error {
	of, q, err := b.query(request, reply)
	if err != nil {
		return err
	}
	b.asks(request, reply)
	e := of.Explain(q)
	reply.Head, reply.Basis, reply.ColdUser, reply.ColdMovie = string(e.Head), string(e.Basis), e.ColdUser, e.ColdMovie
	reply.Explained = &message.Explained{Score: e.Score, Prediction: e.Prediction, Base: e.Base, Rest: e.Rest}
	e.Contributions = slices.DeleteFunc(e.Contributions, func(c model.Contribution) bool {
		if b.hidden(c.Movie) {
			reply.Explained.Rest += c.Score
			return true
		}
		return false
	})
	from, to := min(q.Offset, len(e.Contributions)), min(q.Offset+q.N, len(e.Contributions))
	for k, c := range e.Contributions {
		if k < from || k >= to {
			reply.Explained.Rest += c.Score
			continue
		}
		reply.Items = append(reply.Items, message.RecommendedItem{
			ID: c.Movie, Score: c.Score, Rating: c.Rating, HasRating: c.Rating > 0, Fields: b.fields(c.Movie),
		})
	}
	return nil
}
