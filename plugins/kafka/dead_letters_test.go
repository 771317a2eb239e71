package kafka

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
)

func failedBatch() service.MessageBatch {
	batch := values([]string{"a", "marked", strings.Repeat("x", 3000), "b", "skipped and marked"})
	batch[1].SetError(errors.New("it is odd"))
	batch[4].SetError(errors.New("it is even"))
	batch[4].MetaSetMut("other", "kind")
	return batch
}

const limitedYAML = outputYAML + "max_message_bytes: 2KiB\nskip_metadata: other\n"

func TestOutputWritesWhatHasFailedToItsDeadLetters(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "out"})
	path := filepath.Join(t.TempDir(), "letters")
	o := startOutput(t, b.Addr(), limitedYAML+`
dead_letters:
  file: {path: '`+path+`', codec: lines}
  processors: [{mapping: 'root = error()'}]
`)
	batch := failedBatch()
	if err := o.WriteBatch(testContext(t), batch); err != nil {
		t.Fatal(err)
	}
	records := readTopic(t, b.Addr(), "out", 2)
	if len(records) != 2 || string(records[0].Value) != "a" || string(records[1].Value) != "b" {
		t.Errorf("records are %v", records)
	}
	letters, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(letters)), "\n")
	if len(lines) != 3 || lines[0] != "it is odd" || !strings.Contains(lines[1], "over the limit of 2048 bytes") || lines[2] != "it is even" {
		t.Errorf("dead letters are %q", lines)
	}
	if batch[2].GetError() != nil {
		t.Error("the batch was changed, which may have to be written again")
	}
}

func TestOutputFailsWhatItsDeadLettersDoNotTake(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "out"})
	o := startOutput(t, b.Addr(), limitedYAML+"dead_letters: {reject: 'the disk is full'}\n")
	batch := failedBatch()
	index := batch.Index()
	failed := failures(t, batch, index, o.WriteBatch(testContext(t), batch))
	for i, reason := range map[int]string{1: "it is odd", 2: "over the limit", 4: "it is even"} {
		if err := failed[i]; err == nil || !strings.Contains(err.Error(), reason) || !strings.Contains(err.Error(), "the disk is full") {
			t.Errorf("message %d failed with %v", i, err)
		}
	}
	if len(failed) != 3 {
		t.Errorf("%d messages failed", len(failed))
	}
	if records := readTopic(t, b.Addr(), "out", 2); len(records) != 2 {
		t.Errorf("records are %v", records)
	}
}

func TestOutputWithoutDeadLettersWritesWhatIsMarked(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "out"})
	o := startOutput(t, b.Addr(), limitedYAML)
	batch := failedBatch()
	failed := failures(t, batch, batch.Index(), o.WriteBatch(testContext(t), batch))
	if len(failed) != 1 || failed[2] == nil {
		t.Errorf("failed are %v", failed)
	}
	if records := readTopic(t, b.Addr(), "out", 3); string(records[1].Value) != "marked" {
		t.Errorf("records are %v", records)
	}
}
