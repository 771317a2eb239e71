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

// train asks for a training, waits for the version, and returns whether it knows the
// user.
func (ps *principals) train(t *testing.T) (knows bool) {
	t.Helper()
	before, _, err := ps.versions()
	if err != nil {
		t.Fatal(err)
	}
	produce(t, ps.broker.client, "train", `{"trigger":"kafka","force":true}`)
	ps.eventually(t, func() error {
		all, r, err := ps.versions()
		if err != nil || len(all) <= len(before) {
			return errors.Join(err, errors.New("there is no new version"))
		}
		m, _, err := r.Model(all[len(all)-1].Version)
		if err == nil {
			_, knows = slices.BinarySearch(m.Factors().Users, forgotten)
		}
		return err
	})
	return knows
}

// nothingIsLeft proves what docs/delivery.md promises of a user who is forgotten, after
// the store and the indices, which are empty by now: a version that is trained later,
// the topics once their time is over, the page, and the logs of all processes.
func (ps *principals) nothingIsLeft(t *testing.T) {
	t.Helper()
	if ps.train(t) {
		t.Error("a version that was trained after knows the user")
	}
	var n int
	if err := ps.session.Query("SELECT COUNT(*) FROM users WHERE user_id = ?", forgotten).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d profiles are left, %v", n, err)
	}
	ps.eventually(t, func() error {
		text, err := get("http://" + ps.page + "/live/snapshot")
		if err == nil && strings.Contains(text, fmt.Sprint(forgotten)) {
			err = errors.New("the page shows the user")
		}
		return err
	})
	ps.topicsForget(t)
	ps.logsDoNotTell(t)
}

// topicsForget shortens the time that topics keep records, and waits until it is over.
func (ps *principals) topicsForget(t *testing.T) {
	t.Helper()
	client, err := kgo.NewClient(append(slices.Clone(ps.broker.options), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	for _, topic := range []string{"events", "requests", "predictions", "recommendations", "dead_letters", "train"} {
		ps.shorten(t, topic, "retention.ms", "1000", "segment.ms", "500")
	}
	ps.shorten(t, "user_factors", "max.compaction.lag.ms", "500", "segment.ms", "500", "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "0")
	ps.eventually(t, func() error {
		for partition := range int32(4) { // an active segment is compacted once another record has come
			record := &kgo.Record{Topic: "user_factors", Partition: partition, Key: []byte("0"), Value: nil}
			if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
				return err
			}
		}
		for _, topic := range []string{"events", "requests", "predictions", "recommendations", "dead_letters", "user_factors", "movies", "models", "train"} {
			for _, r := range ps.broker.records(t, topic, ps.broker.beginnings(t, topic)) {
				if id := fmt.Append(nil, forgotten); r.Value != nil && (bytes.Contains(r.Value, id) || bytes.Equal(r.Key, id)) {
					return fmt.Errorf("topic %s has %.200s of the user", topic, r.Value)
				}
			}
		}
		return nil
	})
}

// logsDoNotTell who is forgotten, what they wrote, and the principals' password.
func (ps *principals) logsDoNotTell(t *testing.T) {
	t.Helper()
	debug := 0
	for _, p := range ps.processes {
		for _, part := range []string{fmt.Sprint(forgotten), theirTag} {
			for _, line := range p.lines(part) {
				t.Errorf("%s logs of the user: %s", p.name, line)
			}
		}
		debug += len(p.lines("level=debug"))
	}
	if debug == 0 {
		t.Error("no process logs all it could")
	}
	for _, p := range ps.system.processes {
		for _, line := range p.lines(passwordOf) {
			t.Errorf("%s tells the password of its principal: %s", p.name, line)
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
