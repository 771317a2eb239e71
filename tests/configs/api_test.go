package configs

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// serveAPI runs the pipelines with a free address for the interface, and returns
// where it is.
func (m *machine) serveAPI(pipelines ...string) (base string, all fleet) {
	m.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		m.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	m.environment["RECSYS_LISTEN"] = address
	all = m.start(pipelines...)
	base = "http://" + address
	m.until("the interface", func() bool { status, _ := m.http("GET", base+"/api/health/ready", ""); return status == http.StatusOK })
	return base, all
}

// http returns status and body, 0 if nobody answers.
func (m *machine) http(method, url, body string) (status int, answer string) {
	m.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		m.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		m.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// timesAndIDs are what differs between two replies to the same question.
var timesAndIDs = regexp.MustCompile(`"(request_id|requested_at|predicted_at)":"[^"]*"`)

// TestHTTPAndKafkaGiveTheSameReplies: byte for byte but for times and ids, for
// users and movies that the model knows and does not know.
func TestHTTPAndKafkaGiveTheSameReplies(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	base, all := m.serveAPI("api", "predict")
	var requests []string
	type pair struct{ user, movie int }
	var pairs []pair
	for _, user := range []int{0, 1, 2, 3, 99} {
		for _, movie := range []int{1, 296, 318, 356, 593, 2571, 7777} {
			requests = append(requests, fmt.Sprintf(`{"request_id":"%d-%d","user_id":%d,"movie_id":%d}`, user, movie, user, movie))
			pairs = append(pairs, pair{user, movie})
		}
	}
	m.produce("requests", requests...)
	m.awaitRecords("predictions", len(requests))
	byKafka := map[string]string{}
	for _, r := range m.records("predictions") {
		var p prediction
		if err := json.Unmarshal(r.Value, &p); err != nil {
			t.Fatal(err)
		}
		byKafka[p.RequestID] = string(r.Value)
	}
	status, many := m.http("POST", base+"/api/estimate", "["+strings.Join(requests, ",")+"]")
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(many), &list); err != nil || status != 200 || len(list) != len(pairs) {
		t.Fatalf("many at once: %d, %v: %.300s", status, err, many)
	}
	for i, p := range pairs {
		want := timesAndIDs.ReplaceAllString(byKafka[fmt.Sprintf("%d-%d", p.user, p.movie)], "")
		status, got := m.http("GET", fmt.Sprintf("%s/api/estimate/%d/%d", base, p.user, p.movie), "")
		if got = timesAndIDs.ReplaceAllString(got, ""); status != 200 || got != want || want == "" {
			t.Errorf("%+v: got %d %s, want %s", p, status, got, want)
		}
		if got := timesAndIDs.ReplaceAllString(string(list[i]), ""); got != want {
			t.Errorf("%+v, of many: got %s, want %s", p, got, want)
		}
	}
	all.stop()
	m.expectNoDeadLetters()
}

// TestFeedbackByHTTPIsAnEvent: it is in Kafka when it is answered, goes the way of
// all events, and changes nothing when it is sent again.
func TestFeedbackByHTTPIsAnEvent(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	base, all := m.serveAPI("api", "ingest")
	const feedback = `[{"FeedbackType":"rate","UserId":"7","ItemId":"318","Value":4.5,"Timestamp":"2026-01-02T03:04:05Z"}, {"FeedbackType":"read","UserId":"7","ItemId":"1","Timestamp":"2026-01-02T03:04:05Z"}]`
	for i, method := range []string{"POST", "PUT", "POST"} {
		status, answer := m.http(method, base+"/api/feedback", feedback)
		if status != 200 || answer != `{"RowAffected":2}` {
			t.Fatalf("got %d %s", status, answer)
		}
		m.awaitRecords("events", 2*(i+1)) // a follower learns of what is durable a little later
	}
	for _, r := range m.records("events") {
		if string(r.Key) != "7" || len(r.Headers) > 0 {
			t.Errorf("key %q, headers %v of %s", r.Key, r.Headers, r.Value)
		}
	}
	m.until("the rating", func() bool { return m.count("ratings.db", "ratings") == 1 })
	if status, answer := m.http("POST", base+"/api/feedback", `[{"FeedbackType":"rate","UserId":"7","ItemId":"1","Value":3},{"FeedbackType":"rate","UserId":"","ItemId":"1","Value":3}]`); status != 400 {
		t.Errorf("an empty user: %d %s", status, answer)
	}
	all.stop()
	if r := m.stored()[[2]int64{7, 318}]; r.Value != 4.5 || len(m.stored()) != 1 {
		t.Errorf("stored %+v", m.stored())
	}
	if n := len(m.records("events")); n != 6 {
		t.Errorf("%d events; of a list with an error none is to be written", n)
	}
	m.expectNoDeadLetters()
}

// TestFeedbackWaitsForKafkaAndNobodyElseDoes.
func TestFeedbackWaitsForKafkaAndNobodyElseDoes(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	base, _ := m.serveAPI("api")
	const view = `{"event_type":"view","user_id":7,"movie_id":1,"timestamp":1533873124}`
	if status, answer := m.http("POST", base+"/api/feedback", view); status != 200 {
		t.Fatalf("got %d %s", status, answer)
	}
	m.closeBroker()
	answered := make(chan int, 1)
	go func() {
		status, _ := m.http("POST", base+"/api/feedback", view)
		answered <- status
	}()
	for range 20 {
		if status, answer := m.http("GET", base+"/api/estimate/1/296", ""); status != 200 || !strings.Contains(answer, `"prediction":4.75`) {
			t.Errorf("beside it: %d %s", status, answer)
		}
	}
	select {
	case status := <-answered:
		t.Errorf("answered %d while the broker is away", status)
	default:
	}
	m.openBroker()
	if status := <-answered; status != http.StatusOK && status != http.StatusGatewayTimeout {
		t.Errorf("answered %d", status)
	}
	m.until("feedback again", func() bool { status, _ := m.http("POST", base+"/api/feedback", view); return status == http.StatusOK })
}

// TestBeforeTheFirstModelTheInterfaceSaysSo.
func TestBeforeTheFirstModelTheInterfaceSaysSo(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.environment["RECSYS_REGISTRY"] = "file://" + t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	m.environment["RECSYS_LISTEN"] = l.Addr().String()
	m.start("api")
	base := "http://" + l.Addr().String()
	m.until("the interface", func() bool { status, _ := m.http("GET", base+"/api/health/live", ""); return status == http.StatusOK })
	for _, path := range []string{"/api/estimate/1/296", "/api/health/ready"} {
		if status, answer := m.http("GET", base+path, ""); status != http.StatusServiceUnavailable || !strings.Contains(answer, "there is no model yet") {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	if status, answer := m.http("POST", base+"/api/feedback", `{"event_type":"view","user_id":7,"movie_id":1,"timestamp":1533873124}`); status != 200 {
		t.Errorf("feedback: %d %s", status, answer)
	}
}

// TestPageAndInterfaceShareAnOrigin: as one process has them, whichever starts
// first.
func TestPageAndInterfaceShareAnOrigin(t *testing.T) {
	t.Parallel()
	for _, pipelines := range [][]string{{"api", "dashboard"}, {"dashboard", "api"}, {"dashboard"}, {"api"}} {
		t.Run(strings.Join(pipelines, " and "), func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
			m.environment["RECSYS_LISTEN"] = l.Addr().String()
			p := m.startProcess(pipelines...)
			for path, pipeline := range map[string]string{"/live/health": "dashboard", "/api/health/ready": "api"} {
				want := http.StatusNotFound
				if slices.Contains(pipelines, pipeline) {
					want = http.StatusOK
				}
				m.until(fmt.Sprintf("status %d of %s", want, path), func() bool {
					status, _ := m.http("GET", "http://"+l.Addr().String()+path, "")
					return status == want
				})
			}
			stream, err := http.Get("http://" + l.Addr().String() + "/live/events") // a page that is open keeps nobody from stopping
			if err != nil {
				t.Fatal(err)
			}
			defer stream.Body.Close()
			p.terminate()
			if m.log.contains("level=error") {
				t.Error("there are errors in the log")
			}
		})
	}
}
