package commands

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// runTrain trains small factors into a registry.
func runTrain(t *testing.T, url string, args ...string) error {
	t.Helper()
	stdout := os.Stdout
	var err error
	if os.Stdout, err = os.Open(os.DevNull); err != nil {
		t.Fatal(err)
	}
	defer func() { os.Stdout = stdout }()
	app := &cli.App{Name: "recsys-benthos", Commands: []*cli.Command{trainCommand()}, ExitErrHandler: func(*cli.Context, error) {}, Writer: io.Discard, ErrWriter: io.Discard}
	small := []string{"recsys-benthos", "train", "--registry", url, "--rank", "3", "--iterations", "4", "--preference-rank", "3", "--preference-iterations", "2"}
	return app.Run(append(small, args...))
}

// says fails the test unless there is a picture that says all of it.
func says(t *testing.T, path string, parts ...string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	for _, part := range parts {
		if !strings.Contains(string(data), part) {
			t.Errorf("%s does not say %q", path, part)
		}
	}
}

// TestEveryCommandThatDrawsRefusesWhatItCannotDrawInto before it reads anything.
func TestEveryCommandThatDrawsRefusesWhatItCannotDrawInto(t *testing.T) {
	m := newModelsTest(t)
	folder := filepath.Join(t.TempDir(), "none")
	for path, want := range map[string]string{
		"a.pdf":                         `--plot: "a.pdf": pictures are .svg or .png`,
		filepath.Join(folder, "a.svg"):  "there is no folder " + folder,
		filepath.Join(t.TempDir(), "a"): "pictures are .svg or .png",
	} {
		missing := filepath.Join(folder, "ratings.csv")
		_, byEval := runEval(t, "--ratings", missing, "--plot", path)
		_, byCompare := m.run("compare", "--ratings", missing, "--plot", path, "old", "good")
		_, byLive := m.run("compare", "--live", "--profile", missing, "--plot", path)
		for name, err := range map[string]error{"eval": byEval, "train": runTrain(t, m.url, "--ratings", missing, "--plot", path), "compare": byCompare, "live": byLive} {
			if err == nil || !strings.Contains(err.Error(), want) || exitCode(err) != exitUsage {
				t.Errorf("%s: got %v, code %d; want %q", name, err, exitCode(err), want)
			}
		}
	}
	m.refused([]string{"--plot goes with either --ratings FILE or --live"}, "compare", "--plot", "a.svg", "old", "good")
	m.refused([]string{"--plot goes with either"}, "compare", "--plot", "a.svg", "--live", "--ratings", "x")
}

func TestTrainAndEvalDraw(t *testing.T) {
	folder, file := t.TempDir(), fixture(t)
	learning := filepath.Join(folder, "learning.svg")
	if err := os.WriteFile(learning, []byte("an older picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := runTrain(t, "file://"+t.TempDir(), "--ratings", file, "--plot", learning); err != nil {
		t.Fatal(err)
	}
	says(t, learning, "<svg", "Head that rates, als_vb", "ratings held out", "Head that ranks")
	evaluation := filepath.Join(folder, "evaluation.svg")
	if _, err := runEval(t, "--ratings", file, "--plot", evaluation); err != nil {
		t.Fatal(err)
	}
	says(t, evaluation, "<svg", "Error by user activity", "Calibration on", "precision@k, als_vb, as served", "Ratings within prediction intervals")
	if _, err := runEval(t, "--ratings", file, "--splits", "2", "--plot", evaluation); err == nil || err.Error() != "--plot goes with one split" {
		t.Errorf("several splits: %v", err)
	}
}

// TestAVersionOutlivesItsPicture, which cannot be written: with what is added to it
// while it is written, the name is too long.
func TestAVersionOutlivesItsPicture(t *testing.T) {
	url := "file://" + t.TempDir()
	err := runTrain(t, url, "--ratings", fixture(t), "--plot", filepath.Join(t.TempDir(), strings.Repeat("a", 247)+".svg"))
	if err == nil || !strings.Contains(err.Error(), "--plot: writing the picture") || exitCode(err) != exitFailure {
		t.Errorf("got %v", err)
	}
	versions, err := registry.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	if latest, _, err := versions.Latest(); err != nil || latest.Roles[registry.Champion] == "" {
		t.Errorf("no version was published: %+v, %v", latest, err)
	}
}

func TestCompareDraws(t *testing.T) {
	m := newModelsTest(t)
	file := filepath.Join(t.TempDir(), "compared.svg")
	m.prints(m.succeeds("compare", "--ratings", fixture(t), "--plot", file, "champion", "good"), "on the same")
	says(t, file, "Gain of good over old", "Error by predicted rating")
}

// TestLiveComparisonsAreDrawn reads predictions of a challenger that is better from a
// broker; with the picture the figures are those without, but for the e-value, which
// depends on the order in which users come, and so on which partition is read first.
func TestLiveComparisonsAreDrawn(t *testing.T) {
	m := newModelsTest(t)
	b, err := broker.Open(broker.Config{Dir: filepath.Join(t.TempDir(), "broker"), Address: "127.0.0.1:0", Topics: []broker.Topic{{Name: topicPredictions, Partitions: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	t.Setenv("KAFKA_BROKERS", b.Addr())
	file := filepath.Join(t.TempDir(), "live.svg")
	m.refused([]string{"there is nothing to draw yet"}, "compare", "--live", "--profile", "config/embedded.yaml", "--plot", file)
	predicted(t, b.Addr())
	var plain, drawn []experiment.Result
	for _, c := range []struct {
		to   *[]experiment.Result
		args []string
	}{{&plain, nil}, {&drawn, []string{"--plot", file}}} {
		if err := json.Unmarshal([]byte(m.succeeds("compare", append(c.args, "--json", "--live", "--profile", "config/embedded.yaml")...)), c.to); err != nil {
			t.Fatal(err)
		}
	}
	if len(plain) != 1 || len(drawn) != 1 {
		t.Fatalf("%d and %d comparisons", len(plain), len(drawn))
	}
	if plain[0].EValue < 1e3 || drawn[0].EValue < 1e3 {
		t.Errorf("e-values are %v and %v", plain[0].EValue, drawn[0].EValue)
	}
	plain[0].EValue, drawn[0].EValue = 0, 0
	if plain[0].Users != 60 || drawn[0] != plain[0] || plain[0].Settled != experiment.Better {
		t.Errorf("got %+v, and with a picture %+v", plain, drawn)
	}
	says(t, file, "Gain of new over old", "always within, with 95 % confidence", "stars²")
}

// predicted writes what two versions said of the ratings of 60 users on two days.
func predicted(t *testing.T, address string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic(topicPredictions))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	for day := range 3 {
		for user := range 60 {
			at := began.AddDate(0, 0, day).Add(3*time.Hour + time.Duration(user)*time.Second).Format(time.RFC3339)
			value := fmt.Sprintf(`{"user_id":%d,"movie_id":%d,"prediction":%v,"model_version":"old","requested_at":%q,"predicted_at":%q,"actual":3,`+
				`"shadows":[{"model_version":"new","role":"challenger:new","prediction":3.1}]}`, user, day, 3.6+float64(user%5)/100, at, at)
			if err := client.ProduceSync(ctx, &kgo.Record{Key: fmt.Append(nil, user), Value: []byte(value)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
