package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

var errNack = errors.New("nack")

// readAll reads and acknowledges until it has n values.
func readAll(t *testing.T, i *input, n int) []string {
	t.Helper()
	var values []string
	for len(values) < n {
		r := readBatch(t, i)
		values = append(values, r.values...)
		mustAck(t, r, nil)
	}
	return values
}

// nothingToRead fails if a batch comes within a moment. It can miss a fault,
// never invent one.
func nothingToRead(t *testing.T, i *input) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if r, err := tryRead(ctx, i); err == nil {
		t.Fatalf("read %v, which should wait", r.values)
	}
}

const groupYAML = `
seed_brokers: [$ADDR]
topics: [events]
consumer_group: g
commit_period: 1h
batching: {count: 10}
`

func TestInputReadsInOrderAndCommitsOnlyWhatIsAcknowledged(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "events"})
	produce(t, b.Addr(), "events", 0, numbers(0, 30)...)
	i := startInput(t, b.Addr(), groupYAML)
	first := readBatch(t, i)
	if want := numbers(0, 10); !slices.Equal(first.values, want) {
		t.Fatalf("first batch is %v, want %v", first.values, want)
	}
	mustAck(t, first, nil)
	second := readBatch(t, i)
	if want := numbers(10, 20); !slices.Equal(second.values, want) {
		t.Fatalf("second batch is %v, want %v", second.values, want)
	}
	nothingToRead(t, i)
	closeNow(t, i) // without an acknowledgement of the second
	if at := committed(t, b.Addr(), "g", "events", 0); at != 10 {
		t.Fatalf("committed %d, want 10", at)
	}

	again := startInput(t, b.Addr(), groupYAML)
	if got, want := readAll(t, again, 20), numbers(10, 30); !slices.Equal(got, want) {
		t.Fatalf("after the restart read %v, want %v", got, want)
	}
	closeNow(t, again)
	if at := committed(t, b.Addr(), "g", "events", 0); at != 30 {
		t.Fatalf("committed %d, want 30", at)
	}
}

func TestInputSendsARejectedBatchAgainBeforeTheNext(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "events"})
	produce(t, b.Addr(), "events", 0, numbers(0, 20)...)
	i := startInput(t, b.Addr(), groupYAML)
	for range 3 {
		r := readBatch(t, i)
		if want := numbers(0, 10); !slices.Equal(r.values, want) {
			t.Fatalf("got %v, want %v", r.values, want)
		}
		mustAck(t, r, errNack)
	}
	if got, want := readAll(t, i, 20), numbers(0, 20); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestInputSendsOnlyTheFailedMessagesAgain(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "events"})
	produce(t, b.Addr(), "events", 0, numbers(0, 20)...)
	i := startInput(t, b.Addr(), groupYAML)
	r := readBatch(t, i)
	mustAck(t, r, service.NewBatchError(r.batch, errNack).Failed(3, errNack).Failed(7, errNack))
	if got, want := readAll(t, i, 12), append([]string{"3", "7"}, numbers(10, 20)...); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	closeNow(t, i)
	if at := committed(t, b.Addr(), "g", "events", 0); at != 20 {
		t.Fatalf("committed %d, want 20", at)
	}
}

func TestInputReadsPartitionsInParallel(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "events", Partitions: 3})
	for p := range int32(3) {
		produce(t, b.Addr(), "events", p, numbers(0, 20)...)
	}
	i := startInput(t, b.Addr(), groupYAML)
	seen := map[int32]bool{}
	for range 3 { // none acknowledged
		seen[message.OriginFrom(readBatch(t, i).batch[0].Context()).Partition] = true
	}
	if len(seen) != 3 {
		t.Fatalf("batches in flight of %d partitions, want 3", len(seen))
	}
	nothingToRead(t, i)
}

func TestInputSkipsOtherEventTypesAndCommitsPastThem(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "events"})
	produce(t, b.Addr(), "events", 0,
		`{"event_type":"tag"}`, `{"event_type":"rate","n":1}`, `{"n":2}`, `{"event_type":7,"n":3}`,
		`{"event_type":"tag","broken`, `not json`, `{"a":{"event_type":"tag"}}`, `{"event_type":"tag"}`, `{"event_type":"tag"}`)
	i := startInput(t, b.Addr(), groupYAML+"event_types: [rate]\n")
	r := readBatch(t, i)
	want := []string{
		`{"event_type":"rate","n":1}`, `{"n":2}`, `{"event_type":7,"n":3}`,
		`{"event_type":"tag","broken`, `not json`, `{"a":{"event_type":"tag"}}`,
	}
	if !slices.Equal(r.values, want) {
		t.Fatalf("got %q, want %q", r.values, want)
	}
	mustAck(t, r, nil)
	closeNow(t, i)
	if at := committed(t, b.Addr(), "g", "events", 0); at != 9 {
		t.Fatalf("committed %d, want 9", at)
	}
}

func TestFollowerReadsEverythingAndMarksTheEndOfEachPartition(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "models", Partitions: 3})
	produce(t, b.Addr(), "models", 0, numbers(0, 25)...)
	produce(t, b.Addr(), "models", 2, "x")
	yaml := "seed_brokers: [$ADDR]\ntopics: [models]\nemit_end_of_partition: true\nbatching: {count: 10}\n"
	for range 2 { // from the start each time
		i := startInput(t, b.Addr(), yaml)
		values := map[string][]string{}
		for marked := 0; marked < 3; {
			r := readBatch(t, i)
			for n, m := range r.batch {
				partition, _ := m.MetaGet(metaPartition)
				value := r.values[n]
				if flag, _ := m.MetaGet(metaEnd); flag == "true" {
					marked++
					value = "end"
				}
				values[partition] = append(values[partition], value)
			}
			mustAck(t, r, nil)
		}
		want := map[string][]string{"0": append(numbers(0, 25), "end"), "1": {"end"}, "2": {"x", "end"}}
		if fmt.Sprint(values) != fmt.Sprint(want) {
			t.Fatalf("got %v, want %v", values, want)
		}
		closeNow(t, i)
	}
	i := startInput(t, b.Addr(), yaml)
	produce(t, b.Addr(), "models", 1, "late")
	for {
		r := readBatch(t, i)
		mustAck(t, r, nil)
		if slices.Contains(r.values, "late") {
			break
		}
	}
}

func TestInputSetsMetadataAndOrigin(t *testing.T) {
	b := startBroker(t, broker.Topic{Name: "events"})
	at := time.UnixMilli(1_700_000_000_123)
	client := newClient(t, b.Addr())
	err := client.ProduceSync(testContext(t),
		&kgo.Record{Topic: "events", Key: []byte("u1"), Value: []byte("v"), Timestamp: at, Headers: []kgo.RecordHeader{
			{Key: "trace", Value: []byte("abc")}, {Key: metaTombstone, Value: []byte("true")}, {Key: metaOffset, Value: []byte("99")},
		}},
		&kgo.Record{Topic: "events", Key: []byte("u2"), Timestamp: at}).FirstErr()
	if err != nil {
		t.Fatal(err)
	}
	i := startInput(t, b.Addr(), groupYAML)
	var batch service.MessageBatch
	for len(batch) < 2 {
		r := readBatch(t, i)
		batch = append(batch, r.batch...)
		mustAck(t, r, nil)
	}
	want := map[string]string{
		metaKey: "u1", metaTopic: "events", metaPartition: "0", metaOffset: "0", metaTombstoneFlag: "false",
		metaTimestampMs: "1700000000123", metaTimestampUnix: "1700000000", "trace": "abc",
	}
	for key, value := range want {
		if got, _ := batch[0].MetaGet(key); got != value {
			t.Errorf("metadata %s is %q, want %q", key, got, value)
		}
	}
	if _, ok := batch[0].MetaGet(metaTombstone); ok {
		t.Error("a header passes for a tombstone")
	}
	if got, _ := batch[1].MetaGet(metaTombstone); got != "true" {
		t.Error("the null value is not marked as a tombstone")
	}
	o := message.OriginFrom(batch[0].Context())
	if o == nil || o.Topic != "events" || o.Offset != 0 || string(o.Key) != "u1" || string(o.Value) != "v" || !o.Time.Equal(at) || len(o.Headers) != 3 {
		t.Errorf("origin is %+v", o)
	}
}

func TestBadInputConfigurationNamesTheField(t *testing.T) {
	for _, test := range []struct{ name, yaml, want string }{
		{"no topics", "seed_brokers: [a:1]\ntopics: []", "field topics"},
		{"empty topics", "seed_brokers: [a:1]\ntopics: ['']", "field topics"},
		{"no brokers", "seed_brokers: ['']\ntopics: [t]", "field seed_brokers"},
		{"marker in a group", "seed_brokers: [a:1]\ntopics: [t]\nconsumer_group: g\nemit_end_of_partition: true", "field emit_end_of_partition"},
		{"bad size", "seed_brokers: [a:1]\ntopics: [t]\nfetch_max_bytes: lots", "field fetch_max_bytes"},
		{"bad period", "seed_brokers: [a:1]\ntopics: [t]\nbatching: {period: soon}", "field batching.period"},
		{"bad expression", "seed_brokers: [a:1]\ntopics: ['(']\nregexp_topics: true", "field topics"},
		{"bad exclusion", "seed_brokers: [a:1]\nregexp_topics_include: [t]\nregexp_topics_exclude: ['(']", "field regexp_topics_exclude"},
		{"exclusion alone", "seed_brokers: [a:1]\ntopics: [t]\nregexp_topics_exclude: [u]", "field regexp_topics_exclude: needs regexp_topics_include"},
		{"topics twice", "seed_brokers: [a:1]\ntopics: [t]\nregexp_topics_include: [u]", "fields topics and regexp_topics_include"},
		{"topic name with a slash", "seed_brokers: [a:1]\ntopics: [a/b]", `the character '/'`},
		{"partition without number", "seed_brokers: [a:1]\ntopics: ['t:x']", `"t:x": write topic:partition`},
		{"partitions backwards", "seed_brokers: [a:1]\ntopics: ['t:3-1']", `"t:3-1": write topic:partition`},
		{"partition of a group", "seed_brokers: [a:1]\ntopics: ['t:0']\nconsumer_group: g", "remove consumer_group, or name the topic alone"},
		{"topic as a whole and in part", "seed_brokers: [a:1]\ntopics: [t, 't:0']", "both as a whole and by partitions"},
		{"marker of some partitions", "seed_brokers: [a:1]\ntopics: ['t:0']\nemit_end_of_partition: true", "field emit_end_of_partition: only for whole topics"},
		{"bad time", "seed_brokers: [a:1]\ntopics: [t]\nstart_timestamp: yesterday", `field start_timestamp: "yesterday" is no time`},
		{"committed without a group", "seed_brokers: [a:1]\ntopics: [t]\nstart_offset: committed", "field start_offset: committed needs a consumer_group"},
		{"transaction without a group", "seed_brokers: [a:1]\ntopics: [t]\ntransactional_id: x", "field transactional_id: needs a consumer_group"},
		{"transaction without replay", "seed_brokers: [a:1]\ntopics: [t]\nconsumer_group: g\ntransactional_id: x\nauto_replay_nacks: false", "field auto_replay_nacks: must be true with transactional_id"},
		{"empty transactions", "seed_brokers: [a:1]\ntopics: [t]\nconsumer_group: g\ntransactional_id: x\ntransaction_max_records: 0", "field transaction_max_records"},
		{"cluster and brokers", "cluster: kafka\nseed_brokers: [a:1]\ntopics: [t]", "fields cluster and seed_brokers exclude each other"},
		{"no such cluster", "cluster: kafka\ntopics: [t]", `field cluster: opening the resource "kafka"`},
		{"bad limit", "seed_brokers: [a:1]\ntopics: [t]\ncheckpoint_limit: 0", "field checkpoint_limit"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseInput(parse(t, inputSpec(), "", test.yaml))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}
