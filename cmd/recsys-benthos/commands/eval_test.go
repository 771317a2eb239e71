package commands

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// runEval runs eval with small factors and returns what it prints.
func runEval(t *testing.T, args ...string) (string, error) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	printed := make(chan string)
	go func() {
		text, _ := io.ReadAll(reader)
		printed <- string(text)
	}()
	stdout := os.Stdout
	os.Stdout = writer
	app := &cli.App{Name: "recsys-benthos", Commands: []*cli.Command{evalCommand()}, ExitErrHandler: func(*cli.Context, error) {}, Writer: io.Discard, ErrWriter: io.Discard}
	small := []string{"recsys-benthos", "eval", "--rank", "3", "--iterations", "2", "--preference-rank", "3", "--preference-iterations", "2"}
	err = app.Run(append(small, args...))
	os.Stdout = stdout
	writer.Close()
	return <-printed, err
}

// written writes ratings as a MovieLens file; the format has verbs for user,
// movie, stars and seconds.
func written(t *testing.T, name, header, format string, of []ratings.Rating) string {
	t.Helper()
	text := header
	for _, r := range of {
		text += fmt.Sprintf(format, r.User, r.Movie, r.Value, r.Time/1000)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	csvHeader = "userId,movieId,rating,timestamp\n"
	csvFormat = "%d,%d,%.1f,%d\n"
)

func fixture(t *testing.T) string {
	return written(t, "ratings.csv", csvHeader, csvFormat, recsystest.Ratings(40, 30, 0.5, 1))
}

// TestEvalReadsEveryFormat: ML-100K's u1.base and u1.test, ML-1M's ratings.dat
// and ml-latest's csv give the same figures.
func TestEvalReadsEveryFormat(t *testing.T) {
	train, test := eval.RandomSplit(recsystest.Ratings(40, 30, 0.5, 1), 0.2, 1)
	var first eval.Result
	for k, c := range []struct{ name, header, format string }{
		{"u1", "", "%d\t%d\t%g\t%d\n"}, {"ratings.dat", "", "%d::%d::%g::%d\n"}, {"ratings.csv", csvHeader, csvFormat},
	} {
		text, err := runEval(t, "--json", "--train", written(t, c.name+".base", c.header, c.format, train), "--test", written(t, c.name+".test", c.header, c.format, test))
		if err != nil {
			t.Fatal(err)
		}
		var got eval.Result
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		got.Seconds = eval.Seconds{}
		if got.Parameters.Preference = nil; k == 0 {
			first = got
		}
		if !reflect.DeepEqual(got, first) || got.TrainRatings != len(train) || got.TestRatings != len(test) || got.RMSE == 0 {
			t.Errorf("%s: got %+v, want %+v", c.name, got, first)
		}
	}
}

func TestEvalTablesFitATerminal(t *testing.T) {
	file := fixture(t)
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"one split":      {nil, []string{"NDCG@10", "recall@20", "precision@10", "NDCG@100", "MAP@100", "coverage@10", "novelty@10", "90 % interval", "biases", "popular", "served"}},
		"NumPy's":        {[]string{"--split", "numpy:0.2"}, []string{"RMSE"}},
		"several splits": {[]string{"--splits", "3", "--seed", "7"}, []string{"seed 7", "seed 8", "seed 9", "mean", "standard error"}},
		"tuning":         {[]string{"--tune", "--tune-candidates", "4"}, []string{"chosen", "λ", "β", "NDCG@10"}},
		"replay":         {[]string{"--replay", "--retrain-every", "50", "--fold-movies"}, []string{"users folded in", "frozen", "biases alone", "3 trainings"}},
		"a long replay":  {[]string{"--replay", "--split", "time:0.5"}, []string{"1 trainings"}},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := runEval(t, append([]string{"--ratings", file}, c.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(text) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
					t.Errorf("%d columns: %s", n, line)
				}
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
		})
	}
}

func TestEvalPrintsJSON(t *testing.T) {
	file := fixture(t)
	for name, c := range map[string]struct {
		args, fields []string
	}{
		"one split":      {nil, []string{"rmse", "rmse_90", "ndcg10_90", "ranking", "ranking_by_rating", "baselines", "parameters", "seconds"}},
		"several splits": {[]string{"--splits", "2"}, []string{"splits", "rmse", "difference", "ndcg10", "recall20"}},
		"tuning":         {[]string{"--tune", "--tune-candidates", "2"}, []string{"rmse", "tuning"}},
		"replay":         {[]string{"--replay"}, []string{"rmse", "rmse_90", "frozen_rmse", "bias_only_rmse", "trainings", "folded_users", "folded_movies", "seconds"}},
	} {
		text, err := runEval(t, append([]string{"--json", "--ratings", file}, c.args...)...)
		var got map[string]any
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%s: %v in %s", name, err, text)
		}
		for _, field := range c.fields {
			if got[field] == nil || err != nil {
				t.Errorf("%s: no %q in %s, %v", name, field, text, err)
			}
		}
		if _, tuned := got["tuning"]; tuned != (name == "tuning") {
			t.Errorf("%s: tuning in %s", name, text)
		}
	}
}

// TestEvalSplitsAgreeWithOneSplit: the second of several is that of the next
// seed.
func TestEvalSplitsAgreeWithOneSplit(t *testing.T) {
	file := fixture(t)
	text, err := runEval(t, "--json", "--ratings", file, "--splits", "2", "--seed", "7", "--split", "numpy:0.25")
	if err != nil {
		t.Fatal(err)
	}
	var got eval.Repeated
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	one, err := runEval(t, "--json", "--ratings", file, "--seed", "7", "--split", "numpy:0.25")
	if err != nil {
		t.Fatal(err)
	}
	var want eval.Result
	if err := json.Unmarshal([]byte(one), &want); err != nil {
		t.Fatal(err)
	}
	if got.Splits[0].RMSE != want.RMSE || got.Splits[1].RMSE == want.RMSE || got.Splits[1].Seed != 8 {
		t.Errorf("RMSE %v and %v of splits, %v of one", got.Splits[0].RMSE, got.Splits[1].RMSE, want.RMSE)
	}
	if mean := (got.Splits[0].RMSE + got.Splits[1].RMSE) / 2; math.Abs(got.RMSE.Mean-mean) > 1e-12 {
		t.Errorf("mean %v, want %v", got.RMSE.Mean, mean)
	}
}

func TestEvalRefusesFlagsThatDoNotGoTogether(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", "nothing to measure on: give --ratings FILE, or --train FILE --test FILE"},
		{"--ratings x --train y", "give either --ratings with --split, or --train with --test"},
		{"--train y", "--train and --test go together"},
		{"--ratings x --split numpy:2", `split "numpy:2": a split is "random:P", "numpy:P" or "time:P" with 0 < P < 1, such as random:0.2`},
		{"--ratings x --retrain-every 5", "--retrain-every goes with --replay"},
		{"--ratings x --fold-movies", "--fold-movies goes with --replay"},
		{"--ratings x --tune-candidates 5", "--tune-candidates goes with --tune"},
		{"--ratings x --replay --retrain-every -1", "--retrain-every is -1, want 0 (never) or more"},
		{"--ratings x --replay --tune", "--replay has one order: it goes neither with --splits nor with --tune"},
		{"--ratings x --replay --splits 2", "--replay has one order: it goes neither with --splits nor with --tune"},
		{"--ratings x --tune --splits 2", "--tune goes with one split: choose parameters there, and give them with --splits"},
		{"--replay", "--splits and --replay need --ratings FILE"},
		{"--ratings x --replay --train y", "give either --ratings with --split, or --train with --test"},
		{"--ratings x --replay --split random:0.2", "--replay goes by time: give --split time:0.2, not random:0.2"},
		{"--ratings x --lambda 0", "lambda is 0, want 1e-06 to 1e+06 (with 0 a row of few ratings has no unique solution): parameters out of range"},
	} {
		if _, err := runEval(t, strings.Fields(c.args)...); err == nil || err.Error() != c.want {
			t.Errorf("%s: got  %v\nwant %s", c.args, err, c.want)
		}
	}
	file := fixture(t)
	if _, err := runEval(t, "--ratings", file, "--split", "time:0.2", "--splits", "2"); err == nil || !strings.Contains(err.Error(), "at least two random ones") {
		t.Errorf("several splits by time: got %v", err)
	}
	if _, err := runEval(t, "--ratings", file, "--splits", "0"); err == nil || !strings.Contains(err.Error(), "at least two random ones") {
		t.Errorf("no split: got %v", err)
	}
	if _, err := runEval(t, "--ratings", file, "--tune", "--tune-candidates", "0"); err == nil || !strings.Contains(err.Error(), "at least one candidate") {
		t.Errorf("no candidate: got %v", err)
	}
}
