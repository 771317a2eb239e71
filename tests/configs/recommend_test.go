package configs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestEveryRequestHasOneReplyOrOneDeadLetter, of whatever kind, from the two
// pipelines that read the topic; replies have their requests' keys.
func TestEveryRequestHasOneReplyOrOneDeadLetter(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	var requests []string
	for n := range 20 {
		requests = append(requests,
			fmt.Sprintf(`{"request_id":"p%d","user_id":1,"movie_id":296}`, n),
			fmt.Sprintf(`{"event_type":"rate","request_id":"e%d","user_id":%d,"movie_id":296,"value":4,"timestamp":1533873124}`, n, 100+n),
			fmt.Sprintf(`{"request_id":"r%d","kind":"recommend","user_id":1,"n":2}`, n),
			fmt.Sprintf(`{"request_id":"s%d","kind":"similar","movie_id":318}`, n),
			fmt.Sprintf(`{"request_id":"x%d","kind":"explain","user_id":1,"movie_id":318}`, n))
	}
	bad := []string{
		`{"request_id":"b1","kind":"recommend","user_id":1,"n":0}`, `{"request_id":"b2","kind":"recommend"}`, `{"request_id":"b3","kind":"similar","movie_id":"Heat"}`,
		`{"request_id":"b4","kind":"explain","user_id":1}`, `{"request_id":"b5","kind":"dance","user_id":1}`, `{"request_id":"b6","kind":"recommend"`, `{"request_id":"b7","user_id":1}`, `[]`,
	}
	m.produce("requests", append(slices.Clone(bad), append(requests, bad...)...)...)
	all := m.start("predict", "recommend")
	m.awaitRecords("recommendations", 60)
	m.awaitRecords("predictions", 40)
	m.awaitRecords("dead_letters", 2*len(bad))
	all.stop() // whatever else there is comes before that

	keys := map[string]string{}
	for _, r := range m.records("requests") {
		keys[gjson.GetBytes(r.Value, "request_id").Str] = string(r.Key)
	}
	replies := map[string]int{}
	for _, topic := range []string{"predictions", "recommendations"} {
		for _, r := range m.records(topic) {
			id := gjson.GetBytes(r.Value, "request_id").Str
			replies[id]++
			if string(r.Key) != keys[id] || (topic == "recommendations") != gjson.GetBytes(r.Value, "items").IsArray() {
				t.Errorf("%s with key %q: %s", topic, r.Key, r.Value)
			}
		}
	}
	for _, request := range requests {
		if id := gjson.Get(request, "request_id").Str; replies[id] != 1 {
			t.Errorf("%d replies to %s", replies[id], request)
		}
	}
	letters := map[string]int{}
	for _, r := range m.records("dead_letters") {
		letters[string(r.Value)]++
	}
	for _, request := range bad {
		if letters[request] != 2 {
			t.Errorf("%d dead letters of %s, want one for each time", letters[request], request)
		}
	}
	if len(replies) != len(requests) || len(letters) != len(bad) {
		t.Errorf("replies to %d requests, want %d; dead letters of %d, want %d", len(replies), len(requests), len(letters), len(bad))
	}
}

// TestARequestSaysWhereItsReplyGoes, if the pipelines allow that topic.
func TestARequestSaysWhereItsReplyGoes(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.environment["RECSYS_REPLY_TOPICS"] = "mobile, web"
	ask := func(request, topic string) {
		r := &kgo.Record{Topic: "requests", Value: []byte(request)}
		if topic != "" {
			r.Headers = []kgo.RecordHeader{{Key: "reply_topic", Value: []byte(topic)}}
		}
		if err := m.client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for topic, name := range map[string]string{"": "own", "mobile": "mobile", "models": "refused"} {
		ask(fmt.Sprintf(`{"request_id":"p-%s","user_id":1,"movie_id":296}`, name), topic)
		ask(fmt.Sprintf(`{"request_id":"r-%s","kind":"recommend","user_id":1,"n":2}`, name), topic)
	}
	all := m.start("predict", "recommend")
	m.awaitRecords("mobile", 2)
	m.awaitRecords("dead_letters", 2)
	m.awaitRecords("predictions", 1)
	m.awaitRecords("recommendations", 1)
	all.stop()
	for topic, want := range map[string][]string{
		"predictions": {"p-own"}, "recommendations": {"r-own"}, "mobile": {"p-mobile", "r-mobile"}, "dead_letters": {"p-refused", "r-refused"}, "models": nil,
	} {
		var got []string
		for _, r := range m.records(topic) {
			got = append(got, gjson.GetBytes(r.Value, "request_id").Str)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("topic %s has %q, want %q", topic, got, want)
		}
	}
	for _, reason := range m.deadLetters() {
		if !strings.Contains(reason, `header reply_topic: "models" is not a topic for replies here; allowed are mobile, web, `) {
			t.Errorf("a dead letter says %s", reason)
		}
	}
}
