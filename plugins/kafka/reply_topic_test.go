package kafka

import (
	"errors"
	"slices"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

const replyYAML = outputYAML + "reply_topics: ['mobile, web', '']\n"

// asking is a message of a record that asks for its reply by headers.
func asking(t *testing.T, value string, topics ...string) *service.Message {
	origin := &message.Origin{Key: []byte("k"), Headers: []message.Header{{Key: "trace", Value: []byte("web")}}}
	for _, topic := range topics {
		origin.Headers = append(origin.Headers, message.Header{Key: "reply_topic", Value: []byte(topic)})
	}
	return service.NewMessageWithContext(message.WithOrigin(testContext(t), origin), []byte(value))
}

func TestOutputWritesRepliesWhereTheRequestAsks(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "out"}, broker.Topic{Name: "mobile"}, broker.Topic{Name: "web"}, broker.Topic{Name: "secret"})
	o := startOutput(t, b.Addr(), replyYAML)
	batch := service.MessageBatch{
		asking(t, "none"), asking(t, "mobile", "mobile"), asking(t, "refused", "secret"), asking(t, "last", "secret", "web"),
		asking(t, "own", "out"), asking(t, "empty", ""), newMessage("k", "no origin"),
	}
	index := batch.Index()
	failed := failures(t, batch, index, o.WriteBatch(testContext(t), batch))
	var rejection *message.Rejection
	const want = `header reply_topic: "secret" is not a topic for replies here; allowed are mobile, web, out`
	if len(failed) != 1 || !errors.As(failed[2], &rejection) || rejection.Reason != want {
		t.Errorf("failed: %v, want of message 2 that %s", failed, want)
	}
	for topic, want := range map[string][]string{"out": {"none", "own", "empty", "no origin"}, "mobile": {"mobile"}, "web": {"last"}} {
		var got []string
		for _, r := range readTopic(t, b.Addr(), topic, len(want)) {
			got = append(got, string(r.Value))
		}
		if !slices.Equal(got, want) {
			t.Errorf("topic %s has %q, want %q", topic, got, want)
		}
	}
	if n := endOffset(t, b.Addr(), "secret"); n != 0 {
		t.Errorf("%d records in a topic that is not allowed", n)
	}
}

func TestOutputIgnoresTheHeaderWhereNoTopicsAreAllowed(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "out"}, broker.Topic{Name: "web"})
	o := startOutput(t, b.Addr(), outputYAML)
	if err := o.WriteBatch(testContext(t), service.MessageBatch{asking(t, "v", "web")}); err != nil {
		t.Fatal(err)
	}
	if got := readTopic(t, b.Addr(), "out", 1); string(got[0].Value) != "v" {
		t.Errorf("written: %q", got[0].Value)
	}
}

// TestATransactionHoldsRepliesOfAllTopics: what asks for another topic is committed
// with the rest, or aborted with it.
func TestATransactionHoldsRepliesOfAllTopics(t *testing.T) {
	t.Parallel()
	b := startBroker(t, broker.Topic{Name: "events"}, broker.Topic{Name: "out"}, broker.Topic{Name: "web"})
	client := newClient(t, b.Addr())
	for _, r := range []*kgo.Record{{Value: []byte("plain")}, {Value: []byte("asks"), Headers: []kgo.RecordHeader{{Key: "reply_topic", Value: []byte("web")}}}} {
		r.Topic = "events"
		if err := client.ProduceSync(testContext(t), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	i, o := startInput(t, b.Addr(), transactionYAML), startOutput(t, b.Addr(), copyYAML+"reply_topics: [web]\n")
	for tries, done := 0, 0; done < 2; tries++ { // the first try is aborted
		r := readBatch(t, i)
		if err := o.WriteBatch(t.Context(), r.batch); err != nil {
			t.Fatal(err)
		}
		if tries == 0 {
			mustAck(t, r, errors.New("no"))
			continue
		}
		mustAck(t, r, nil)
		done += len(r.batch)
	}
	until(t, "the commit", func() bool { return committed(t, b.Addr(), "g", "events", 0) == 2 })
	for topic, want := range map[string]string{"out": "plain", "web": "asks"} {
		if values := committedValues(t, b.Addr(), topic); len(values) != 1 || values[want] != 1 {
			t.Errorf("committed in %s: %v, want %s once", topic, values, want)
		}
	}
}
