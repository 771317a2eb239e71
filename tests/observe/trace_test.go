package observe

import (
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver is a collector that takes OTLP by HTTP.
type receiver struct {
	address  string
	mu       sync.Mutex
	spans    []*trace.Span
	services map[string]bool
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{services: map[string]bool{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.address = strings.TrimPrefix(server.URL, "http://")
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body := io.Reader(request.Body)
	if request.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(body)
	}
	text, err := io.ReadAll(body)
	var export collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(text, &export)
	}
	if err != nil || request.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprintf("%s: %v", request.URL.Path, err), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range export.ResourceSpans {
		for _, attribute := range of.Resource.Attributes {
			if attribute.Key == "service.name" {
				r.services[attribute.Value.GetStringValue()] = true
			}
		}
		for _, scope := range of.ScopeSpans {
			r.spans = append(r.spans, scope.Spans...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// of returns the spans of a trace, in the order in which they came.
func (r *receiver) of(id string) (spans []*trace.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, span := range r.spans {
		if hex.EncodeToString(span.TraceId) == id {
			spans = append(spans, span)
		}
	}
	return spans
}

// tree returns the spans by their names, and why they are no tree below a parent.
func tree(spans []*trace.Span, parent string) (names map[string][]*trace.Span, err error) {
	names, parents := map[string][]*trace.Span{}, map[string]string{}
	for _, span := range spans {
		names[span.Name] = append(names[span.Name], span)
		parents[hex.EncodeToString(span.SpanId)] = hex.EncodeToString(span.ParentSpanId)
	}
	for _, span := range spans {
		at, steps := hex.EncodeToString(span.SpanId), 0
		for ; at != parent && steps <= len(spans); steps++ {
			above, known := parents[at]
			if !known {
				return names, fmt.Errorf("the span %s has a parent %s that is not there", span.Name, at)
			}
			at = above
		}
		if steps > len(spans) {
			return names, fmt.Errorf("the span %s is its own ancestor", span.Name)
		}
	}
	return names, nil
}

func attribute(span *trace.Span, key string) string {
	for _, a := range span.Attributes {
		if a.Key == key {
			text, _ := json.Marshal(a.Value)
			return string(text)
		}
	}
	return ""
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// TestATraceFollowsARequest from the producer's span to its prediction, from there to
// the index, and from a client by HTTP to its answer and to the event it made. Nothing
// else is traced, because nothing else was asked for.
func TestATraceFollowsARequest(t *testing.T) {
	t.Parallel()
	collector := newReceiver(t)
	w := up(t, []string{"RECSYS_OTLP_ADDRESS=" + collector.address, "RECSYS_TRACE_RATIO=0", "RECSYS_SERVICE=recsys-test"}, "--rate", "20", "--history", "0")
	w.eventually(t, patience, func() error {
		status, _, body, err := get(w.page + "/api/health/ready")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%s", body)
		}
		return err
	})
	const (
		byKafka, byHTTP, byEvent, unsampled = "0af7651916cd43dd8448eb211c80319c", "1bf7651916cd43dd8448eb211c80319d", "2cf7651916cd43dd8448eb211c80319e", "3df7651916cd43dd8448eb211c80319f"
		parent                              = "b7ad6b7169203331"
	)
	headers := func(trace, flags string) []kgo.RecordHeader {
		return []kgo.RecordHeader{{Key: "traceparent", Value: []byte("00-" + trace + "-" + parent + "-" + flags)}}
	}
	produce(t, w.broker,
		&kgo.Record{Topic: "requests", Value: []byte(`{"request_id":"traced","user_id":1,"movie_id":318}`), Headers: headers(byKafka, "01")},
		&kgo.Record{Topic: "requests", Value: []byte(`{"request_id":"not sampled","user_id":1,"movie_id":318}`), Headers: headers(unsampled, "00")})
	reply := find(t, w.broker, "predictions", func(r *kgo.Record) bool { return strings.Contains(string(r.Value), `"traced"`) })
	if got := header(reply, "traceparent"); !strings.HasPrefix(got, "00-"+byKafka+"-") || !strings.HasSuffix(got, "-01") || strings.Contains(got, parent) {
		t.Errorf("the prediction says traceparent %q", got)
	}
	other := find(t, w.broker, "predictions", func(r *kgo.Record) bool { return strings.Contains(string(r.Value), `"not sampled"`) })
	if got, want := header(other, "traceparent"), "00-"+unsampled+"-"+parent+"-00"; got != want {
		t.Errorf("the prediction of a request that is not sampled says traceparent %q, want it as it came, %q", got, want)
	}
	var prediction struct {
		Version string `json:"model_version"`
	}
	if err := json.Unmarshal(reply.Value, &prediction); err != nil {
		t.Fatal(err)
	}
	w.eventually(t, patience, func() error {
		return followed(collector.of(byKafka), parent, prediction.Version, header(reply, "traceparent"))
	})

	status, answer, body, err := ask(http.MethodGet, w.page+"/api/estimate/1/318", "", http.Header{"Traceparent": {"00-" + byHTTP + "-" + parent + "-01"}})
	if err != nil || status != http.StatusOK {
		t.Fatalf("%d %s %v", status, body, err)
	}
	if got := answer.Get("traceparent"); !strings.HasPrefix(got, "00-"+byHTTP+"-") {
		t.Errorf("the answer says traceparent %q", got)
	}
	w.eventually(t, patience, func() error {
		names, err := tree(collector.of(byHTTP), parent)
		for _, name := range []string{"GET /api/estimate/{user}/{movie}", "input_recommend_http", "als_predict"} {
			if err == nil && len(names[name]) != 1 {
				err = fmt.Errorf("%d spans %s of %d", len(names[name]), name, len(names))
			}
		}
		if err == nil && !strings.Contains(attribute(names["GET /api/estimate/{user}/{movie}"][0], "http.response.status_code"), "200") {
			err = fmt.Errorf("the server's span has no status")
		}
		return err
	})

	event := `[{"FeedbackType":"rate","UserId":"1","ItemId":"318","Value":4.5}]`
	if status, _, body, err := ask(http.MethodPost, w.page+"/api/feedback", event, http.Header{"Traceparent": {"00-" + byEvent + "-" + parent + "-01"}}); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s %v", status, body, err)
	}
	find(t, w.broker, "events", func(r *kgo.Record) bool { return strings.HasPrefix(header(r, "traceparent"), "00-"+byEvent+"-") })
	w.eventually(t, patience, func() error { // its event is stored, or folded in, in the same trace
		names, err := tree(collector.of(byEvent), parent)
		if err == nil && len(names["input_kafka_franz"]) == 0 {
			err = fmt.Errorf("nobody who read the event is in its trace: %d names", len(names))
		}
		return err
	})

	collector.mu.Lock()
	defer collector.mu.Unlock()
	if !collector.services["recsys-test"] || len(collector.services) != 1 {
		t.Errorf("the services are %v", collector.services)
	}
	for _, span := range collector.spans {
		switch id := hex.EncodeToString(span.TraceId); id {
		case byKafka, byHTTP, byEvent:
		default:
			t.Errorf("the span %s is of trace %s, which nobody asked for", span.Name, id)
		}
	}
}

// followed says what a trace lacks of the way from Kafka to Kafka and on to the index.
func followed(spans []*trace.Span, parent, version, traceparent string) error {
	names, err := tree(spans, parent)
	if err != nil {
		return err
	}
	if len(names["input_kafka_franz"]) < 2 || len(names["output_kafka_franz"]) != 1 || len(names["als_predict"]) != 1 || len(names["output_sqlite"]) == 0 {
		var got []string
		for name, of := range names {
			got = append(got, fmt.Sprintf("%s × %d", name, len(of)))
		}
		return fmt.Errorf("the trace has %v", got)
	}
	predict := names["als_predict"][0]
	if got := attribute(predict, "recsys.model_version"); !strings.Contains(got, version) {
		return fmt.Errorf("the span says version %s, the reply %s", got, version)
	}
	for _, key := range []string{"recsys.batch_size", "recsys.cold_user", "recsys.cold_movie"} {
		if attribute(predict, key) == "" {
			return fmt.Errorf("the span of the prediction does not say %s", key)
		}
	}
	// The index reads what the predictor wrote: its span is a child of what the record says.
	for _, input := range names["input_kafka_franz"] {
		if strings.Contains(traceparent, "-"+hex.EncodeToString(input.ParentSpanId)+"-") {
			return nil
		}
	}
	return fmt.Errorf("no reader of the prediction is below the span %s", traceparent)
}
