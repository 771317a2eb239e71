package chaos

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/tests/faults"
)

// disk is a small file system for the time of a test.
func disk(t *testing.T, bytes int64) *faults.Disk {
	t.Helper()
	d, err := faults.NewDisk(t.TempDir(), bytes)
	if errors.Is(err, faults.ErrMayNotMount) && os.Getenv("CI") == "" {
		t.Skipf("NOT TESTED with disks that are full: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestADiskThatIsFullLosesNothing(t *testing.T) {
	t.Parallel()
	times, lasting := 1, 4*time.Second
	if long() {
		times, lasting = 5, 15*time.Second
	}
	broker, store, models := disk(t, 96<<20), disk(t, 64<<20), disk(t, 32<<20)
	s := newSystem(t, broker.Folder, store.Folder, models.Folder, 106)
	full := func(d *faults.Disk, felt func() error) func() {
		return func() {
			if err := d.Fill(); err != nil {
				t.Fatal(err)
			}
			s.eventually(felt)
			s.pass(lasting)
		}
	}
	free := func(d *faults.Disk) func() {
		return func() {
			if err := d.Free(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range times {
		s.fault("disk full: broker", full(broker, s.traffic.heldUp), free(broker))
		s.fault("disk full: broker, which is then killed", func() {
			full(broker, s.traffic.heldUp)()
			s.broker.process.Kill()
		}, func() {
			free(broker)()
			s.start(s.broker)
		})
		s.fault("disk full: rating store and index", full(store, s.says("ingest", "disk is full")), free(store))
		s.trainOnAFullDisk(full(models, s.says("train", "no space left on device")), free(models))
		s.fault("kill -9 of a broker whose disk had been full", s.broker.process.Kill, func() { s.start(s.broker) })
	}
}

// heldUp is an error unless records wait for the broker.
func (f *traffic) heldUp() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.inFlight < 2*rate {
		return fmt.Errorf("%d records are not acknowledged: the disk has room", f.inFlight)
	}
	return nil
}

// says is a check that a process has said something since now.
func (s *system) says(name, words string) func() error {
	output := s.member(name).output
	already := strings.Count(output.String(), words)
	return func() error {
		if strings.Count(output.String(), words) <= already {
			return fmt.Errorf("%s has not said %q", name, words)
		}
		return nil
	}
}

// trainOnAFullDisk demands that a training that has no room is made once it has,
// and that the registry is sound.
func (s *system) trainOnAFullDisk(full, free func()) {
	s.t.Helper()
	versions, err := registry.Open(s.registry)
	if err != nil {
		s.t.Fatal(err)
	}
	before, err := versions.Verify(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.fault("disk full: registry, in a training", func() {
		order := &kgo.Record{Topic: "train", Value: []byte(`{"trigger":"kafka"}`)}
		if err := s.traffic.client.ProduceSync(s.t.Context(), order).FirstErr(); err != nil {
			s.t.Fatal(err)
		}
		full()
	}, free)
	s.eventually(func() error {
		after, err := versions.Verify(s.t.Context())
		if err == nil && (after.Versions <= before.Versions || len(after.Problems) > 0) {
			err = fmt.Errorf("the registry has %d versions, before the disk was full %d: %v", after.Versions, before.Versions, after.Problems)
		}
		return err
	})
}
