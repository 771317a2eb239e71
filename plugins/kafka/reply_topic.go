package kafka

import (
	"fmt"
	"strings"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// headerReplyTopic is the header in which a request names the topic of its reply.
const headerReplyTopic = "reply_topic"

func replyTopicsField() *service.ConfigField {
	return service.NewStringListField(fieldReplyTopics).
		Description("Topics that who asks may choose for the reply. A message that began as a Kafka record with the header `reply_topic` is written to the topic that this header names, if it is one of these or the field `topic`, and rejected otherwise. An element may name several, with commas between. If the list is empty the header is ignored. The topics have to exist, or be created by the broker: one that is missing is waited for.").
		Default([]any{}).
		Example([]any{"mobile_predictions", "web_predictions"}).Advanced()
}

// parseReplyTopics returns the topics that replies may go to, the output's own one
// among them, or nothing.
func parseReplyTopics(conf *service.ParsedConfig, own *service.InterpolatedString) ([]string, error) {
	elements, err := conf.FieldStringList(fieldReplyTopics)
	if err != nil {
		return nil, err
	}
	var topics []string
	for _, topic := range strings.Split(strings.Join(elements, ","), ",") {
		if topic = strings.TrimSpace(topic); topic == "" {
			continue
		}
		if reason := invalidTopic(topic); reason != "" {
			return nil, fmt.Errorf("field %s: %s", fieldReplyTopics, reason)
		}
		topics = append(topics, topic)
	}
	if topic, static := own.Static(); static && len(topics) > 0 {
		topics = append(topics, topic)
	}
	return topics, nil
}

// replyTopic is the topic that the message's origin asks for, "" if it asks for none.
// The last of several headers counts, as for metadata.
func (o *output) replyTopic(m *service.Message) (string, *message.Rejection) {
	origin := message.OriginFrom(m.Context())
	if origin == nil {
		return "", nil
	}
	var asked []byte
	for _, h := range origin.Headers {
		if h.Key == headerReplyTopic {
			asked = h.Value
		}
	}
	if len(asked) == 0 {
		return "", nil
	}
	for _, topic := range o.conf.replyTopics {
		if topic == string(asked) {
			return topic, nil
		}
	}
	const most = 249 // bytes of a topic's name
	return "", message.Rejectf(component, "header %s: %q is not a topic for replies here; allowed are %s", headerReplyTopic, asked[:min(len(asked), most)], strings.Join(o.conf.replyTopics, ", "))
}
