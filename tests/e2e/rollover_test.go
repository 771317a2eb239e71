package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// predictors are processes that share the requests, on an embedded broker and a
// registry of their own.
type predictors struct {
	t        *testing.T
	state    string
	registry string
	kafka    *kafka
}

func newPredictors(t *testing.T) *predictors {
	p := &predictors{t: t, state: t.TempDir()}
	p.registry = "file://" + filepath.Join(p.state, "registry")
	address := freeAddress(t)
	startBroker(t, p.state, address)
	p.kafka = connect(t, address)
	return p
}

// train makes a version and returns its name.
func (p *predictors) train(args ...string) string {
	p.t.Helper()
	out := runBinary(p.t, "", append([]string{"train", "--ratings", recsystest.DataDir(p.t), "--registry", p.registry, "--json"}, args...)...)
	version := gjson.Get(out, "version").Str
	if version == "" {
		p.t.Fatalf("no version was trained: %s", out)
	}
	return version
}

// start runs predict and models by the given program.
func (p *predictors) start(path string) *process {
	p.t.Helper()
	return p.pipelines(path, "predict", "models")
}

// pipelines runs pipelines by the given program.
func (p *predictors) pipelines(path string, names ...string) *process {
	p.t.Helper()
	args := []string{"streams", "-o", "config/service.yaml", "-r", "config/embedded.yaml"}
	for _, name := range names {
		args = append(args, "pipelines/"+name+".yaml")
	}
	return startProgram(p.t, path, launch{
		dir: "../..",
		env: []string{
			"KAFKA_BROKERS=" + p.kafka.address, "RECSYS_STATE=" + p.state, "RECSYS_REGISTRY=" + p.registry,
			"RECSYS_MOVIES=" + recsystest.DataDir(p.t), "RECSYS_ADMIN=127.0.0.1:0",
		},
		args: args,
	})
}

// serves waits until the process says that a version serves.
func (p *predictors) serves(process *process, version string, limit time.Duration) {
	p.t.Helper()
	eventually(p.t, limit, process, func() error {
		said := process.stdout.String() + process.stderr.String()
		at := strings.LastIndex(said, "serves now")
		if at < 0 || !strings.Contains(said[max(0, at-80):at], version) {
			return fmt.Errorf("version %s does not serve yet", version)
		}
		return nil
	})
}

// steady sends requests until stopped, and notes how late each reply is.
type steady struct {
	p     *predictors
	stop  context.CancelFunc
	ended sync.WaitGroup

	mu      sync.Mutex
	sent    map[string]time.Time
	latest  time.Duration // of all replies
	replies map[string]int
}

const steadyRate = 200 // requests a second

func (p *predictors) requests() *steady {
	ctx, stop := context.WithCancel(context.Background())
	s := &steady{p: p, stop: stop, sent: map[string]time.Time{}, replies: map[string]int{}}
	s.ended.Go(func() {
		ticker := time.NewTicker(time.Second / steadyRate)
		defer ticker.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			id := fmt.Sprint("steady-", n)
			value := fmt.Sprintf(`{"request_id":"%s","user_id":%d,"movie_id":%d}`, id, 1+n%600, 1+n%200)
			s.mu.Lock()
			s.sent[id] = time.Now()
			s.mu.Unlock()
			p.kafka.client.Produce(context.Background(), &kgo.Record{Topic: "requests", Key: fmt.Append(nil, n%600), Value: []byte(value)}, nil)
		}
	})
	reader, err := kgo.NewClient(kgo.SeedBrokers(p.kafka.address), kgo.ConsumeTopics("predictions"), kgo.FetchMaxWait(20*time.Millisecond))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { s.stop(); reader.Close(); s.ended.Wait() })
	go func() {
		for {
			fetches := reader.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				return
			}
			fetches.EachRecord(s.reply)
		}
	}()
	return s
}

func (s *steady) reply(r *kgo.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := gjson.GetBytes(r.Value, "request_id").Str
	if at, ok := s.sent[id]; ok && s.replies[id] == 0 {
		s.latest = max(s.latest, time.Since(at))
	}
	s.replies[id]++
}

// finish stops the requests, waits for the last reply, and returns how many were
// sent and how late the latest reply was.
func (s *steady) finish() (sent int, latest time.Duration) {
	s.p.t.Helper()
	s.stop()
	deadline := time.Now().Add(20 * time.Second)
	for {
		s.mu.Lock()
		missing := len(s.sent) - len(s.replies)
		sent, latest = len(s.sent), s.latest
		s.mu.Unlock()
		if missing == 0 {
			return sent, latest
		}
		if time.Now().After(deadline) {
			s.p.t.Fatalf("%d of %d requests have no reply", missing, sent)
		}
		time.Sleep(25 * time.Millisecond)
	}
}

// TestARollingRestartIsNotNoticed restarts predictors one after the other under
// traffic, as an upgrade does. RECSYS_OLD_BINARY may name a program of an older
// version, with which they begin.
func TestARollingRestartIsNotNoticed(t *testing.T) {
	p := newPredictors(t)
	first := p.train("--algorithm", "als", "--iterations", "2")
	old := program
	if path := os.Getenv("RECSYS_OLD_BINARY"); path != "" {
		old = path
	}
	running := []*process{p.start(old), p.start(old)}
	for _, process := range running {
		p.serves(process, first, 30*time.Second)
	}
	requests := p.requests()
	time.Sleep(2 * time.Second) // traffic as usual
	for i, process := range running {
		next := p.start(program)
		p.serves(next, first, 30*time.Second)
		process.signal(syscall.SIGTERM)
		if code := process.wait(10 * time.Second); code != 0 {
			t.Errorf("predictor %d ended with code %d\n%s", i, code, process.tail())
		}
		time.Sleep(2 * time.Second)
	}
	sent, latest := requests.finish()
	t.Logf("%d requests, the latest reply after %s", sent, latest.Round(time.Millisecond))
	if latest > 2*time.Second {
		t.Errorf("a reply was late by %s", latest)
	}
}

// TestARollbackFromTheTerminalReachesAllPredictors: also by the log alone, as the
// command line does not write to Kafka.
func TestARollbackFromTheTerminalReachesAllPredictors(t *testing.T) {
	p := newPredictors(t)
	first := p.train("--algorithm", "als", "--iterations", "2")
	second := p.train("--algorithm", "als", "--iterations", "3", "--force")
	var running []*process
	for range 3 {
		running = append(running, p.start(program))
	}
	for _, process := range running {
		p.serves(process, second, 30*time.Second)
	}
	requests := p.requests()
	began := time.Now()
	runBinary(t, "", "models", "rollback", "--registry", p.registry, "--reason", "it was worse")
	for _, process := range running {
		p.serves(process, first, 5*time.Second-time.Since(began))
	}
	t.Logf("three predictors serve version %s again after %s", first, time.Since(began).Round(time.Millisecond))
	if _, latest := requests.finish(); latest > 2*time.Second {
		t.Errorf("a reply was late by %s", latest)
	}
	log := runBinary(t, "", "models", "log", "--registry", p.registry)
	if !strings.Contains(log, "champion again in place of "+second) || !strings.Contains(log, "it was worse") {
		t.Errorf("the log does not tell of it:\n%s", log)
	}
}
