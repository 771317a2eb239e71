//go:build cluster

package cluster

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/tests/lens"
)

const dashboardFile = root + "/config/kibana/recsys-benthos.ndjson"

// predicted is a prediction as it is on the topic.
type predicted struct {
	RequestID    string    `json:"request_id"`
	UserID       int64     `json:"user_id"`
	Prediction   float64   `json:"prediction"`
	Title        string    `json:"title"`
	Genres       []string  `json:"genres"`
	ModelVersion string    `json:"model_version"`
	PredictedAt  time.Time `json:"predicted_at"`
	Actual       *float64  `json:"actual"`
	Late         bool      `json:"late"`
	Cold         []string  `json:"cold"`
}

// TestPanelsShowThePredictions runs the request of each panel of the dashboard on
// the index that the pipelines have filled from real ratings, and compares what a
// panel draws with what the predictions on the topic say.
func TestPanelsShowThePredictions(t *testing.T) {
	s := sharedSystem(t, 1)
	source := s.predictionsOfTwoVersions(t)
	objects, err := lens.Export(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	panels := 0
	for _, o := range objects {
		switch o.Type {
		case "lens":
			panels++
			t.Run(o.ID, func(t *testing.T) { s.checkPanel(t, o, source) })
		case "search":
			t.Run(o.ID, func(t *testing.T) { s.checkSearch(t, o, source) })
		}
	}
	if panels < 7 {
		t.Errorf("the dashboard has %d panels", panels)
	}
}

const (
	kibanaRun    = "kibana-"
	bucketOfTime = 50 * time.Millisecond // a dashboard takes longer ones: these are over soon
)

// predictionsOfTwoVersions asks for predictions of real ratings, half by each of two
// versions, and returns them as they are on the topic: some without a rating, some
// of a user nobody knows, some late.
func (s *system) predictionsOfTwoVersions(t *testing.T) []predicted {
	t.Helper()
	const requests = 3000
	all, err := ratings.ReadRatings(filepath.Join(s.data, "ratings.csv"))
	if err != nil {
		t.Fatal(err)
	}
	from := s.broker.mustEnds(t, "predictions")
	f := s.startFleet(t, 1)
	s.requestRatings(t, all, 0, requests/2)
	s.indexed(t, requests/2)

	out := s.command(t, "train", "--ratings", filepath.Join(s.data, "ratings.csv"), "--rank", "4", "--preference-rank", "0", "--force", "--json")
	t.Cleanup(func() { s.command(t, "models", "rollback") })
	version := regexp.MustCompile(`"version":"([^"]+)"`).FindStringSubmatch(out)
	if version == nil {
		t.Fatalf("train does not say which version it made: %s", out)
	}
	f.predictors[0].says(t, "Model version "+version[1]+" serves now")
	s.requestRatings(t, all, requests/2, requests)
	s.indexed(t, requests)

	found := map[string]predicted{} // at least once: twice is once
	for _, record := range s.broker.records(t, "predictions", from) {
		var p predicted
		if err := json.Unmarshal(record.Value, &p); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(p.RequestID, kibanaRun) {
			found[p.RequestID] = p
		}
	}
	if len(found) != requests {
		t.Fatalf("%d predictions on the topic, want %d", len(found), requests)
	}
	var source []predicted
	versions, late, cold := map[string]int{}, 0, 0
	for _, p := range found {
		source = append(source, p)
		versions[p.ModelVersion]++
		if p.Late {
			late++
		}
		if len(p.Cold) > 0 {
			cold++
		}
	}
	if len(versions) != 2 || late == 0 || cold == 0 {
		t.Fatalf("the predictions do not show all there is: versions %v, %d late, %d cold", versions, late, cold)
	}
	t.Logf("%d predictions, by version %v, %d late, %d cold", len(source), versions, late, cold)
	return source
}

// requestRatings asks for predictions of the ratings from..to, the newest first.
func (s *system) requestRatings(t *testing.T, all []ratings.Rating, from, to int) {
	t.Helper()
	newest := slices.Clone(all)
	slices.SortFunc(newest, func(a, b ratings.Rating) int { return int(b.Time/1000 - a.Time/1000) })
	now := time.Now().Unix()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		r := newest[i]
		if i%20 == 0 {
			r.User += 5_000_000 // nobody knows it
		}
		at := now
		if i%3 == 0 {
			at = r.Time / 1000 // the model was trained on it
		}
		value := fmt.Sprintf(`{"request_id":"%s%d","event_type":"rate","user_id":%d,"movie_id":%d,"value":%.1f,"timestamp":%d}`, kibanaRun, i, r.User, r.Movie, r.Value, at)
		if i%7 == 0 {
			value = fmt.Sprintf(`{"request_id":"%s%d","user_id":%d,"movie_id":%d}`, kibanaRun, i, r.User, r.Movie)
		}
		records = append(records, &kgo.Record{Topic: "requests", Key: fmt.Append(nil, r.User), Value: []byte(value)})
	}
	s.broker.produce(t, records...)
}

// indexed waits until so many requests of this test have a document.
func (s *system) indexed(t *testing.T, n int) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		found, err := s.index.count(kibanaRun)
		if err == nil && found != n {
			err = fmt.Errorf("%d of %d requests have a document", found, n)
		}
		return err
	})
}

// ours are the documents of this test, in a range of time as a dashboard has one.
func ours() map[string]any {
	return map[string]any{"bool": map[string]any{"filter": []any{
		byRun(kibanaRun), map[string]any{"range": map[string]any{"predicted_at": map[string]any{"gte": "now-24h", "lte": "now+1m"}}},
	}}}
}

func (s *system) checkPanel(t *testing.T, o lens.Object, source []predicted) {
	panel, err := lens.ReadPanel(o)
	if err != nil {
		t.Fatal(err)
	}
	request, err := panel.Request(ours(), bucketOfTime.String())
	if err != nil {
		t.Fatal(err)
	}
	rows, err := panel.Rows(s.index.mustAsk(t, "POST", "/predictions-*/_search", request))
	if err != nil {
		t.Fatal(err)
	}
	want := expectedRows(t, panel, source)
	if len(rows) == 0 {
		t.Fatal("the panel is empty")
	}
	seen := map[string]bool{}
	for _, row := range rows {
		key := strings.Join(row.Keys, " | ")
		expected, known := want[key]
		if !known || seen[key] {
			t.Errorf("row %s is not in the predictions, or is there twice", key)
			continue
		}
		seen[key] = true
		for id, value := range expected {
			if id != documents && !near(row.Values[id], value) {
				t.Errorf("row %s: %s is %v, the predictions say %v", key, id, row.Values[id], value)
			}
		}
	}
	s.checkWhichRows(t, panel, want, seen)
	t.Logf("%q: %d rows are as the %d predictions say, such as %v", panel.Title, len(rows), len(source), rows[0])
}

// near: the index keeps stars as float32, and a mean of squares is less exact than
// that; one part in 10,000 is what a person can see.
func near(got, want float64) bool {
	if math.IsNaN(want) {
		return math.IsNaN(got)
	}
	return math.Abs(got-want) <= 1e-4*max(1, math.Abs(want))
}

// checkWhichRows demands the first values of the outermost column, by its order, and
// all rows of theirs.
func (s *system) checkWhichRows(t *testing.T, panel lens.Panel, want map[string]map[string]float64, seen map[string]bool) {
	t.Helper()
	counts := map[string]float64{}
	first := func(key string) string { return strings.Split(key, " | ")[0] }
	for key, values := range want {
		counts[first(key)] += values[documents]
	}
	shown, hidden := map[string]bool{}, math.Inf(-1)
	for key := range seen {
		shown[first(key)] = true
	}
	least := math.Inf(1)
	for value, n := range counts {
		if shown[value] {
			least = min(least, n)
		} else {
			hidden = max(hidden, n)
		}
	}
	outermost := panel.Columns[panel.Buckets()[0]]
	if size := outermost.Params.Size; outermost.Operation == "terms" && len(shown) != min(size, len(counts)) {
		t.Errorf("%d values are shown, want %d of %d", len(shown), min(size, len(counts)), len(counts))
	}
	if hidden > least {
		t.Errorf("a value of %v predictions is left out, and one of %v shown", hidden, least)
	}
	for key := range want {
		if shown[first(key)] && !seen[key] {
			t.Errorf("row %s is missing", key)
		}
	}
}

// documents is the key of the number of documents of a row, which is no column.
const documents = ""

// expectedRows is the table of a panel by the predictions alone, by the values of its
// buckets.
func expectedRows(t *testing.T, panel lens.Panel, source []predicted) map[string]map[string]float64 {
	t.Helper()
	groups := map[string][]predicted{}
	for _, p := range source {
		if !matches(t, panel.Query, p) {
			continue
		}
		keys := []string{""}
		for i, id := range panel.Buckets() {
			var longer []string
			for _, key := range keys {
				for _, value := range valuesOf(t, panel.Columns[id].Field, p) {
					if i > 0 {
						value = key + " | " + value
					}
					longer = append(longer, value)
				}
			}
			keys = longer
		}
		for _, key := range keys {
			groups[key] = append(groups[key], p)
		}
	}
	rows := map[string]map[string]float64{}
	for key, group := range groups {
		rows[key] = map[string]float64{documents: float64(len(group))}
		for id, c := range panel.Columns {
			if !c.Bucketed && !strings.HasPrefix(c.Operation, "math") && !strings.Contains(id, "X") { // hidden parts are named idX0
				rows[key][id] = expectedValue(t, id, c, group)
			}
		}
	}
	return rows
}

// matches are the filters that panels use, as they are meant.
func matches(t *testing.T, kql string, p predicted) bool {
	switch kql {
	case "":
		return true
	case "actual: * and not late: true":
		return p.Actual != nil && !p.Late
	}
	t.Fatalf("the test does not know what %q means", kql)
	return false
}

func valuesOf(t *testing.T, field string, p predicted) []string {
	switch field {
	case "genres":
		return p.Genres
	case "title.keyword":
		return []string{p.Title}
	case "model_version":
		return []string{p.ModelVersion}
	case "predicted_at":
		return []string{p.PredictedAt.UTC().Truncate(bucketOfTime).Format("2006-01-02T15:04:05.000Z")}
	}
	t.Fatalf("the test does not know the field %s", field)
	return nil
}

// expectedValue is a column's number by its definition: no squares of means.
func expectedValue(t *testing.T, id string, c lens.Column, group []predicted) float64 {
	t.Helper()
	var errors []float64
	matching, sum, cold := 0, 0.0, 0
	for _, p := range group {
		if len(p.Cold) > 0 {
			cold++
		}
		if p.Actual != nil && !p.Late {
			errors = append(errors, math.Abs(p.Prediction-*p.Actual))
		}
		if matches(t, c.KQL(), p) {
			matching++
			sum += p.Prediction
		}
	}
	absolute, squares := 0.0, 0.0
	for _, e := range errors {
		absolute += e
		squares += e * e
	}
	switch {
	case c.Operation == "count":
		return float64(matching)
	case c.Operation == "average" && c.Field == "prediction":
		return sum / float64(matching)
	case c.Operation == "average" && c.Field == "absolute_error":
		return absolute / float64(len(errors))
	case id == "rmse":
		return math.Sqrt(squares / float64(len(errors)))
	case id == "cold":
		return float64(cold) / float64(len(group))
	}
	t.Fatalf("the test does not know the column %s: %s of %s", id, c.Operation, c.Field)
	return 0
}

// checkSearch demands the newest predictions with what is shown of them.
func (s *system) checkSearch(t *testing.T, o lens.Object, source []predicted) {
	var table lens.Search
	if err := json.Unmarshal(o.Attributes, &table); err != nil {
		t.Fatal(err)
	}
	sort := []any{}
	for _, by := range table.Sort {
		sort = append(sort, map[string]any{by[0]: map[string]any{"order": by[1]}})
	}
	answer := s.index.mustAsk(t, "POST", "/predictions-*/_search", map[string]any{"size": 500, "query": ours(), "sort": sort, "fields": table.Columns, "_source": false})
	byTime := slices.Clone(source)
	slices.SortFunc(byTime, func(a, b predicted) int { return b.PredictedAt.Compare(a.PredictedAt) })
	hits := answer.Get("hits.hits").Array()
	if len(hits) != 500 {
		t.Fatalf("%d rows", len(hits))
	}
	known := map[string]predicted{}
	for _, p := range source {
		known[p.RequestID] = p
	}
	rated := 0
	for i, hit := range hits {
		p := known[hit.Get("_id").Str]
		if !p.PredictedAt.Equal(byTime[i].PredictedAt) {
			t.Fatalf("row %d is of %s, want %s", i, p.PredictedAt, byTime[i].PredictedAt)
		}
		field := func(name string) (value string) { return hit.Get("fields." + name + ".0").String() }
		if field("user_id") != fmt.Sprint(p.UserID) || field("title") != p.Title || field("model_version") != p.ModelVersion || !near(hit.Get("fields.prediction.0").Float(), p.Prediction) {
			t.Fatalf("row %d is %s, want %+v", i, hit.Raw, p)
		}
		if actual := hit.Get("fields.actual.0"); actual.Exists() != (p.Actual != nil) || p.Actual != nil && (actual.Float() != *p.Actual || !near(hit.Get("fields.absolute_error.0").Float(), math.Abs(p.Prediction-*p.Actual))) {
			t.Fatalf("row %d is %s, want the actual rating of %+v", i, hit.Raw, p)
		}
		if p.Actual != nil {
			rated++
		}
	}
	t.Logf("%q: 500 rows, %d with actual ratings", table.Title, rated)
}

// TestSetupTalksToKibana runs the built binary against real servers and a Kibana that
// has nothing: the settings of all servers come from the environment.
func TestSetupTalksToKibana(t *testing.T) {
	s := sharedSystem(t, 1)
	var imports atomic.Int64
	kibana := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case user != s.elasticsearch.Username || password != s.elasticsearch.Password || r.Header.Get("kbn-xsrf") == "":
			http.Error(w, `{"statusCode":401,"error":"Unauthorized","message":"no"}`, http.StatusUnauthorized)
		case r.URL.Path == "/api/saved_objects/_bulk_get":
			var asked []map[string]any
			if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			for _, o := range asked {
				if imports.Load() == 0 {
					o["error"] = map[string]any{"statusCode": 404}
				}
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"saved_objects": asked})
		case r.URL.Path == "/api/saved_objects/_import":
			if _, _, err := r.FormFile("file"); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			imports.Add(1)
			_ = json.NewEncoder(w).Encode(map[string]any{"success": true, "successCount": 12})
		default:
			http.NotFound(w, r)
		}
	}))
	defer kibana.Close()
	env := []string{"KIBANA_URL=" + kibana.URL}
	check := s.launch(t, "setup --check", env, "setup", "--check")
	if code := check.end(t, time.Minute); code != 1 {
		t.Errorf("setup --check ended with code %d before the import", code)
	}
	expectParts(t, check.log.String(), `Kibana: dashboard "Movie recommender": it is missing`, "mend it with: recsys-benthos setup")
	setup := s.launch(t, "setup", env, "setup")
	if code := setup.end(t, time.Minute); code != 0 || imports.Load() != 1 {
		t.Errorf("setup ended with code %d after %d imports\n%s", code, imports.Load(), setup.tail())
	}
	expectParts(t, setup.log.String(), `Kibana dashboard "Movie recommender": created`)
	check = s.launch(t, "setup --check", env, "setup", "--check")
	if code := check.end(t, time.Minute); code != 0 {
		t.Errorf("setup --check ended with code %d after the import\n%s", code, check.tail())
	}
	expectParts(t, s.command(t, "setup"), "KIBANA_URL is not set", "import config/kibana/recsys-benthos.ndjson")
}
