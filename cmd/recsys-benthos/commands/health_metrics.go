package commands

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// unready reads metrics as Prometheus does and says what keeps a process from being
// ready, each once: a model that is not there, Kafka that does not answer, and, with a
// maxLag above 0, a stream that is further behind.
func unready(metrics io.Reader, maxLag int64) ([]string, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(metrics)
	if err != nil {
		return nil, fmt.Errorf("reading the metrics: %w; is the exporter prometheus?", err)
	}
	var reasons []string
	for _, m := range families["als_model_ready"].GetMetric() {
		if m.GetGauge().GetValue() == 0 {
			reasons = append(reasons, fmt.Sprintf("the resource %s has no model yet: train or promote a version", label(m, "label")))
		}
	}
	away := map[string]bool{}
	for _, m := range families["kafka_connected"].GetMetric() {
		if m.GetGauge().GetValue() == 0 {
			away[fmt.Sprintf("Kafka does not answer the %s of %s", label(m, "direction"), component(m))] = true
		}
	}
	reasons = append(reasons, slices.Sorted(maps.Keys(away))...)
	if maxLag <= 0 {
		return reasons, nil
	}
	behind := map[string]int64{}
	for _, m := range families["kafka_lag"].GetMetric() {
		behind[component(m)+" in topic "+label(m, "topic")] += int64(m.GetGauge().GetValue())
	}
	for _, where := range slices.Sorted(maps.Keys(behind)) {
		if behind[where] > maxLag {
			reasons = append(reasons, fmt.Sprintf("%s is %d records behind; the limit is %d", where, behind[where], maxLag))
		}
	}
	return reasons, nil
}

// component is what a person calls the component of a metric.
func component(m *dto.Metric) string {
	if stream := label(m, "stream"); stream != "" {
		return "stream " + stream
	}
	return "resource " + cmp.Or(label(m, "label"), label(m, "path"))
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
