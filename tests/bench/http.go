package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/plugins/sqlite"
)

// httpConnections are kept open, each by one client that sends its next request when
// it has the answer to the last.
const httpConnections = 16

// httpWarmUp is how long requests are sent before they count.
const httpWarmUp = 2 * time.Second

// gorsePerSecond is the best that Gorse did on such a machine, for the same
// request of the same data (545 to 658).
const gorsePerSecond = 658

// httpTable compares pipelines/api.yaml, in a process of its own, with a handler of
// net/http that writes the same bytes. The loader has the same cores.
func httpTable(ctx context.Context, b *bench) (table, error) {
	o, err := b.startAPI(ctx)
	if err != nil {
		return table{}, err
	}
	defer o.process.stop()
	t := table{note: fmt.Sprintf("for %s each, after %s, with %d connections from the same machine", b.duration, httpWarmUp, httpConnections)}
	for _, c := range []struct{ name, path, header string }{
		{"GET /api/recommend/{user}?n=10", "/api/recommend/%d?n=10", ""},
		{"the same, Accept-Encoding: gzip", "/api/recommend/%d?n=10", "Accept-Encoding: gzip\r\n"},
		{"the same, the full reply", "/api/recommend/%d?n=10&format=full", ""},
		{"the full reply, Accept-Encoding: gzip", "/api/recommend/%d?n=10&format=full", "Accept-Encoding: gzip\r\n"},
		{"GET /api/estimate/{user}/{movie}", "/api/estimate/%d/318", ""},
	} {
		if err := b.httpRows(ctx, o, &t, c.name, c.path, c.header); err != nil {
			return t, err
		}
	}
	return t, nil
}

func (b *bench) httpRows(ctx context.Context, o *apiProcess, t *table, name, path, header string) error {
	requests := o.requests(path, header)
	bodies := filepath.Join(b.dir, "bodies")
	if err := o.save(bodies, path); err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	bare, err := b.start(ctx, "bare", nil, b.self, "bare-http", "--listen", address, "--bodies", bodies)
	if err != nil {
		return err
	}
	defer bare.stop()
	if err := answers(ctx, "http://"+address+"/", bare); err != nil {
		return err
	}
	var ours, yardstick, p99, cpu, bareCPU []float64
	for round := range b.rounds {
		for turn := range 2 {
			at, p := o.address, o.process
			if (turn+round)%2 == 1 {
				at, p = address, bare
			}
			if b.pprof != "" && p != bare && round == b.rounds-1 {
				go func() { _ = p.profile(b.pprof, int((httpWarmUp + b.duration).Seconds())) }() // of the last kind of request
			}
			r, err := loadHTTP(ctx, at, requests, b.duration, p, &o.good)
			if err != nil {
				return err
			}
			progressf("round %d, %s, %s: %s/s, p50 %.2f ms, p99 %.2f ms, %.1f µs CPU", round+1, name, p.name, digits(r.perSecond), r.p50, r.p99, r.cpu)
			if p == bare {
				yardstick, bareCPU = append(yardstick, r.perSecond), append(bareCPU, r.cpu)
			} else {
				ours, p99, cpu = append(ours, r.perSecond), append(p99, r.p99), append(cpu, r.cpu)
			}
		}
	}
	t.rows = append(t.rows,
		row{what: name + ", against a bare handler", unit: "requests/s", ours: ours, yardstick: yardstick, floor: 0.4, aim: 0.6},
		row{what: name + ", p99", unit: "ms", ours: p99, floor: 8, less: true},
		row{what: name + ", CPU of the server", unit: "µs", ours: cpu, yardstick: bareCPU})
	if header == "" && strings.HasPrefix(path, "/api/recommend") && !strings.Contains(path, "full") {
		t.rows = append(t.rows, row{what: name + ", against Gorse's", unit: "requests/s", ours: ours, yardstick: repeated(gorsePerSecond, len(ours)), floor: 20})
	}
	return nil
}

func repeated(value float64, n int) []float64 {
	return slices.Repeat([]float64{value}, n)
}

// apiProcess runs pipelines/api.yaml over all ratings of ml-latest-small.
type apiProcess struct {
	process *process
	address string
	users   []int64
	good    atomic.Int64 // requests that were answered with 200
}

func (b *bench) startAPI(ctx context.Context, env ...string) (*apiProcess, error) {
	if b.registry == "" {
		b.registry = "file://" + filepath.Join(b.dir, "registry")
		if err := b.run(ctx, b.binary, "train", "--ratings", b.data, "--registry", b.registry); err != nil {
			return nil, err
		}
	}
	all, err := ratings.ReadRatings(b.data)
	if err != nil {
		return nil, err
	}
	state, err := os.MkdirTemp(b.dir, "state-")
	if err != nil {
		return nil, err
	}
	store, err := sqlite.OpenStore(ctx, filepath.Join(state, "ratings.db"))
	if err != nil {
		return nil, err
	}
	if err := store.Apply(ctx, ratings.Changes{Ratings: all}); err != nil {
		return nil, err
	}
	if err := store.Close(); err != nil {
		return nil, err
	}
	o := &apiProcess{}
	for _, r := range all {
		if len(o.users) == 0 || o.users[len(o.users)-1] != r.User {
			o.users = append(o.users, r.User)
		}
	}
	slices.Sort(o.users)
	o.users = slices.Compact(o.users)
	if o.address, err = freeAddress(); err != nil {
		return nil, err
	}
	o.process, err = b.startOurs(ctx, b.embedded(), append([]string{"RECSYS_LISTEN=" + o.address, "RECSYS_STATE=" + state}, env...), "api", "models")
	if err != nil {
		return nil, err
	}
	return o, answers(ctx, "http://"+o.address+"/api/health/ready", o.process)
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// answers waits until a URL is answered with 200.
func answers(ctx context.Context, url string, p *process) error {
	for deadline := time.Now().Add(stuckAfter); ; {
		response, err := http.Get(url)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		if err := p.check(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not answered by %s: %w\n%s", url, p.name, err, p.logTail())
		}
		if err := pause(ctx, pollInterval); err != nil {
			return err
		}
	}
}

// requests are what is sent, one for each user; path has a place for the user.
func (o *apiProcess) requests(path, header string) [][]byte {
	requests := make([][]byte, len(o.users))
	for k, user := range o.users {
		requests[k] = fmt.Appendf(nil, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n%s\r\n", user, header)
	}
	return requests
}

// save writes down what is answered, a line for each user.
func (o *apiProcess) save(file, path string) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	for _, user := range o.users {
		response, err := http.Get("http://" + o.address + fmt.Sprintf(path, user))
		if err != nil {
			return err
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			return fmt.Errorf("user %d: %s: %s", user, response.Status, body)
		}
		fmt.Fprintf(out, "%d %s\n", user, strings.TrimSpace(string(body)))
	}
	return nil
}

// bareHTTP answers the saved bodies, by the number in the path.
func bareHTTP(c *cli.Context) error {
	file, err := os.ReadFile(c.String("bodies"))
	if err != nil {
		return err
	}
	bodies := map[string][]byte{}
	for line := range strings.Lines(string(file)) {
		user, body, _ := strings.Cut(line, " ")
		bodies[user] = []byte(body)
	}
	server := http.Server{Addr: c.String("listen"), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, user, _ := strings.Cut(r.URL.Path[1:], "/")
		_, user, _ = strings.Cut(user, "/")
		user, _, _ = strings.Cut(user, "/")
		body := bodies[user]
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})}
	return server.ListenAndServe()
}

// answered is what a load found.
type answered struct {
	perSecond, p50, p99 float64 // ms
	cpu                 float64 // µs of the server for a request
}

// loadHTTP sends requests in turn over all connections, and fails at an answer that
// is no 200; good counts those that are.
func loadHTTP(ctx context.Context, address string, requests [][]byte, duration time.Duration, p *process, good *atomic.Int64) (answered, error) {
	ctx, cancel := context.WithTimeout(ctx, httpWarmUp+duration)
	defer cancel()
	begin := time.Now().Add(httpWarmUp)
	var next atomic.Int64
	var group sync.WaitGroup
	took := make([][]time.Duration, httpConnections)
	errs := make([]error, httpConnections)
	for k := range httpConnections {
		group.Go(func() {
			errs[k] = client(ctx, address, func() []byte {
				return requests[int(next.Add(1))%len(requests)]
			}, func(sent time.Time, status int) error {
				if status != http.StatusOK {
					return fmt.Errorf("%s answered %d", p.name, status)
				}
				good.Add(1)
				if sent.After(begin) {
					took[k] = append(took[k], time.Since(sent))
				}
				return nil
			})
		})
	}
	_ = pause(ctx, httpWarmUp)
	before := p.cpu()
	group.Wait()
	used := p.cpu() - before
	for _, err := range errs {
		if err != nil {
			return answered{}, err
		}
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	if len(all) == 0 {
		return answered{}, fmt.Errorf("%s answered nothing", p.name)
	}
	ms := func(share float64) float64 {
		return float64(all[int(share*float64(len(all)-1))].Microseconds()) / 1000
	}
	return answered{
		perSecond: float64(len(all)) / duration.Seconds(), p50: ms(0.5), p99: ms(0.99),
		cpu: float64(used.Microseconds()) / float64(len(all)),
	}, nil
}

// client sends one request after the other until ctx ends.
func client(ctx context.Context, address string, request func() []byte, done func(sent time.Time, status int) error) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 16<<10)
	for ctx.Err() == nil {
		sent := time.Now()
		if _, err := conn.Write(request()); err != nil {
			return err
		}
		status, err := skipAnswer(reader)
		if err != nil {
			return err
		}
		if err := done(sent, status); err != nil {
			return err
		}
	}
	return nil
}

// skipAnswer reads an answer of a known length with as little work as can be: the
// loader takes its time from the server.
func skipAnswer(r *bufio.Reader) (status int, err error) {
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		const name = "Content-Length: "
		switch {
		case status == 0 && len(line) > 12:
			status, err = strconv.Atoi(string(line[9:12]))
			if err != nil {
				return 0, fmt.Errorf("got %q", line)
			}
		case len(line) > len(name) && string(line[:len(name)]) == name:
			for _, c := range line[len(name) : len(line)-2] {
				length = length*10 + int(c-'0')
			}
		}
	}
	_, err = r.Discard(length)
	return status, err
}
