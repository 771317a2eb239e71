//go:build cluster

package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"
)

// originalPrediction is what a consumer of the original system reads.
type originalPrediction struct {
	UserID     *int64   `json:"user_id"`
	MovieID    *int64   `json:"movie_id"`
	Prediction *float64 `json:"prediction"`
	Title      *string  `json:"title"`
	Genres     []string `json:"genres"`
}

// TestContractWithTheOriginal plays a producer and the consumers of the original
// system: their topic, keys, JSON, tables, index, and the model that Spark saved.
func TestContractWithTheOriginal(t *testing.T) {
	s := sharedSystem(t, 1)
	version := s.serveOriginalModel(t)
	account := s.open(t, s.newTraffic(1))
	s.startFleet(t, 1)
	for _, topic := range []string{"events", "requests"} { // what is to be learned, and what is to be predicted
		s.broker.produce(t,
			&kgo.Record{Topic: topic, Key: []byte("514"), Value: []byte(`{"event_type":"rate","user_id":"514","movie_id":"318","value":"2.5","timestamp":"1533873124"}`)},
			&kgo.Record{Topic: topic, Key: []byte("900001"), Value: []byte(`{"event_type":"rate","user_id":"900001","movie_id":"296","value":"4.0","timestamp":"1533873125"}`)},
			&kgo.Record{Topic: topic, Key: []byte("514"), Value: []byte(`{"event_type":"tag","user_id":"514","movie_id":"318","value":"prison","timestamp":"1533873126"}`)},
		)
	}
	s.idle(t)
	predictions := s.broker.records(t, "predictions", account.predictions)
	if len(predictions) != 2 {
		t.Fatalf("%d predictions of two ratings and a tag", len(predictions))
	}
	for _, record := range predictions {
		t.Logf("%s", record.Value)
		s.checkOriginalPrediction(t, record)
		if got := gjson.GetBytes(record.Value, "model_version").Str; got != version {
			t.Errorf("predicted by version %s, want %s, which Spark trained", got, version)
		}
	}
	t.Run("tables", func(t *testing.T) { originalTables(t, s) })
	if letters := account.letters(t); len(letters) > 0 {
		t.Errorf("dead letters: %v", letters)
	}
}

// serveOriginalModel imports the folder that the original's Spark saved, and has it
// serve until the test ends.
func (s *system) serveOriginalModel(t *testing.T) (version string) {
	t.Helper()
	folder := filepath.Join(os.Getenv("RECSYS_DATA"), "spark-2.4-als-model")
	told := s.command(t, "models", "import", "--format", "spark", "--json", folder)
	version = gjson.Get(told[strings.Index(told, "{"):], "version").Str
	s.command(t, "models", "promote", "--force", version)
	t.Cleanup(func() { s.command(t, "models", "rollback") })
	return version
}

// checkOriginalPrediction demands names and types of the original's fields, its
// key, and its document in the daily index.
func (s *system) checkOriginalPrediction(t *testing.T, record *kgo.Record) {
	t.Helper()
	var p originalPrediction
	if err := json.Unmarshal(record.Value, &p); err != nil {
		t.Fatal(err)
	}
	if p.UserID == nil || p.MovieID == nil || p.Prediction == nil || p.Title == nil || p.Genres == nil {
		t.Fatalf("a field of the original's is missing: %s", record.Value)
	}
	if string(record.Key) != fmt.Sprint(*p.UserID) {
		t.Errorf("the key is %q, the user %d", record.Key, *p.UserID)
	}
	if want := s.catalog[*p.MovieID]; *p.Title != want.title || !slices.Equal(p.Genres, want.genres) {
		t.Errorf("title %q and genres %v, want %+v", *p.Title, p.Genres, want)
	}
	if *p.Prediction < 0.5 || *p.Prediction > 5 {
		t.Errorf("a prediction of %v", *p.Prediction)
	}
	var ours struct {
		RequestID   string    `json:"request_id"`
		Actual      float64   `json:"actual"`
		RequestedAt time.Time `json:"requested_at"`
	}
	if err := json.Unmarshal(record.Value, &ours); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(ours.RequestID, "requests-") || strings.Count(ours.RequestID, "-") != 2 {
		t.Errorf("request_id %q of a request without one is not topic-partition-offset", ours.RequestID)
	}
	if want := map[int64]float64{514: 2.5, 900001: 4}[*p.UserID]; ours.Actual != want {
		t.Errorf("actual is %v, want %v", ours.Actual, want)
	}
	s.index.mustAsk(t, "POST", "/predictions-*/_refresh", nil)
	path := "/predictions-" + ours.RequestedAt.UTC().Format("2006.01.02") + "/_doc/" + ours.RequestID
	document := s.index.mustAsk(t, "GET", path, nil).Get("_source")
	if document.Get("title").Str != *p.Title || document.Get("prediction").Float() != *p.Prediction || document.Get("user_id").Int() != *p.UserID {
		t.Errorf("the document %s is %s", path, document.Raw)
	}
}

// originalTables reads the tables as plain CQL does, with their types.
func originalTables(t *testing.T, s *system) {
	var rating float32
	var at time.Time
	query := "SELECT rating, timestamp FROM recsys.ratings WHERE user_id = ? AND movie_id = ?"
	if err := s.session.Query(query, int64(900001), int64(296)).Scan(&rating, &at); err != nil || rating != 4 || at.Unix() != 1533873125 {
		t.Errorf("the rating is %v at %v: %v", rating, at, err)
	}
	var tag string
	if err := s.session.Query("SELECT tag, timestamp FROM recsys.tags WHERE user_id = 514 AND movie_id = 318 AND tag = 'prison'").Scan(&tag, &at); err != nil || at.Unix() != 1533873126 {
		t.Errorf("the tag is %q at %v: %v", tag, at, err)
	}
	var title string
	var genres []string
	if err := s.session.Query("SELECT title, genres FROM recsys.movies WHERE movie_id = 296").Scan(&title, &genres); err != nil || title != "Pulp Fiction (1994)" || len(genres) != 4 {
		t.Errorf("the movie is %q %v: %v", title, genres, err)
	}
	var imdb string
	var tmdb int64
	if err := s.session.Query("SELECT imdb_id, tmdb_id FROM recsys.links WHERE movie_id = 296").Scan(&imdb, &tmdb); err != nil || imdb != "0110912" || tmdb != 680 {
		t.Errorf("the links are %q %d: %v", imdb, tmdb, err)
	}
	var types [][2]string
	iter := s.session.Query("SELECT column_name, type FROM system_schema.columns WHERE keyspace_name = 'recsys' AND table_name = 'ratings'").Iter()
	var name, kind string
	for iter.Scan(&name, &kind) {
		types = append(types, [2]string{name, kind})
	}
	if err := iter.Close(); err != nil {
		t.Error(err)
	}
	want := [][2]string{{"movie_id", "bigint"}, {"rating", "float"}, {"timestamp", "timestamp"}, {"user_id", "bigint"}}
	if !slices.Equal(types, want) {
		t.Errorf("the columns of ratings are %v", types)
	}
}
