package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// segment is one segment file of kfake, which may be deleted whole.
type segment struct {
	partition partition
	next      int64 // the first offset after it
	size      int64 // bytes, with its index
	modified  time.Time
	newest    bool // of its partition: never deleted
}

type partition struct {
	topic string
	id    int32
}

func (b *Broker) retentionLoop(ctx context.Context) {
	ticker := time.NewTicker(retentionPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if err := b.retain(ctx, now); err != nil && ctx.Err() == nil {
				b.log.Warn("embedded broker: applying retention: " + err.Error())
			}
		}
	}
}

// retain deletes whole segments, the oldest first, until all are within
// MaxBytes and MaxAge, or none is left that every consumer group has committed.
func (b *Broker) retain(ctx context.Context, now time.Time) error {
	segments, err := scanSegments(filepath.Join(b.dataDir, "partitions"))
	if err != nil {
		return err
	}
	total := int64(0)
	for _, s := range segments {
		total += s.size
	}
	expired := func(s segment) bool { return b.cfg.MaxAge > 0 && now.Sub(s.modified) > b.cfg.MaxAge }
	due := func(s segment) bool { return !s.newest && (total > b.cfg.MaxBytes || expired(s)) }
	if !slices.ContainsFunc(segments, due) {
		b.heldBack.Store(false)
		return nil
	}
	limits, err := b.commitLimits(ctx)
	if err != nil {
		return err
	}

	cut := map[partition]int64{}
	held := map[partition]bool{}
	for _, s := range segments {
		if held[s.partition] || !due(s) {
			continue
		}
		if s.next > limits.of(s.partition) {
			held[s.partition] = true // segments go in order, or not at all
			continue
		}
		cut[s.partition] = s.next
		total -= s.size
	}
	b.reportHeldBack(total > b.cfg.MaxBytes && len(held) > 0, total)
	return b.deleteBefore(ctx, cut)
}

// reportHeldBack says once that a slow consumer group costs disk.
func (b *Broker) reportHeldBack(heldBack bool, total int64) {
	if heldBack && !b.heldBack.Swap(heldBack) {
		b.log.Warn(fmt.Sprintf("embedded broker: %d MiB on disk exceed the limit of %d MiB, because a consumer group has yet to commit them; start its pipeline, or delete the group",
			total>>20, b.cfg.MaxBytes>>20))
	}
	b.heldBack.Store(heldBack)
}

func (b *Broker) deleteBefore(ctx context.Context, cut map[partition]int64) error {
	if len(cut) == 0 {
		return nil
	}
	offsets := kadm.Offsets{}
	for p, next := range cut {
		offsets.AddOffset(p.topic, p.id, next, -1)
	}
	responses, err := b.admin.DeleteRecords(ctx, offsets)
	if err != nil {
		return fmt.Errorf("deleting old records: %w", err)
	}
	return responses.Error()
}

// scanSegments lists kfake's segment files, the oldest first.
func scanSegments(root string) ([]segment, error) {
	folders, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing was ever written
	}
	if err != nil {
		return nil, fmt.Errorf("listing partitions: %w", err)
	}
	var all []segment
	for _, folder := range folders {
		p, ok := parsePartition(folder.Name())
		if !ok {
			continue
		}
		segments, err := scanPartition(filepath.Join(root, folder.Name()), p)
		if err != nil {
			return nil, err
		}
		all = append(all, segments...)
	}
	slices.SortStableFunc(all, func(x, y segment) int { return x.modified.Compare(y.modified) })
	return all, nil
}

// parsePartition reads kfake's folder name, "topic-0" with the topic escaped.
func parsePartition(name string) (partition, bool) {
	dash := strings.LastIndexByte(name, '-')
	if dash < 0 {
		return partition{}, false
	}
	topic, err := url.PathUnescape(name[:dash])
	if err != nil {
		return partition{}, false
	}
	id, err := strconv.ParseInt(name[dash+1:], 10, 32)
	return partition{topic: topic, id: int32(id)}, err == nil
}

func scanPartition(dir string, p partition) ([]segment, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing segments: %w", err)
	}
	type found struct {
		base int64
		segment
	}
	var segments []found
	for _, file := range files {
		base, err := strconv.ParseInt(strings.TrimSuffix(file.Name(), ".dat"), 10, 64)
		if err != nil {
			continue // an index or a snapshot
		}
		info, err := file.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted in the meantime
		}
		if err != nil {
			return nil, fmt.Errorf("listing segments: %w", err)
		}
		if info.Size() == 0 {
			continue // just rolled: the one before is the newest with a record
		}
		segments = append(segments, found{base, segment{partition: p, size: info.Size(), modified: info.ModTime()}})
	}
	slices.SortFunc(segments, func(x, y found) int { return cmp.Compare(x.base, y.base) })
	result := make([]segment, len(segments))
	for i, s := range segments {
		result[i] = s.segment
		if i+1 < len(segments) {
			result[i].next = segments[i+1].base
		} else {
			result[i].newest = true
		}
	}
	return result, nil
}

// commitLimits says up to where every consumer group has committed.
type commitLimits struct {
	offsets map[partition]int64
	topics  map[string]int // the number of groups that consume the topic
	commits map[partition]int
}

// of returns the offset before which records may be deleted. A group that
// consumes a topic but never committed in this partition needs all of it.
func (l commitLimits) of(p partition) int64 {
	if l.commits[p] < l.topics[p.topic] {
		return 0
	}
	if offset, ok := l.offsets[p]; ok {
		return offset
	}
	return math.MaxInt64 // no group reads it
}

func (b *Broker) commitLimits(ctx context.Context) (commitLimits, error) {
	limits := commitLimits{offsets: map[partition]int64{}, topics: map[string]int{}, commits: map[partition]int{}}
	groups, err := b.admin.DescribeGroups(ctx)
	if err != nil {
		return limits, fmt.Errorf("listing consumer groups: %w", err)
	}
	for name, group := range groups {
		if group.Err != nil && !errors.Is(group.Err, kerr.GroupIDNotFound) { // not found: of another protocol
			return limits, fmt.Errorf("describing consumer group %q: %w", name, group.Err)
		}
		committed, err := b.admin.FetchOffsets(ctx, name)
		if err != nil {
			return limits, fmt.Errorf("reading the offsets of consumer group %q: %w", name, err)
		}
		limits.add(group.AssignedPartitions(), committed)
	}
	return limits, nil
}

func (l commitLimits) add(assigned kadm.TopicsSet, committed kadm.OffsetResponses) {
	topics := map[string]bool{}
	for topic := range assigned {
		topics[topic] = true
	}
	committed.Each(func(o kadm.OffsetResponse) {
		if o.Err != nil || o.At < 0 {
			return
		}
		topics[o.Topic] = true
		p := partition{topic: o.Topic, id: o.Partition}
		l.commits[p]++
		if least, ok := l.offsets[p]; !ok || o.At < least {
			l.offsets[p] = o.At
		}
	})
	for topic := range topics {
		l.topics[topic]++
	}
}
