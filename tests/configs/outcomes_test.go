package configs

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/tidwall/gjson"
)

// TestWhatComesOfListsIsAttributed, to the version that made each, for lists by HTTP
// and by Kafka; and a list by HTTP waits for no Kafka.
func TestWhatComesOfListsIsAttributed(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.environment["RECSYS_OUTCOME_REPORT"] = "1ms"
	m.environment["RECSYS_COPY_LISTS"] = "true"
	base, all := m.serveAPI("api", "recommend", "outcomes")
	response, err := http.Get(base + "/api/recommend/1?n=2")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	id := response.Header.Get("X-Request-Id")
	m.produce("requests", `{"request_id":"k1","kind":"recommend","user_id":2,"n":2}`)
	movies := map[string][]gjson.Result{}
	for _, r := range m.awaitRecords("recommendations", 2) {
		movies[gjson.GetBytes(r.Value, "request_id").Str] = gjson.GetBytes(r.Value, "items.#.movie_id").Array()
		if string(r.Key) == "" {
			t.Errorf("no key: %s", r.Value)
		}
	}
	if len(movies[id]) != 2 || len(movies["k1"]) != 2 {
		t.Fatalf("lists %v, want %s and k1", movies, id)
	}
	m.until("the lists", func() bool {
		return m.log.contains("Of 2 lists by version fixture-1 ") || m.log.contains("Of 1 lists by version fixture-1 ")
	})
	feedback := fmt.Sprintf(`[{"FeedbackType":"view","UserId":"1","ItemId":"%d","RequestId":"%s"},{"event_type":"rate","user_id":2,"movie_id":%d,"value":4,"timestamp":1500000000,"request_id":"k1"}]`,
		movies[id][1].Int(), id, movies["k1"][0].Int())
	if status, answer := m.http("POST", base+"/api/feedback", feedback); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	m.until("the count", func() bool {
		return m.log.contains("Of 2 lists by version fixture-1 users opened or rated a movie of 2 (100.0 %): 1 movies opened, 1 rated")
	})

	m.closeBroker()
	for range 3 { // answered all the same
		if status, answer := m.http("GET", base+"/api/recommend/1?n=2", ""); status != 200 {
			t.Errorf("without Kafka: %d %s", status, answer)
		}
	}
	m.openBroker()
	m.awaitRecords("recommendations", 5) // and made known afterwards
	all.stop()
	m.expectNoDeadLetters()
}
