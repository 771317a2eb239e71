package live

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a time that only moves when it is told to.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newTest() (*Aggregates, *clock) {
	c := &clock{time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)}
	return New(Config{Now: c.now}), c
}

func predict(t *testing.T, a *Aggregates, id int, at time.Time, value float64, more string) {
	t.Helper()
	err := a.Prediction(0, fmt.Appendf(nil, `{"request_id":"r-%d","user_id":7,"movie_id":%d,"prediction":%v,"title":"Movie %d","genres":["Drama","War"],`+
		`"model_version":"v1","requested_at":"2026-01-02T14:59:59Z","predicted_at":%q,"cold":[]%s}`,
		id, id%3, value, id%3, at.Format(time.RFC3339Nano), more))
	if err != nil {
		t.Fatal(err)
	}
}

func near(a Number, b float64) bool { return math.Abs(float64(a)-b) < 1e-9 }

func TestASnapshotHasWhatWasFed(t *testing.T) {
	a, c := newTest()
	start := c.t
	predict(t, a, 1, start, 4, `,"actual":3`)
	predict(t, a, 2, start, 2, `,"actual":5`)
	predict(t, a, 3, start.Add(-10*time.Second), 3, ``)
	predict(t, a, 3, start, 5, ``) // again
	c.t = start.Add(2 * time.Second)
	s := a.Snapshot()
	if s.Totals.Predictions != 3 || s.Totals.Duplicates != 1 {
		t.Errorf("totals %+v", s.Totals)
	}
	// The errors are 1 and -3: RMSE √5, MAE 2.
	for name, got := range map[string]Accuracy{"overall": s.Accuracy.Overall, "latest": s.Accuracy.Latest, "v1": s.ByModel[0].Accuracy} {
		if got.Count != 2 || !near(got.RMSE, math.Sqrt(5)) || !near(got.MAE, 2) {
			t.Errorf("%s accuracy %+v", name, got)
		}
	}
	n := len(s.Series.Mean)
	if n != 180 || s.Series.StepMillis != 5000 || !near(s.Series.Mean[n-1], 3) || !near(s.Series.Mean[n-3], 3) || s.Series.Count[n-2] != 0 {
		t.Errorf("series of %d, counts %v", n, s.Series.Count[n-3:])
	}
	if s.Series.Start+int64(n-1)*5000 != start.UnixMilli() {
		t.Errorf("series starts at %d", s.Series.Start)
	}
	if g := s.Genres; len(g.Names) != 2 || g.Total[0] != 3 || len(g.Mean[0]) != 30 || !near(g.Mean[1][29], 3) || g.Count[0][29] != 2 {
		t.Errorf("genres %v, totals %v", g.Names, g.Total)
	}
	if s.Latest[0].At < s.Latest[2].At || s.Latest[2].Movie != 0 || *s.Latest[0].Actual != 5 {
		t.Errorf("latest %+v", s.Latest)
	}
	if !near(s.Throughput.Last10, 2.0/10) || !near(s.Throughput.Last60, 3.0/12) {
		t.Errorf("throughput %+v", s.Throughput)
	}
	c.t = start.Add(time.Hour)
	if s = a.Snapshot(); s.Series.Count[179] != 0 || len(s.Genres.Names) != 0 || s.Throughput.Last60 != 0 || s.Totals.Predictions != 3 {
		t.Error("an hour later the window is not empty, or the totals are")
	}
}

func TestTopMoviesNeedEnoughPredictions(t *testing.T) {
	a, c := newTest()
	for i := range 12 {
		predict(t, a, i*3, c.t, 3, "") // movie 0
	}
	for i := range 5 {
		predict(t, a, i*3+1, c.t, 4, "") // movie 1
	}
	for i := range 4 {
		predict(t, a, i*3+2, c.t, 5, "") // movie 2
	}
	s := a.Snapshot()
	if len(s.TopRated) != 2 || s.TopRated[0].ID != 1 || s.TopRated[1].ID != 0 {
		t.Errorf("top rated %+v", s.TopRated)
	}
	if len(s.MostRequested) != 3 || s.MostRequested[0].ID != 0 || s.MostRequested[2].ID != 2 {
		t.Errorf("most requested %+v", s.MostRequested)
	}
}

func TestTheLatestAccuracyForgetsWhatIsOlder(t *testing.T) {
	a, c := newTest()
	for i := range 3 * LatestCount {
		actual := 1.0
		if i >= 2*LatestCount {
			actual = 3
		}
		predict(t, a, i, c.t, 3.5, fmt.Sprintf(`,"actual":%v`, actual))
	}
	s := a.Snapshot().Accuracy
	if s.Latest.Count != LatestCount || !near(s.Latest.RMSE, .5) || !near(s.Latest.MAE, .5) || s.Overall.Count != 3*LatestCount {
		t.Errorf("accuracy %+v", s)
	}
}

func TestAPredictionThatTheModelMayHaveSeenSaysNothingOfAccuracy(t *testing.T) {
	a, c := newTest()
	predict(t, a, 1, c.t, 4, `,"actual":3`)
	predict(t, a, 2, c.t, 4, `,"actual":4,"late":true`)
	if s := a.Snapshot(); s.Accuracy.Overall.Count != 1 || s.Accuracy.Overall.RMSE != 1 || s.Totals.Predictions != 2 {
		t.Errorf("got %+v of %d predictions", s.Accuracy.Overall, s.Totals.Predictions)
	}
}

func TestTheChampionIsThePromotionWithTheHighestSequence(t *testing.T) {
	a, _ := newTest()
	if a.Snapshot().Model != nil {
		t.Error("a model before the first announcement")
	}
	for _, text := range []string{
		`{"role":"champion","version":"v2","sequence":2,"promoted_at":"2026-01-02T15:00:00Z","metrics":{"rmse":0.85,"bias_rmse":0.87,"ratings":80000}}`,
		`{"role":"champion","version":"v1","sequence":1}`,
		`{"role":"champion","version":"v1","sequence":1}`,
		`{"role":"challenger:a","version":"v3","sequence":3}`,
	} {
		if err := a.Announcement([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	s := a.Snapshot()
	if s.Model == nil || s.Model.Version != "v2" || !near(s.Model.RMSE, .85) || len(s.Models) != 3 || !math.IsNaN(float64(s.Models[2].RMSE)) {
		t.Errorf("model %+v of %+v", s.Model, s.Models)
	}
}

func TestVersionsAreComparedAndVerdictsKeptInBounds(t *testing.T) {
	a, c := newTest()
	shadow := `,"requested_at":%q,"actual":3,"shadows":[{"model_version":"v0","role":"challenger:previous","prediction":3.5}]`
	predict(t, a, 1, c.t, 4, fmt.Sprintf(shadow, c.t.Format(time.RFC3339)))
	predict(t, a, 2, c.t, 4, fmt.Sprintf(shadow, c.t.Add(48*time.Hour).Format(time.RFC3339))) // no request comes from the future
	c.t = c.t.Add(26 * time.Hour)
	predict(t, a, 3, c.t, 4, fmt.Sprintf(shadow, c.t.Format(time.RFC3339)))
	got := a.Snapshot().Comparisons
	if len(got) != 1 || got[0].Champion != "v1" || got[0].Challenger != "v0" || got[0].Users != 1 || got[0].Ratings != 1 || got[0].Open != 1 || got[0].Gain != 0.75 {
		t.Errorf("comparisons %+v", got)
	}
	test := `{"name":"newest ratings","head":"rating","gain":{"low":-0.01,"high":0.02},"effective_users":71.5,"decision":"undecided"}`
	err := a.Announcement([]byte(`{"role":"challenger:candidate","version":"v2","sequence":2,"share":0.1,"reason":"why","verdict":{"outcome":"undecided","reason":"` +
		strings.Repeat("x", 5000) + `","tests":[` + strings.Repeat(test+",", 20) + test + `],"guards":[{"name":"ndcg10"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Announcement([]byte(`{"role":"challenger:candidate","version":"","sequence":3}`)); err != nil {
		t.Fatal(err)
	}
	models := a.Snapshot().Models
	m := models[1]
	if m.Verdict == nil || m.Verdict.Outcome != "undecided" || len(m.Verdict.Reason) > maxReason || len(m.Verdict.Tests) != maxTests ||
		m.Verdict.Tests[0].Effective != 71.5 || m.Verdict.Guards != nil || m.Reason != "why" || m.Share != 0.1 || models[0].Version != "" {
		t.Errorf("models %+v", models)
	}
}

func TestBadMessagesAreErrorsThatNameTheField(t *testing.T) {
	a, _ := newTest()
	for text, want := range map[string]string{
		`{`:   "malformed",
		`[1]`: "instead of an object",
		`{"request_id":"a","user_id":"x","movie_id":1,"prediction":3,"predicted_at":"2026-01-02T15:00:00Z"}`: `"user_id"`,
		`{"user_id":1,"movie_id":1,"prediction":3,"predicted_at":"2026-01-02T15:00:00Z"}`:                    `"request_id" is missing`,
		`{"request_id":"a","user_id":1,"movie_id":1,"predicted_at":"2026-01-02T15:00:00Z"}`:                  `"prediction" is missing`,
		`{"request_id":"a","user_id":1,"movie_id":1,"prediction":3,"predicted_at":"yesterday"}`:              "yesterday",
	} {
		if err := a.Prediction(0, []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{`{"version":"v1"}`, `{"role":"champion","sequence":1}`} {
		if err := a.Announcement([]byte(text)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
	if got := a.Snapshot().Totals; got != (Totals{}) {
		t.Errorf("bad messages count: %+v", got)
	}
}

func TestMemoryIsBoundedWhateverArrives(t *testing.T) {
	a, c := newTest()
	long := strings.Repeat("ö", 5000)
	for i := range 300 {
		err := a.Prediction(0, fmt.Appendf(nil, `{"request_id":"%d","user_id":1,"movie_id":%d,"prediction":3,"title":%q,"genres":["g%d",%q],`+
			`"model_version":"v%d","predicted_at":%q}`, i, i, long, i, long, i, c.t.Format(time.RFC3339)))
		if err != nil {
			t.Fatal(err)
		}
		a.DeadLetter(fmt.Sprint(i), DeadLetter{Reason: long})
		a.DeadLetter(fmt.Sprint(i), DeadLetter{Reason: long}) // again
	}
	s := a.Snapshot()
	if s.Totals.DeadLetters != 300 || len(s.DeadLetters) != keptReasons || len(s.Latest) != latestRows || len(s.ByModel) != keptModels || len(s.Genres.Names) != keptGenres {
		t.Errorf("%d dead letters, %d latest, %d models, %d genres", len(s.DeadLetters), len(s.Latest), len(s.ByModel), len(s.Genres.Names))
	}
	if n := len(s.Latest[0].Title); n > maxTitle || !strings.HasSuffix(s.Latest[0].Title, "ö…") {
		t.Errorf("a title of %d bytes", n)
	}
	m := movies{}
	for i := range int64(keptMovies + 10) {
		m.add(&prediction{movie: i, value: 3})
		m.add(&prediction{movie: 1, value: 3})
	}
	if len(m) > keptMovies || m[1] == nil {
		t.Errorf("%d movies are kept", len(m))
	}
	ids := newRecentIDs(3)
	for i := range uint64(10) {
		if !ids.add(i) || ids.add(i) {
			t.Errorf("id %d", i)
		}
	}
	if len(ids.known) != 3 || !ids.add(0) {
		t.Errorf("%d ids are known", len(ids.known))
	}
}

func TestSnapshotsAreJSONWhileMessagesArrive(t *testing.T) {
	a := New(Config{})
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 200 {
				predict(t, a, w*1000+i, time.Now(), 3.25, "")
			}
		})
	}
	for range 20 {
		if _, err := json.Marshal(a.Snapshot()); err != nil {
			t.Fatal(err)
		}
	}
	writers.Wait()
	data, err := json.Marshal(a.Snapshot())
	if err != nil || strings.Contains(string(data), "NaN") || !strings.Contains(string(data), `"predictions":800`) {
		t.Errorf("%v, %d bytes", err, len(data))
	}
}

func BenchmarkPrediction(b *testing.B) {
	a := New(Config{})
	at := time.Now().Format(time.RFC3339Nano)
	n := 0
	for b.Loop() {
		n++
		err := a.Prediction(0, fmt.Appendf(nil, `{"request_id":"events-0-%d","user_id":514,"movie_id":%d,"prediction":3.75,"title":"Heat (1995)",`+
			`"genres":["Action","Crime","Thriller"],"model_version":"v1","requested_at":%q,"predicted_at":%q,"cold":[],"actual":4}`, n, n%9000, at, at))
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkSnapshot(b *testing.B) {
	a := New(Config{})
	genres := strings.Split("Action Adventure Animation Children Comedy Crime Documentary Drama Fantasy Film-Noir Horror IMAX Musical Mystery Romance Sci-Fi Thriller War Western", " ")
	for i := range 20_000 {
		at := time.Now().Add(-time.Duration(i%900) * time.Second)
		_ = a.Prediction(0, fmt.Appendf(nil, `{"request_id":"events-0-%d","user_id":514,"movie_id":%d,"prediction":3.7512345,"title":"Heat (1995)",`+
			`"genres":[%q],"model_version":"v1","predicted_at":%q,"cold":[],"actual":4}`, i, i%9000, genres[i%19], at.Format(time.RFC3339Nano)))
	}
	var data []byte
	for b.Loop() {
		data, _ = json.Marshal(a.Snapshot())
	}
	b.ReportMetric(float64(len(data)), "bytes")
}
