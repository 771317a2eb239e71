package observe

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// scraped are the metrics of a process.
type scraped map[string]*dto.MetricFamily

func (w *whole) scrape() (scraped, error) {
	_, _, body, err := get(w.admin + "/metrics")
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(strings.NewReader(body))
}

// of returns the metrics of a name with these labels.
func (s scraped) of(name string, labels map[string]string) (all []*dto.Metric) {
	for _, m := range s[name].GetMetric() {
		left := len(labels)
		for _, l := range m.GetLabel() {
			if want, ok := labels[l.GetName()]; ok && want == l.GetValue() {
				left--
			}
		}
		if left == 0 {
			all = append(all, m)
		}
	}
	return all
}

// sum adds up counters, or gauges; NaN where there is none.
func (s scraped) sum(name string, labels map[string]string) float64 {
	all := s.of(name, labels)
	if len(all) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, m := range all {
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return sum
}

// histogram says what is wrong with one that has counted, in seconds.
func (s scraped) histogram(name string, labels map[string]string) error {
	all := s.of(name, labels)
	if len(all) == 0 {
		return fmt.Errorf("no %s%v", name, labels)
	}
	for _, m := range all {
		h := m.GetHistogram()
		if h == nil || len(h.GetBucket()) < 10 {
			return fmt.Errorf("%s is no histogram of some buckets", name)
		}
		count, mean := float64(h.GetSampleCount()), h.GetSampleSum()/float64(h.GetSampleCount())
		if !(count > 0 && mean > 0 && mean < 300) {
			return fmt.Errorf("%s%v: %v of them took %v s each", name, labels, count, mean)
		}
		if last := h.GetBucket()[len(h.GetBucket())-1]; last.GetCumulativeCount() != h.GetSampleCount() {
			return fmt.Errorf("%s%v: its last bucket has %d of %v", name, labels, last.GetCumulativeCount(), count)
		}
	}
	return nil
}

// TestEverySentenceHasItsMetric is the table of docs/operate.md, asked of `up` while it
// trains, predicts and swaps.
func TestEverySentenceHasItsMetric(t *testing.T) {
	t.Parallel()
	w := upIn(t, t.TempDir(), []string{"LOG_LEVEL=INFO"}, "--rate", "300", "--history", "0.5", "--retrain", "3000")
	predict := map[string]string{"stream": "predict"}
	var last scraped
	more := func(name string, labels map[string]string, least float64) func(scraped) error {
		return func(s scraped) error {
			if got := s.sum(name, labels); !(got >= least) {
				return fmt.Errorf("%s%v is %v, want at least %v", name, labels, got, least)
			}
			return nil
		}
	}
	for _, check := range []func(scraped) error{
		more("input_received", predict, 100), more("output_sent", predict, 100), more("output_sent", map[string]string{"label": "prediction_index"}, 1),
		more("kafka_lag", predict, 0), more("als_predict_rated", predict, 100),
		more("als_model_promotion", nil, 2), more("als_model_swaps", map[string]string{"result": "ok"}, 2), more("als_model_swaps", map[string]string{"result": "failed"}, 0),
		more("als_train_versions", nil, 2), more("als_train_versions", map[string]string{"outcome": "kept"}, 0), more("als_train_versions", map[string]string{"outcome": "shadow"}, 0),
		func(s scraped) error { return s.histogram("input_latency_ns", predict) },
		func(s scraped) error { return s.histogram("processor_latency_ns", predict) },
		func(s scraped) error { return s.histogram("als_predict_delay", predict) },
		func(s scraped) error {
			serving := s.of("als_model_serves", nil)
			if n := len(slices.DeleteFunc(serving, func(m *dto.Metric) bool { return m.GetGauge().GetValue() != 1 })); n != 1 {
				return fmt.Errorf("%d versions serve", n)
			}
			if ready := s.sum("als_model_ready", nil); ready != 1 {
				return fmt.Errorf("als_model_ready is %v", ready)
			}
			age := float64(time.Now().Unix()) - s.sum("als_model_created_seconds", nil)
			if !(age >= 0 && age < 600) {
				return fmt.Errorf("the model is %v s old", age)
			}
			return nil
		},
		func(s scraped) error {
			rmse := s.sum("als_predict_rmse", predict)
			whole := math.Sqrt(s.sum("als_predict_squared_error", predict) / s.sum("als_predict_rated", predict))
			if !(rmse > .3 && rmse < 2.5) || !(math.Abs(rmse-whole) < .5) {
				return fmt.Errorf("the live RMSE is %v, of all ratings so far %v", rmse, whole)
			}
			return nil
		},
		func(s scraped) error {
			if all, ours := s.of("als_kernel", nil), s.sum("als_kernel", map[string]string{"kernel": kernel.Name()}); len(all) != 1 || ours != 1 {
				return fmt.Errorf("%d kernels are in use, ours is %s: %v", len(all), kernel.Name(), ours)
			}
			return nil
		},
		func(s scraped) error {
			if all, there := s.of("kafka_connected", nil), s.sum("kafka_connected", nil); len(all) < 10 || there != float64(len(all)) {
				return fmt.Errorf("Kafka answers %v of %d clients", there, len(all))
			}
			return nil
		},
	} {
		w.eventually(t, 3*patience, func() (err error) {
			if last, err = w.scrape(); err == nil {
				err = check(last)
			}
			return err
		})
	}
	w.same(t)
	w.trainingsAreTold(t)
}

// same compares the metric of the version with what serves.
func (w *whole) same(t *testing.T) {
	t.Helper()
	w.eventually(t, patience, func() error { // a swap may come between the two questions
		s, err := w.scrape()
		if err != nil {
			return err
		}
		_, _, body, err := get(w.page + "/api/health/ready")
		if err != nil {
			return err
		}
		var health struct{ ModelVersion string }
		if err := json.Unmarshal([]byte(body), &health); err != nil {
			return err
		}
		if got := s.sum("als_model_serves", map[string]string{"version": health.ModelVersion}); got != 1 {
			return fmt.Errorf("als_model_serves of %s is %v", health.ModelVersion, got)
		}
		return nil
	})
}

// trainingsAreTold compares what the log says of trainings with the count: one line
// when one begins, one with figures and the verdict when it is over.
func (w *whole) trainingsAreTold(t *testing.T) {
	t.Helper()
	w.eventually(t, patience, func() error {
		s, err := w.scrape()
		if err != nil {
			return err
		}
		counted := int(s.sum("als_train_versions", nil))
		began := strings.Count(w.said.String(), "Training on the trigger")
		over := strings.Count(w.said.String(), "holdout RMSE 0.") - strings.Count(w.said.String(), "is the champion now: holdout RMSE")
		if over != counted || began != counted && began != counted+1 {
			return fmt.Errorf("%d trainings are counted; the log has %d beginnings and %d ends", counted, began, over)
		}
		return nil
	})
}
