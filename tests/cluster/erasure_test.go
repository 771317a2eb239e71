//go:build cluster

package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// briefly has a broker do at once what it does within minutes: look for records whose
// time is over, and compact.
var briefly = map[string]string{
	"log.retention.check.interval.ms": "500", "log.cleaner.backoff.ms": "500", "log.segment.delete.delay.ms": "500", "log.initial.task.delay.ms": "500",
}

// versions are the registry's, oldest first.
func (s *system) versions() ([]registry.Manifest, *registry.Registry, error) {
	r, err := registry.Open("file://" + filepath.Join(s.folder, "registry"))
	if err != nil {
		return nil, nil, err
	}
	all, err := r.List()
	return all, r, err
}

// train asks for a training, waits for the version, and returns whether it knows a user.
func (s *system) train(t *testing.T, user int64) (knows bool) {
	t.Helper()
	before, _, err := s.versions()
	if err != nil {
		t.Fatal(err)
	}
	produce(t, s.broker.client, "train", user, `{"trigger":"kafka","force":true}`)
	eventually(t, 5*time.Minute, func() error {
		all, r, err := s.versions()
		if err != nil || len(all) <= len(before) {
			return errors.Join(err, errors.New("there is no new version"))
		}
		m, _, err := r.Model(all[len(all)-1].Version)
		if err == nil {
			_, knows = slices.BinarySearch(m.Factors().Users, user)
		}
		return err
	})
	return knows
}

// nothingIsLeft proves what docs/delivery.md promises of a user who is forgotten, after
// the store and the indices, which are empty by now: a version that is trained later,
// the topics once their time is over, the page, and the logs of all processes.
func (s *system) nothingIsLeft(t *testing.T, user int64, said string, page string, all []*process) {
	t.Helper()
	if s.train(t, user) {
		t.Error("a version that was trained after knows the user")
	}
	var n int
	if err := s.session.Query("SELECT COUNT(*) FROM users WHERE user_id = ?", user).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d profiles are left, %v", n, err)
	}
	id := fmt.Sprint(user)
	eventually(t, 3*time.Minute, func() error {
		if err := contains("http://"+page+"/live/snapshot", id); err == nil {
			return errors.New("the page shows the user")
		}
		return nil
	})
	client := s.partitioned(t)
	for _, topic := range []string{"events", "requests", "predictions", "recommendations", "dead_letters", "train"} {
		s.shorten(t, topic, "retention.ms", "1000", "segment.ms", "500")
	}
	s.shorten(t, "user_factors", "max.compaction.lag.ms", "500", "segment.ms", "500", "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "0")
	eventually(t, 3*time.Minute, func() error {
		for partition := range int32(4) { // an active segment is compacted once another record has come
			record := &kgo.Record{Topic: "user_factors", Partition: partition, Key: []byte("0"), Value: nil}
			if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
				return err
			}
		}
		for _, topic := range []string{"events", "requests", "predictions", "recommendations", "dead_letters", "user_factors", "movies", "models", "train"} {
			for _, r := range s.broker.records(t, topic, s.beginnings(t, topic)) {
				if r.Value != nil && (bytes.Contains(r.Value, []byte(id)) || string(r.Key) == id) {
					return fmt.Errorf("topic %s has %.200s of the user", topic, r.Value)
				}
			}
		}
		return nil
	})
	for _, p := range s.processes {
		if strings.Contains(p.log.String(), passwordOf) {
			t.Errorf("%s tells the password of its principal", p.name)
		}
	}
	for _, p := range all {
		for line := range strings.Lines(p.log.String()) {
			if strings.Contains(line, id) || strings.Contains(line, said) {
				t.Errorf("%s logs of the user: %s", p.name, line)
			}
		}
		if !strings.Contains(p.log.String(), "level=debug") {
			t.Errorf("%s does not log all it could", p.name)
		}
	}
}

// shorten sets settings of a topic, in pairs of name and value.
func (s *system) shorten(t *testing.T, topic string, pairs ...string) {
	t.Helper()
	var changes []kadm.AlterConfig
	for pair := range slices.Chunk(pairs, 2) {
		changes = append(changes, kadm.AlterConfig{Name: pair[0], Value: &pair[1]})
	}
	answers, err := s.broker.admin.AlterTopicConfigs(t.Context(), changes, topic)
	for _, a := range answers {
		err = errors.Join(err, a.Err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// beginnings is where each partition of a topic begins.
func (s *system) beginnings(t *testing.T, topic string) map[int32]int64 {
	t.Helper()
	listed, err := s.broker.admin.ListStartOffsets(t.Context(), topic)
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

// partitioned is a client whose records go to the partition that they name.
func (s *system) partitioned(t *testing.T) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(slices.Clone(s.broker.options), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}
