package kafka

import (
	"slices"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// FuzzRecord gives a record any key, value and headers: its origin has them all, no
// header passes for where the record came from, and a reply goes to a topic that is
// allowed or nowhere.
func FuzzRecord(f *testing.F) {
	f.Add([]byte("k"), []byte(`{"event_type":"rate"}`), "reply_topic", []byte("mobile"), "kafka_topic", []byte("secret"))
	f.Add([]byte(nil), []byte(nil), "kafka_tombstone", []byte("true"), "kafka_end_of_partition", []byte("true"))
	f.Add([]byte{0xff}, []byte(`{"event_type":1`), "", []byte{}, "traceparent", []byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	o := &output{conf: &outputConfig{replyTopics: []string{"mobile", "web"}}}
	f.Fuzz(func(t *testing.T, key, value []byte, name1 string, value1 []byte, name2 string, value2 []byte) {
		r := &kgo.Record{
			Topic: "events", Partition: 3, Offset: 41, Key: key, Value: value,
			Headers: []kgo.RecordHeader{{Key: name1, Value: value1}, {Key: name2, Value: value2}},
		}
		for _, multi := range []bool{false, true} {
			c := &inputConfig{metadata: metadataAll, multiHeader: multi, eventTypes: map[string]bool{"rate": true}}
			c.wanted(r)
			m := c.messages(&partition{topicValue: "events", idValue: 3}, &batch{records: []*kgo.Record{r}}, 50)[0]
			origin := message.OriginFrom(m.Context())
			if string(origin.Key) != string(key) || string(origin.Value) != string(value) || len(origin.Headers) != 2 {
				t.Fatalf("the origin is %+v", origin)
			}
			for meta, want := range map[string]string{metaTopic: "events", metaPartition: "3", metaOffset: "41", metaLag: "8", metaKey: string(key)} {
				if got, _ := m.MetaGet(meta); got != want {
					t.Fatalf("metadata %s is %q, want %q", meta, got, want)
				}
			}
			if _, ok := m.MetaGet(metaEnd); ok {
				t.Fatal("a header passes for the end of the partition")
			}
			if tombstone, _ := m.MetaGet(metaTombstone); (tombstone == strconv.FormatBool(true)) != (value == nil) {
				t.Fatalf("tombstone %q of value %q", tombstone, value)
			}
			topic, rejection := o.replyTopic(m)
			if topic != "" && !slices.Contains(o.conf.replyTopics, topic) || topic != "" && rejection != nil {
				t.Fatalf("the reply goes to %q, %v", topic, rejection)
			}
		}
	})
}
