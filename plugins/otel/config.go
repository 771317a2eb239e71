package otel

import (
	"fmt"

	"github.com/redpanda-data/benthos/v4/public/service"
	"go.opentelemetry.io/otel/trace"
)

const (
	fieldHTTP     = "http"
	fieldGRPC     = "grpc"
	fieldAddress  = "address"
	fieldSecure   = "secure"
	fieldService  = "service"
	fieldTags     = "tags"
	fieldSampling = "sampling"
	fieldEnabled  = "enabled"
	fieldRatio    = "ratio"
)

func spec() *service.ConfigSpec {
	collectors := func(name, about, example string) *service.ConfigField {
		return service.NewObjectListField(name,
			service.NewStringField(fieldAddress).Description("Host and port of the collector. An empty one is left out; where all are, there are no traces.").Example(example).Default(example),
			service.NewBoolField(fieldSecure).Description("Whether to use TLS.").Default(false),
		).Description(about).Default([]any{})
	}
	return service.NewConfigSpec().
		Version("0.1.0").
		Summary("Sends traces to OpenTelemetry collectors, by OTLP.").
		Description(`
One trace follows a request: the producer's span, the input's, those of processors and outputs, and from there through the header traceparent (https://www.w3.org/TR/trace-context/[W3C Trace Context]) of the record that was written, or of the HTTP answer. kafka_franz and recommend_http read and write the header by themselves while a tracer is configured.

A request whose sender has decided to sample it, or not to, is treated so. All others are sampled by sampling.ratio; one that is not costs about what it costs without a tracer. Spans are sent in the background, and dropped where the collector is away: traces never hold up requests.`).
		Fields(
			collectors(fieldHTTP, "Collectors that take OTLP by HTTP.", "localhost:4318"),
			collectors(fieldGRPC, "Collectors that take OTLP by gRPC.", "localhost:4317"),
			service.NewStringField(fieldService).Description("The name of this service in traces.").Default("recsys-benthos"),
			service.NewStringMapField(fieldTags).Description("Attributes of every span, such as the environment.").Default(map[string]any{}).Advanced(),
			service.NewObjectField(fieldSampling,
				service.NewBoolField(fieldEnabled).Description("Whether to sample; else every request is traced.").Default(false),
				service.NewFloatField(fieldRatio).Description("The share of requests that are traced, 0 to 1.").Example(0.01).Default(1.0),
			).Description("How many requests are traced."),
		).
		Example("One request of a hundred", "", `
tracer:
  open_telemetry_collector:
    http:
      - address: localhost:4318
    sampling:
      enabled: true
      ratio: 0.01
`)
}

func init() {
	service.MustRegisterOtelTracerProvider("open_telemetry_collector", spec(),
		func(conf *service.ParsedConfig) (trace.TracerProvider, error) {
			c, err := parse(conf)
			if err != nil {
				return nil, err
			}
			if len(c.http)+len(c.grpc) == 0 {
				return silent{}, nil
			}
			return newProvider(c)
		})
}

// collector is where spans are sent.
type collector struct {
	address string
	secure  bool
}

// config is what a tracer was configured with.
type config struct {
	http, grpc []collector
	service    string
	tags       map[string]string
	ratio      float64
	log        *service.Logger
}

func parse(conf *service.ParsedConfig) (c config, err error) {
	c.log = conf.Resources().Logger()
	if c.http, err = parseCollectors(conf, fieldHTTP); err != nil {
		return c, err
	}
	if c.grpc, err = parseCollectors(conf, fieldGRPC); err != nil {
		return c, err
	}
	if c.service, err = conf.FieldString(fieldService); err != nil {
		return c, err
	}
	if c.tags, err = conf.FieldStringMap(fieldTags); err != nil {
		return c, err
	}
	sampling := conf.Namespace(fieldSampling)
	enabled, err := sampling.FieldBool(fieldEnabled)
	if err != nil {
		return c, err
	}
	if c.ratio, err = sampling.FieldFloat(fieldRatio); err != nil {
		return c, err
	}
	if !(c.ratio >= 0 && c.ratio <= 1) {
		return c, fmt.Errorf("field %s.%s: %v does not lie between 0 and 1", fieldSampling, fieldRatio, c.ratio)
	}
	if !enabled {
		c.ratio = 1
	}
	return c, nil
}

func parseCollectors(conf *service.ParsedConfig, field string) ([]collector, error) {
	items, err := conf.FieldObjectList(field)
	if err != nil {
		return nil, err
	}
	var all []collector
	for _, item := range items {
		var c collector
		if c.address, err = item.FieldString(fieldAddress); err != nil {
			return nil, err
		}
		if c.secure, err = item.FieldBool(fieldSecure); err != nil {
			return nil, err
		}
		if c.address != "" {
			all = append(all, c)
		}
	}
	return all, nil
}
