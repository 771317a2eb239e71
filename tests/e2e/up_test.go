package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// summary is the line that up ends with.
type summary struct {
	Events       int64   `json:"events"`
	Requests     int64   `json:"requests"`
	Predictions  int64   `json:"predictions"`
	DeadLetters  int64   `json:"dead_letters"`
	Cold         int64   `json:"cold"`
	ModelVersion string  `json:"model_version"`
	RMSEHoldout  float64 `json:"rmse_holdout"`
	RMSELive     float64 `json:"rmse_live"`
	Seconds      float64 `json:"seconds"`
	Simulated    bool    `json:"simulated"`
}

var summaryKeys = []string{
	"cold", "dead_letters", "events", "model_version", "predictions", "requests", "rmse_holdout", "rmse_live", "seconds",
}

// summaryOf reads the one line that up wrote to its output.
func summaryOf(t testing.TB, p *process) (s summary, keys []string) {
	t.Helper()
	text := strings.TrimSpace(p.stdout.String())
	fields := map[string]any{}
	if strings.Contains(text, "\n") || json.Unmarshal([]byte(text), &fields) != nil || json.Unmarshal([]byte(text), &s) != nil {
		t.Fatalf("the output is not one line of JSON\n%s", p.tail())
	}
	return s, slices.Sorted(maps.Keys(fields))
}

// checkAccounts demands that nothing is unaccounted for, and no dead letter.
func checkAccounts(t testing.TB, s summary) {
	t.Helper()
	if s.DeadLetters != 0 || s.Requests != s.Predictions+s.DeadLetters {
		t.Errorf("%d requests, %d predictions, %d dead letters: the accounts do not close without dead letters",
			s.Requests, s.Predictions, s.DeadLetters)
	}
}

// The limits of the promise, and what a loaded machine of CI may take instead.
const (
	firstPrediction = 10 * time.Second
	slowMachine     = 3
	mostMemory      = 300_000_000 // bytes
)

func TestUpRunsTheWholeRecommenderAndKeepsItsAccounts(t *testing.T) {
	data, state := recsystest.DataDir(t), t.TempDir()
	p := start(t, launch{args: up(state, "--data", data, "--rate", "500", "--until-predictions", "10000", "--retrain", "1000", "--json")})
	p.succeed(2 * time.Minute)
	s, keys := summaryOf(t, p)
	t.Logf("%s", strings.TrimSpace(p.stdout.String()))
	if !slices.Equal(keys, summaryKeys) {
		t.Errorf("the summary has the keys %v instead of %v", keys, summaryKeys)
	}
	checkAccounts(t, s)
	if s.Predictions < 10_000 {
		t.Errorf("%d predictions, 10000 were asked for", s.Predictions)
	}
	if s.RMSEHoldout <= 0 || s.RMSEHoldout >= 0.86 {
		t.Errorf("the holdout RMSE is %v instead of less than 0.86", s.RMSEHoldout)
	}
	if s.RMSELive <= 0 || s.RMSELive >= 1 {
		t.Errorf("the live RMSE is %v, which is not plausible", s.RMSELive)
	}
	if s.Cold <= 0 || s.Cold >= s.Predictions {
		t.Errorf("%d of %d predictions are cold, which is not plausible", s.Cold, s.Predictions)
	}
	t.Logf("peak resident memory: %.1f MB", float64(p.peak.Load())/1e6)
	if p.peak.Load() > mostMemory {
		t.Errorf("the peak resident memory is %.1f MB instead of at most 300 MB", float64(p.peak.Load())/1e6)
	}
	checkFirstPrediction(t, p, state)
	checkRatingStore(t, data, state, s)
	checkPredictions(t, data, state, s)
	checkModels(t, state, s)
}

func checkFirstPrediction(t *testing.T, p *process, state string) {
	t.Helper()
	at, err := time.Parse(time.RFC3339, rows(t, openDatabase(t, state, "predictions.db"), "SELECT min(predicted_at) FROM predictions")[0])
	if err != nil {
		t.Fatal(err)
	}
	after := at.Sub(p.started)
	t.Logf("first live prediction %.2f s after the start", after.Seconds())
	if after < 0 || after > slowMachine*firstPrediction {
		t.Errorf("the first live prediction came %s after the start; %s are promised", after, firstPrediction)
	}
}

// checkRatingStore demands that the store holds the published events, and
// nothing else.
func checkRatingStore(t *testing.T, data, state string, s summary) {
	t.Helper()
	events := timeline(t, data)[:s.Events]
	store := dump(t, state, "ratings.db")
	sameRows(t, "rating store", store["ratings"], ratingRows(events))
	tags := map[string]bool{}
	for _, e := range events {
		if e.tag != "" {
			tags[fmt.Sprint(e.user, e.movie, e.tag)] = true
		}
	}
	if len(store["tags"]) != len(tags) {
		t.Errorf("the rating store has %d tags instead of %d", len(store["tags"]), len(tags))
	}
}

// checkPredictions demands one prediction for each request, with all its fields.
func checkPredictions(t *testing.T, data, state string, s summary) {
	t.Helper()
	db := openDatabase(t, state, "predictions.db")
	events := timeline(t, data)
	sameRows(t, "request ids in the prediction index",
		rows(t, db, "SELECT request_id FROM predictions ORDER BY request_id"),
		liveRequests(events, int(0.8*float64(len(events))), int(s.Events)))
	if bad := rows(t, db, "SELECT request_id FROM predictions WHERE coalesce(title, '') = '' OR genres IS NULL"); len(bad) > 0 {
		t.Errorf("%d predictions have no title or genres: %v", len(bad), first(bad))
	}
	unknown := withoutGenres(t, data)
	for _, movie := range rows(t, db, "SELECT DISTINCT movie_id FROM predictions WHERE genres = ''") {
		if id, err := strconv.ParseInt(movie, 10, 64); err != nil || !unknown[id] {
			t.Errorf("predictions about movie %s have no genres, but the data know some", movie)
		}
	}
	if n := count(db, "SELECT count(*) FROM predictions WHERE cold <> ''"); n != s.Cold {
		t.Errorf("%d cold predictions in the index, %d in the summary", n, s.Cold)
	}
}

// listedModel is one row of models list --json.
type listedModel struct {
	Version   string  `json:"version"`
	Role      string  `json:"role"`
	RMSE      float64 `json:"rmse"`
	Simulated bool    `json:"simulated"`
	Verdict   string  `json:"verdict"`
}

func listModels(t testing.TB, state string) (models []listedModel) {
	t.Helper()
	text := runBinary(t, "", "models", "list", "--registry", "file://"+filepath.Join(state, "registry"), "--json")
	if err := json.Unmarshal([]byte(text), &models); err != nil {
		t.Fatalf("models list --json: %v\n%s", err, text)
	}
	return models
}

// checkModels demands that the champion changed under traffic.
func checkModels(t *testing.T, state string, s summary) {
	t.Helper()
	models, champions := listModels(t, state), 0
	served := rows(t, openDatabase(t, state, "predictions.db"), "SELECT DISTINCT model_version FROM predictions")
	t.Logf("%d versions, %d of them predicted", len(models), len(served))
	known := map[string]listedModel{}
	for _, m := range models {
		known[m.Version] = m
		if m.Role == "champion" {
			champions++
			if m.Version != s.ModelVersion || m.RMSE < s.RMSEHoldout-1e-4 || m.RMSE > s.RMSEHoldout+1e-4 {
				t.Errorf("the champion is %s with RMSE %v, the summary says %s with %v", m.Version, m.RMSE, s.ModelVersion, s.RMSEHoldout)
			}
		}
	}
	if champions != 1 {
		t.Errorf("%d versions have the role of champion: %+v", champions, models)
	}
	if len(served) < 2 {
		t.Errorf("the model never changed under traffic: predictions name %v", served)
	}
	for _, version := range served {
		if m, ok := known[version]; !ok || m.Simulated || !(m.Verdict == "the first version" || strings.HasPrefix(m.Verdict, "promoted")) {
			t.Errorf("predictions name version %q, which is no promoted one: %+v", version, m)
		}
	}
}
