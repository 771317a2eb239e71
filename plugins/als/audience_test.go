package als

import (
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

func TestARequestBecomesTheAudienceOfAMovie(t *testing.T) {
	live := liveOf(t, shelf(true))
	live.Users.Learn(ratings.Rating{User: 2, Movie: 20, Value: 4, Time: 1}) // is folded in
	live.Users.Learn(ratings.Rating{User: 3, Movie: 30, Value: 4, Time: 1}) // is new
	p := newAnswering(t, "audience", live, "catalog: catalog\n")
	got := answers(t, p,
		`{"request_id":"a","kind":"audience","movie_id":20,"user_id":7,"source":"s"}`,
		`{"request_id":"b","kind":"audience","movie_id":20,"exclude_seen":false,"exclude":[1],"n":1}`,
		`{"request_id":"c","kind":"audience","movie_id":99}`,
		`{"kind":"recommend","user_id":1}`)
	expectAnswers(t, got,
		// Of user 1: 0.5 + 0.5·1·0.5 of the head that ranks, and β·(0.5 + 1·0.5).
		`audience {"request_id":"a","kind":"audience","movie_id":20,"title":"Casino (1996)","genres":["Crime"],"year":1996,"items":[{"user_id":1,"score":0.75,"prediction":4.5},{"user_id":3,…,"cold":[],"source":"s"}`,
		`audience {"request_id":"b","kind":"audience","movie_id":20,"title":"Casino (1996)","genres":["Crime"],"year":1996,"items":[{"user_id":2,…}],"model_version":"v1","head":"preference",`+replyTimes+`,"cold":[]}`,
		`audience {"request_id":"c","kind":"audience","movie_id":99,"title":"","genres":[],"items":[],…,"cold":["movie"]}`,
		` {"kind":"recommend","user_id":1}`)
}
