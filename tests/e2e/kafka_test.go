package e2e

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// freeAddress returns a loopback address where nobody listens.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// kafka is a broker as a client sees it.
type kafka struct {
	address string
	client  *kgo.Client
	admin   *kadm.Client
}

func connect(t testing.TB, address string) *kafka {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DialTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &kafka{address: address, client: client, admin: kadm.NewClient(client)}
}

// startBroker runs the command broker and waits until it answers.
func startBroker(t testing.TB, state, address string) *process {
	t.Helper()
	p := start(t, launch{args: []string{"broker", "--state", state, "--address", address}})
	eventually(t, 20*time.Second, p, func() error {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return p
}

// end is the number of records that were ever written to a topic.
func (k *kafka) end(topic string) (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	offsets, err := k.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, err
	}
	total := int64(0)
	offsets.Each(func(o kadm.ListedOffset) { total += o.Offset })
	return total, offsets.Error()
}

func (k *kafka) mustEnd(t testing.TB, topic string) int64 {
	t.Helper()
	n, err := k.end(topic)
	if err != nil {
		t.Fatalf("reading the end of topic %s: %v", topic, err)
	}
	return n
}

// lag is how many records of a topic a group has yet to acknowledge.
func (k *kafka) lag(group, topic string) (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ends, err := k.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, err
	}
	committed, err := k.admin.FetchOffsets(ctx, group)
	if err != nil {
		return 0, err
	}
	lag := int64(0)
	ends.Each(func(o kadm.ListedOffset) {
		at, ok := committed.Lookup(o.Topic, o.Partition)
		if !ok {
			lag += o.Offset
			return
		}
		lag += o.Offset - at.At
	})
	return lag, nil
}

// noLag is a check that a group has acknowledged everything.
func (k *kafka) noLag(group, topic string) error {
	lag, err := k.lag(group, topic)
	if err == nil && lag != 0 {
		err = fmt.Errorf("group %s has %d records of %s before it", group, lag, topic)
	}
	return err
}

// records reads a topic from its start to its present end.
func (k *kafka) records(t testing.TB, topic string) []*kgo.Record {
	t.Helper()
	want := k.mustEnd(t, topic)
	client, err := kgo.NewClient(kgo.SeedBrokers(k.address), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var all []*kgo.Record
	for int64(len(all)) < want {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("reading topic %s: %d of %d records in 30 s", topic, len(all), want)
		}
		all = append(all, fetches.Records()...)
	}
	return all
}
