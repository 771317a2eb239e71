package commands

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func testMonitor() *monitor {
	m := &monitor{open: map[string]int{}, consumed: map[string]map[int32]int64{}}
	for _, topic := range followed {
		m.consumed[topic] = map[int32]int64{0: 0}
	}
	return m
}

// next gives the monitor the next record of a topic.
func (m *monitor) next(topic, value string, headers ...string) {
	record := &kgo.Record{Topic: topic, Offset: m.consumed[topic][0], Value: []byte(value)}
	for i := 0; i+1 < len(headers); i += 2 {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: headers[i], Value: []byte(headers[i+1])})
	}
	m.count(record)
}

func reply(id string, more string) string {
	return fmt.Sprintf(`{"request_id":%q,"prediction":4,"cold":[]%s}`, id, more)
}

func TestTheAccountsCloseWhenEveryRequestHasItsReply(t *testing.T) {
	m := testMonitor()
	m.next(topicRequests, `{"request_id":"a","user_id":1,"movie_id":2}`)
	m.next(topicRequests, `{"user_id":1,"movie_id":2}`) // its id is its place: requests-0-1
	m.next(topicRequests, `not json`)
	m.next(topicPredictions, reply("b", "")) // before its request was seen
	if n := m.unanswered(); n != 3 {
		t.Errorf("%d requests without a reply, want 3", n)
	}
	m.next(topicPredictions, reply("requests-0-1", ""))
	m.next(topicRequests, `{"request_id":"b","user_id":1,"movie_id":2}`)
	m.next(topicPredictions, reply("a", ""))
	if n := m.unanswered(); n != 1 {
		t.Errorf("%d requests without a reply, want 1", n)
	}
	m.next(topicDeadLetters, `not json`, "topic", topicRequests, "partition", "0", "offset", "2")
	m.next(topicDeadLetters, `{}`, "topic", topicEvents, "partition", "0", "offset", "9") // of another pipeline
	s := m.status()
	if m.unanswered() != 0 || s.requests != 4 || s.predictions != 3 || s.deadLetters != 2 {
		t.Errorf("%d unanswered of %+v", m.unanswered(), s)
	}
}

func TestRequestsForListsAreNoneOfPredictions(t *testing.T) {
	m := testMonitor()
	m.next(topicRequests, `{"kind":"recommend","user_id":1}`)
	m.next(topicRequests, `{"kind":"recommend","request_id":"a"}`)
	m.next(topicDeadLetters, `{"kind":"recommend","request_id":"a"}`, "topic", topicRequests, "partition", "0", "offset", "1")
	m.next(topicRequests, `{"kind":"dance","request_id":"b"}`)
	if s := m.status(); s.requests != 1 || m.unanswered() != 1 || s.deadLetters != 1 {
		t.Errorf("%d unanswered of %+v, want the one of an unknown kind", m.unanswered(), s)
	}
}

func TestAReplyGivenTwiceCountsOnce(t *testing.T) {
	m := testMonitor()
	m.next(topicRequests, `{"request_id":"a","user_id":1,"movie_id":2}`)
	m.next(topicPredictions, reply("a", ""))
	m.next(topicPredictions, reply("a", ""))
	if s := m.status(); s.predictions != 1 || m.unanswered() != 0 {
		t.Errorf("%d predictions, %d unanswered", s.predictions, m.unanswered())
	}
}

func TestLiveAccuracyLeavesOutWhatTheModelMayHaveSeen(t *testing.T) {
	m := testMonitor()
	m.next(topicPredictions, reply("a", `,"actual":3`))
	m.next(topicPredictions, reply("b", `,"actual":4,"late":true`))
	m.next(topicPredictions, `{"request_id":"c","prediction":4,"cold":["user","movie"]}`)
	if s := m.status(); s.rmseLive != 1 || s.cold != 1 {
		t.Errorf("live RMSE %v, want 1 of the one pair; cold %d", s.rmseLive, s.cold)
	}
}

func TestNothingIsDrainedWhileRecordsAreUnread(t *testing.T) {
	m := testMonitor()
	m.ends = kadm.ListedOffsets{topicRequests: {0: {Topic: topicRequests, Partition: 0, Offset: 2}}}
	if m.drained() {
		t.Error("two requests were never read")
	}
	m.next(topicRequests, `{"request_id":"a","user_id":1,"movie_id":2}`)
	m.next(topicRequests, `{"request_id":"b","user_id":1,"movie_id":2}`)
	m.next(topicPredictions, reply("a", ""))
	if m.drained() {
		t.Error("request b has no reply")
	}
	m.next(topicPredictions, reply("b", ""))
	if !m.drained() {
		t.Errorf("not drained: %s", m.imbalance())
	}
	m.ends[topicEvents] = map[int32]kadm.ListedOffset{0: {Topic: topicEvents, Offset: 1}}
	if m.drained() {
		t.Error("an event is not stored")
	}
}

// A challenger's announcement was once taken for that of the champion.
func TestOnlyTheChampionsAnnouncementTellsWhichModelServes(t *testing.T) {
	m := testMonitor()
	m.next(topicModels, `{"role":"champion","version":"v2","sequence":2}`)
	m.next(topicModels, `{"role":"challenger:previous","version":"","sequence":3}`)
	m.next(topicModels, `{"role":"challenger:shadow","version":"v3","sequence":4}`)
	if got := m.status().model.Version; got != "v2" {
		t.Errorf("version %q serves, want v2", got)
	}
}
