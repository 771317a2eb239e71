package kafka

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
)

func startLagInput(t *testing.T, addr, yaml string) *lagInput {
	t.Helper()
	made, err := newLagInput(parse(t, lagSpec(), addr, "seed_brokers: [$ADDR]\n"+yaml), service.MockResources())
	if err != nil {
		t.Fatal(err)
	}
	i := made.(*lagInput)
	if err := i.Connect(testContext(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close(context.Background()) })
	return i
}

// lagSays waits for an interval that tells exactly this.
func lagSays(t *testing.T, i *lagInput, want ...string) {
	t.Helper()
	var got []string
	until(t, fmt.Sprintf("the lag %q", want), func() bool {
		batch, ack, err := i.ReadBatch(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := ack(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		got = got[:0]
		for _, msg := range batch {
			data, err := msg.AsBytes()
			if err != nil {
				t.Fatal(err)
			}
			if kind, _ := msg.MetaGet("recsys_kind"); kind != "consumer_lag" {
				t.Fatalf("the message is of kind %q", kind)
			}
			got = append(got, string(data))
		}
		return fmt.Sprint(got) == fmt.Sprint(want)
	})
}

func TestTheLagOfGroupsFollowsWhatTheyCommit(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "requests", Partitions: 2}, broker.Topic{Name: "other", Partitions: 1})
	i := startLagInput(t, b.Addr(), "interval: 100ms\ngroups: [predict]")
	produce(t, b.Addr(), "requests", 0, numbers(0, 7)...)
	produce(t, b.Addr(), "requests", 1, numbers(0, 5)...)
	produce(t, b.Addr(), "other", 0, "x")
	reader := startInput(t, b.Addr(), "seed_brokers: [$ADDR]\ntopics: [requests]\nconsumer_group: predict\nstart_offset: earliest\ncommit_period: 100ms")
	other := startInput(t, b.Addr(), "seed_brokers: [$ADDR]\ntopics: [other]\nconsumer_group: another\nstart_offset: earliest\ncommit_period: 100ms")
	r := readBatch(t, other)
	mustAck(t, r, nil)
	for read := 0; read < 12; {
		r := readBatch(t, reader)
		read += len(r.batch)
		mustAck(t, r, nil)
	}
	lagSays(t, i, `{"group":"predict","topic":"requests","state":"Stable","members":1,"partitions":2,"lag":0}`)
	closeNow(t, reader)
	produce(t, b.Addr(), "requests", 1, numbers(5, 8)...)
	lagSays(t, i, `{"group":"predict","topic":"requests","state":"Empty","members":0,"partitions":2,"lag":3}`)
}

func TestTheLagInputWaitsForABrokerThatIsAwayAndEndsWhenItIsTold(t *testing.T) {
	dir := t.TempDir()
	b := openBroker(t, dir, "127.0.0.1:0", broker.Topic{Name: "requests", Partitions: 1})
	addr := b.Addr()
	i := startLagInput(t, addr, "interval: 100ms")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, _, err := i.ReadBatch(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with the broker away: %v", err)
	}
	openBroker(t, dir, addr, broker.Topic{Name: "requests", Partitions: 1})
	produce(t, addr, "requests", 0, numbers(0, 4)...)
	reader := startInput(t, addr, "seed_brokers: [$ADDR]\ntopics: [requests]\nconsumer_group: g\nstart_offset: earliest\ncommit_period: 100ms")
	mustAck(t, readBatch(t, reader), nil)
	lagSays(t, i, `{"group":"g","topic":"requests","state":"Stable","members":1,"partitions":1,"lag":0}`)
	if err := errors.Join(i.Close(t.Context()), i.Close(t.Context())); err != nil {
		t.Error(err)
	}
	if _, _, err := i.ReadBatch(t.Context()); !errors.Is(err, service.ErrNotConnected) {
		t.Errorf("after Close: %v", err)
	}
}

func TestTheLagInputRefusesAnIntervalThatIsTooShort(t *testing.T) {
	if _, err := newLagInput(parse(t, lagSpec(), "127.0.0.1:1", "seed_brokers: [$ADDR]\ninterval: 1ms"), service.MockResources()); err == nil {
		t.Error("1 ms is taken")
	}
}
