package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

const benchValue = `{"event_type":"rate","user_id":"514","movie_id":"2571","value":"4.5","timestamp":"2020-01-02 15:04:05","source":"benchmark of kafka"}`

// BenchmarkInputToOutput moves records from topic to topic through the input
// and the output, with nothing between them.
func BenchmarkInputToOutput(b *testing.B) {
	for _, metadata := range []string{metadataAll, metadataKey, metadataNone} {
		b.Run("record_metadata="+metadata, func(b *testing.B) { benchmarkThrough(b, metadata) })
	}
}

func benchmarkThrough(b *testing.B, metadata string) {
	const partitions = 4
	broker := startBroker(b, broker.Topic{Name: "events", Partitions: partitions}, broker.Topic{Name: "out", Partitions: partitions})
	client := newClient(b, broker.Addr())
	for n := range b.N {
		client.Produce(context.Background(), &kgo.Record{Topic: "events", Key: fmt.Append(nil, n%1000), Value: []byte(benchValue)}, nil)
	}
	if err := client.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	i := startInput(b, broker.Addr(), "seed_brokers: [$ADDR]\ntopics: [events]\nconsumer_group: g\nrecord_metadata: "+metadata+"\n")
	key := "key: ${! @kafka_key }"
	if metadata == metadataNone {
		key = ""
	}
	o := startOutput(b, broker.Addr(), "seed_brokers: [$ADDR]\ntopic: out\n"+key)
	b.ReportAllocs()
	b.ResetTimer()
	var inFlight sync.WaitGroup
	for left := b.N; left > 0; {
		batch, ack, err := i.ReadBatch(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		left -= len(batch)
		inFlight.Go(func() {
			err := o.WriteBatch(b.Context(), batch)
			if err := ack(b.Context(), err); err != nil {
				b.Error(err)
			}
		})
	}
	inFlight.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkRawLoop is the same with franz-go alone: the yardstick.
func BenchmarkRawLoop(b *testing.B) {
	const partitions = 4
	broker := startBroker(b, broker.Topic{Name: "events", Partitions: partitions}, broker.Topic{Name: "out", Partitions: partitions})
	client := newClient(b, broker.Addr(), kgo.ConsumeTopics("events"))
	for n := range b.N {
		client.Produce(context.Background(), &kgo.Record{Topic: "events", Key: fmt.Append(nil, n%1000), Value: []byte(benchValue)}, nil)
	}
	if err := client.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; {
		for _, r := range client.PollFetches(b.Context()).Records() {
			left--
			client.Produce(b.Context(), &kgo.Record{Topic: "out", Key: r.Key, Value: r.Value}, nil)
		}
	}
	if err := client.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkOneByOne sends one record at a time through input and output.
func BenchmarkOneByOne(b *testing.B) {
	broker := startBroker(b, broker.Topic{Name: "events"}, broker.Topic{Name: "out"})
	client := newClient(b, broker.Addr())
	sink := newClient(b, broker.Addr(), kgo.ConsumeTopics("out"))
	i := startInput(b, broker.Addr(), "seed_brokers: [$ADDR]\ntopics: [events]\nconsumer_group: g\n")
	o := startOutput(b, broker.Addr(), "seed_brokers: [$ADDR]\ntopic: out\nkey: ${! @kafka_key }\n")
	go func() {
		for {
			batch, ack, err := i.ReadBatch(b.Context())
			if err != nil {
				return
			}
			_ = ack(b.Context(), o.WriteBatch(b.Context(), batch))
		}
	}()
	one := func() {
		client.Produce(context.Background(), &kgo.Record{Topic: "events", Key: []byte("k"), Value: []byte(benchValue)}, nil)
		for sink.PollFetches(b.Context()).NumRecords() == 0 && b.Context().Err() == nil {
		}
	}
	one()
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		one()
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

func BenchmarkMessages(b *testing.B) {
	records := make([]*kgo.Record, 500)
	for n := range records {
		records[n] = &kgo.Record{Topic: "events", Offset: int64(n), Key: []byte("514"), Value: []byte(benchValue), Timestamp: time.UnixMilli(1_700_000_000_000)}
	}
	for _, metadata := range []string{metadataAll, metadataKey, metadataNone} {
		b.Run("record_metadata="+metadata, func(b *testing.B) {
			c, p, of := &inputConfig{metadata: metadata}, newPartition(topicPartition{"events", 0}), &batch{records: records}
			b.ReportAllocs()
			for b.Loop() {
				c.messages(p, of, 500)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(records)), "ns/message")
		})
	}
}

func BenchmarkEventTypeFilter(b *testing.B) {
	c := &inputConfig{eventTypes: map[string]bool{"rate": true}}
	for _, eventType := range []string{"rate", "tag"} {
		r := &kgo.Record{Value: []byte(strings.Replace(benchValue, "rate", eventType, 1))}
		b.Run(eventType, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.wanted(r)
			}
		})
	}
}

// BenchmarkRecord makes records of replies; who may choose the topic costs a look at
// the headers of each request.
func BenchmarkRecord(b *testing.B) {
	broker := startBroker(b, broker.Topic{Name: "out"})
	for _, topics := range []string{"[]", "[mobile, web]"} {
		b.Run("reply_topics="+topics, func(b *testing.B) {
			o := startOutput(b, broker.Addr(), outputYAML+"reply_topics: "+topics+"\n")
			ctx := message.WithOrigin(b.Context(), &message.Origin{Key: []byte("514")})
			m := service.NewMessageWithContext(ctx, []byte(benchValue))
			b.ReportAllocs()
			for b.Loop() {
				var r kgo.Record
				if rejection := o.record(ctx, m, &r); rejection != nil {
					b.Fatal(rejection)
				}
			}
		})
	}
}
