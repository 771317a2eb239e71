package prometheus

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redpanda-data/benthos/v4/public/service"
)

// exporter is a registry of what components count. It is safe for concurrent use.
type exporter struct {
	timings  timings
	registry *prometheus.Registry
	log      *service.Logger

	mu    sync.Mutex
	known map[string]family // by name
}

// family is all metrics of one name.
type family struct {
	labels    []string
	collector prometheus.Collector
}

func newExporter(conf *service.ParsedConfig, log *service.Logger) (*exporter, error) {
	e := &exporter{registry: prometheus.NewRegistry(), log: log, known: map[string]family{}}
	var err error
	if e.timings, err = parseTimings(conf); err != nil {
		return nil, err
	}
	for field, collector := range map[string]prometheus.Collector{
		fieldProcess: collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		fieldGo:      collectors.NewGoCollector(),
	} {
		wanted, err := conf.FieldBool(field)
		if err != nil {
			return nil, err
		}
		if wanted {
			if err := e.registry.Register(collector); err != nil {
				return nil, err
			}
		}
	}
	return e, nil
}

// HandlerFunc serves the metrics; Benthos asks for it.
func (e *exporter) HandlerFunc() http.HandlerFunc {
	return promhttp.HandlerFor(e.registry, promhttp.HandlerOpts{}).ServeHTTP
}

// nameOf makes a name that Prometheus allows.
func nameOf(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == ':' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
}

func helpOf(name string) string { return "recsys-benthos: " + strings.ReplaceAll(name, "_", " ") }

// vector returns the metrics of a name, which make makes at first. Components that
// use one name with other labels, or for another kind of metric, get none: Prometheus
// allows one of each, and a component must not fail for that.
func vector[T prometheus.Collector](e *exporter, name string, labels []string, make func(name string, labels []string) T) (v T, ok bool) {
	name = nameOf(name)
	e.mu.Lock()
	defer e.mu.Unlock()
	if before, exists := e.known[name]; exists {
		v, same := before.collector.(T)
		if !same || !slices.Equal(before.labels, labels) {
			e.log.Warnf("The metric %s is not exported with the labels %v: it has the labels %v or is of another kind already", name, labels, before.labels)
			return v, false
		}
		return v, true
	}
	v = make(name, labels)
	if err := e.registry.Register(v); err != nil {
		e.log.Warnf("The metric %s is not exported: %v", name, err)
		return v, false
	}
	e.known[name] = family{slices.Clone(labels), v}
	return v, true
}

type counter struct{ prometheus.Counter }

func (c counter) Incr(count int64) { c.IncrFloat64(float64(count)) }

func (c counter) IncrFloat64(count float64) {
	if count > 0 { // else the client panics: a counter never falls
		c.Add(count)
	}
}

type gauge struct{ prometheus.Gauge }

func (g gauge) Set(value int64)          { g.Gauge.Set(float64(value)) }
func (g gauge) SetFloat64(value float64) { g.Gauge.Set(value) }

type timer struct {
	prometheus.Observer
	unit float64 // nanoseconds of one unit of what is observed
}

func (t timer) Timing(delta int64) { t.Observe(float64(delta) / t.unit) }

// none is a metric that is not exported.
type none struct{}

func (none) Incr(int64)   {}
func (none) Set(int64)    {}
func (none) Timing(int64) {}

func (e *exporter) NewCounterCtor(name string, labels ...string) service.MetricsExporterCounterCtor {
	v, ok := vector(e, name, labels, func(name string, labels []string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: helpOf(name)}, labels)
	})
	return func(values ...string) service.MetricsExporterCounter {
		if ok {
			if c, err := v.GetMetricWithLabelValues(values...); err == nil {
				return counter{c}
			}
		}
		return none{}
	}
}

func (e *exporter) NewGaugeCtor(name string, labels ...string) service.MetricsExporterGaugeCtor {
	v, ok := vector(e, name, labels, func(name string, labels []string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: helpOf(name)}, labels)
	})
	return func(values ...string) service.MetricsExporterGauge {
		if ok {
			if g, err := v.GetMetricWithLabelValues(values...); err == nil {
				return gauge{g}
			}
		}
		return none{}
	}
}

// observers are summaries or histograms.
type observers interface {
	prometheus.Collector
	prometheus.ObserverVec
}

func (e *exporter) NewTimerCtor(name string, labels ...string) service.MetricsExporterTimerCtor {
	v, ok := vector(e, name, labels, func(name string, labels []string) observers { return e.timings.vector(name, labels) })
	unit := 1.0
	if e.timings.histogram {
		unit = float64(time.Second)
	}
	return func(values ...string) service.MetricsExporterTimer {
		if ok {
			if o, err := v.GetMetricWithLabelValues(values...); err == nil {
				return timer{o, unit}
			}
		}
		return none{}
	}
}

func (e *exporter) Close(context.Context) error { return nil }
