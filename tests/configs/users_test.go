package configs

import (
	"net/http"
	"strings"
	"testing"
)

// TestUsersAndTheirFeedbackByHTTP: what is written is told once ingest has it, a
// rating can be taken back, and a forgotten user is unknown.
func TestUsersAndTheirFeedbackByHTTP(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	base, all := m.serveAPI("api", "ingest")
	expect := func(method, path, body string, want int, parts ...string) {
		t.Helper()
		var status int
		var answer string
		m.until(method+" "+path+" to be answered so", func() bool {
			status, answer = m.http(method, base+path, body)
			for _, part := range parts {
				if !strings.Contains(answer, part) {
					return false
				}
			}
			return status == want
		})
	}
	expect("GET", "/api/user/7", "", http.StatusNotFound, "nothing is known of user 7")
	expect("POST", "/api/user", `{"UserId":"7","Labels":{"plan":"free"},"Comment":"Ann"}`, 200, `{"RowAffected":1}`)
	expect("GET", "/api/user/7", "", 200, `{"UserId":"7","Labels":{"plan":"free"},"Comment":"Ann"}`)
	expect("PATCH", "/api/user/7", `{"Comment":"Eve"}`, 200)
	expect("GET", "/api/user/7", "", 200, `"Labels":{"plan":"free"},"Comment":"Eve"`)
	expect("POST", "/api/feedback", `[{"FeedbackType":"rate","UserId":"7","ItemId":"318","Value":4.5,"Timestamp":"2026-01-02T03:04:05Z"},
		{"FeedbackType":"read","UserId":"7","ItemId":"1","Timestamp":"2026-01-02T03:04:05Z"},{"event_type":"tag","user_id":8,"movie_id":1,"value":"dark","timestamp":1533873124}]`, 200)
	expect("GET", "/api/feedback/rate/7/318", "", 200, `"Value":4.5,"Timestamp":"2026-01-02T03:04:05Z"`)
	expect("GET", "/api/user/7/known-items", "", 200, `["1","318"]`)
	expect("GET", "/api/user/8/feedback", "", 200, `"Comment":"dark"`)
	expect("GET", "/api/feedback?n=1", "", 200, `{"Cursor":"7.1",`)
	expect("GET", "/api/users", "", 200, `{"Cursor":"","Users":[{"UserId":"7"`)
	expect("DELETE", "/api/feedback/7/318", "", 200, `{"RowAffected":1}`)
	expect("GET", "/api/user/7/feedback", "", 200, `[{"FeedbackType":"view",`)
	expect("DELETE", "/api/user/7", "", 200, `{"RowAffected":1}`)
	expect("GET", "/api/user/7", "", http.StatusNotFound)
	expect("GET", "/api/users", "", 200, `{"Cursor":"","Users":[]}`)
	all.stop()
	for _, r := range m.records("events") {
		if key := string(r.Key); key != "7" && key != "8" {
			t.Errorf("key %q of %s", key, r.Value)
		}
	}
	m.expectNoDeadLetters()
}

// TestModelsChangeByHTTP: the process that is asked and others follow the log.
func TestModelsChangeByHTTP(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	base, all := m.serveAPI("api")
	other := m.startProcess("predict")
	expect := func(value string) {
		t.Helper()
		m.until("the prediction "+value, func() bool {
			_, answer := m.http("GET", base+"/api/estimate/1/296", "")
			return strings.Contains(answer, `"prediction":`+value+`,`)
		})
	}
	expect("4.75")
	if status, answer := m.http("POST", base+"/api/models/promote", `{"version":"`+nextVersion+`"}`); status != 200 {
		t.Fatalf("promoting: %d %s", status, answer)
	}
	expect("4.25")
	m.until("the other process", func() bool {
		return m.log.contains("Model version "+nextVersion+" serves now (promotion 2)") && m.ask("a").Prediction == 4.25
	})
	if status, answer := m.http("GET", base+"/api/models/champion", ""); status != 200 || !strings.Contains(answer, `"version":"`+nextVersion+`"`) {
		t.Errorf("the champion: %d %s", status, answer)
	}
	if status, answer := m.http("POST", base+"/api/models/rollback", ""); status != 200 || !strings.Contains(answer, "is champion again") {
		t.Errorf("rolling back: %d %s", status, answer)
	}
	expect("4.75")
	all.stop()
	other.terminate()
	m.expectNoDeadLetters()
}

// TestAListForAGroupIsTheSameByHTTPAndKafka.
func TestAListForAGroupIsTheSameByHTTPAndKafka(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	base, all := m.serveAPI("api", "recommend")
	status, answer := m.http("POST", base+"/api/recommend-to-many", `{"users":[1,2,99],"n":3}`)
	if status != 200 || !strings.Contains(answer, `"users":[1,2,99],"items":[{"movie_id":`) {
		t.Fatalf("got %d %s", status, answer)
	}
	m.produce("requests", `{"request_id":"g","kind":"recommend","users":["1",2,99],"n":3}`, `{"request_id":"h","kind":"recommend","users":[1],"user_id":1}`)
	reply := string(m.awaitRecords("recommendations", 1)[0].Value)
	if got, want := timesAndIDs.ReplaceAllString(reply, ""), timesAndIDs.ReplaceAllString(answer, ""); got != want {
		t.Errorf("by Kafka\n%s\nby HTTP\n%s", got, want)
	}
	letter := m.awaitRecords("dead_letters", 1)[0]
	if reason := headers(letter)["error"]; !strings.Contains(reason, `field "users": stands in place of user_id`) {
		t.Errorf("the other is a dead letter that says %q", reason)
	}
	all.stop()
}
