//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// broker is Kafka as a client of ours sees it.
type broker struct {
	options []kgo.Opt
	client  *kgo.Client
	admin   *kadm.Client
}

func newBroker(kafka *servers.Kafka) (*broker, error) {
	b := &broker{options: []kgo.Opt{
		kgo.SeedBrokers(kafka.Addresses()...), kgo.DialTimeout(2 * time.Second), kgo.RequestTimeoutOverhead(5 * time.Second),
		kgo.MetadataMinAge(250 * time.Millisecond),
	}}
	tls, err := kafka.TLSConfig()
	if err != nil {
		return nil, err
	}
	if tls != nil {
		b.options = append(b.options, kgo.DialTLSConfig(tls))
	}
	if kafka.Username != "" {
		b.options = append(b.options, kgo.SASL(scram.Auth{User: kafka.Username, Pass: kafka.Password}.AsSha512Mechanism()))
	}
	// Room for all records of a test, so that producing never blocks.
	b.client, err = kgo.NewClient(append(b.options, kgo.MaxBufferedRecords(1<<20), kgo.ProducerBatchMaxBytes(1<<20))...)
	if err != nil {
		return nil, err
	}
	b.admin = kadm.NewClient(b.client)
	return b, nil
}

// produce writes records and returns once the broker has them all.
func (b *broker) produce(t testing.TB, records ...*kgo.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatalf("producing: %v", err)
	}
}

// ends is the offset after the last record, by partition.
func (b *broker) ends(topic string) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	listed, err := b.admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, err
	}
	found := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { found[o.Partition] = o.Offset })
	return found, nil
}

// mustEnds is ends of a healthy cluster.
func (b *broker) mustEnds(t testing.TB, topic string) (found map[int32]int64) {
	t.Helper()
	eventually(t, 30*time.Second, func() (err error) {
		found, err = b.ends(topic)
		return err
	})
	return found
}

func total(offsets map[int32]int64) (n int64) {
	for _, offset := range offsets {
		n += offset
	}
	return n
}

// committed is how far a group has read a topic, by partition.
func (b *broker) committed(group, topic string) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	offsets, err := b.admin.FetchOffsets(ctx, group)
	if err == nil {
		err = offsets.Error()
	}
	if err != nil {
		return nil, err
	}
	found := map[int32]int64{}
	for partition, o := range offsets[topic] {
		found[partition] = o.At
	}
	return found, nil
}

// behind says how many records of a topic a group has not acknowledged yet; nil
// is none.
func (b *broker) behind(group, topic string) error {
	ends, err := b.ends(topic)
	if err != nil {
		return err
	}
	at, err := b.committed(group, topic)
	if err != nil {
		return err
	}
	lag := int64(0)
	for partition, end := range ends {
		lag += end - at[partition]
	}
	if lag != 0 {
		return fmt.Errorf("group %s has %d records of %s before it", group, lag, topic)
	}
	return nil
}

// records reads a topic from the given offsets, or from its start, to its
// present end, as a consumer of its own; other options come last.
func (b *broker) records(t testing.TB, topic string, from map[int32]int64, options ...kgo.Opt) []*kgo.Record {
	t.Helper()
	ends := b.mustEnds(t, topic)
	starts, missing := map[int32]kgo.Offset{}, 0
	for partition, end := range ends {
		starts[partition] = kgo.NewOffset().At(from[partition])
		if end > from[partition] {
			missing++
		}
	}
	client, err := kgo.NewClient(append(append(b.options, kgo.FetchMaxWait(100*time.Millisecond), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts})), options...)...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var all []*kgo.Record
	reached := map[int32]bool{}
	for len(reached) < missing {
		poll, cancel := context.WithTimeout(ctx, 2*time.Second)
		fetches := client.PollFetches(poll)
		cancel()
		if ctx.Err() != nil {
			t.Fatalf("reading topic %s: %d records in a minute, ends %v", topic, len(all), ends)
		}
		if fetches.NumRecords() == 0 { // retention may have been faster
			for partition, begin := range b.beginnings(t, topic) {
				if begin >= ends[partition] && ends[partition] > from[partition] {
					reached[partition] = true
				}
			}
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				all = append(all, r)
			}
			if r.Offset >= ends[r.Partition]-1 {
				reached[r.Partition] = true
			}
		})
	}
	return all
}

// beginnings is where each partition of a topic begins.
func (b *broker) beginnings(t testing.TB, topic string) map[int32]int64 {
	t.Helper()
	listed, err := b.admin.ListStartOffsets(context.Background(), topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	found := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { found[o.Partition] = o.Offset })
	return found
}

// rewind lets an idle group read a topic again from its start.
func (b *broker) rewind(t testing.TB, group, topic string) {
	t.Helper()
	offsets := kadm.Offsets{}
	for partition := range b.mustEnds(t, topic) {
		offsets.AddOffset(topic, partition, 0, -1)
	}
	eventually(t, 30*time.Second, func() error { // until the broker has noticed that its members are gone
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return b.admin.CommitAllOffsets(ctx, group, offsets)
	})
}
