package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const (
	pageViewers = 50
	pageRate    = 5000 // predictions a second
	pageTick    = 20 * time.Millisecond
	pageMinutes = 10 // of a round; with a shorter --duration than 10 s proportionally less
)

// pageTable runs pipelines/dashboard.yaml alone, with an embedded broker of this
// process, while predictions arrive and pages are open.
func pageTable(ctx context.Context, b *bench) (table, error) {
	stream, err := b.openPage(ctx)
	if err != nil {
		return table{}, err
	}
	defer stream.close()
	p, address, err := stream.start(ctx, b)
	if err != nil {
		return table{}, err
	}
	defer p.stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()
	var updates atomic.Int64
	failed := make(chan error, pageViewers+1)
	tasks.Go(func() { failed <- stream.produce(ctx) })
	for range pageViewers {
		tasks.Go(func() { failed <- view(ctx, address, &updates) })
	}
	minute := 6 * b.duration // by default
	if err := pause(ctx, minute/2); err != nil { // until its caches are full
		return table{}, err
	}
	var cpu, memory []float64
	for n := range pageMinutes {
		begin, used, seen := time.Now(), p.cpu(), updates.Load()
		if err := pause(ctx, minute); err != nil {
			return table{}, err
		}
		if b.pprof != "" && n == 0 {
			if err := p.profile(b.pprof, int(b.duration.Seconds())); err != nil {
				return table{}, err
			}
		}
		seconds := time.Since(begin).Seconds()
		cpu = append(cpu, (p.cpu()-used).Seconds()/seconds)
		memory = append(memory, float64(rssOf(p.cmd.Process.Pid))/(1<<20))
		progressf("minute %d: %.3f of a core, %.0f MiB, %.1f updates/s to each page", n+1, cpu[n], memory[n], float64(updates.Load()-seen)/seconds/pageViewers)
		select {
		case err := <-failed:
			return table{}, errors.Join(err, p.check())
		default:
		}
	}
	note := fmt.Sprintf("in %d spans of %s, with %d pages open and %s predictions/s, which the page's process reads from a broker of another one", pageMinutes, minute, pageViewers, digits(pageRate))
	half := len(memory) / 2
	return table{note: note, rows: []row{
		{what: "CPU of the page's server", unit: "cores", ours: cpu, floor: 0.1, less: true},
		{what: "memory, the second half against the first", unit: "MiB", ours: memory[half:], yardstick: memory[:half], floor: 1.1, less: true},
	}}, nil
}

// pageStream is a broker with predictions.
type pageStream struct {
	broker *broker.Broker
	client *kgo.Client
	texts  [][]byte // predictions but for id and times
}

func (b *bench) openPage(ctx context.Context) (*pageStream, error) {
	s := &pageStream{}
	var topics []broker.Topic
	for _, name := range []string{"predictions", "models", "dead_letters"} {
		topics = append(topics, broker.Topic{Name: name, Partitions: 2})
	}
	var err error
	if s.broker, err = broker.Open(broker.Config{Dir: filepath.Join(b.dir, "page"), Address: "127.0.0.1:0", Topics: topics}); err != nil {
		return nil, err
	}
	if s.client, err = kgo.NewClient(kgo.SeedBrokers(s.broker.Addr()), kgo.ProducerLinger(0)); err != nil {
		return nil, err
	}
	all, err := ratings.ReadRatings(b.data)
	if err != nil {
		return nil, err
	}
	movies, err := ratings.ReadMovies(b.data)
	if err != nil {
		return nil, err
	}
	fields := map[int64][]byte{}
	for _, m := range movies {
		text, err := json.Marshal(struct {
			Title  string   `json:"title"`
			Genres []string `json:"genres"`
		}{m.Title, m.Genres})
		if err != nil {
			return nil, err
		}
		fields[m.ID] = text[1:]
	}
	for i, r := range all {
		s.texts = append(s.texts, fmt.Appendf(nil, `"user_id":%d,"movie_id":%d,"prediction":%.4f,"model_version":"20260102-150405-9f86d0","cold":[],"actual":%v,"baseline":3.5,"stddev":0.9123,%s`,
			r.User, r.Movie, 3+float64(i%100)/60, r.Value, fields[r.Movie]))
	}
	announcement := `{"role":"champion","version":"20260102-150405-9f86d0","sequence":1,"metrics":{"rmse":0.85,"bias_rmse":0.87,"ratings":80000}}`
	return s, s.client.ProduceSync(ctx, &kgo.Record{Topic: "models", Value: []byte(announcement)}).FirstErr()
}

func (s *pageStream) close() {
	s.client.Close()
	s.broker.Close()
}

// start runs the page, and returns when it answers.
func (s *pageStream) start(ctx context.Context, b *bench) (*process, string, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	p, err := b.startOurs(ctx, "config/embedded.yaml", []string{"KAFKA_BROKERS=" + s.broker.Addr(), "RECSYS_LISTEN=" + address}, "dashboard")
	if err != nil {
		return nil, "", err
	}
	return p, address, answers(ctx, "http://"+address+"/live/health", p)
}

// produce writes predictions at pageRate until ctx ends.
func (s *pageStream) produce(ctx context.Context) error {
	ticker := time.NewTicker(pageTick)
	defer ticker.Stop()
	begin, sent := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
		for due := int(pageRate * time.Since(begin).Seconds()); sent < due; sent++ {
			value := fmt.Appendf(nil, `{"request_id":"bench-%d","requested_at":%q,"predicted_at":%q,%s`, sent, now, now, s.texts[sent%len(s.texts)])
			s.client.Produce(ctx, &kgo.Record{Topic: "predictions", Key: fmt.Append(nil, sent), Value: value}, nil)
		}
	}
}

// view is one open page: it reads the updates as a browser does.
func view(ctx context.Context, address string, updates *atomic.Int64) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/live/events", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ended(ctx, err)
	}
	defer response.Body.Close()
	lines := bufio.NewReaderSize(response.Body, 64<<10)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return ended(ctx, fmt.Errorf("a page lost its updates: %w", err))
		}
		if bytes.HasPrefix(line, []byte("data:")) {
			updates.Add(1)
		}
	}
}

// ended takes an error for none once everything ends.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// rssOf is the memory that a process has in use, in bytes.
func rssOf(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kib int64
			_, _ = fmt.Sscan(rest, &kib)
			return kib << 10
		}
	}
	return 0
}
