package als

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// order is what a trigger asks als_train for:
//
//	{"trigger": "schedule", "force": false}
type order struct {
	// Trigger names who asks. Empty or "interval" it is a look whether enough
	// ratings are new; any other asks for a training at once.
	Trigger string `json:"trigger"`

	// Force asks for a training though nothing is new.
	Force bool `json:"force"`
}

const (
	triggerInterval = "interval"
	maxTrigger      = 64 // bytes
)

func (o order) isLook() bool { return o.Trigger == "" || o.Trigger == triggerInterval }

// name is what the manifest says of it.
func (o order) name() string {
	if o.Trigger == "" {
		return triggerInterval
	}
	return o.Trigger
}

// readOrder reads a trigger. A message that is no JSON object, as an interval may
// send it, is a look; an object must be one that asks for something known.
func readOrder(msg *service.Message) (o order, err error) {
	data, err := msg.AsBytes()
	if err != nil {
		return o, err
	}
	if !strings.HasPrefix(strings.TrimSpace(string(data)), "{") {
		return o, nil
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return o, fmt.Errorf(`reading a trigger: %w; give {"trigger": "kafka"}`, err)
	}
	if len(o.Trigger) > maxTrigger {
		return o, fmt.Errorf("reading a trigger: its name has %d bytes, more than %d", len(o.Trigger), maxTrigger)
	}
	return o, nil
}
