package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// partitions of each topic.
const partitions = 4

// stage is a Kafka server of one node, and clients of it.
type stage struct {
	servers *servers.Kafka
	client  *kgo.Client
	admin   *kadm.Client
	probes  int64 // records of positioned
}

// openStage starts Kafka once for all tables.
func (b *bench) openStage(ctx context.Context) (*stage, error) {
	if b.kafka != nil {
		return b.kafka, nil
	}
	kafka, err := servers.StartKafka(ctx, servers.KafkaOptions{Bench: true})
	if err != nil {
		return nil, err
	}
	if b.kafka, err = newStage(kafka); err != nil {
		return nil, errors.Join(err, kafka.Close())
	}
	topics := []string{"events", "requests", "predictions", "dead_letters", "out"}
	if _, err := b.kafka.admin.CreateTopics(ctx, partitions, 1, nil, topics...); err != nil {
		return nil, err
	}
	_, err = b.kafka.admin.CreateTopics(ctx, 1, 1, nil, "models")
	return b.kafka, err
}

func newStage(kafka *servers.Kafka) (*stage, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Addresses()...), kgo.ProducerLinger(0))
	if err != nil {
		return nil, err
	}
	return &stage{servers: kafka, client: client, admin: kadm.NewClient(client)}, nil
}

func (s *stage) close() {
	s.client.Close()
	s.servers.Close()
}

func (s *stage) address() string { return s.servers.Addresses()[0] }

// fill appends n records, the i-th with the key and value that make returns.
func (s *stage) fill(ctx context.Context, topic string, n int, make func(i int) (key, value []byte)) error {
	var failed error // promises are called one after the other
	for i := range n {
		key, value := make(i)
		s.client.Produce(ctx, &kgo.Record{Topic: topic, Key: key, Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err
			}
		})
	}
	return errors.Join(s.client.Flush(ctx), failed)
}

// end is the sum of the end offsets of a topic.
func (s *stage) end(ctx context.Context, topic string) (int64, error) {
	ends, err := s.admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("asking for the end of topic %s: %w", topic, err)
	}
	var sum int64
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	return sum, nil
}

// committed is the sum of the offsets that a group has committed of a topic.
func (s *stage) committed(ctx context.Context, group, topic string) (int64, error) {
	offsets, err := s.admin.FetchOffsets(ctx, group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return 0, err
	}
	var sum int64
	offsets.Each(func(o kadm.OffsetResponse) {
		if o.Topic == topic {
			sum += o.At
		}
	})
	return sum, nil
}

// rewind forgets a group, whose members must be gone or about to go.
func (s *stage) rewind(ctx context.Context, group string) error {
	for {
		response, err := s.admin.DeleteGroup(ctx, group)
		if err == nil {
			err = response.Err
		}
		if err == nil || errors.Is(err, kerr.GroupIDNotFound) {
			return nil
		}
		if !errors.Is(err, kerr.NonEmptyGroup) && !kerr.IsRetriable(err) && !errors.Is(err, kerr.CoordinatorNotAvailable) {
			return fmt.Errorf("deleting group %s: %w", group, err)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// skip has a group go on at the end of a topic.
func (s *stage) skip(ctx context.Context, group, topic string) error {
	if err := s.rewind(ctx, group); err != nil {
		return err
	}
	ends, err := s.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return err
	}
	return s.admin.CommitAllOffsets(ctx, group, ends.Offsets())
}

// joined waits until a group has the given number of members and all partitions
// are shared out among them.
func (s *stage) joined(ctx context.Context, group string, members int) error {
	for {
		groups, err := s.admin.DescribeGroups(ctx, group)
		if err != nil && !errors.Is(err, kerr.CoordinatorNotAvailable) { // of a broker that has just started
			return err
		}
		g := groups[group]
		assigned, each := 0, g.State == "Stable" && len(g.Members) == members
		for _, m := range g.Members {
			consumer, ok := m.Assigned.AsConsumer()
			if !ok {
				continue
			}
			for _, t := range consumer.Topics {
				assigned += len(t.Partitions)
				each = each && len(t.Partitions) == partitions/members
			}
		}
		if each && assigned == partitions {
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for group %s of %d: %w", group, members, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
