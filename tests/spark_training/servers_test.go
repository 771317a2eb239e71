//go:build spark

package sparktraining

import (
	"encoding/json"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/plugins/cassandra"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// runJobs runs the job for each list of arguments, in one process on two cores, and
// returns the manifest of the version that each wrote.
func runJobs(t *testing.T, jars string, jobs ...[]string) []registry.Manifest {
	t.Helper()
	interpreter, folder := python(t), t.TempDir()
	args := []string{
		"--master", "local[2]", "--jars", jars, "--driver-memory", "1g", "--conf", "spark.ui.enabled=false", "--conf", "spark.driver.host=127.0.0.1",
		"--conf", "spark.sql.shuffle.partitions=2", "--conf", "spark.pyspark.python=" + interpreter, "--conf", "spark.pyspark.driver.python=" + interpreter,
		"--driver-java-options", quickJava, "testdata/several.py", "../../spark",
	}
	for k, job := range jobs {
		text, err := json.Marshal(append(slices.Clone(job), "--registry", "file://"+folder, "--version", strconv.Itoa(k)))
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, string(text))
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(interpreter), "spark-submit"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("running the job: %v\n%s", err, out[max(0, len(out)-8000):])
	}
	versions, err := registry.Open("file://" + folder)
	if err != nil {
		t.Fatal(err)
	}
	manifests := make([]registry.Manifest, len(jobs))
	for k := range jobs {
		m, manifest, err := versions.Model(strconv.Itoa(k))
		if err != nil {
			t.Fatalf("opening what was written of %v: %v", jobs[k], err)
		}
		if manifest.Data.Users != len(m.Factors().Users) {
			t.Errorf("the manifest of %v tells of %d users, the model has %d", jobs[k], manifest.Data.Users, len(m.Factors().Users))
		}
		manifests[k] = manifest
	}
	return manifests
}

// history is how ratings come to be as they are: with older ones of the same pairs, one
// that is taken back, and a user who is forgotten.
func history(all []ratings.Rating) ratings.Changes {
	last := all[len(all)-1].Time
	c := ratings.Changes{
		Unrated:   []ratings.Unrated{{User: all[0].User, Movie: 1_000_001, Time: last + 2}},
		Forgotten: []ratings.Forgotten{{User: 1_000_001, Time: last + 2}},
	}
	for _, r := range all[:len(all)/4] {
		c.Ratings = append(c.Ratings, ratings.Rating{User: r.User, Movie: r.Movie, Value: 5.5 - r.Value, Time: r.Time - 1000})
	}
	c.Ratings = append(append(c.Ratings, all...),
		ratings.Rating{User: all[0].User, Movie: 1_000_001, Value: 1, Time: last + 1}, ratings.Rating{User: 1_000_001, Movie: all[0].Movie, Value: 1, Time: last + 1})
	return c
}

// fillCassandra writes a history by the rating store of the cluster profile.
func fillCassandra(t *testing.T, c ratings.Changes) (address string) {
	t.Helper()
	server, err := servers.StartCassandra(t.Context(), servers.CassandraOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	settings := cassandra.NewSettings("recsys", server.Addresses()...)
	if err := cassandra.Setup(t.Context(), settings, cassandra.SetupOptions{}); err != nil {
		t.Fatal(err)
	}
	store, err := cassandra.OpenStore(t.Context(), settings, cassandra.StoreOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return server.Addresses()[0]
}

// fillKafka writes a history as events, what is taken back and forgotten first.
func fillKafka(t *testing.T, c ratings.Changes) (brokers string) {
	t.Helper()
	kafka, err := servers.StartKafka(t.Context(), servers.KafkaOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kafka.Close(); err != nil {
			t.Error(err)
		}
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Addresses()...), kgo.DefaultProduceTopic("events"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 3, 1, nil, "events"); err != nil {
		t.Fatal(err)
	}
	type event struct {
		Type  string  `json:"event_type"`
		User  int64   `json:"user_id"`
		Movie int64   `json:"movie_id,omitempty"`
		Value float32 `json:"value,omitempty"`
		Time  int64   `json:"timestamp"`
	}
	var events []event
	for _, u := range c.Unrated {
		events = append(events, event{Type: "unrate", User: u.User, Movie: u.Movie, Time: u.Time})
	}
	for _, f := range c.Forgotten {
		events = append(events, event{Type: "forget_user", User: f.User, Time: f.Time})
	}
	for _, r := range c.Ratings {
		events = append(events, event{"rate", r.User, r.Movie, r.Value, r.Time})
	}
	records := make([]*kgo.Record, len(events))
	for k, e := range events {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		records[k] = &kgo.Record{Value: text}
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(kafka.Addresses(), ",")
}

// TestServersGiveTheJobWhatParquetDoes: the same version is trained from real Cassandra
// and Kafka as from a file of what is left of a history.
func TestServersGiveTheJobWhatParquetDoes(t *testing.T) {
	// Blocks add ratings in the order that sources give them, in float32.
	const tolerance = 1e-5
	servers.ForTest(t)
	found, err := servers.FetchSpark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	connector, err := servers.FetchSparkCassandra(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := recsystest.Ratings(150, 80, 0.3, 3)
	changes := history(all)
	small := []string{"--rank", "8", "--iterations", "2", "--blocks", "1"}
	got := runJobs(t, found.Jars+","+connector,
		append([]string{"--ratings-parquet", "file://" + writeParquet(t, all)}, small...),
		append([]string{"--cassandra", fillCassandra(t, changes), "--keyspace", "recsys"}, small...),
		append([]string{"--kafka", fillKafka(t, changes), "--topic", "events"}, small...))
	want := got[0]
	if want.Data.Ratings != int64(len(all)) || want.Metrics.RMSE <= 0 || want.Metrics.RMSE >= want.Metrics.BiasRMSE {
		t.Errorf("from parquet: %+v, %+v", want.Data, want.Metrics)
	}
	for _, m := range got[1:] {
		t.Logf("%s: RMSE %.9f, from parquet %.9f", m.Data.Source, m.Metrics.RMSE, want.Metrics.RMSE)
		if m.Data.Checksum != want.Data.Checksum || m.Data.Ratings != want.Data.Ratings || !m.Data.Until.Equal(want.Data.Until) {
			t.Errorf("data are %+v, want those of %+v", m.Data, want.Data)
		}
		if math.Abs(m.Metrics.RMSE-want.Metrics.RMSE) > tolerance || math.Abs(m.Metrics.BiasRMSE-want.Metrics.BiasRMSE) > tolerance || m.Metrics.Holdout != want.Metrics.Holdout {
			t.Errorf("%s: metrics are %+v, want %+v", m.Data.Source, m.Metrics, want.Metrics)
		}
	}
}
