package grafana

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/config"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

var program string

func TestMain(m *testing.M) { os.Exit(binary.Main(m, &program)) }

func dashboardText(t *testing.T) []byte {
	t.Helper()
	text, err := fs.ReadFile(config.Files, "grafana/recsys-benthos.json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestTheDashboardShowsWhatIsExported runs `up`, asks it for a list by HTTP, and looks
// for each metric and label of the dashboard's queries in what it exports. It begins
// with two versions, so that one is compared with the other; skill is told after a
// window of ratings, what training tells after one, and dead letters with the first.
func TestTheDashboardShowsWhatIsExported(t *testing.T) {
	data := recsystest.DataDir(t)
	text := dashboardText(t)
	state := t.TempDir()
	for _, rank := range []string{"4", "8"} {
		trainOnThePast(t, filepath.Join(data, "ratings.csv"), state, rank)
	}
	var log binary.Output
	command := exec.Command(program, "up", "--data", data, "--state", state, "--listen", "127.0.0.1:0", "--broker", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		"--rate", "1000", "--history", "0.3", "--retrain", "25000") // skill takes 30 users
	command.Stdout, command.Stderr = &log, &log
	process, err := binary.Start(command, "RECSYS_COMPARE_PERIOD=1s") // no day ends in a test
	if err != nil {
		t.Fatal(err)
	}
	defer process.Kill()

	const limit = 6 * time.Minute
	deadline := time.Now().Add(limit)
	var problems []string
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for problems = []string{"nothing is exported yet"}; len(problems) > 0; <-tick.C {
		if time.Now().After(deadline) {
			said := log.String()
			t.Fatalf("after %s:\n%s\n%s", limit, strings.Join(problems, "\n"), said[max(0, len(said)-3000):])
		}
		exported, err := scrape(t, &log)
		if err != nil {
			problems = []string{err.Error()}
			continue
		}
		if problems, err = check(text, exported); err != nil {
			t.Fatal(err)
		}
	}
}

// trainOnThePast makes a champion of the older half of the ratings: the model must
// not know those that are played as live.
func trainOnThePast(t *testing.T, file, state, rank string) {
	t.Helper()
	all, err := ratings.ReadRatings(file)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b ratings.Rating) int { return cmp.Compare(a.Time, b.Time) })
	var past bytes.Buffer
	past.WriteString("userId,movieId,rating,timestamp\n")
	for _, r := range all[:len(all)/2] {
		fmt.Fprintf(&past, "%d,%d,%v,%d\n", r.User, r.Movie, r.Value, r.Time/1000)
	}
	short := filepath.Join(t.TempDir(), "ratings.csv")
	if err := os.WriteFile(short, past.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "train", "--ratings", short, "--registry", "file://"+filepath.Join(state, "registry"), "--rank", rank, "--preference-rank", "0", "--force")
	command.Env = binary.Inherited()
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
}

// scrape asks for a list, which is counted, sends what becomes a dead letter, and then
// asks for the metrics.
func scrape(t *testing.T, log *binary.Output) (Series, error) {
	t.Helper()
	addresses := map[string]string{}
	for _, name := range []string{"page", "admin", "broker"} {
		found := regexp.MustCompile(name + `[=: ]+((?:http://)?127[0-9.:]+)`).FindStringSubmatch(log.String())
		if found == nil {
			return nil, fmt.Errorf("it does not say the address of %s", name)
		}
		addresses[name] = found[1]
	}
	if _, err := get(addresses["page"] + "/api/recommend/1?n=3"); err != nil {
		return nil, err
	}
	text, err := get(addresses["admin"] + "/metrics")
	if err != nil {
		return nil, err
	}
	if !strings.Contains(text, `label="dead_letters"`) {
		if err := produce(t.Context(), addresses["broker"], "requests", "no JSON"); err != nil {
			return nil, err
		}
	}
	return parseSeries(text)
}

func produce(ctx context.Context, address, topic, value string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr()
}

func get(url string) (string, error) {
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, response.Status)
	}
	return string(text), err
}

// small is a process of two metrics.
const small = `# HELP kafka_lag recsys-benthos: kafka lag
# TYPE kafka_lag gauge
kafka_lag{label="",partition="0",stream="predict",topic="requests"} 3
output_sent{label="dead_letters",path="root.\"x\"",stream=""} 1e+06
up_seconds 4`

func TestQueriesThatNameWhatIsNotExportedAreFound(t *testing.T) {
	exported, err := parseSeries(small)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ query, legend, want string }{
		"a good one":               {`sum by (stream) (kafka_lag{topic="requests", instance=~"$instance"})`, "{{stream}}", ""},
		"one of two metrics":       {`sum(rate(output_sent[$__rate_interval])) / sum(kafka_lag) > 2 or up_seconds`, "share", ""},
		"grouped behind":           {`max(kafka_lag) by (stream, topic)`, "{{stream}} {{topic}}", ""},
		"time":                     {`-(time() - up_seconds) ^ 2 % 5`, "", ""},
		"the label of no group":    {`kafka_lag`, "{{partition}}", ""},
		"an unknown metric":        {`sum(kafka_lags)`, "", "the metric kafka_lags is not exported"},
		"an unknown label":         {`kafka_lag{group="x"}`, "", "kafka_lag has no label group"},
		"a value nobody has":       {`output_sent{label="dead_letter"}`, "", `output_sent has no series with label="dead_letter"`},
		"a broken pattern":         {`output_sent{label=~"("}`, "", "error parsing regexp"},
		"an unknown group":         {`sum by (pipeline) (kafka_lag)`, "", "no metric has the label pipeline"},
		"a legend of what is gone": {`sum by (stream) (kafka_lag)`, "{{topic}}", "the legend shows the label topic"},
		"a variable nobody chose":  {`kafka_lag{topic=~"$topic"}`, "", "the variable $topic is not there"},
		"no end":                   {`sum(kafka_lag`, "", "it ends too early"},
		"an unknown function":      {`quantile_of(kafka_lag)`, "", "the function quantile_of is not one"},
		"a rate of an instant":     {`rate(output_sent)`, "", "a span of time where there must be none, or none where there must be one"},
		"a sum of spans":           {`sum(output_sent[5m])`, "", "a span of time where there must be none"},
		"a span alone":             {`output_sent[5m]`, "", "it is of a span of time"},
		"two things":               {`kafka_lag up_seconds`, "", `unexpected "up_seconds" at character 11`},
		"no operator":              {`kafka_lag{topic "x"}`, "", "unexpected"},
		"a strange character":      {`kafka_lag & 1`, "", "begins nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			problems := strings.Join(checkQuery(c.query, c.legend, exported, map[string]bool{"instance": true}), "\n")
			if !strings.Contains(problems, c.want) || c.want == "" && problems != "" {
				t.Errorf("got %q, want %q", problems, c.want)
			}
		})
	}
}

func TestPanelsThatCannotBeReadAreFound(t *testing.T) {
	text := string(dashboardText(t))
	for name, c := range map[string]struct{ old, new, want string }{
		"no unit":                 {`"unit": "reqps"`, `"unit": ""`, "has no unit"},
		"a fixed data source":     {`"uid": "${datasource}"`, `"uid": "prometheus"`, "is not of the data source that is chosen"},
		"over one another":        {`"h": 8`, `"h": 9`, "are over one another"},
		"too wide":                {`"x": 16`, `"x": 17`, "is wider than the dashboard"},
		"a title twice":           {`"title": "Skill"`, `"title": "Live RMSE"`, `the title "Live RMSE" of another one`},
		"a variable of nothing":   {`label_values(input_received, instance)`, `label_values(received, instance)`, "variable instance"},
		"an annotation of naught": {`changes(als_model_promotion{`, `changes(als_model_promotions{`, "an annotation: the metric als_model_promotions"},
	} {
		t.Run(name, func(t *testing.T) {
			broken := strings.ReplaceAll(text, c.old, c.new)
			if broken == text {
				t.Fatalf("the dashboard has no %s", c.old)
			}
			problems, err := check([]byte(broken), Series{})
			if err != nil || !strings.Contains(strings.Join(problems, "\n"), c.want) {
				t.Errorf("got %v, %v; want %q", problems, err, c.want)
			}
		})
	}
}
