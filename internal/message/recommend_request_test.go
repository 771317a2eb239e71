package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestRecommendRequestsAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want RecommendRequest
	}{
		"the least": {`{"kind":"recommend","user_id":"5"}`, RecommendRequest{Kind: "recommend", User: 5, HasUser: true, N: 10, Popularity: -1}},
		"everything": {
			`{"request_id":7,"kind":"recommend","user_id":5,"n":"20","offset":40,"exclude":[1,"2"],"candidates":[3],"exclude_seen":false,` +
				`"filters":{"genres":["Drama"," Sci-Fi "],"not_genres":["War"],"year_from":1990,"year_to":"2000","min_count":3},"diversity":0.25,"popularity":1,"reasons":true,"trace":{"a":[1]}}`,
			RecommendRequest{
				ID: "7", Kind: "recommend", User: 5, HasUser: true, N: 20, Offset: 40, Exclude: []int64{1, 2}, Candidates: []int64{3}, WithSeen: true,
				Filters:   Filters{Genres: []string{"Drama", "Sci-Fi"}, NotGenres: []string{"War"}, YearFrom: 1990, YearTo: 2000, MinCount: 3},
				Diversity: 0.25, Popularity: 1, Reasons: true, Extra: []byte(`,"trace":{"a":[1]}`),
			},
		},
		"several users":                  {`{"kind":"recommend","users":["5",6],"n":3}`, RecommendRequest{Kind: "recommend", Users: []int64{5, 6}, N: 3, Popularity: -1}},
		"ids and scores only":            {`{"kind":"recommend","user_id":5,"brief":true}`, RecommendRequest{Kind: "recommend", User: 5, HasUser: true, N: 10, Popularity: -1, Brief: true}},
		"somebody who likes nothing yet": {`{"kind":"recommend","liked":[]}`, RecommendRequest{Kind: "recommend", Liked: []int64{}, N: 10, Popularity: -1}},
		"nulls": {
			`{"kind":"recommend","user_id":0,"request_id":null,"n":null,"liked":null,"filters":null,"candidates":null,"exclude_seen":null,"diversity":null,"reasons":null}`,
			RecommendRequest{Kind: "recommend", HasUser: true, N: 10, Popularity: -1},
		},
		"movies like one":     {`{"kind":"similar","movie_id":318,"n":1000}`, RecommendRequest{Kind: "similar", Movie: 318, HasMovie: true, N: 1000, Popularity: -1}},
		"users like one":      {`{"kind":"similar","of":"users","user_id":5}`, RecommendRequest{Kind: "similar", OfUsers: true, User: 5, HasUser: true, N: 10, Popularity: -1}},
		"why":                 {`{"kind":"explain","user_id":5,"movie_id":"318"}`, RecommendRequest{Kind: "explain", User: 5, HasUser: true, Movie: 318, HasMovie: true, N: 10, Popularity: -1}},
		"fields of the reply": {`{"kind":"explain","liked":[1],"movie_id":3,"items":[],"score":1,"base":0,"cold":[],"model_version":"mine","unknown":[2]}`, RecommendRequest{Kind: "explain", Liked: []int64{1}, Movie: 3, HasMovie: true, N: 10, Popularity: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeRecommendRequest("test", []byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", c.want) {
				t.Errorf("got  %#v\nwant %#v", got, c.want)
			}
		})
	}
}

func TestBadRecommendRequestsSayWhatIsWrong(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat("1,", MaxIDs+1), ",")
	for in, want := range map[string]string{
		`{"kind":"recommend","users":[]}`:                                              `field "users": is empty; give the ids of at most 100 users`,
		`{"kind":"recommend","users":[` + strings.Repeat("1,", 100) + `1]}`:            `field "users": is longer than 100`,
		`{"kind":"recommend","users":[1],"user_id":1}`:                                 `field "users": stands in place of user_id and liked; leave those out`,
		`{"kind":"recommend","users":[1],"liked":[1]}`:                                 `field "users": stands in place of user_id and liked; leave those out`,
		`{"kind":"recommend","users":[1],"reasons":true}`:                              `field "reasons": is not for several users, whose ratings differ; leave it out`,
		`{"kind":"recommend","users":[1],"rotate":true}`:                               `field "rotate": is for users with user_id; for several users give exclude, the movies that were shown`,
		`{"kind":"similar","movie_id":1,"users":[1]}`:                                  `field "users": is for requests of kind recommend`,
		`{"kind":"recommend","users":[-1]}`:                                            `field "users": -1 is negative`,
		`{"kind":"recommend"`:                                                          `malformed JSON: {"kind":"recommend"`,
		`{"user_id":1}`:                                                                `field "kind":  is not one of recommend, similar, explain, audience`,
		`{"kind":"recommend"}`:                                                         `field "user_id": is missing; for an anonymous user give liked, a list of movies, which may be empty`,
		`{"kind":"explain","user_id":1}`:                                               `field "movie_id": is missing; give the movie that is to be explained`,
		`{"kind":"explain","movie_id":1}`:                                              `field "user_id": is missing; for an anonymous user`,
		`{"kind":"similar","user_id":1}`:                                               `field "movie_id": is missing; movies that are similar are so to a movie, and "of": "users" asks for users`,
		`{"kind":"similar","of":"users"}`:                                              `field "user_id": is missing; users who are similar are so to a user`,
		`{"kind":"similar","of":"cats"}`:                                               `field "of": "cats" is neither "movies" nor "users"`,
		`{"kind":"recommend","user_id":1.5}`:                                           `field "user_id": 1.5 is not a whole number in the range of int64`,
		`{"kind":"recommend","user_id":-1}`:                                            `field "user_id": -1 is negative`,
		`{"kind":"recommend","user_id":{}}`:                                            `field "user_id": {} is not an id`,
		`{"kind":"recommend","request_id":[1]}`:                                        `field "request_id": [1] is not a string`,
		`{"kind":"recommend","user_id":1,"n":0}`:                                       `field "n": 0 is not a whole number from 1 to 1000`,
		`{"kind":"similar","movie_id":1,"n":1e9}`:                                      `field "n": 1e9 is not a whole number from 1 to 1000`,
		`{"kind":"recommend","user_id":1,"n":2.5}`:                                     `field "n": 2.5 is not a whole number from 1 to 1000`,
		`{"kind":"recommend","user_id":1,"n":"many"}`:                                  `field "n": "many" is not a finite number`,
		`{"kind":"recommend","user_id":1,"n":true}`:                                    `field "n": true is not a number`,
		`{"kind":"recommend","user_id":1,"offset":10001}`:                              `field "offset": 10001 is not a whole number from 0 to 10000`,
		`{"kind":"recommend","user_id":1,"offset":-1}`:                                 `field "offset": -1 is not a whole number from 0 to 10000`,
		`{"kind":"recommend","user_id":1,"exclude":5}`:                                 `field "exclude": 5 is not a list`,
		`{"kind":"recommend","user_id":1,"exclude":[5,"x"]}`:                           `field "exclude": "x" is not a whole number in the range of int64`,
		`{"kind":"recommend","user_id":1,"candidates":[-5]}`:                           `field "candidates": -5 is negative`,
		`{"kind":"recommend","user_id":1,"candidates":[` + many + `]}`:                 `field "candidates": is longer than 10000`,
		`{"kind":"recommend","user_id":1,"liked":[1]}`:                                 `field "liked": is for users without user_id, whose ratings are not known; leave one of the two out`,
		`{"kind":"recommend","liked":[null]}`:                                          `field "liked": null is not an id`,
		`{"kind":"recommend","user_id":1,"exclude_seen":"no"}`:                         `field "exclude_seen": "no" is neither true nor false`,
		`{"kind":"recommend","user_id":1,"reasons":1}`:                                 `field "reasons": 1 is neither true nor false`,
		`{"kind":"recommend","user_id":1,"diversity":1.1}`:                             `field "diversity": 1.1 is not a number from 0 to 1`,
		`{"kind":"recommend","user_id":1,"popularity":-0.1}`:                           `field "popularity": -0.1 is not a number from 0 to 1`,
		`{"kind":"recommend","user_id":1,"popularity":"NaN"}`:                          `field "popularity": "NaN" is not a finite number`,
		`{"kind":"recommend","user_id":1,"filters":[]}`:                                `field "filters": [] is not an object`,
		`{"kind":"recommend","user_id":1,"filters":{"genre":"Drama"}}`:                 `field "filters.genre": is unknown; filters are genres, not_genres, year_from, year_to, min_count`,
		`{"kind":"recommend","user_id":1,"filters":{"genres":"Drama"}}`:                `field "filters.genres": "Drama" is not a list`,
		`{"kind":"recommend","user_id":1,"filters":{"genres":[""]}}`:                   `field "filters.genres": "" is not a genre; give a list of names such as ["Drama"]`,
		`{"kind":"recommend","user_id":1,"filters":{"not_genres":[1]}}`:                `field "filters.not_genres": 1 is not a genre`,
		`{"kind":"recommend","user_id":1,"filters":{"year_from":0}}`:                   `field "filters.year_from": 0 is not a whole number from 1 to 9999`,
		`{"kind":"recommend","user_id":1,"filters":{"year_to":"soon"}}`:                `field "filters.year_to": "soon" is not a finite number`,
		`{"kind":"recommend","user_id":1,"filters":{"min_count":-3}}`:                  `field "filters.min_count": -3 is not a whole number from 0 to 2147483647`,
		`{"kind":"recommend","user_id":1,"filters":{"year_from":2000,"year_to":1990}}`: `field "filters": no year is from 2000 to 1990`,
	} {
		_, err := DecodeRecommendRequest("als_recommend", []byte(in))
		var rejection *Rejection
		if !errors.As(err, &rejection) || rejection.Component != "als_recommend" || !strings.HasPrefix(rejection.Reason, want) {
			t.Errorf("%.100s: %v, want %s", in, err, want)
		}
	}
}

// TestAKindIsReadAsByThoseWhoDecode: what one leaves to the other is not lost.
func TestAKindIsReadAsByThoseWhoDecode(t *testing.T) {
	for in, want := range map[string]string{
		`{"kind":"recommend","user_id":1}`:                      "recommend",
		`{"filters":{"kind":"x"},"kind":"similar","user_id":1}`: "similar",
		`{"kind":"predict","kind":"explain"}`:                   "explain",
		`{"kind":"recommend","kind":"predict"}`:                 "predict",
		`{"k\u0069nd":"recommend"}`:                             "recommend",
		`{"kind":"recommend"`:                                   "",
		`{"kind":"recommend"}}`:                                 "",
		`{"kind":5,"user_id":1}`:                                "",
		`{"user_id":1,"movie_id":2}`:                            "",
		`["kind","recommend"]`:                                  "",
		``:                                                      "",
	} {
		if got := KindOf([]byte(in)); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
		_, err := DecodeRequest("test", MovieLensScale, []byte(in))
		var other OtherKind
		if left := errors.As(err, &other); left != (want != "" && want != "predict") || left && string(other) != want {
			t.Errorf("%s: for predictions it is %v, want kind %q", in, err, want)
		}
	}
}

func TestRecommendationsAreWritten(t *testing.T) {
	for want, r := range map[string]Recommendation{
		`{"request_id":"a\"b","kind":"recommend","user_id":5,"items":[{"movie_id":1,"score":0.1,"prediction":4.5,"title":"x","reason":{"movie_id":2,"rating":5,"score":0.25,"title":"y"}},` +
			`{"movie_id":3,"score":0,"prediction":3,"reason":{"movie_id":4,"score":1}}],"model_version":"v1","role":"challenger:x","head":"preference","basis":"user",` +
			`"requested_at":"1970-01-01T00:00:01.000Z","predicted_at":"1970-01-01T00:00:02.000Z","cold":[],"unknown":[8,9],"x":1}`: {
			RequestID: `a"b`, Kind: "recommend", User: 5, HasUser: true, Items: []RecommendedItem{
				{ID: 1, Score: float64(float32(0.1)), Prediction: 4.5, HasPrediction: true, Fields: []byte(`"title":"x"`), Reason: &Reason{Movie: 2, Rating: 5, HasRating: true, Score: 0.25, Fields: []byte(`"title":"y"`)}},
				{ID: 3, Prediction: 3, HasPrediction: true, Reason: &Reason{Movie: 4, Score: 1}},
			}, ModelVersion: "v1", Role: "challenger:x", Head: "preference", Basis: "user", RequestedAt: 1000, PredictedAt: 2000, Unknown: []int64{8, 9}, Extra: []byte(`,"x":1`),
		},
		`{"request_id":"b","kind":"similar","user_id":0,"items":[{"user_id":7,"score":-1}],"model_version":"v1","head":"rating","requested_at":"1970-01-01T00:00:00.000Z","predicted_at":"1970-01-01T00:00:00.000Z","cold":["user"]}`: {
			RequestID: "b", Kind: "similar", HasUser: true, Items: []RecommendedItem{{ID: 7, IsUser: true, Score: -1}}, ModelVersion: "v1", Head: "rating", ColdUser: true,
		},
		`{"request_id":"c","kind":"explain","movie_id":3,"title":"z","score":1.5,"prediction":4,"items":[{"movie_id":2,"score":0.5,"rating":4}],"base":0.75,"rest":0.25,"model_version":"v1","basis":"liked",` +
			`"requested_at":"1970-01-01T00:00:00.000Z","predicted_at":"1970-01-01T00:00:00.000Z","cold":["user","movie"]}`: {
			RequestID: "c", Kind: "explain", Movie: 3, HasMovie: true, MovieFields: []byte(`"title":"z"`), Items: []RecommendedItem{{ID: 2, Score: 0.5, Rating: 4, HasRating: true}},
			Explained: &Explained{Score: 1.5, Prediction: 4, Base: 0.75, Rest: 0.25}, ModelVersion: "v1", Basis: "liked", ColdUser: true, ColdMovie: true,
		},
	} {
		if got := string(r.AppendJSON(nil)); got != want || !json.Valid([]byte(got)) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
