package observe

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
)

// TestTheLogHasOneLinePerEvent plays what happens to a predictor: it starts, is given
// partitions, gets a model, meets what cannot be read, loses Kafka and stops. Each line
// is JSON, as it was asked to be, and none has a user or what a message said.
func TestTheLogHasOneLinePerEvent(t *testing.T) {
	t.Parallel()
	p := newPredictor(t, "LOG_LEVEL=INFO", "RECSYS_LOG_FORMAT=json")
	count := func(text string) int { return strings.Count(p.said.String(), text) }
	happens := func(text string) {
		t.Helper()
		p.eventually(t, patience, func() error {
			if count(text) == 0 {
				return fmt.Errorf("the log does not say %q", text)
			}
			return nil
		})
	}
	happens("Starting recsys-benthos")
	happens(`Partitions assigned to this member of group \"predict\": requests [0 1 2 3]`)
	train(t, p.data, p.state)
	happens("serves now (promotion 1)")
	const user, nonsense = "987654321", "nobody-should-log-this"
	for range 20 {
		produce(t, p.address,
			&kgo.Record{Topic: "requests", Value: []byte(`{"request_id":"a","user_id":` + user + `,"movie_id":1}`)},
			&kgo.Record{Topic: "requests", Value: []byte(`{"user_id":"` + nonsense + `"}`)})
	}
	happens("Dead letters: ")
	letters := 0
	find(t, p.address, "dead_letters", func(*kgo.Record) bool { letters++; return letters == 20 })
	if n := count(`Partitions assigned`); n != 1 {
		t.Errorf("%d lines tell of the partitions", n)
	}
	p.broker.Kill()
	happens("Outage: Kafka does not answer")
	p.startBroker(t)
	happens("Outage over: Kafka answers")
	if err := p.Command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done:
	case <-t.Context().Done():
	}
	for text, most := range map[string]int{
		"Starting recsys-benthos": 1, "serves now (promotion 1)": 1, "Dead letters: ": 2, // the first at once, the rest in one
		"Outage: Kafka does not answer": 1, "Outage over: Kafka answers": 1, "the service is closing": 1,
	} {
		if n := count(text); n < 1 || n > most {
			t.Errorf("%d lines say %q\n%s", n, text, p.said.Tail())
		}
	}
	for line := range strings.Lines(p.said.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Errorf("a line is no JSON: %s", line)
			continue
		}
		if fields["msg"] == "Starting recsys-benthos" && (fields["kernel"] != kernel.Name() || fields["profile"] != "config/embedded.yaml" || fields["version"] == nil) {
			t.Errorf("the first line says %v", fields)
		}
		if strings.Contains(line, user) || strings.Contains(line, nonsense) {
			t.Errorf("a line tells what nobody should read there: %s", line)
		}
	}
}
