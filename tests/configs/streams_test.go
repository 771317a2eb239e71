package configs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// prediction is what the tests look at of a prediction.
type prediction struct {
	RequestID  string   `json:"request_id"`
	User       int64    `json:"user_id"`
	Movie      int64    `json:"movie_id"`
	Prediction float64  `json:"prediction"`
	Title      string   `json:"title"`
	Genres     []string `json:"genres"`
	Version    string   `json:"model_version"`
	Cold       []string `json:"cold"`
	Actual     *float64 `json:"actual"`
}

// predictions returns all predictions by their requests.
func (m *machine) predictions() map[string]prediction {
	m.Helper()
	all := map[string]prediction{}
	for _, r := range m.records("predictions") {
		var p prediction
		if err := json.Unmarshal(r.Value, &p); err != nil {
			m.Fatalf("%v: %s", err, r.Value)
		}
		all[p.RequestID] = p
	}
	return all
}

// TestRatingsGoAllTheWay: the tiny data have ten ratings and two tags; the
// later half of the events, six ratings, are requests too.
func TestRatingsGoAllTheWay(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.environment["RECSYS_HISTORY"] = "0.5"
	all := m.start("simulate", "ingest", "predict", "index")
	m.awaitRecords("predictions", 6)
	m.until("the ratings", func() bool { return m.count("ratings.db", "ratings") == 10 && m.count("ratings.db", "tags") == 2 })
	m.until("the index", func() bool { return m.count("predictions.db", "predictions") == 6 })
	all.stop()

	m.expectNoDeadLetters()
	for topic, want := range map[string]int{"events": 12, "requests": 6, "predictions": 6} {
		if n := len(m.records(topic)); n != want {
			t.Errorf("topic %s has %d records, want %d", topic, n, want)
		}
	}
	for _, topic := range []string{"events", "requests"} {
		for _, r := range m.records(topic) {
			var event struct {
				User string `json:"user_id"`
			}
			if err := json.Unmarshal(r.Value, &event); err != nil || event.User != string(r.Key) {
				t.Errorf("%s: key %q of %s, %v", topic, r.Key, r.Value, err)
			}
		}
	}
	got := m.predictions()
	p, ok := got["movielens-11"] // the last event: user 99 rates The Matrix 4.0
	if !ok || p.User != 99 || p.Movie != 2571 || p.Title != "Matrix, The (1999)" || p.Version != championVersion ||
		!slices.Equal(p.Cold, []string{"user", "movie"}) || p.Actual == nil || *p.Actual != 4 || len(p.Genres) != 3 {
		t.Errorf("prediction %+v of %v", p, got)
	}
	if r := m.stored()[[2]int64{2, 356}]; r.Value != 4 || r.Time != 1_500_000_180_000 {
		t.Errorf("stored %+v", r)
	}
}

// load writes data of enough ratings that pipelines are busy with for a while,
// and points the pipelines at it. Half of it is live.
func (m *machine) load() []ratings.Rating {
	m.Helper()
	all := recsystest.Ratings(60, 50, 0.9, 7)
	var csv strings.Builder
	csv.WriteString("userId,movieId,rating,timestamp\n")
	for _, r := range all {
		csv.WriteString(strings.Join([]string{
			strconv.FormatInt(r.User, 10), strconv.FormatInt(r.Movie, 10),
			strconv.FormatFloat(float64(r.Value), 'f', 1, 32), strconv.FormatInt(r.Time/1000, 10),
		}, ",") + "\n")
	}
	path := filepath.Join(m.state, "ratings.csv")
	if err := os.WriteFile(path, []byte(csv.String()), 0o644); err != nil {
		m.Fatal(err)
	}
	m.environment["RECSYS_DATA"] = path
	m.environment["RECSYS_HISTORY"] = "0.5"
	m.environment["RECSYS_RATE"] = "2000"
	return all
}

// awaitAll waits until everything has arrived everywhere, and checks that it is
// what was sent.
func (m *machine) awaitAll(sent []ratings.Rating) {
	m.Helper()
	live := len(sent) - len(sent)/2
	m.until("all ratings", func() bool { return m.count("ratings.db", "ratings") == len(sent) })
	m.until("all predictions in the index", func() bool { return m.count("predictions.db", "predictions") == live })
	stored := m.stored()
	for _, r := range sent {
		if got := stored[[2]int64{r.User, r.Movie}]; got != r {
			m.Fatalf("stored %+v, want %+v", got, r)
		}
	}
	if got := len(m.predictions()); got != live {
		m.Errorf("predictions of %d requests, want %d", got, live)
	}
	m.expectNoDeadLetters()
}

func TestABrokerThatGoesAwayUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	sent := m.load()
	all := m.start("simulate", "ingest", "predict", "index")
	for _, share := range []int{4, 2} {
		m.until("progress", func() bool { return m.count("ratings.db", "ratings") > len(sent)/share })
		m.closeBroker()
		m.until("a pipeline's notice", func() bool { return m.log.contains(m.address) })
		m.openBroker()
	}
	m.awaitAll(sent)
	all.stop()
	m.expectNoDeadLetters()
}

func TestAStopWhileTheBrokerIsAwayLosesNothing(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	sent := m.load()
	names := []string{"simulate", "ingest", "predict", "index"}
	all := m.startProcess(names...)
	m.until("progress", func() bool { return m.count("ratings.db", "ratings") > len(sent)/4 })
	m.closeBroker()
	all.terminate()
	m.openBroker()
	all = m.startProcess(names...)
	m.awaitAll(sent)
	all.terminate()
	m.expectNoDeadLetters()
}
