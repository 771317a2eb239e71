//go:build spark

// Package spark compares models that went to Apache Spark and came from it with what
// Spark itself says of them.
package spark

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/tests/binary"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// program is the path of recsys-benthos.
var program string

func TestMain(m *testing.M) { os.Exit(binary.Main(m, &program)) }

// tolerance is for sums of float32 products in another order, of values up to 5.
const tolerance = 1e-5

// told is what roundtrip.py writes.
type told struct {
	Version string
	Models  map[string]said
}

// said is what Spark says of a model.
type said struct {
	Rank, Users, Movies int
	Predictions         [][3]*float64
	Lists               map[string][][2]float64
}

// roundTrip is a folder that Spark and we write into.
type roundTrip struct {
	*testing.T
	work    string
	ratings []ratings.Rating
}

func TestRoundTrips(t *testing.T) {
	python := servers.ForPySparkTest(t)
	real := filepath.Join(filepath.Dir(recsystest.DataDir(t)), "spark-2.4-als-model")
	if _, err := os.Stat(real); err != nil {
		t.Fatalf("RECSYS_DATA has no folder spark-2.4-als-model, a model saved by Spark 2.4: %v", err)
	}
	r := roundTrip{t, t.TempDir(), recsystest.Ratings(80, 60, 0.4, 7)}
	r.write()
	ours := r.export()
	if err := os.CopyFS(filepath.Join(r.work, "loaded", "Spark 2.4's, some"), os.DirFS(real)); err != nil {
		t.Fatal(err)
	}
	spark := r.ask(python)
	if len(spark.Models) != 5+len(ours)+1 {
		t.Fatalf("Spark told of %d models", len(spark.Models))
	}
	for name, says := range spark.Models {
		t.Run(name, func(t *testing.T) {
			r.T = t
			m, ok := ours[name]
			if !ok {
				folder := filepath.Join(r.work, "saved", name)
				if name == "Spark 2.4's, some" {
					folder = real
				}
				m = r.imported(folder, strings.HasPrefix(name, "implicit"))
			}
			r.compare(m, says, strings.Contains(name, "implicit"))
		})
	}
}

// write leaves ratings to train on, and pairs to predict, of which some are cold.
func (r roundTrip) write() {
	var file, pairs bytes.Buffer
	file.WriteString("user_id,movie_id,rating,timestamp\n")
	pairs.WriteString("user_id,movie_id\n")
	for _, x := range r.ratings {
		fmt.Fprintf(&file, "%d,%d,%g,%d\n", x.User, x.Movie, x.Value, x.Time/1000)
		fmt.Fprintf(&pairs, "%d,%d\n", x.User, x.Movie)
	}
	for user := 1; user <= 40; user++ {
		for _, movie := range []int{1, 2, 3, 10, 47, 50, 110, 260, 296, 318, 1_000_001} {
			fmt.Fprintf(&pairs, "%d,%d\n", user, movie)
		}
	}
	for name, text := range map[string][]byte{"ratings.csv": file.Bytes(), "pairs.csv": pairs.Bytes()} {
		if err := os.WriteFile(filepath.Join(r.work, name), text, 0o600); err != nil {
			r.Fatal(err)
		}
	}
}

// export trains models of ours and writes them as Spark's, by the command line.
func (r roundTrip) export() map[string]*model.Model {
	exported := map[string]*model.Model{}
	if err := os.Mkdir(filepath.Join(r.work, "loaded"), 0o755); err != nil {
		r.Fatal(err)
	}
	for _, e := range []struct {
		name, algorithm string
		flags           []string
	}{
		{"our als_vb", als.VB, nil},
		{"our als, some", als.ALS, nil},
		{"our als_spark", als.Spark, nil},
		{"our als_implicit", als.Implicit, nil},
		{"our als_vb, implicit", als.VB, []string{"--implicit"}},
	} {
		at := "file://" + filepath.Join(r.work, "registry "+e.name)
		r.run("train", "--ratings", filepath.Join(r.work, "ratings.csv"), "--registry", at, "--algorithm", e.algorithm,
			"--rank", "5", "--preference-rank", "5", "--preference-beta", "0")
		r.run(append(append([]string{"models", "export", "--format", "spark", "--registry", at}, e.flags...), "champion", filepath.Join(r.work, "loaded", e.name))...)
		versions, err := registry.Open(at)
		if err != nil {
			r.Fatal(err)
		}
		champion, err := versions.Resolve(registry.Champion)
		if err != nil {
			r.Fatal(err)
		}
		if exported[e.name], _, err = versions.Model(champion); err != nil {
			r.Fatal(err)
		}
	}
	return exported
}

// run runs our program in the folder, and returns what it prints.
func (r roundTrip) run(args ...string) []byte {
	r.Helper()
	out, err := exec.CommandContext(r.Context(), program, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w\n%s", err, exit.Stderr)
		}
		r.Fatalf("%q: %v", args, err)
	}
	return out
}

// imported imports a model by the command line.
func (r roundTrip) imported(folder string, implicit bool) *model.Model {
	at := "file://" + r.TempDir()
	args := []string{"models", "import", "--format", "spark", "--registry", at, "--json"}
	if implicit {
		args = append(args, "--implicit")
	}
	var manifest registry.Manifest
	if err := json.Unmarshal(r.run(append(args, folder)...), &manifest); err != nil {
		r.Fatal(err)
	}
	versions, err := registry.Open(at)
	if err != nil {
		r.Fatal(err)
	}
	m, _, err := versions.Model(manifest.Version)
	if err != nil {
		r.Fatal(err)
	}
	return m
}

// ask has Spark train and load.
func (r roundTrip) ask(python string) (spark told) {
	ctx, cancel := context.WithTimeout(r.Context(), 25*time.Minute) // of a machine that is loaded; alone it takes one
	defer cancel()
	started := time.Now()
	out, err := exec.CommandContext(ctx, python, "roundtrip.py", r.work).CombinedOutput()
	if err != nil {
		r.Fatalf("running roundtrip.py: %v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(r.work, "told.json"))
	if err != nil {
		r.Fatal(err)
	}
	if err := json.Unmarshal(text, &spark); err != nil {
		r.Fatal(err)
	}
	r.Logf("Spark %s took %.0f s", spark.Version, time.Since(started).Seconds())
	return spark
}

// compare compares all predictions and all lists, of the head that ranks if implicit.
func (r roundTrip) compare(m *model.Model, spark said, implicit bool) {
	if !implicit {
		m = r.ratingHead(m)
	}
	f := m.Factors()
	if spark.Users != len(f.Users) || spark.Movies != len(f.Movies) {
		r.Errorf("Spark has %d users and %d movies, we %d and %d", spark.Users, spark.Movies, len(f.Users), len(f.Movies))
	}
	predict := m.Mean
	if implicit {
		predict = func(user, movie int64) float64 {
			return chosen(f, rowOf(f.Users, user), rowOf(f.Movies, movie))
		}
	}
	compared, cold, worst := 0, 0, 0.0
	for _, p := range spark.Predictions {
		user, movie := int64(*p[0]), int64(*p[1])
		if isCold := rowOf(f.Users, user) < 0 || rowOf(f.Movies, movie) < 0; isCold != (p[2] == nil) {
			r.Fatalf("user %d, movie %d: cold to us %t, to Spark %t", user, movie, isCold, p[2] == nil)
		}
		if p[2] == nil {
			cold++
			continue
		}
		compared++
		worst = max(worst, math.Abs(predict(user, movie)-*p[2]))
	}
	if compared < 200 || cold == 0 || !(worst <= tolerance) {
		r.Errorf("%d predictions are up to %.2g off Spark's; %d were cold", compared, worst, cold)
	}
	worstOfLists := r.compareLists(m, spark)
	r.Logf("%d predictions are up to %.2g off, %d lists up to %.2g; %d cold", compared, worst, len(spark.Lists), worstOfLists, cold)
}

// compareLists compares the lists' scores by their places, and movie by movie.
func (r roundTrip) compareLists(m *model.Model, spark said) (worst float64) {
	if len(spark.Lists) < 5 {
		r.Errorf("Spark made %d lists", len(spark.Lists))
	}
	version := model.Recommender{Version: &model.Version{Model: m}}
	for name, theirs := range spark.Lists {
		user, err := strconv.ParseInt(name, 10, 64)
		if err != nil {
			r.Fatal(err)
		}
		ours := version.Recommend(&model.Query{User: user, N: 10, Popularity: 0}).Items
		if len(ours) != 10 || len(theirs) != 10 {
			r.Fatalf("lists of user %d have %d and %d movies", user, len(ours), len(theirs))
		}
		scores := map[int64]float64{}
		for k, item := range ours {
			scores[item.Movie] = float64(item.Score)
			worst = max(worst, math.Abs(float64(item.Score)-theirs[k][1]))
		}
		for _, pair := range theirs {
			score, ok := scores[int64(pair[0])]
			if !ok {
				score = float64(ours[9].Score) // only one that ties with our last can be missing
			}
			worst = max(worst, math.Abs(score-pair[1]))
		}
	}
	if !(worst <= tolerance) {
		r.Errorf("scores of lists are up to %.2g off Spark's", worst)
	}
	return worst
}

// ratingHead is the model without the head that ranks, so that lists are by ratings.
func (r roundTrip) ratingHead(m *model.Model) *model.Model {
	f := *m.Factors()
	f.Preference = nil
	alone, err := model.New(&f, m.Scale())
	if err != nil {
		r.Fatal(err)
	}
	return alone
}

// rowOf is the row of an id, -1 where there is none.
func rowOf(ids []int64, id int64) int {
	row, found := slices.BinarySearch(ids, id)
	if !found {
		return -1
	}
	return row
}

// chosen is x·y of the head that ranks, summed plainly.
func chosen(f *als.Factors, user, movie int) (sum float64) {
	p := f.Preference
	for c := range p.Rank {
		sum += float64(p.UserFactors[user*p.Rank+c]) * float64(p.MovieFactors[movie*p.Rank+c])
	}
	return sum
}
