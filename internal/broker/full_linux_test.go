package broker

import (
	"context"
	"errors"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// smallDisk is a folder on a file system of so many bytes.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size="+strconv.Itoa(bytes)); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED with a disk that is full: mounting one needs root: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(folder, syscall.MNT_DETACH) })
	return folder
}

// takeRoom fills the disk but for so many bytes, and returns what frees it.
func takeRoom(t *testing.T, folder string, left int) (free func()) {
	t.Helper()
	file, err := os.CreateTemp(folder, "filler-")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	size := int64(0)
	for n := 1 << 20; n > 0; {
		written, err := file.Write(make([]byte, n))
		size += int64(written)
		if err != nil {
			n /= 2
		}
	}
	if err := file.Truncate(max(size-int64(left), 0)); err != nil {
		t.Fatal(err)
	}
	return func() { _ = os.Remove(file.Name()) }
}

// TestAFullDiskIsAnOutageToProducers: the broker said UNKNOWN_SERVER_ERROR, which
// clients do not try again, and took the same batch for a duplicate when they did.
func TestAFullDiskIsAnOutageToProducers(t *testing.T) {
	folder := smallDisk(t, 32<<20)
	b := open(t, Config{Dir: folder, Topics: []Topic{{Name: "events"}}})
	client := newClient(t, b.Addr())
	write := func(n int, done chan<- error) {
		record := &kgo.Record{Topic: "events", Value: append(strconv.AppendInt(nil, int64(n), 10), append([]byte(" "), make([]byte, 8<<10)...)...)}
		client.Produce(testContext(t), record, func(_ *kgo.Record, err error) { done <- err })
	}
	first := make(chan error, 1)
	if write(0, first); <-first != nil {
		t.Fatal("the disk has room")
	}
	free := takeRoom(t, folder, 0)
	const waiting = 20
	done := make(chan error, waiting)
	for n := 1; n <= waiting; n++ {
		write(n, done)
	}
	if code := produceRaw(t, b.Addr()); !errors.Is(code, kerr.KafkaStorageError) || !kerr.IsRetriable(code) {
		t.Errorf("a producer is told %v", code)
	}
	select {
	case err := <-done:
		t.Errorf("a record was answered on a full disk: %v", err)
	default:
	}
	free()
	for range waiting {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if start, end := bounds(t, b.Addr()); start != 0 || end != 1+waiting {
		t.Errorf("offsets are %d to %d, want 0 to %d", start, end, 1+waiting)
	}
	checkValues(t, b.Addr())
}

// produceRaw sends a batch without a client's retries and returns the broker's word.
func produceRaw(t *testing.T, addr string) error {
	t.Helper()
	client := newClient(t, addr, kgo.DisableIdempotentWrite(), kgo.RecordRetries(0))
	record := &kgo.Record{Topic: "events", Value: make([]byte, 8<<10)}
	return client.ProduceSync(testContext(t), record).FirstErr()
}

// TestCommitsOnAFullDiskAreRefusedOrKept: they were acknowledged and torn, and a
// SIGKILL at any time later took all commits since.
func TestCommitsOnAFullDiskAreRefusedOrKept(t *testing.T) {
	folder := smallDisk(t, 32<<20)
	b := open(t, Config{Dir: folder, Topics: []Topic{{Name: "events"}}})
	fill(t, b.Addr(), 10, 10, 10)
	commit(t, b.Addr(), "g", 1)
	free := takeRoom(t, folder, 0)
	refused := 0
	for n := range 200 { // over the slack of the last page
		if err := commitRaw(t, b.Addr(), "group-with-a-long-name-"+strconv.Itoa(n), 2); err != nil {
			refused++
			if !kerr.IsRetriable(err) {
				t.Fatalf("a commit on a full disk is answered with %v, which clients do not try again", err)
			}
		}
	}
	if refused == 0 {
		t.Error("a full disk took every commit")
	}
	free()
	commit(t, b.Addr(), "g", 9)
	killed := t.TempDir() // what a SIGKILL leaves now
	if err := os.CopyFS(killed, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	again := open(t, Config{Dir: killed})
	if at := committed(t, again.Addr(), "g"); at != 9 {
		t.Errorf("committed %d, want 9", at)
	}
}

// commitRaw sends a commit without a client's retries.
func commitRaw(t *testing.T, addr, group string, offset int64) error {
	t.Helper()
	client := newClient(t, addr)
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Group, request.Generation, request.Version = group, -1, 8
	request.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "events", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: offset, LeaderEpoch: -1}}}}
	response, err := client.Broker(0).Request(testContext(t), request)
	if err != nil {
		t.Fatal(err)
	}
	return kerr.ErrorForCode(response.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode)
}

// TestABrokerThatStartsOnAFullDiskServesWhatItHas, and takes more once it can.
func TestABrokerThatStartsOnAFullDiskServesWhatItHas(t *testing.T) {
	folder := smallDisk(t, 32<<20)
	cfg := Config{Dir: folder, Topics: []Topic{{Name: "events"}}}
	b := open(t, cfg)
	fill(t, b.Addr(), 100, 100, 10)
	killed := smallDisk(t, 32<<20)
	if err := os.CopyFS(killed, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	free := takeRoom(t, killed, 0)
	cfg.Dir = killed
	again := open(t, cfg)
	checkValues(t, again.Addr())
	free()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := newClient(t, again.Addr()).ProduceSync(ctx, &kgo.Record{Topic: "events", Value: []byte("100 x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	checkValues(t, again.Addr())
	if _, err := kadm.NewClient(newClient(t, again.Addr())).ListTopics(ctx); err != nil {
		t.Fatal(err)
	}
}
