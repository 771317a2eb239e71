package elasticsearch

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
	"gopkg.in/yaml.v3"

	"github.com/recsys-benthos/recsys-benthos/config"
)

// predictionIndex is the resource of config/cluster.yaml, with its defaults, on the
// given server.
func predictionIndex(t *testing.T, address string) string {
	t.Helper()
	text, err := fs.ReadFile(config.Files, "cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`\$\{ELASTICSEARCH_URLS:[^}]*\}`).ReplaceAll(text, []byte(address))
	text = regexp.MustCompile(`\$\{[A-Z0-9_]+:([^}]*)\}`).ReplaceAll(text, []byte("$1"))
	var profile struct {
		Outputs []struct {
			Label         string
			Elasticsearch yaml.Node `yaml:"elasticsearch_v8"`
		} `yaml:"output_resources"`
	}
	if err := yaml.Unmarshal(text, &profile); err != nil {
		t.Fatal(err)
	}
	for _, o := range profile.Outputs {
		if o.Label == "prediction_index" {
			fields, err := yaml.Marshal(&o.Elasticsearch)
			if err != nil {
				t.Fatal(err)
			}
			return string(fields)
		}
	}
	t.Fatal("config/cluster.yaml has no prediction_index")
	return ""
}

// TestAPredictionGoesToTheIndexOfTheUTCDayOfItsRequest: that of the prediction would
// move when a request is predicted again after midnight, and there would be two.
func TestAPredictionGoesToTheIndexOfTheUTCDayOfItsRequest(t *testing.T) {
	f := newFake(t, nil)
	o, _ := newTestOutput(t, predictionIndex(t, f.URL))
	message := func(id, requested, predicted string) *service.Message {
		return service.NewMessage([]byte(`{"request_id":"` + id + `","requested_at":"` + requested + `","predicted_at":"` + predicted + `"}`))
	}
	batch := service.MessageBatch{
		message("before", "2026-11-29T23:59:59.999Z", "2026-11-29T23:59:59.999Z"),
		message("across", "2026-11-29T23:59:59.999Z", "2026-11-30T00:00:00.003Z"),
		message("again", "2026-11-29T23:59:59.999Z", "2026-12-02T08:00:00.000Z"),
		message("after", "2026-11-30T00:00:00.000Z", "2026-11-30T00:00:00.002Z"),
		message("zone", "2026-11-30T01:30:00.000+02:00", "2026-11-29T23:30:00.001Z"),
	}
	if failed := writeAll(t, o, batch); len(failed) > 0 {
		t.Fatal(failed)
	}
	found := regexp.MustCompile(`"_index":"([^"]+)","_id":"([^"]+)"`).FindAllStringSubmatch(strings.Join(f.raw, ""), -1)
	var got []string
	for _, match := range found {
		got = append(got, match[2]+" "+match[1])
	}
	want := []string{
		"before predictions-2026.11.29", "across predictions-2026.11.29", "again predictions-2026.11.29",
		"after predictions-2026.11.30", "zone predictions-2026.11.29",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
