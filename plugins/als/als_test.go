package als

import (
	"context"
	"encoding/json"
	"fmt"
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
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// published makes a registry whose champion predicts mean for everything but
// user 1 (+1 star) and movie 10 (+0.5), trained until the given time.
func published(t *testing.T, mean float32, until time.Time) (*registry.Registry, registry.Promotion) {
	t.Helper()
	r, err := registry.Open("file://" + t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return r, promote(t, r, mean, until)
}

func promote(t *testing.T, r *registry.Registry, mean float32, until time.Time) registry.Promotion {
	t.Helper()
	m, err := model.New(&als.Factors{
		Mean: mean, Lambda: 1, Users: []int64{1}, UserBias: []float32{1}, UserCounts: []int32{1},
		Movies: []int64{10}, MovieBias: []float32{0.5}, MovieCounts: []int32{1},
	}, model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := r.Publish(t.Context(), m, registry.Manifest{
		CreatedAt: time.Unix(int64(mean*1000), 0), Algorithm: "als", Data: registry.Data{Until: until},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, _, _, err := r.Promote(t.Context(), manifest.Version, time.Now(), func(string) (bool, string, error) { return true, "test", nil })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// resources holds a live model under the label model.
func resources(t *testing.T, r *registry.Registry) (*service.Resources, *registry.Follower) {
	t.Helper()
	mgr := service.MockResources(service.MockResourcesOptAddCache("model"))
	follower := &registry.Follower{Registry: r, Live: model.NewLive()}
	mgr.SetGeneric(model.LiveKey{Label: "model"}, follower.Live)
	mgr.SetGeneric(registry.FollowerKey{Label: "model"}, follower)
	return mgr, follower
}

func newPredict(t *testing.T, mgr *service.Resources) *predictor {
	t.Helper()
	conf, err := predictSpec().ParseYAML("", nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPredictor(conf, mgr)
	if err != nil {
		t.Fatal(err)
	}
	p.now = func() time.Time { return time.UnixMilli(5000) }
	return p
}

// request is a message that came from offset 7 of partition 2.
func request(text string) *service.Message {
	msg := service.NewMessage([]byte(text))
	origin := &message.Origin{Topic: "requests", Partition: 2, Offset: 7, Time: time.UnixMilli(4000)}
	return msg.WithContext(message.WithOrigin(context.Background(), origin))
}

func predictOne(t *testing.T, p *predictor, texts ...string) []string {
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
	for _, msg := range out[0] {
		if err := msg.GetError(); err != nil {
			replies = append(replies, err.Error())
			continue
		}
		data, err := msg.AsBytes()
		if err != nil {
			t.Fatal(err)
		}
		replies = append(replies, string(data))
	}
	return replies
}

func TestARequestBecomesThePredictionOfOneVersion(t *testing.T) {
	r, p := published(t, 3, time.UnixMilli(0))
	mgr, follower := resources(t, r)
	if err := follower.Poll(); err != nil {
		t.Fatal(err)
	}
	got := predictOne(t, newPredict(t, mgr),
		`{"user_id":1,"movie_id":10,"request_id":"a","extra":{"x":1}}`,
		`{"user_id":"2","movie_id":"11"}`,
		`nonsense`,
		`{"event_type":"tag","user_id":1,"movie_id":10,"value":"x"}`)
	want := []string{
		`{"request_id":"a","user_id":1,"movie_id":10,"prediction":4.5,"model_version":"` + p.Version + `","requested_at":"1970-01-01T00:00:04.000Z","predicted_at":"1970-01-01T00:00:05.000Z","cold":[],"extra":{"x":1}}`,
		`{"request_id":"requests-2-7","user_id":2,"movie_id":11,"prediction":3,"model_version":"` + p.Version + `","requested_at":"1970-01-01T00:00:04.000Z","predicted_at":"1970-01-01T00:00:05.000Z","cold":["user","movie"]}`,
		"als_predict: malformed JSON: nonsense",
		`als_predict: field "event_type": "tag" is no request; of the events only rate is (leave the others out with the input's event_types)`,
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("message %d:\ngot  %s\nwant %s", i, got[i], want[i])
		}
	}
}

func TestACatalogAddsTitleAndGenresAtOnce(t *testing.T) {
	r, _ := published(t, 3, time.UnixMilli(0))
	_, follower := resources(t, r)
	if err := follower.Poll(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "movies.csv")
	if err := os.WriteFile(path, []byte("movieId,title,genres\n10,Heat (1995),Action|Crime\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	movies, err := catalog.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	mgr := service.MockResources(service.MockResourcesOptAddCache("model"), service.MockResourcesOptAddCache("movies"))
	mgr.SetGeneric(model.LiveKey{Label: "model"}, follower.Live)
	conf, err := predictSpec().ParseYAML("catalog: movies", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newPredictor(conf, mgr); err == nil || !strings.Contains(err.Error(), `resource "movies" is not a movie_catalog`) {
		t.Errorf("without a catalog: %v", err)
	}
	mgr.SetGeneric(catalog.Key{Label: "movies"}, movies)
	p, err := newPredictor(conf, mgr)
	if err != nil {
		t.Fatal(err)
	}
	got := predictOne(t, p, `{"user_id":1,"movie_id":10,"x":1}`, `{"user_id":1,"movie_id":11}`)
	for i, want := range []string{`"cold":[],"x":1,"title":"Heat (1995)","genres":["Action","Crime"]}`, `"cold":["movie"],"title":"","genres":[]}`} {
		if !strings.HasSuffix(got[i], want) {
			t.Errorf("got %s, want …%s", got[i], want)
		}
	}
}

func TestARatingIsPredictedBeforeItIsLearned(t *testing.T) {
	r, _ := published(t, 3, time.UnixMilli(1500))
	mgr, follower := resources(t, r)
	if err := follower.Poll(); err != nil {
		t.Fatal(err)
	}
	p := newPredict(t, mgr)
	predictOne(t, p, `{"event_type":"rate","user_id":5,"movie_id":22,"value":1,"timestamp":"2999-01-01T00:00:00Z"}`) // never learned
	rate := func(movie int, value float64, at int) string {
		return fmt.Sprintf(`{"event_type":"rate","user_id":"5","movie_id":"%d","value":"%v","timestamp":%d}`, movie, value, at)
	}
	got := predictOne(t, p, rate(20, 5, 1), rate(21, 5, 2), rate(20, 5, 1))
	for i, want := range []string{
		`"prediction":3,`, // nothing known; trained until later than 1 s: late
		`"prediction":4,`, // 3 + (5−3)/(1+1)
		`"prediction":4,`, // again, after it was learned: from the other rating alone
	} {
		if !strings.Contains(got[i], want) || !strings.Contains(got[i], `"actual":5`) {
			t.Errorf("message %d: %s, want %s", i, got[i], want)
		}
		if late := strings.Contains(got[i], `"late":true`); late != (i != 1) {
			t.Errorf("message %d: late is %v: %s", i, late, got[i])
		}
	}
}

// TestARatingOfThePastIsNotLateOnceTheModelIsThere: ratings that are played have old
// times; one of today among those that a model was trained on made all of them late.
func TestARatingOfThePastIsNotLateOnceTheModelIsThere(t *testing.T) {
	r, _ := published(t, 3, time.UnixMilli(1_000_000_000_000)) // made at 3,000 s, by its manifest
	mgr, follower := resources(t, r)
	if err := follower.Poll(); err != nil {
		t.Fatal(err)
	}
	rating := `{"event_type":"rate","user_id":5,"movie_id":20,"value":5,"timestamp":100}`
	asked := func(at time.Time) string {
		origin := &message.Origin{Topic: "requests", Time: at}
		out, err := newPredict(t, mgr).ProcessBatch(t.Context(), service.MessageBatch{service.NewMessage([]byte(rating)).WithContext(message.WithOrigin(context.Background(), origin))})
		if err != nil {
			t.Fatal(err)
		}
		data, err := out[0][0].AsBytes()
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for at, late := range map[int64]bool{2_999: true, 3_004: true, 3_006: false, 9_000: false} {
		if got := asked(time.Unix(at, 0)); strings.Contains(got, `"late":true`) != late {
			t.Errorf("asked %d s: %s", at, got)
		}
	}
	out, err := newPredict(t, mgr).ProcessBatch(t.Context(), service.MessageBatch{service.NewMessage([]byte(rating))})
	if err != nil {
		t.Fatal(err)
	}
	if data, _ := out[0][0].AsBytes(); !strings.Contains(string(data), `"late":true`) {
		t.Errorf("nobody knows when it was asked: %s", data)
	}
}

func TestARatedPredictionSaysWhatItHasToBeatIfAsked(t *testing.T) {
	r, _ := published(t, 3, time.UnixMilli(1500))
	mgr, follower := resources(t, r)
	if err := follower.Poll(); err != nil {
		t.Fatal(err)
	}
	rate := func(user, movie int64, value float64, at int) string {
		return fmt.Sprintf(`{"event_type":"rate","user_id":%d,"movie_id":%d,"value":%v,"timestamp":%d,"baseline":9,"stddev":9}`, user, movie, value, at)
	}
	asked := []string{rate(5, 20, 5, 1), rate(5, 20, 5, 2), `{"user_id":5,"movie_id":20}`, rate(5, 21, 1, 3), rate(1, 10, 4, 3)}
	for _, reply := range predictOne(t, newPredict(t, mgr), asked...) {
		if strings.Contains(reply, "baseline") || strings.Contains(reply, "stddev") {
			t.Errorf("nobody asked for %s", reply)
		}
	}
	p := newPredict(t, mgr)
	p.evaluate = true
	got := predictOne(t, p, asked...)
	for i, want := range []string{
		`"actual":5,"absolute_error":3,"late":true}`,
		`,"baseline":3}`,
		`"cold":["user","movie"]}`,
		`,"baseline":4}`,   // 3 + (5−3)/(1+1)
		`,"baseline":4.5}`, // as trained; the algorithm als knows no deviation
	} {
		if !strings.HasSuffix(got[i], want) {
			t.Errorf("got %s, want …%s", got[i], want)
		}
	}

	sure, err := model.New(&als.Factors{
		Mean: 3, Lambda: 1, Users: []int64{1}, UserBias: []float32{1}, UserCounts: []int32{1}, Movies: []int64{10}, MovieBias: []float32{0.5}, MovieCounts: []int32{1},
		Posterior: &als.Posterior{
			Alpha: 4, Freedom: 1e12, UserWeight: []float32{1}, UserCovariance: []float32{0}, MovieCovariance: []float32{0},
			UserPrecision: []float32{1}, MoviePrecision: []float32{1},
		},
	}, model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	follower.Live.Swap(model.NewLineUp(9, &model.Version{Model: sure, Name: "sure"}, nil))
	got = predictOne(t, p, rate(1, 10, 4, 3), rate(5, 21, 1, 3))
	for i, want := range []string{
		`"baseline":4.5,"stddev":0.5000}`, // the noise alone, 1/√4
		`"baseline":3,"stddev":1.5000}`,   // and what is not known of user and movie, √(1/4 + 1 + 1)
	} {
		if !strings.HasSuffix(got[i], want) {
			t.Errorf("got %s, want …%s", got[i], want)
		}
	}
}

func TestRequestsWaitForTheFirstModel(t *testing.T) {
	r, _ := published(t, 3, time.Time{})
	mgr, follower := resources(t, r)
	p := newPredict(t, mgr)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := p.ProcessBatch(ctx, service.MessageBatch{request(`{}`)}); err == nil {
		t.Fatal("without a model there can be no reply")
	}
	done := make(chan error, 1)
	go func() {
		_, err := p.ProcessBatch(t.Context(), service.MessageBatch{request(`{"user_id":1,"movie_id":2}`)})
		done <- err
	}()
	if err := follower.Poll(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAnAnnouncementSwapsTheModelOrSaysWhyNot(t *testing.T) {
	r, first := published(t, 3, time.Time{})
	mgr, follower := resources(t, r)
	conf, err := modelLoadSpec().ParseYAML("", nil)
	if err != nil {
		t.Fatal(err)
	}
	loader, err := newModelLoader(conf, mgr)
	if err != nil {
		t.Fatal(err)
	}
	load := func(a any) error {
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		out, err := loader.Process(t.Context(), service.NewMessage(text))
		if err != nil || len(out) != 1 {
			t.Fatalf("%d messages, %v", len(out), err)
		}
		return out[0].GetError()
	}
	announce := func(p registry.Promotion) message.Announcement {
		a, err := r.Announcement(p)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if err := load(announce(first)); err != nil || follower.Live.Current().Name != first.Version {
		t.Fatalf("got %v", err)
	}
	second := announce(promote(t, r, 4, time.Time{}))
	second.Version = "20200101-000000-abcdef"
	if err := load(second); err == nil || !strings.Contains(err.Error(), "model_load: ") || !strings.Contains(err.Error(), first.Version+" goes on serving") {
		t.Errorf("a version that is not there: %v", err)
	}
	if err := load("hello"); err == nil {
		t.Error("a string is no announcement")
	}
}

func TestTrainingIsDueWhenEnoughIsNewAndTheStoreHasComeToRest(t *testing.T) {
	start := time.Unix(0, 0)
	steps := []struct {
		revision int64
		after    time.Duration
		due      bool
		why      string
	}{
		{0, 0, false, "nothing is there"},
		{500, time.Second, false, "too little is new"},
		{9000, 2 * time.Second, false, "a history is being loaded"},
		{19000, 3 * time.Second, false, "it still is"},
		{19500, 4 * time.Second, true, "it has come to rest"},
		{40000, 5 * time.Second, false, "it pours again"},
		{90000, 40 * time.Second, true, "it has poured for longer than patience allows"},
	}
	trainer := &trainer{threshold: 2000, patience: 30 * time.Second}
	for _, step := range steps {
		if got := trainer.isDue(step.revision, start.Add(step.after)); got != step.due {
			t.Errorf("revision %d after %s: due is %v (%s)", step.revision, step.after, got, step.why)
		}
	}
}

func TestATriggerTrainsPublishesAndAnnouncesOnce(t *testing.T) {
	dir := t.TempDir()
	mgr := service.MockResources(service.MockResourcesOptAddCache("rating_store"))
	store := recsystest.NewMemoryStore()
	mgr.SetGeneric(ratings.StoreKey{Label: "rating_store"}, ratings.Store(store))
	conf, err := trainSpec().ParseYAML("registry: file://"+dir+"\nmin_new_ratings: 100\nparameters: {rank: 4, iterations: 3}", nil)
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := newTrainer(conf, mgr)
	if err != nil {
		t.Fatal(err)
	}
	trigger := func(order ...string) (outcome string, body []byte) {
		if order == nil {
			order = []string{"tick"}
		}
		out, err := trainer.Process(t.Context(), service.NewMessage([]byte(order[0])))
		if err != nil || len(out) != 1 {
			t.Fatalf("%d messages, %v", len(out), err)
		}
		outcome, _ = out[0].MetaGet("als_train")
		body, err = out[0].AsBytes()
		if err != nil {
			t.Fatal(err)
		}
		return outcome, body
	}
	if outcome, body := trigger(); outcome != "idle" || string(body) != "tick" {
		t.Errorf("an empty store: %s %s", outcome, body)
	}
	if err := store.Apply(t.Context(), ratings.Changes{Ratings: recsystest.Ratings(40, 30, 0.5, 1)}); err != nil {
		t.Fatal(err)
	}
	if outcome, _ := trigger(); outcome != "idle" {
		t.Errorf("while it pours: %s", outcome)
	}
	outcome, body := trigger()
	announcement, err := message.DecodeAnnouncement("test", body)
	if outcome != "promoted" || err != nil || announcement.Sequence != 1 || announcement.Metrics.RMSE <= 0 {
		t.Fatalf("got %s %s, %v", outcome, body, err)
	}
	if outcome, _ := trigger(); outcome != "idle" {
		t.Errorf("with nothing new: %s", outcome)
	}
	versions := func(want int) {
		t.Helper()
		entries, err := os.ReadDir(dir + "/models")
		if err != nil || len(entries) != want {
			t.Errorf("%d versions, %v, want %d", len(entries), err, want)
		}
	}
	versions(1)
	if outcome, body := trigger(`{"trigger":"kafka"}`); outcome != "idle" || string(body) != `{"trigger":"kafka"}` {
		t.Errorf("asked with nothing new: %s %s", outcome, body)
	}
	one := ratings.Changes{Ratings: recsystest.Ratings(40, 30, 0.5, 1)[:1], Offsets: ratings.Offsets{"events": {2: 77}}}
	one.Ratings[0].Time += 1e9
	if err := store.Apply(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if outcome, _ := trigger(); outcome != "idle" {
		t.Errorf("with one new rating: %s", outcome)
	}
	versions(1)
	if outcome, body := trigger(`{"trigger":"kafka"}`); outcome == "idle" {
		t.Errorf("asked with one new rating: %s %s", outcome, body)
	}
	versions(2)
	manifests, err := trainer.registry.List()
	if last := manifests[len(manifests)-1]; err != nil || last.Trigger != "kafka" || last.Data.EventsOffsets["events"][2] != 77 {
		t.Errorf("manifest of what was asked for: %+v, %v", last, err)
	}
	if outcome, _ := trigger(`{"trigger":"http","force":true}`); outcome == "idle" {
		t.Error("forced with nothing new: idle")
	}
	versions(3)
	out, err := trainer.Process(t.Context(), service.NewMessage([]byte(`{"trigger":1}`)))
	if err != nil || len(out) != 1 || out[0].GetError() == nil {
		t.Errorf("a trigger that cannot be read: %v, %v", out, err)
	}
}
