package commands

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/internal/spark"
)

// savedBySpark is the folder of a model that predicts 4 stars for users 1 and 2 and
// movie 10, and nobody else.
func savedBySpark(t *testing.T) string {
	t.Helper()
	m := spark.Model{
		Rank: 2, Users: spark.Side{IDs: []int32{1, 2}, Factors: []float32{1, 2, 1, 2}}, Items: spark.Side{IDs: []int32{10}, Factors: []float32{2, 1}},
		Saved: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	folder := filepath.Join(t.TempDir(), "als-model")
	if err := m.Write(t.Context(), folder); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestAModelOfSparkBecomesAVersionAndGoesBack(t *testing.T) {
	m, folder := modelsTest{t, "file://" + t.TempDir()}, savedBySpark(t)
	var manifest registry.Manifest
	if err := json.Unmarshal([]byte(m.succeeds("import", "--format", "spark", "--json", folder)), &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.Algorithm != als.Spark || manifest.Data.Users != 2 || manifest.Metrics != (message.Metrics{}) || !strings.Contains(string(manifest.Parameters), `"sparkVersion"`) {
		t.Errorf("got %+v", manifest)
	}
	m.prints(m.succeeds("import", "--format", "spark", "file://"+folder), "version "+manifest.Version, "already")
	loaded, _, err := m.registry().Model(manifest.Version)
	if err != nil {
		t.Fatal(err)
	}
	if p := loaded.Predict(2, 10); p.Value != 4 || p.ColdUser || p.ColdMovie {
		t.Errorf("predicted %+v", p)
	}
	m.refused([]string{"undecided", "--force"}, "promote", manifest.Version)
	m.succeeds("promote", "--force", "--reason", "measured on Spark", manifest.Version)
	back := filepath.Join(t.TempDir(), "back")
	m.prints(m.succeeds("export", "--format", "spark", "champion", back), "an ALSModel of rank 2 with 2 users and 1 movies", "without predictions for users")
	m.refused([]string{back, "not empty", "another folder"}, "export", "--format", "spark", "champion", back)
	m.prints(m.succeeds("import", "--format", "spark", back), "version "+manifest.Version, "already")
	m.prints(m.succeeds("import", "--format", "spark", "--implicit", folder), "in "+m.url+" now", "models promote --force")
}

func TestAModelOfSparkIsMeasuredByRatings(t *testing.T) {
	m, folder := modelsTest{t, "file://" + t.TempDir()}, savedBySpark(t)
	path := filepath.Join(t.TempDir(), "ratings.csv")
	var text strings.Builder
	text.WriteString(csvHeader)
	for k := range 60 { // 30 before it was saved; it is a star off each of the others
		fmt.Fprintf(&text, "%d,10,3,%d\n", k%2+1, 1577800000+3600*k)
		fmt.Fprintf(&text, "%d,20,1,%d\n", k+3, 1577800000+3600*k)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	m.prints(m.succeeds("import", "--format", "spark", "--ratings", path, folder), "is the champion", "RMSE 1.0000 on", "the first version")
	m.refused([]string{`"soon" is no time`, "2026-01-02"}, "import", "--format", "spark", "--trained-until", "soon", folder)
}

func TestARealModelOfSparkIsMeasuredAndDoubted(t *testing.T) {
	data := recsystest.DataDir(t)
	folder := filepath.Join(filepath.Dir(data), "spark-2.4-als-model")
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: %v", err)
	}
	m := modelsTest{t, "file://" + t.TempDir()}
	var manifest registry.Manifest
	if err := json.Unmarshal([]byte(m.succeeds("import", "--format", "spark", "--ratings", data, "--json", folder)), &manifest); err != nil {
		t.Fatal(err)
	}
	// It knows 8,966 of 9,724 movies: it was trained on a part of these ratings, and nothing says which.
	if x := manifest.Metrics; !(x.RMSE > .5 && x.RMSE < .9) || x.Holdout < 9000 || manifest.Gate.Rule != message.RuleFirst ||
		len(manifest.Gate.Warnings) != 1 || !strings.Contains(manifest.Gate.Warnings[0], "may have been trained on") {
		t.Errorf("metrics %+v, gate %+v", x, manifest.Gate)
	}
	m.champion(manifest.Version)
}

func TestExportToSparkTellsWhatIsLostAndRefusesIDs(t *testing.T) {
	m := modelsTest{t, "file://" + t.TempDir()}
	factors := &als.Factors{
		Rank: 1, Mean: 3, Users: []int64{1}, Movies: []int64{10}, UserBias: []float32{1}, MovieBias: []float32{-1}, UserFactors: []float32{1}, MovieFactors: []float32{1},
		UserCounts: []int32{1}, MovieCounts: []int32{1}, Lambda: 1,
		Preference: &als.Preference{Rank: 1, UserFactors: []float32{1}, MovieFactors: []float32{1}, Alpha: 1, Lambda: 1},
	}
	publish := func(name string, f als.Factors) {
		t.Helper()
		made, err := model.New(&f, model.MovieLensScale)
		if err == nil {
			_, err = m.registry().Publish(t.Context(), made, registry.Manifest{Version: name, CreatedAt: time.Unix(1_600_000_000, 0), Algorithm: "als", Parameters: json.RawMessage(`{}`)})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	publish("both", *factors)
	ratingOnly := *factors
	ratingOnly.Preference = nil
	publish("rating", ratingOnly)
	ratingOnly.Users = []int64{1 << 40}
	publish("large", ratingOnly)
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	m.prints(m.succeeds("export", "--format", "spark", "both", at("a")), "rank 3 ", "the head that ranks")
	m.prints(m.succeeds("export", "--format", "spark", "--implicit", "both", at("b")), "rank 1 ", "predicted ratings")
	m.prints(m.succeeds("export", "--format", "spark", "--json", "rating", at("c")), `"spark_rank":3`, `"lost":[`, `"version":"rating"`)
	m.refused([]string{"no head that ranks"}, "export", "--format", "spark", "--implicit", "rating", at("d"))
	m.refused([]string{"user 1099511627776", "-2147483648 to 2147483647"}, "export", "--format", "spark", "large", at("d"))
	if _, err := os.Lstat(at("d")); !os.IsNotExist(err) {
		t.Errorf("something was written: %v", err)
	}
	m.refused([]string{`--format "onnx" is neither version nor spark`}, "export", "--format", "onnx", "both", at("d"))
	m.refused([]string{"--implicit goes with --format spark"}, "export", "--implicit", "both", at("d"))
	m.refused([]string{"--ratings goes with --format spark"}, "import", "--ratings", "x", at("a"))
	m.refused([]string{"lambda is 0"}, "import", "--format", "spark", "--lambda", "0", at("a"))
	m.refused([]string{"not a readable ALSModel", "there is no metadata"}, "import", "--format", "spark", folder)
	m.refused([]string{at("nothing")}, "import", "--format", "spark", at("nothing"))
}
