package commands

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// newRecommendTest returns a registry with a champion of two thirds of some
// ratings, and a file of them all and of user 999.
func newRecommendTest(t *testing.T) (m modelsTest, data string) {
	t.Helper()
	m = modelsTest{t, "file://" + t.TempDir()}
	all := recsystest.Ratings(40, 60, 0.4, 5)
	all = append(all, ratings.Rating{User: 999, Movie: 10, Value: 5, Time: all[len(all)-1].Time})
	matrix, err := ratings.NewMatrix(all[:len(all)*2/3])
	if err != nil {
		t.Fatal(err)
	}
	f, err := als.Train(t.Context(), matrix, als.DefaultParameters(als.ALS), nil)
	if err != nil {
		t.Fatal(err)
	}
	made, err := model.New(f, model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.registry().Publish(t.Context(), made, registry.Manifest{Version: "v1", CreatedAt: time.Unix(1_600_000_000, 0).UTC(), Algorithm: "als"}); err != nil {
		t.Fatal(err)
	}
	m.succeeds("promote", "v1")
	var text bytes.Buffer
	text.WriteString("userId,movieId,rating,timestamp\n")
	for _, r := range all {
		line, _ := json.Marshal([]any{r.User, r.Movie, r.Value, r.Time / 1000})
		text.WriteString(strings.Trim(string(line), "[]") + "\n")
	}
	data = filepath.Join(t.TempDir(), "ml")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"ratings.csv": text.String(), "movies.csv": "movieId,title,genres\n10,\"Ten, The (1999)\",Drama|War\n"} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return m, data
}

// runRecommend runs the command and returns what it prints.
func (m modelsTest) runRecommend(args ...string) (string, error) {
	m.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		m.Fatal(err)
	}
	printed := make(chan string)
	go func() {
		text, _ := io.ReadAll(reader)
		printed <- string(text)
	}()
	stdout := os.Stdout
	os.Stdout = writer
	app := &cli.App{Name: "recsys-benthos", Commands: []*cli.Command{recommendCommand()}, ExitErrHandler: func(*cli.Context, error) {}, Writer: io.Discard, ErrWriter: io.Discard}
	err = app.Run(append([]string{"recsys-benthos", "recommend", "--registry", m.url}, args...))
	os.Stdout = stdout
	writer.Close()
	return <-printed, err
}

func (m modelsTest) lists(text string) (all []recommendations) {
	m.Helper()
	for line := range strings.Lines(text) {
		var list recommendations
		if err := json.Unmarshal([]byte(line), &list); err != nil {
			m.Fatalf("%v: %s", err, line)
		}
		all = append(all, list)
	}
	return all
}

// TestAllListsAreThoseOfEachUser, in both formats, and also of a user who has come
// since training.
func TestAllListsAreThoseOfEachUser(t *testing.T) {
	m, data := newRecommendTest(t)
	folder := t.TempDir()
	lines, table, columns := filepath.Join(folder, "recs.jsonl"), filepath.Join(folder, "recs.csv"), filepath.Join(folder, "recs.parquet")
	for _, out := range []string{lines, table, columns} {
		said, err := m.runRecommend("--all", "--n", "3", "--data", data, "--out", out)
		if err != nil || !strings.Contains(said, "3 movies each for 41 users in "+out+" (model v1") {
			t.Fatalf("%v: %s", err, said)
		}
	}
	text, err := os.ReadFile(lines)
	if err != nil {
		t.Fatal(err)
	}
	all := m.lists(string(text))
	if len(all) != 41 || all[40].UserID != 999 || all[40].Basis != model.ByUser || all[0].Head != model.PreferenceHead || all[0].ModelVersion != "v1" {
		t.Fatalf("%d lists, the last %+v", len(all), all[len(all)-1])
	}
	var rows []string
	for _, list := range all {
		one, err := m.runRecommend("--user", strconv.FormatInt(list.UserID, 10), "--n", "3", "--data", data, "--json")
		if err != nil || !reflect.DeepEqual(m.lists(one), []recommendations{list}) || len(list.Items) != 3 {
			t.Fatalf("user %d: %v: alone %s, among all %+v", list.UserID, err, one, list)
		}
		for k, item := range list.Items {
			rows = append(rows, fmt.Sprintf("%d,%d,%d,", list.UserID, k+1, item.MovieID))
			if item.MovieID == 10 && list.UserID == 999 {
				t.Error("user 999 is recommended what the user has rated")
			}
		}
	}
	text, err = os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(got) != len(rows)+1 || got[0] != "user_id,rank,movie_id,score,prediction,title,genres,model_version,basis" || !strings.Contains(string(text), `,"Ten, The (1999)",Drama|War,v1,user`) {
		t.Fatalf("%d rows, want %d; the first %v", len(got), len(rows)+1, got[:2])
	}
	for k, row := range rows {
		if !strings.HasPrefix(got[k+1], row) {
			t.Fatalf("row %d is %s, want %s…", k, got[k+1], row)
		}
	}
	read, err := parquet.ReadFile[parquetRow](columns)
	if err != nil || len(read) != len(rows) {
		t.Fatalf("%d rows of Parquet, %v", len(read), err)
	}
	for k, row := range read {
		list := all[k/3]
		item := list.Items[k%3]
		if want := (parquetRow{list.UserID, int32(k%3 + 1), item.MovieID, item.Score, item.Prediction, item.Title, item.Genres, "v1", "user"}); fmt.Sprint(row) != fmt.Sprint(want) {
			t.Fatalf("row %d is %+v, want %+v", k, row, want)
		}
	}
	if files, _ := os.ReadDir(folder); len(files) != 3 {
		t.Errorf("files are left behind: %v", files)
	}
}

func TestRecommendSaysWhatItNeeds(t *testing.T) {
	m, data := newRecommendTest(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--user", "1", "--n", "0"}, "--n 0 is less than 1"},
		{nil, "give either --user, or --all for all users"},
		{[]string{"--user", "1", "--all", "--out", "x.csv"}, "give either --user, or --all for all users"},
		{[]string{"--all"}, "--all and --out belong together"},
		{[]string{"--user", "1", "--out", "x.csv"}, "--all and --out belong together"},
		{[]string{"--all", "--of", "cats", "--out", "x.csv"}, "--of cats is neither users nor movies"},
		{[]string{"--user", "1", "--ids", "1"}, "--of and --ids belong to --all"},
		{[]string{"--all", "--ids", "none.txt", "--out", "x.csv"}, `--ids none.txt is neither a list of ids such as 1,514 ("none.txt" is no id) nor a file (`},
		{[]string{"--all", "--out", "x.xml"}, `--out x.xml: ".xml" is not a format; give a file that ends in .jsonl, .csv or .parquet`},
		{[]string{"--all", "--data", data, "--out", filepath.Join(t.TempDir(), "nowhere", "x.csv")}, "writing lists: "},
	} {
		if _, err := m.runRecommend(c.args...); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.args, err, c.want)
		}
	}
	said, err := m.runRecommend("--user", "999", "--data", data, "--n", "2")
	if err != nil || strings.Count(said, "\n") != 3 || !strings.HasPrefix(said, "SCORE") {
		t.Errorf("%v: %s", err, said)
	}
}

// TestTheListsOfSomeAreThoseAmongAll: of users and of movies, by ids and by a file of
// them.
func TestTheListsOfSomeAreThoseAmongAll(t *testing.T) {
	m, data := newRecommendTest(t)
	folder := t.TempDir()
	file := filepath.Join(folder, "ids.txt")
	if err := os.WriteFile(file, []byte("20\n10, 20\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) []string {
		t.Helper()
		out := filepath.Join(folder, name)
		if said, err := m.runRecommend(append([]string{"--all", "--n", "5", "--data", data, "--out", out}, args...)...); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	for _, of := range []string{"users", "movies"} {
		all, id := run("all.jsonl", "--of", of), `{"`+strings.TrimSuffix(of, "s")+`_id":%d,`
		var want []string
		for _, line := range all {
			if strings.HasPrefix(line, fmt.Sprintf(id, 20)) || strings.HasPrefix(line, fmt.Sprintf(id, 10)) {
				want = append(want, line)
			}
		}
		for _, ids := range []string{"20,10", file} {
			if got := run("some.jsonl", "--of", of, "--ids", ids); len(want) != 2 || !reflect.DeepEqual(got, want) {
				t.Errorf("--of %s --ids %s: %v, want %v", of, ids, got, want)
			}
		}
	}
	table := run("some.csv", "--of", "movies", "--ids", "10")
	if len(table) != 6 || table[0] != "movie_id,rank,user_id,score,prediction,title,model_version" || !strings.HasPrefix(table[1], "10,1,") || !strings.HasSuffix(table[1], `,"Ten, The (1999)",v1`) {
		t.Errorf("table %q", table)
	}
	for _, row := range table {
		if strings.Split(row, ",")[2] == "999" {
			t.Error("user 999, who has rated movie 10, is among its audience")
		}
	}
	run("some.parquet", "--of", "movies", "--ids", "10")
	read, err := parquet.ReadFile[audienceRow](filepath.Join(folder, "some.parquet"))
	if err != nil || len(read) != 5 || fmt.Sprintf("%d,%d,%d,", read[4].MovieID, read[4].Rank, read[4].UserID) != table[5][:len(fmt.Sprintf("%d,%d,%d,", read[4].MovieID, read[4].Rank, read[4].UserID))] {
		t.Errorf("%v: %+v", err, read)
	}
}
