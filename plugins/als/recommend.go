package als

import (
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

func recommendSpec() *service.ConfigSpec {
	return answerSpec("Turns requests of kind recommend into lists of movies.", `
`+"```json"+`
{"kind": "recommend", "request_id": "r1", "user_id": 514, "n": 10}
`+"```"+`

becomes the n best of all movies, exactly, without those the user has rated:

`+"```json"+`
{"request_id": "r1", "kind": "recommend", "user_id": 514, "items": [{"movie_id": 318, "score": 0.91, "prediction": 4.6, "title": "Shawshank Redemption, The (1994)", "genres": ["Crime", "Drama"], "year": 1994}], "model_version": "20260102-150405-9f86d0", "head": "preference", "basis": "user", "requested_at": "…", "predicted_at": "…", "cold": []}
`+"```"+`

prediction is the predicted rating in stars. score is what the list is ordered by: by the head "preference" how likely the user chooses the movie, about 0 to 1, and a share of the predicted rating; by the head "rating" stars, into which log popularity is mixed, because predicted ratings alone put movies first that few have seen; by popularity the number of ratings.

All that a request may say beside user_id:

| field | default | meaning |
| - | - | - |
| n, offset | 10, 0 | how many (1 to 1000), after how many (0 to 10000). Pages neither overlap nor leave a gap while neither the model nor what is known of the user changes. A page with fewer than n items is the last. |
| exclude | none | ids of movies that are left out, at most 10000 |
| candidates | all | the only movies to choose from, at most 10000; those that the model does not know are left out and named in unknown |
| exclude_seen | true | leave out what the user has rated, as far as the rating store, user_load or the ratings that als_predict saw in this process tell, and what an anonymous user likes |
| liked | | in place of user_id: movies that an anonymous user likes. May be empty |
| users | | in place of user_id: at most 100 users who shall watch together. One list, by the mean of their scores, without what any of them has rated; those of whom nothing is known have no part in the mean. The champion serves it |
| filters.genres, filters.not_genres | | movies with at least one of these genres, with none of those; case does not matter |
| filters.year_from, filters.year_to | | years of the movies, both inclusive. A movie without year is in no range |
| filters.min_count | 0 | ratings that a movie had at least in training |
| popularity | 0, or 0.4 by the head "rating" | share of log popularity in the score, 0 to 1 |
| diversity | 0 | 0 to 1: how much movies shall differ from those before them (maximal marginal relevance with λ = 1 − diversity, over the best 10·n movies; the pages of such a list must all have the same n) |
| brief | false | give ids and scores only, which takes less time |
| rotate | false | put the movies of the user's last three rotated lists behind all others, so that who asks again sees something else. They are remembered in this process, of the 20000 users who asked last and of 50 movies a list; who sends one of the last three requests again gets the same list. Needs user_id, and no offset |
| reasons | false | give each item the movie that speaks most for it: "reason": {"movie_id": 50, "rating": 5, "score": 0.2, "title": …} |

basis says what the list is made from. "user": the user's ratings. Who has rated since training is recommended from the newest 2000 ratings of now, as training would have found it. "liked": the liked movies, by the head "preference" and the movies' own biases. "popular", for those of whom nothing is known: what was rated most, a rating counting half after 90 days. That needs the times of ratings: without a rating store and ratings that als_predict saw, it is the counts of training.`).
		Example("Answer recommendations beside predictions", "", `
pipeline:
  processors:
    - als_predict:
        model: model
        catalog: catalog
    - als_recommend:
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
	service.MustRegisterBatchProcessor("als_recommend", recommendSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchProcessor, error) {
			return newAnswerer(conf, mgr, message.KindRecommend, recommend)
		})
}

func recommend(b *answering, request *message.RecommendRequest, reply *message.Recommendation) error {
	of, q, err := b.query(request, reply)
	if err != nil {
		return err
	}
	var answer model.Recommended
	if request.Rotate {
		answer = b.shown.Recommend(of, q, reply.RequestID)
	} else {
		answer = of.Recommend(q)
	}
	reply.Head, reply.Basis, reply.ColdUser, reply.Unknown = string(answer.Head), string(answer.Basis), answer.ColdUser, answer.Unknown
	reply.Items = make([]message.RecommendedItem, len(answer.Items))
	for k, item := range answer.Items {
		reply.Items[k] = message.RecommendedItem{
			ID: item.Movie, Score: float64(item.Score), Prediction: item.Prediction, HasPrediction: !request.Brief,
			Fields: b.fields(item.Movie), Reason: b.reason(item.Reason),
		}
	}
	return nil
}

func (b *answering) reason(r *model.Reason) *message.Reason {
	if r == nil || b.hidden(r.Movie) {
		return nil
	}
	return &message.Reason{Movie: r.Movie, Rating: r.Rating, HasRating: r.Rating > 0, Score: r.Score, Fields: b.fields(r.Movie)}
}
