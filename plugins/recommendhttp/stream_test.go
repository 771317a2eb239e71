package recommendhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/internal/api"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// What the users of requests make the processor of these tests do.
const (
	rejectedUser = 900 + iota
	brokenUser
	missingUser
	lostUser // gets no reply
	slowUser // waits until gate lets it go
)

// gates hold what streams of these tests share with them, by their label.
var gates sync.Map

// gate is where a stream waits.
type gate struct {
	open    chan struct{}
	batches chan int // sizes of batches that came

	mu     sync.Mutex
	events []string
}

func init() {
	field := service.NewStringField("gate")
	find := func(conf *service.ParsedConfig) *gate {
		label, _ := conf.FieldString("gate")
		g, _ := gates.Load(label)
		return g.(*gate)
	}
	service.MustRegisterBatchProcessor("test_answer", service.NewConfigSpec().Field(field),
		func(conf *service.ParsedConfig, _ *service.Resources) (service.BatchProcessor, error) {
			return answerer{find(conf)}, nil
		})
	service.MustRegisterBatchOutput("test_events", service.NewConfigSpec().Field(field),
		func(conf *service.ParsedConfig, _ *service.Resources) (service.BatchOutput, service.BatchPolicy, int, error) {
			return find(conf), service.BatchPolicy{}, 64, nil
		})
}

type answerer struct{ gate *gate }

func (a answerer) ProcessBatch(ctx context.Context, batch service.MessageBatch) ([]service.MessageBatch, error) {
	select {
	case a.gate.batches <- len(batch):
	default:
	}
	for _, m := range batch {
		if kind, _ := m.MetaGet(metaKind); kind == string(api.Feedback) {
			continue
		}
		data, _ := m.AsBytes()
		request := gjson.ParseBytes(data)
		switch request.Get("user_id").Int() {
		case rejectedUser:
			m.SetError(message.Rejectf("test_answer", "it is rejected"))
			continue
		case brokenUser:
			m.SetError(errors.New("it is broken"))
			continue
		case missingUser:
			m.SetError(api.Problemf(http.StatusNotFound, "there is no such user"))
			continue
		case lostUser:
			m.MetaDelete(metaMessage)
		case slowUser:
			select {
			case <-a.gate.open:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		m.SetBytes(fmt.Appendf(nil, `{"echo":%s,"items":[{"movie_id":%d,"score":1}],"model_version":"v1","padding":"%s"}`,
			data, request.Get("user_id").Int(), strings.Repeat("x", int(request.Get("offset").Int()))))
	}
	return []service.MessageBatch{batch}, nil
}

func (answerer) Close(context.Context) error { return nil }

func (g *gate) Connect(context.Context) error { return nil }

func (g *gate) WriteBatch(ctx context.Context, batch service.MessageBatch) error {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range batch {
		data, _ := m.AsBytes()
		key, _ := m.MetaGet(metaKey)
		g.events = append(g.events, key+" "+string(data))
	}
	return nil
}

func (g *gate) Close(context.Context) error { return nil }

// client asks a stream with a recommend_http.
type client struct {
	*testing.T
	base   string
	header http.Header
	gate   *gate
}

// startStream runs a stream with the input's further fields, and resources.
func startStream(t *testing.T, fields string, resources ...string) *client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	g := &gate{open: make(chan struct{}), batches: make(chan int, 1000)}
	gates.Store(address, g)
	builder := service.NewStreamBuilder()
	if err := builder.SetYAML(fmt.Sprintf(`
input:
  recommend_http:
    address: %[1]s
    %[2]s
pipeline:
  threads: 2
  processors:
    - test_answer: {gate: %[1]q}
output:
  reject_errored:
    switch:
      cases:
        - check: '@kind == "feedback"'
          output: {test_events: {gate: %[1]q}}
        - output: {sync_response: {}}
logger: {level: OFF}
`+strings.Join(resources, "\n"), address, strings.ReplaceAll(fields, "\n", "\n    "))); err != nil {
		t.Fatal(err)
	}
	stream, err := builder.Build()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- stream.Run(context.Background()) }()
	t.Cleanup(func() {
		g.let()
		if err := errors.Join(stream.StopWithin(10*time.Second), <-done); err != nil {
			t.Error(err)
		}
	})
	c := &client{T: t, base: "http://" + address, header: http.Header{}, gate: g}
	for deadline := time.Now().Add(10 * time.Second); ; {
		response, err := http.Get(c.base + "/api/health/live")
		if err == nil {
			response.Body.Close()
			return c
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

// let opens the gate.
func (g *gate) let() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

// answer is a response that was read.
type answer struct {
	status int
	body   string
	header http.Header
}

// ask sends a request such as "GET /api/…".
func (c *client) ask(line, body string, headers ...string) answer {
	c.Helper()
	a, err := c.try(line, strings.NewReader(body), headers...)
	if err != nil {
		c.Fatalf("%s: %v", line, err)
	}
	return a
}

func (c *client) try(line string, body io.Reader, headers ...string) (a answer, err error) {
	method, target, _ := strings.Cut(line, " ")
	request, err := http.NewRequest(method, c.base+target, body)
	if err != nil {
		return a, err
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := plain.RoundTrip(request)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(text), response.Header}, err
}

// plain neither follows redirections nor uncompresses.
var plain = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}

// expectProblem checks that an answer is problem+json.
func (c *client) expectProblem(a answer, status int, detail string) {
	c.Helper()
	p := gjson.Parse(a.body)
	if a.status != status || a.header.Get("Content-Type") != api.ProblemType || p.Get("status").Int() != int64(status) || !strings.Contains(p.Get("detail").Str, detail) {
		c.Errorf("got %d %s %s, want %d: %s", a.status, a.header.Get("Content-Type"), a.body, status, detail)
	}
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
