package dashboard

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/origin"
)

func startTest(t *testing.T, refresh time.Duration) (d *dashboard, url string) {
	t.Helper()
	d = newDashboard(config{address: "127.0.0.1:0", window: 15 * time.Minute, refresh: refresh, title: "<b>Title</b>", notice: "simulated"}, origin.New())
	if err := d.Connect(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.Background()) })
	return d, "http://" + d.server.addr.String()
}

// pageState is what the tests look at in a state.
type pageState struct {
	Title, Notice string
	Totals        struct {
		Predictions int64 `json:"predictions"`
		Models      int64 `json:"models"`
		DeadLetters int64 `json:"dead_letters"`
		Ends        int64 `json:"ends_of_partitions"`
	}
	Latest []struct {
		Title string
	}
	DeadLetters []struct{ Reason, Topic, Offset string } `json:"dead_letters"`
}

func snapshot(t *testing.T, url string) (s pageState) {
	t.Helper()
	response, err := http.Get(url + "/live/snapshot")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// nextEvent reads one event of a stream.
func nextEvent(t *testing.T, lines *bufio.Reader) (s pageState) {
	t.Helper()
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			if err := json.Unmarshal([]byte(data), &s); err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
}

func withMeta(body string, pairs ...string) *service.Message {
	m := service.NewMessage([]byte(body))
	for i := 0; i < len(pairs); i += 2 {
		m.MetaSetMut(pairs[i], pairs[i+1])
	}
	return m
}

func TestEveryTopicReachesThePage(t *testing.T) {
	d, url := startTest(t, minRefresh)
	rng := rand.New(rand.NewPCG(1, 2))
	batch := service.MessageBatch{
		demoMessage(1, time.Now(), rng), demoAnnouncement(0, time.Now()), demoDeadLetter(1), demoDeadLetter(1),
		withMeta("", "kafka_end_of_partition", "true", "kafka_topic", "models"),
		withMeta("", "kafka_tombstone", "true", "kafka_topic", "models"),
		withMeta("anything", "kafka_topic", "dead_letters"),
	}
	if err := d.WriteBatch(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
	s := snapshot(t, url)
	if s.Totals.Predictions != 1 || s.Totals.Models != 1 || s.Totals.DeadLetters != 2 || s.Totals.Ends != 1 {
		t.Errorf("totals %+v", s.Totals)
	}
	if s.Title != "<b>Title</b>" || s.Notice != "simulated" || s.DeadLetters[0].Reason+s.DeadLetters[1].Reason == "" {
		t.Errorf("state %+v", s)
	}
}

func TestAMessageThatCannotBeReadFailsAlone(t *testing.T) {
	d, url := startTest(t, minRefresh)
	good := demoMessage(1, time.Now(), rand.New(rand.NewPCG(1, 2)))
	batch := service.MessageBatch{withMeta("{"), good, withMeta(`{"role":1}`, "kafka_topic", "models")}
	index := batch.Index()
	err := d.WriteBatch(context.Background(), batch)
	var failed *service.BatchError
	if !errors.As(err, &failed) {
		t.Fatalf("got %v", err)
	}
	var which []int
	failed.WalkMessagesIndexedBy(index, func(i int, _ *service.Message, err error) bool {
		var r *message.Rejection
		if err != nil && errors.As(err, &r) {
			which = append(which, i)
		}
		return true
	})
	if fmt.Sprint(which) != "[0 2]" {
		t.Errorf("messages %v failed", which)
	}
	if got := snapshot(t, url).Totals.Predictions; got != 1 {
		t.Errorf("%d predictions", got)
	}
}

func TestViewersGetNewStatesAndEndWithTheServer(t *testing.T) {
	d, url := startTest(t, minRefresh)
	var viewers []*bufio.Reader
	for range 3 {
		response, err := http.Get(url + "/live/events")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
			t.Fatalf("events are %s", got)
		}
		viewers = append(viewers, bufio.NewReader(response.Body))
		nextEvent(t, viewers[len(viewers)-1])
	}
	msg := demoMessage(1, time.Now(), rand.New(rand.NewPCG(1, 2)))
	if err := d.WriteBatch(context.Background(), service.MessageBatch{msg}); err != nil {
		t.Fatal(err)
	}
	for _, lines := range viewers {
		for nextEvent(t, lines).Totals.Predictions == 0 {
		}
	}
	for range 2 {
		if err := d.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	for _, lines := range viewers {
		if _, err := io.Copy(io.Discard, lines); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	}
}

func TestAViewerThatDoesNotReadDoesNotHoldUpTheOthers(t *testing.T) {
	n := 0
	h := newHub(func() ([]byte, error) { n++; return fmt.Append(nil, n), nil }, time.Hour)
	h.send()
	if n != 0 {
		t.Error("a state is encoded for nobody")
	}
	slow, _ := h.join()
	quick, _ := h.join()
	for i := range 5 {
		h.send()
		if got := string(<-quick); got != fmt.Sprint(i+1) {
			t.Errorf("state %s, want %d", got, i+1)
		}
	}
	if got := string(<-slow); got != "5" || n != 5 {
		t.Errorf("the slow viewer gets state %s of %d", got, n)
	}
	h.leave(slow)
	for h.count() < maxViewers {
		_, _ = h.join()
	}
	if _, err := h.join(); !errors.Is(err, errTooManyViewers) {
		t.Errorf("one viewer too many gives %v", err)
	}
}

func TestAnAddressThatIsTakenIsToldOnceAndThenWaitedFor(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := taken.Addr().String()
	d := newDashboard(config{address: address, window: minWindow, refresh: minRefresh}, origin.New())
	defer d.Close(context.Background()) //nolint:errcheck // checked elsewhere
	err = d.Connect(context.Background())
	if err == nil || !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "set the field address") {
		t.Fatalf("got %v", err)
	}
	connected := make(chan error, 1)
	go func() { connected <- d.Connect(context.Background()) }()
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-connected; err != nil {
		t.Error(err)
	}
}

func TestThePageIsSafeAndSmall(t *testing.T) {
	_, url := startTest(t, minRefresh)
	total := 0
	for _, path := range []string{"/", "/live/app.js", "/live/panels.js", "/live/api.js", "/live/stars.js", "/live/foryou.js", "/live/admin.js", "/live/views.js", "/live/style.css", "/live/charts.js", "/live/icon.svg"} {
		response, err := http.Get(url + path) // asks for gzip, and unpacks
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusOK || !response.Uncompressed || len(body) == 0 {
			t.Errorf("%s: %s, %d bytes", path, response.Status, len(body))
		}
		h := response.Header
		if policy := h.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %s", path, policy)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cross-Origin-Opener-Policy") != "same-origin" {
			t.Errorf("%s: headers %v", path, h)
		}
		if path != "/live/charts.js" && bytes.Contains(body, []byte("innerHTML")) {
			t.Errorf("%s writes markup", path)
		}
		if strings.HasSuffix(path, ".js") && bytes.Contains(body, []byte("localStorage")) || path == "/" && bytes.Contains(body, []byte(" style=")) {
			t.Errorf("%s stores something, or has style in markup", path)
		}
		tag := response.Header.Get("ETag")
		request, _ := http.NewRequest(http.MethodGet, url+path, nil)
		request.Header.Set("If-None-Match", tag)
		if response, err := http.DefaultClient.Do(request); err != nil || response.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %v", path, err)
		}
	}
	for _, a := range assets() {
		total += len(a.zipped)
	}
	if total > 300_000 {
		t.Errorf("the page is %d bytes", total)
	}
	for path, want := range map[string]int{"/": http.StatusMethodNotAllowed, "/live/snapshot": http.StatusMethodNotAllowed, "/other": http.StatusNotFound} {
		response, err := http.Post(url+path, "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("POST %s gives %s, want %d", path, response.Status, want)
		}
	}
}

func TestBadConfigurationNamesTheField(t *testing.T) {
	for yaml, want := range map[string]string{
		"address: localhost":  "field address",
		"window: 1m":          "field window",
		"refresh: 1ms":        "field refresh",
		"compare_period: 1ms": "field compare_period",
	} {
		conf, err := dashboardSpec().ParseYAML(yaml, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseConfig(conf); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", yaml, err, want)
		}
	}
}

func TestExamplesOfTheSpecLint(t *testing.T) {
	view, _ := service.GlobalEnvironment().GetOutputConfig("dashboard")
	data, err := view.TemplateData()
	if err != nil || len(data.Examples) == 0 {
		t.Fatalf("%d examples, %v", len(data.Examples), err)
	}
	linter := service.GlobalEnvironment().FullConfigSchema("", "").NewStreamConfigLinter()
	for _, example := range data.Examples {
		if lints, err := linter.LintYAML([]byte(example.Config)); err != nil || len(lints) > 0 {
			t.Errorf("%q: %v %v", example.Title, err, lints)
		}
	}
}
