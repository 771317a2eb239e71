package als

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/catalog"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// shelf is four movies and two users, rank 1 in both heads, to be computed by hand.
func shelf(preference bool) *als.Factors {
	f := &als.Factors{
		Rank: 1, Mean: 3, Lambda: 1, Users: []int64{1, 2}, UserBias: []float32{0.5, 0}, UserFactors: []float32{1, 0}, UserCounts: []int32{2, 2},
		Movies: []int64{10, 20, 30, 40}, MovieBias: []float32{0, 0.5, -0.5, 0}, MovieFactors: []float32{1, 0.5, -1, 0.25}, MovieCounts: []int32{3, 3, 0, 1},
	}
	if preference {
		f.Preference = &als.Preference{Rank: 1, UserFactors: []float32{1, 0.5}, MovieFactors: []float32{0.5, 0.25, -1, 0}, Alpha: 1, Lambda: 1, Beta: 0.5}
	}
	return f
}

// answering has a live model, a catalog and the processor of a kind.
func newAnswering(t *testing.T, kind string, live *model.Live, yaml string) *answerer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "movies.csv")
	if err := os.WriteFile(path, []byte("movieId,title,genres\n10,Heat (1995),Action|Crime\n20,Casino (1996),Crime\n30,Babe,Children\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	movies, err := catalog.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	mgr := service.MockResources(service.MockResourcesOptAddCache("model"), service.MockResourcesOptAddCache("catalog"))
	mgr.SetGeneric(model.LiveKey{Label: "model"}, live)
	mgr.SetGeneric(catalog.Key{Label: "catalog"}, movies)
	c := map[string]struct {
		spec   *service.ConfigSpec
		answer func(*answering, *message.RecommendRequest, *message.Recommendation) error
	}{"recommend": {recommendSpec(), recommend}, "similar": {similarSpec(), similar}, "explain": {explainSpec(), explain}, "audience": {audienceSpec(), audienceOf(&model.Crowds{})}}[kind]
	conf, err := c.spec.ParseYAML(yaml, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAnswerer(conf, mgr, kind, c.answer)
	if err != nil {
		t.Fatal(err)
	}
	a.now = func() time.Time { return time.UnixMilli(5000) }
	return a
}

func liveOf(t testing.TB, f *als.Factors) *model.Live {
	t.Helper()
	m, err := model.New(f, model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	live := model.NewLive()
	live.Swap(model.NewLineUp(1, &model.Version{Model: m, Name: "v1"}, nil))
	return live
}

func answers(t *testing.T, p service.BatchProcessor, texts ...string) []string {
	t.Helper()
	var batch service.MessageBatch
	for _, text := range texts {
		batch = append(batch, request(text))
	}
	out, err := p.ProcessBatch(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != 1 || len(out[0]) != len(texts) {
		t.Fatalf("%d batches; a batch in is a batch out", len(out))
	}
	var replies []string
	for i, msg := range out[0] {
		if msg != batch[i] {
			t.Errorf("message %d is another one", i)
		}
		data, _ := msg.AsBytes()
		text := string(data)
		if err := msg.GetError(); err != nil {
			text = err.Error()
		}
		kind, _ := msg.MetaGet("recsys_kind")
		replies = append(replies, kind+" "+text)
	}
	return replies
}

// expectAnswers compares what begins and ends as wanted, the parts of a want being
// split by "…".
func expectAnswers(t *testing.T, got []string, want ...string) {
	t.Helper()
	for i := range want {
		begin, end, cut := strings.Cut(want[i], "…")
		if !strings.HasPrefix(got[i], begin) || !strings.HasSuffix(got[i], end) || !cut && got[i] != begin {
			t.Errorf("message %d:\ngot  %s\nwant %s", i, got[i], want[i])
		}
	}
}

const replyTimes = `"requested_at":"1970-01-01T00:00:04.000Z","predicted_at":"1970-01-01T00:00:05.000Z"`

func TestARequestBecomesAListOfOneVersion(t *testing.T) {
	a := newAnswering(t, "recommend", liveOf(t, shelf(true)), "catalog: catalog")
	got := answers(t, a,
		// Movie 10: 1·0.5 + 0.5·(0 + 1·1); 20: 0.25 + 0.5·(0.5 + 0.5); 40: 0.5·0.25.
		`{"kind":"recommend","user_id":1,"n":2,"x":{"y":1}}`,
		`{"kind":"recommend","request_id":"r","user_id":"1","n":5,"offset":1,"filters":{"genres":["crime"]},"model_version":"mine"}`,
		`{"kind":"recommend","user_id":99,"candidates":[10,40,77],"filters":{"min_count":2}}`,
		`{"kind":"recommend","liked":[77,30],"filters":{"year_to":1995},"reasons":true}`,
		`{"user_id":1,"movie_id":10}`,
		`{"kind":"similar","movie_id":10}`,
		`{"kind":"recommend"`,
		`{"kind":"recommend","user_id":1,"n":0}`)
	expectAnswers(t, got,
		`recommend {"request_id":"requests-2-7","kind":"recommend","user_id":1,"items":[{"movie_id":10,"score":1,"prediction":4.5,"title":"Heat (1995)","genres":["Action","Crime"],"year":1995},`+
			`{"movie_id":20,"score":0.75,"prediction":4.5,"title":"Casino (1996)","genres":["Crime"],"year":1996}],"model_version":"v1","head":"preference","basis":"user",`+replyTimes+`,"cold":[],"x":{"y":1}}`,
		`recommend {"request_id":"r","kind":"recommend","user_id":1,"items":[{"movie_id":20,…}],"model_version":"v1","head":"preference","basis":"user",`+replyTimes+`,"cold":[]}`,
		`recommend {"request_id":"requests-2-7","kind":"recommend","user_id":99,"items":[{"movie_id":10,"score":3,"prediction":3,…}],"model_version":"v1","basis":"popular",`+replyTimes+`,"cold":["user"],"unknown":[77]}`,
		`recommend {"request_id":"requests-2-7","kind":"recommend","items":[{"movie_id":10,…}],"model_version":"v1","head":"preference","basis":"liked",`+replyTimes+`,"cold":[],"unknown":[77]}`,
		` {"user_id":1,"movie_id":10}`,
		` {"kind":"similar","movie_id":10}`,
		` {"kind":"recommend"`,
		` als_recommend: field "n": 0 is not a whole number from 1 to 1000`)
}

// TestANewRatingIsInTheNextList, and says so as a reason.
func TestABriefReplyHasIdsAndScores(t *testing.T) {
	a := newAnswering(t, "recommend", liveOf(t, shelf(true)), "catalog: catalog")
	expectAnswers(t, answers(t, a, `{"kind":"recommend","user_id":1,"n":2,"brief":true}`, `{"kind":"recommend","user_id":1,"n":1}`),
		`recommend {"request_id":"requests-2-7","kind":"recommend","user_id":1,"items":[{"movie_id":10,"score":1},{"movie_id":20,"score":0.75}],"model_version":"v1","head":"preference","basis":"user",`+replyTimes+`,"cold":[]}`,
		`recommend {"request_id":"requests-2-7","kind":"recommend","user_id":1,"items":[{"movie_id":10,"score":1,"prediction":4.5,"title":"Heat (1995)",…"cold":[]}`)
}

func TestANewRatingIsInTheNextList(t *testing.T) {
	live := liveOf(t, shelf(true))
	a := newAnswering(t, "recommend", live, "")
	const ask = `{"kind":"recommend","user_id":99,"reasons":true,"n":1}`
	expectAnswers(t, answers(t, a, ask), `recommend …"basis":"popular",`+replyTimes+`,"cold":["user"]}`)
	live.Users.Learn(ratings.Rating{User: 99, Movie: 10, Value: 4, Time: 1})
	got := answers(t, a, ask)
	expectAnswers(t, got, `recommend {"request_id":"requests-2-7","kind":"recommend","user_id":99,"items":[{"movie_id":20,…"head":"preference","basis":"user",`+replyTimes+`,"cold":[]}`)
	// x = 5·0.5 / (YᵀY + λ + 4·0.25) = 2.5/3.3125; movie 20: x·0.25
	if want := fmt.Sprintf(`"reason":{"movie_id":10,"rating":4,"score":%v}`, float32(2.5/3.3125*0.25)); !strings.Contains(got[0], want) {
		t.Errorf("got %s, want %s", got[0], want)
	}
}

// TestWhatTheStoreKnowsIsNotRecommendedAgain: the ratings came as events, which no
// predictor saw.
func TestWhatTheStoreKnowsIsNotRecommendedAgain(t *testing.T) {
	live := liveOf(t, shelf(true))
	var away error
	live.History = func(_ context.Context, user int64) ([]ratings.Rating, error) {
		return []ratings.Rating{{User: user, Movie: 10, Value: 5, Time: 1}}, away
	}
	a := newAnswering(t, "recommend", live, "")
	away = errors.New("the store is away")
	expectAnswers(t, answers(t, a, `{"kind":"recommend","user_id":1,"n":1}`), `recommend {"request_id":"requests-2-7","kind":"recommend","user_id":1,"items":[{"movie_id":10,…"cold":[]}`)
	away = nil
	expectAnswers(t, answers(t, a, `{"kind":"recommend","user_id":1,"n":1}`), `recommend {"request_id":"requests-2-7","kind":"recommend","user_id":1,"items":[{"movie_id":20,…"cold":[]}`)
}

// TestWhatSpeaksAgainstAMovieIsNoReason for it.
func TestWhatSpeaksAgainstAMovieIsNoReason(t *testing.T) {
	live := liveOf(t, shelf(true))
	live.Users.Learn(ratings.Rating{User: 99, Movie: 30, Value: 4, Time: 1})
	a := newAnswering(t, "recommend", live, "")
	if got := answers(t, a, `{"kind":"recommend","user_id":99,"reasons":true,"candidates":[10]}`); !strings.Contains(got[0], `{"movie_id":10,`) || strings.Contains(got[0], "reason") {
		t.Errorf("got %s", got[0])
	}
}

func TestAModelOfRatingsSaysSo(t *testing.T) {
	a := newAnswering(t, "recommend", liveOf(t, shelf(false)), "")
	// Movie 10: 0.6 of 4.5 stars and 0.4 of the most popular, 5 stars.
	expectAnswers(t, answers(t, a, `{"kind":"recommend","user_id":1,"n":1,"candidates":[10]}`, `{"kind":"recommend","user_id":1,"n":1,"popularity":0}`, `{"kind":"recommend","user_id":1,"filters":{"genres":["Crime"]}}`),
		`recommend …"items":[{"movie_id":10,"score":4.7,"prediction":4.5}],"model_version":"v1","head":"rating","basis":"user",`+replyTimes+`,"cold":[]}`,
		`recommend …"items":[{"movie_id":10,"score":4.5,"prediction":4.5}],"model_version":"v1","head":"rating","basis":"user",`+replyTimes+`,"cold":[]}`,
		` als_recommend: field "filters": genres and years are not known here; give this processor a catalog`)
}

func TestARequestBecomesWhatIsSimilar(t *testing.T) {
	live := liveOf(t, shelf(true))
	a := newAnswering(t, "similar", live, "catalog: catalog")
	got := answers(t, a,
		`{"kind":"similar","movie_id":10}`,
		`{"kind":"similar","movie_id":10,"n":1,"offset":1,"user_id":1,"filters":{"year_from":0}}`,
		`{"kind":"similar","movie_id":10,"n":1,"offset":1,"user_id":1}`,
		`{"kind":"similar","of":"users","user_id":1}`,
		`{"kind":"similar","of":"users","user_id":99}`,
		`{"kind":"similar","movie_id":77}`)
	expectAnswers(t, got,
		`similar {"request_id":"requests-2-7","kind":"similar","movie_id":10,"title":"Heat (1995)","genres":["Action","Crime"],"year":1995,"items":[{"movie_id":20,"score":1,"title":"Casino (1996)","genres":["Crime"],"year":1996},`+
			`{"movie_id":30,"score":-1,"title":"Babe","genres":["Children"]}],"model_version":"v1","head":"preference",`+replyTimes+`,"cold":[]}`,
		` als_similar: field "filters.year_from": 0 is not a whole number from 1 to 9999`,
		`similar …"items":[{"movie_id":30,"score":-1,"title":"Babe","genres":["Children"]}],"model_version":"v1","head":"preference",`+replyTimes+`,"cold":[]}`,
		`similar {"request_id":"requests-2-7","kind":"similar","user_id":1,"items":[{"user_id":2,"score":1}],"model_version":"v1","head":"preference",`+replyTimes+`,"cold":[]}`,
		`similar {"request_id":"requests-2-7","kind":"similar","user_id":99,"items":[],"model_version":"v1","head":"preference",`+replyTimes+`,"cold":["user"]}`,
		`similar {"request_id":"requests-2-7","kind":"similar","movie_id":77,"title":"","genres":[],"items":[],"model_version":"v1","head":"preference",`+replyTimes+`,"cold":["movie"]}`)
}

func TestARequestBecomesAnExplanationThatSumsUp(t *testing.T) {
	live := liveOf(t, shelf(true))
	for _, r := range []ratings.Rating{{Movie: 10, Value: 4}, {Movie: 30, Value: 0.5}, {Movie: 40, Value: 5}} {
		r.User = 99
		live.Users.Learn(r)
	}
	a := newAnswering(t, "explain", live, "catalog: catalog")
	got := answers(t, a,
		`{"kind":"explain","user_id":99,"movie_id":20,"n":1}`,
		`{"kind":"explain","user_id":99,"movie_id":20,"n":2,"offset":1}`,
		`{"kind":"explain","liked":[10],"movie_id":20}`,
		`{"kind":"explain","user_id":5,"movie_id":77}`)
	for i, want := range []struct {
		items int
		basis string
		cold  int
	}{{1, "user", 0}, {2, "user", 0}, {1, "liked", 0}, {0, "popular", 2}} {
		var reply struct {
			Score, Base, Rest float64
			Basis, Title      string
			Items             []struct {
				Movie  int64 `json:"movie_id"`
				Score  float64
				Rating float32
			}
			Cold []string
		}
		kind, text, _ := strings.Cut(got[i], " ")
		if err := json.Unmarshal([]byte(text), &reply); err != nil || kind != "explain" {
			t.Fatalf("%v: %s", err, got[i])
		}
		sum := reply.Base + reply.Rest
		for _, item := range reply.Items {
			sum += item.Score
			if (item.Rating > 0) == (want.basis == "liked") {
				t.Errorf("item %+v", item)
			}
		}
		if math.Abs(sum-reply.Score) > 1e-4 || len(reply.Items) != want.items || reply.Basis != want.basis || len(reply.Cold) != want.cold {
			t.Errorf("parts sum up to %v: %s", sum, got[i])
		}
	}
	if !strings.Contains(got[0], `"items":[{"movie_id":10,`) || !strings.Contains(got[0], `"rating":4,"title":"Heat (1995)"`) {
		t.Errorf("the best reason is not movie 10: %s", got[0])
	}
}

// TestAChallengerAnswersItsUsers, and nobody else.
func TestAChallengerAnswersItsUsers(t *testing.T) {
	m, err := model.New(shelf(true), model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	live := model.NewLive()
	live.Swap(model.NewLineUp(1, &model.Version{Model: m, Name: "v1"}, []model.Challenger{{Version: &model.Version{Model: m, Name: "v2"}, Role: "challenger:x", Share: 1}}))
	a := newAnswering(t, "recommend", live, "")
	expectAnswers(t, answers(t, a, `{"kind":"recommend","user_id":1,"n":1}`, `{"kind":"recommend","liked":[10],"n":1}`),
		`recommend …"model_version":"v2","role":"challenger:x","head":"preference","basis":"user",`+replyTimes+`,"cold":[]}`,
		`recommend …"model_version":"v1","head":"preference","basis":"liked",`+replyTimes+`,"cold":[]}`)
}

// TestOnlyRequestsOfItsKindWaitForAModel.
func TestOnlyRequestsOfItsKindWaitForAModel(t *testing.T) {
	live := model.NewLive()
	a := newAnswering(t, "recommend", live, "catalog: catalog")
	expectAnswers(t, answers(t, a, `{"user_id":1,"movie_id":10}`), ` {"user_id":1,"movie_id":10}`)
	done := make(chan error, 1)
	go func() {
		_, err := a.ProcessBatch(t.Context(), service.MessageBatch{request(`{"kind":"recommend","user_id":1}`)})
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("without a model: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	m, err := model.New(shelf(true), model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	live.Swap(model.NewLineUp(1, &model.Version{Model: m, Name: "v1"}, nil))
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestPredictLeavesOtherKindsToThoseWhoAnswerThem(t *testing.T) {
	r, _ := published(t, 3, time.UnixMilli(0))
	mgr, follower := resources(t, r)
	if err := follower.Poll(); err != nil {
		t.Fatal(err)
	}
	got := answers(t, newPredict(t, mgr), `{"kind":"recommend","user_id":1,"n":10}`, `{"kind":"similar"}`, `{"kind":"explain"}`, `{"kind":"dance"}`, `{"user_id":1,"movie_id":2}`)
	expectAnswers(t, got,
		`recommend {"kind":"recommend","user_id":1,"n":10}`, `similar {"kind":"similar"}`, `explain {"kind":"explain"}`,
		` als_predict: field "kind": "dance" is unknown; give predict, recommend, similar, explain or audience, or leave it out for predict`, ` {"request_id":…}`)
}

// TestARotatedListIsAnotherOne, until the request comes again.
func TestARotatedListIsAnotherOne(t *testing.T) {
	a := newAnswering(t, "recommend", liveOf(t, shelf(true)), "")
	ask := func(id string) string {
		return `{"kind":"recommend","request_id":"` + id + `","user_id":1,"n":1,"rotate":true}`
	}
	got := answers(t, a, ask("a"), ask("b"), ask("a"), ask("b"), `{"kind":"recommend","request_id":"c","user_id":1,"n":1}`, `{"kind":"recommend","liked":[],"rotate":true}`)
	expectAnswers(t, got,
		`recommend {"request_id":"a","kind":"recommend","user_id":1,"items":[{"movie_id":10,…}`,
		`recommend {"request_id":"b","kind":"recommend","user_id":1,"items":[{"movie_id":20,…}`,
		`recommend {"request_id":"a","kind":"recommend","user_id":1,"items":[{"movie_id":10,…}`,
		`recommend {"request_id":"b","kind":"recommend","user_id":1,"items":[{"movie_id":20,…}`,
		`recommend {"request_id":"c","kind":"recommend","user_id":1,"items":[{"movie_id":10,…}`,
		` als_recommend: field "rotate": is for users with user_id; for an anonymous user give exclude, the movies that were shown`)
}
