package configs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// rate sends one rating of each of many new users as requests, at a time that
// Kafka is told. Nothing is known of users and movie: fixture-1 says 3.5 stars,
// fixture-2 says 3.
func (m *machine) rate(first, users int, at time.Time) {
	m.Helper()
	var records []*kgo.Record
	for user := first; user < first+users; user++ {
		value := 4.0
		if user%4 == 0 {
			value = 3
		}
		records = append(records, &kgo.Record{
			Topic: "requests", Key: fmt.Append(nil, user), Timestamp: at,
			Value: fmt.Appendf(nil, `{"request_id":"rated-%d","event_type":"rate","user_id":%d,"movie_id":7777,"value":%v,"timestamp":%d}`, user, user, value, at.Unix()),
		})
	}
	if err := m.client.ProduceSync(m.Context(), records...).FirstErr(); err != nil {
		m.Fatal(err)
	}
}

// TestAPromotionThatMadePredictionsWorseIsTakenBack: fixture-2 takes the place of
// fixture-1, and is worse for the users who rate that day.
func TestAPromotionThatMadePredictionsWorseIsTakenBack(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.promote(nextVersion)
	all := m.startProcess("predict", "models", "probation")
	m.expectPrediction("before", nextVersion, 4.25)
	before := time.Now().Add(-72 * time.Hour)
	m.rate(1000, 80, before)
	m.awaitRecords("predictions", 81)
	m.rate(2000, 1, before.Add(48*time.Hour)) // that day is over
	m.until("the rollback", func() bool { return m.log.contains("Model version " + championVersion + " serves now (promotion 3)") })
	m.expectPrediction("after", championVersion, 4.75)

	announced := m.awaitRecords("models", 1)[0]
	a, err := message.DecodeAnnouncement("test", announced.Value)
	if err != nil || string(announced.Key) != "champion" || a.Version != championVersion || a.Action != "rollback" || a.Sequence != 3 ||
		!strings.Contains(a.Reason, "is better than the champion, version "+nextVersion) {
		t.Errorf("announced with key %s: %s, %v", announced.Key, announced.Value, err)
	}
	m.expectNoDeadLetters()

	m.produce("predictions", `{"request_id":"x","shadows":[}`)
	letter := m.awaitRecords("dead_letters", 1)[0]
	if reason := headers(letter)["error"]; !strings.Contains(reason, "reading a prediction: invalid character") || headers(letter)["component"] != "als_compare" {
		t.Errorf("dead letter %s with %v", letter.Value, headers(letter))
	}
	all.terminate()

	// A process that starts now reads all of it again, and changes nothing.
	again := m.startProcess("models", "probation")
	m.produce("predictions", `{"request_id":"y","shadows":3}`)
	m.awaitRecords("dead_letters", 3) // the first one again, and this one
	again.terminate()
	if latest, _, err := m.registry().Latest(); err != nil || latest.Sequence != 3 {
		t.Errorf("promotion %d is the last one, %v", latest.Sequence, err)
	}
}

// TestFallingSkillAsksForATraining: what the champion predicts is as good as the
// users' biases at first, and half a star worse after.
func TestFallingSkillAsksForATraining(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	all := m.startProcess("models", "probation")
	user := 0
	predict := func(count int, off float64) {
		t.Helper()
		var values []string
		for range count {
			user++
			actual := 3 + float64(user%3)/2
			values = append(values, fmt.Sprintf(`{"request_id":"%d","user_id":%d,"movie_id":7777,"prediction":%v,"model_version":"%s","actual":%v}`,
				user, 1_000_000+user, 3.5+off, championVersion, actual))
		}
		m.produce("predictions", values...)
	}
	predict(4500, 0.1)
	predict(6000, 0.6)
	trigger := m.awaitRecords("train", 1)[0]
	if got := gjson.GetManyBytes(trigger.Value, "trigger", "version", "skill", "reference"); got[0].Str != "skill" || got[1].Str != championVersion || !(got[2].Num < got[3].Num-0.02) {
		t.Errorf("trigger %s", trigger.Value)
	}
	all.terminate()
	// A window that is half of each falls less than the next.
	if n := len(m.records("train")); n > 2 {
		t.Errorf("%d triggers", n)
	}
	m.expectNoDeadLetters()
}
