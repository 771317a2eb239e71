package prometheus

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
)

func export(t *testing.T, yaml string) *exporter {
	t.Helper()
	conf, err := spec().ParseYAML(yaml, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := newExporter(conf, service.MockResources().Logger())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// scrape returns the lines that Prometheus would read, without comments.
func (e *exporter) scrape(t *testing.T) string {
	t.Helper()
	w := httptest.NewRecorder()
	e.HandlerFunc()(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var lines []string
	for line := range strings.Lines(w.Body.String()) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func TestMetricsAreExportedWithTheirLabels(t *testing.T) {
	e := export(t, "")
	e.NewCounterCtor("als_train_versions", "outcome", "path")("promoted", "root").Incr(3)
	again := e.NewCounterCtor("als_train_versions", "outcome", "path")("promoted", "root")
	again.Incr(2)
	again.Incr(-7) // is none
	e.NewGaugeCtor("a.gauge-of 1")().Set(4)
	exact := e.NewGaugeCtor("als_skill")().(interface{ SetFloat64(float64) })
	exact.SetFloat64(0.25)
	timer := e.NewTimerCtor("latency_ns", "path")("root")
	for range 100 {
		timer.Timing(1000)
	}
	got := e.scrape(t)
	for _, want := range []string{
		`als_train_versions{outcome="promoted",path="root"} 5`, "a_gauge_of_1 4", "als_skill 0.25",
		`latency_ns{path="root",quantile="0.99"} 1000`, `latency_ns_count{path="root"} 100`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "go_goroutines") || strings.Contains(got, "process_") {
		t.Error("metrics of the runtime were not asked for")
	}
}

func TestOneNameIsOneKindOfMetric(t *testing.T) {
	e := export(t, "")
	e.NewCounterCtor("a", "x")("1").Incr(1)
	e.NewCounterCtor("a", "y")("1").Incr(1)
	e.NewGaugeCtor("a", "x")("1").Set(1)
	e.NewTimerCtor("a", "x")("1").Timing(1)
	e.NewCounterCtor("a", "x")("1", "too many").Incr(1)
	if got := e.scrape(t); got != `a{x="1"} 1`+"\n" {
		t.Errorf("got\n%s", got)
	}
}

func TestTimingsAsHistogramsAreInSeconds(t *testing.T) {
	e := export(t, "use_histogram_timing: true\nhistogram_buckets: [0.001, 1]\nadd_go_metrics: true\nadd_process_metrics: true")
	timer := e.NewTimerCtor("latency")()
	timer.Timing(500_000)
	timer.Timing(2_000_000_000)
	got := e.scrape(t)
	for _, want := range []string{`latency_bucket{le="0.001"} 1`, `latency_bucket{le="1"} 1`, `latency_bucket{le="+Inf"} 2`, "latency_sum 2.0005"} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if !strings.Contains(got, "go_goroutines") {
		t.Error("no metrics of the runtime")
	}
}
