package prometheus

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redpanda-data/benthos/v4/public/service"
)

const (
	fieldHistogram  = "use_histogram_timing"
	fieldBuckets    = "histogram_buckets"
	fieldObjectives = "summary_quantiles_objectives"
	fieldQuantile   = "quantile"
	fieldError      = "error"
	fieldProcess    = "add_process_metrics"
	fieldGo         = "add_go_metrics"
)

// defaultBuckets are of histograms, in seconds.
var defaultBuckets = []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

func spec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Summary("Serves metrics to Prometheus, at /metrics of the admin server.").
		Description(`
Names are as components give them; characters that Prometheus does not allow become underscores. Every metric has the labels label and path of its component, and stream in streams mode.

Timings are summaries in nanoseconds, or with use_histogram_timing histograms in seconds, which Prometheus can add up over processes.`).
		Fields(
			service.NewBoolField(fieldHistogram).Description("Make histograms of timings, in seconds, in place of summaries, in nanoseconds.").Default(false).Advanced(),
			service.NewFloatListField(fieldBuckets).Description("Upper bounds of the histograms' buckets, in seconds. Default: from 0.1 ms to 60 s.").Default([]any{}).Advanced(),
			service.NewObjectListField(fieldObjectives,
				service.NewFloatField(fieldQuantile).Description("Between 0 and 1.").Default(0.0),
				service.NewFloatField(fieldError).Description("How far the quantile that is told may be off.").Default(0.0),
			).Description("Quantiles of the summaries.").Default([]any{
				map[string]any{fieldQuantile: 0.5, fieldError: 0.05},
				map[string]any{fieldQuantile: 0.9, fieldError: 0.01},
				map[string]any{fieldQuantile: 0.99, fieldError: 0.001},
			}).Advanced(),
			service.NewBoolField(fieldProcess).Description("Add metrics of the process: CPU, memory, open files.").Default(false).Advanced(),
			service.NewBoolField(fieldGo).Description("Add metrics of the Go runtime.").Default(false).Advanced(),
		).
		Example("Histograms, and what the process takes", "", `
metrics:
  prometheus:
    use_histogram_timing: true
    add_process_metrics: true
    add_go_metrics: true
`)
}

func init() {
	service.MustRegisterMetricsExporter("prometheus", spec(),
		func(conf *service.ParsedConfig, log *service.Logger) (service.MetricsExporter, error) {
			return newExporter(conf, log)
		})
}

// timings are how timings are told.
type timings struct {
	histogram  bool
	buckets    []float64
	objectives map[float64]float64
}

func parseTimings(conf *service.ParsedConfig) (t timings, err error) {
	if t.histogram, err = conf.FieldBool(fieldHistogram); err != nil {
		return t, err
	}
	if t.buckets, err = conf.FieldFloatList(fieldBuckets); err != nil {
		return t, err
	}
	if len(t.buckets) == 0 {
		t.buckets = defaultBuckets
	}
	objectives, err := conf.FieldObjectList(fieldObjectives)
	if err != nil {
		return t, err
	}
	t.objectives = map[float64]float64{}
	for _, o := range objectives {
		quantile, err := o.FieldFloat(fieldQuantile)
		if err != nil {
			return t, err
		}
		if t.objectives[quantile], err = o.FieldFloat(fieldError); err != nil {
			return t, err
		}
	}
	return t, nil
}

// vector returns the summaries or histograms of a timing.
func (t timings) vector(name string, labels []string) observers {
	if t.histogram {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: helpOf(name), Buckets: t.buckets}, labels)
	}
	return prometheus.NewSummaryVec(prometheus.SummaryOpts{Name: name, Help: helpOf(name), Objectives: t.objectives}, labels)
}
