package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// assigned, revoked and lost are called by franz-go, never at the same time,
// and never between a poll and its AllowRebalance.

func (i *input) assigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for topic, ids := range added {
		for _, id := range ids {
			i.addPartition(topicPartition{topic, id})
		}
	}
	i.tellPartitions("assigned to", added)
	notify(i.room)
}

// tellPartitions logs what the group has decided, if that is something.
func (i *input) tellPartitions(what string, partitions map[string][]int32) {
	var parts []string
	for _, topic := range slices.Sorted(maps.Keys(partitions)) {
		if ids := slices.Sorted(slices.Values(partitions[topic])); len(ids) > 0 {
			parts = append(parts, fmt.Sprintf("%s %v", topic, ids))
		}
	}
	if len(parts) > 0 {
		i.log.Infof("Partitions %s this member of group %q: %s", what, i.conf.group, strings.Join(parts, ", "))
	}
}

// revoked gives partitions up: it waits for their batches in flight and commits,
// so that the next owner starts where this one ended.
func (i *input) revoked(ctx context.Context, client *kgo.Client, removed map[string][]int32) {
	if i.conf.transactionalID != "" {
		i.lost(ctx, client, removed) // the open transaction will be aborted
		return
	}
	parts := i.beginRevoke(removed)
	if len(parts) == 0 {
		return
	}
	i.tellPartitions("revoked from", removed)
	margin := min(i.conf.rebalanceTimeout/5, 5*time.Second)
	waitCtx, cancel := context.WithTimeout(ctx, i.conf.rebalanceTimeout-margin)
	defer cancel()
	if left := i.awaitDone(waitCtx, parts); left > 0 {
		i.log.Warnf("giving up %d partitions with a batch in flight each, because %s is over; their next owner will repeat these messages", left, fieldRebalanceTimeout)
	}
	commitCtx, cancelCommit := context.WithTimeout(ctx, min(margin, commitTimeout))
	defer cancelCommit()
	if err := client.CommitMarkedOffsets(commitCtx); err != nil {
		i.log.Warnf("committing the offsets of partitions that are given up: %v; their next owner will repeat messages", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, p := range parts {
		i.drop(p.topicPartition)
	}
	notify(i.room)
}

// beginRevoke stops handing out batches of the partitions. When the input is
// closing, which has waited and committed already, it returns none.
func (i *input) beginRevoke(removed map[string][]int32) []*partition {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closing {
		return nil
	}
	var parts []*partition
	for topic, ids := range removed {
		for _, id := range ids {
			if p := i.parts[topicPartition{topic, id}]; p != nil {
				p.revoking = true
				p.discard()
				parts = append(parts, p)
			}
		}
	}
	return parts
}

// lost drops partitions that others own already.
func (i *input) lost(_ context.Context, _ *kgo.Client, removed map[string][]int32) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.closing {
		i.tellPartitions("lost by", removed)
	}
	for topic, ids := range removed {
		for _, id := range ids {
			i.drop(topicPartition{topic, id})
		}
	}
	notify(i.room)
}

func (i *input) drop(tp topicPartition) {
	p := i.parts[tp]
	if p == nil {
		return
	}
	p.gone = true
	p.discard()
	delete(i.parts, tp)
	i.lag.Set(0, p.topic, strconv.Itoa(int(p.id)))
	if p.paused && i.client != nil {
		i.client.ResumeFetchPartitions(map[string][]int32{tp.topic: {tp.id}})
	}
}

// awaitDone waits until no batch of the partitions (nil: of any) is with the
// pipeline, and returns how many are when ctx ends first.
func (i *input) awaitDone(ctx context.Context, parts []*partition) int {
	for {
		i.mu.Lock()
		left := 0
		for _, p := range i.parts {
			if p.inFlight != nil && p.inFlight.out && (parts == nil || slices.Contains(parts, p)) {
				left++
			}
		}
		changed := i.changed
		i.mu.Unlock()
		if left == 0 {
			return 0
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return left
		}
	}
}

// findEnds notes the end of each partition, for the end-of-partition markers.
// It waits for topics that do not exist yet.
func (i *input) findEnds(ctx context.Context, client *kgo.Client) error {
	admin := kadm.NewClient(client)
	for {
		ends, err := i.listEnds(ctx, admin)
		if err == nil {
			i.mu.Lock()
			defer i.mu.Unlock()
			for _, end := range ends {
				p := i.addPartition(end.topicPartition)
				p.next, p.end, p.endTarget = end.start, end.end, end.end
				p.pushEnd()
				i.schedule(p)
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if i.errors.pass(err.Error(), time.Now()) {
			i.log.Warnf("%v; trying again until they do", err)
		}
		if err := sleep(ctx, connectMinWait*5); err != nil {
			return err
		}
	}
}

// listedEnd is where a partition starts for this input, and its end.
type listedEnd struct {
	topicPartition
	start, end int64
}

func (i *input) listEnds(ctx context.Context, admin *kadm.Client) ([]listedEnd, error) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	topics, err := i.matchTopics(ctx, admin)
	if err != nil {
		return nil, err
	}
	if len(topics) == 0 {
		return nil, nil // no topic matches the expressions yet
	}
	list := admin.ListEndOffsets
	if i.conf.committedOnly {
		list = admin.ListCommittedOffsets
	}
	starts, err := admin.ListStartOffsets(ctx, topics...)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("listing the first offsets of topics %s: %w", strings.Join(topics, ", "), err)
	}
	ends, err := list(ctx, topics...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("listing the last offsets of topics %s: %w", strings.Join(topics, ", "), err)
	}
	var found []listedEnd
	ends.Each(func(end kadm.ListedOffset) {
		start, ok := starts.Lookup(end.Topic, end.Partition)
		if !ok {
			return
		}
		first := start.Offset
		if i.conf.fromEnd {
			first = end.Offset
		}
		found = append(found, listedEnd{topicPartition{end.Topic, end.Partition}, first, end.Offset})
	})
	return found, nil
}

// matchTopics returns the topics to read that exist, and an error naming those
// that were named and do not.
func (i *input) matchTopics(ctx context.Context, admin *kadm.Client) ([]string, error) {
	if i.conf.topicPatterns == nil {
		details, err := admin.ListTopics(ctx, i.conf.topics...)
		if err != nil {
			return nil, fmt.Errorf("listing topics: %w", err)
		}
		var missing []string
		for _, topic := range i.conf.topics {
			if detail, ok := details[topic]; !ok || detail.Err != nil {
				missing = append(missing, topic)
			}
		}
		if len(missing) > 0 {
			return nil, fmt.Errorf("topics that do not exist or may not be read: %s", strings.Join(missing, ", "))
		}
		return i.conf.topics, nil
	}
	details, err := admin.ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing topics: %w", err)
	}
	var topics []string
	for topic := range details {
		if i.conf.matches(topic) {
			topics = append(topics, topic)
		}
	}
	return topics, nil
}

func (i *input) warnOfMissingTopics(ctx context.Context, client *kgo.Client) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if _, err := i.matchTopics(ctx, kadm.NewClient(client)); err != nil && ctx.Err() == nil {
		i.log.Warnf("%v; waiting for them: `recsys-benthos setup` creates the profile's", err)
	}
}

// lagLoop keeps the metric kafka_lag true while nothing is fetched.
func (i *input) lagLoop(ctx context.Context, admin *kadm.Client) {
	ticker := time.NewTicker(i.conf.lagPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			i.refreshLag(ctx, admin)
		case <-ctx.Done():
			return
		}
	}
}

func (i *input) refreshLag(ctx context.Context, admin *kadm.Client) {
	i.mu.Lock()
	topics := map[string]bool{}
	for tp := range i.parts {
		topics[tp.topic] = true
	}
	i.mu.Unlock()
	if len(topics) == 0 {
		return
	}
	names := make([]string, 0, len(topics))
	for topic := range topics {
		names = append(names, topic)
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	ends, err := admin.ListEndOffsets(ctx, names...)
	if err != nil {
		return // told by the connection log
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	ends.Each(func(end kadm.ListedOffset) {
		p := i.parts[topicPartition{end.Topic, end.Partition}]
		if p != nil && end.Err == nil {
			p.end = max(p.end, end.Offset)
			i.setLag(p)
		}
	})
}
