package recommendhttp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"

	_ "github.com/recsys-benthos/recsys-benthos/plugins/als"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/deadletter"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/kafka"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/movies"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/ratings"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/recommendhttp"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/sqlite"
)

// connections are kept open, each by one client that sends its next request when
// it has the answer to the last.
const connections = 16

// BenchmarkEstimate compares pipelines/api.yaml with the test profile and a bare
// handler of net/http that writes the same bytes. Loader and server share the
// process and its cores.
func BenchmarkEstimate(b *testing.B) {
	address := startPipeline(b, func(pipeline string) string { return pipeline })
	target := "/api/estimate/1/296"
	response, err := http.Get("http://" + address + target)
	if err != nil {
		b.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != http.StatusOK {
		b.Fatalf("%s: %s", response.Status, body)
	}
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		header := w.Header()
		header.Set("Content-Type", "application/json")
		header.Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body)
	}))
	defer bare.Close()
	for _, c := range []struct{ name, address, header string }{
		{"bare", strings.TrimPrefix(bare.URL, "http://"), ""},
		{"pipeline", address, ""},
		{"pipeline,gzip", address, "Accept-Encoding: gzip\r\n"},
	} {
		b.Run(c.name, func(b *testing.B) {
			load(b, c.address, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\n"+c.header+"\r\n")
		})
	}
}

// BenchmarkRecommend tells what it costs that lists are copied to Kafka, which is
// not there.
func BenchmarkRecommend(b *testing.B) {
	for _, c := range []struct{ name, enabled string }{{"copied", "true"}, {"not copied", "false"}} {
		b.Run(c.name, func(b *testing.B) {
			address := startPipeline(b, func(pipeline string) string {
				return strings.Replace(pipeline, "${RECSYS_COPY_LISTS:false}", c.enabled, 1)
			})
			load(b, address, "GET /api/recommend/1?n=10 HTTP/1.1\r\nHost: localhost\r\n\r\n")
		})
	}
}

// startPipeline runs pipelines/api.yaml, changed, and returns where.
func startPipeline(b *testing.B, change func(pipeline string) string) string {
	b.Helper()
	b.Chdir("../..")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	builder := service.NewStreamBuilder()
	builder.SetEnvVarLookupFunc(func(name string) (string, bool) {
		if name == "RECSYS_LISTEN" {
			return address, true
		}
		return "", false
	})
	pipeline, err := os.ReadFile("pipelines/api.yaml")
	if err != nil {
		b.Fatal(err)
	}
	resources, err := os.ReadFile("config/test.yaml")
	if err != nil {
		b.Fatal(err)
	}
	if err := builder.SetYAML(change(string(pipeline))); err != nil {
		b.Fatal(err)
	}
	if err := builder.AddResourcesYAML(string(resources)); err != nil {
		b.Fatal(err)
	}
	if err := builder.SetLoggerYAML("level: OFF"); err != nil {
		b.Fatal(err)
	}
	stream, err := builder.Build()
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = stream.Run(ctx)
	}()
	b.Cleanup(func() { cancel(); <-done })
	for deadline := time.Now().Add(20 * time.Second); ; {
		response, err := http.Get("http://" + address + "/api/health/ready")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return address
			}
		}
		if time.Now().After(deadline) {
			b.Fatalf("not ready: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// load sends b.N requests, and reports how many a second were answered.
func load(b *testing.B, address, request string) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	var group sync.WaitGroup
	b.ResetTimer()
	b.ReportAllocs()
	before := processorTime(b)
	for range connections {
		group.Go(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			reader := bufio.NewReader(conn)
			for left.Add(-1) >= 0 {
				if _, err := io.WriteString(conn, request); err != nil {
					b.Error(err)
					return
				}
				if err := skipResponse(reader); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/1000/float64(b.N), "µs-CPU/request")
}

// processorTime is what the process has used so far, loader included: on a
// machine with other work it says more than the time that passed.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// skipResponse reads a response of a known length with as little work as can be:
// the loader takes its time from the server.
func skipResponse(r *bufio.Reader) error {
	length := 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !strings.HasPrefix(string(line), "HTTP/1.1 200") {
			return fmt.Errorf("got %s", line)
		}
		if len(line) <= 2 {
			break
		}
		const name = "Content-Length: "
		if len(line) > len(name) && string(line[:len(name)]) == name {
			for _, c := range line[len(name) : len(line)-2] {
				length = length*10 + int(c-'0')
			}
		}
	}
	_, err := r.Discard(length)
	return err
}
