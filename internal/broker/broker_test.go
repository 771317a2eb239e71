package broker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const childDir = "BROKER_TEST_CHILD_DIR"

// TestMain runs a broker instead of the tests in the child of the SIGKILL test.
func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	b, err := Open(Config{Dir: dir, Address: "127.0.0.1:0", Topics: []Topic{{Name: "events", Partitions: 2}}})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(b.Addr())
	select {} // until it is killed
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func open(t *testing.T, cfg Config) *Broker {
	t.Helper()
	if cfg.Address == "" {
		cfg.Address = "127.0.0.1:0"
	}
	b, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func newClient(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(addr), kgo.ProducerLinger(0),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// fill writes n records of the given size to events/0, in batches of batch.
func fill(t *testing.T, addr string, n, size, batch int) {
	t.Helper()
	client := newClient(t, addr, kgo.ProducerBatchCompression(kgo.NoCompression()))
	value := strings.Repeat("x", size)
	for written := 0; written < n; written += batch {
		records := make([]*kgo.Record, batch)
		for i := range records {
			records[i] = &kgo.Record{Topic: "events", Value: []byte(strconv.Itoa(written+i) + " " + value)}
		}
		if err := client.ProduceSync(testContext(t), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func commit(t *testing.T, addr, group string, offset int64) {
	t.Helper()
	offsets := kadm.Offsets{}
	offsets.AddOffset("events", 0, offset, -1)
	if err := kadm.NewClient(newClient(t, addr)).CommitAllOffsets(testContext(t), group, offsets); err != nil {
		t.Fatal(err)
	}
}

func committed(t *testing.T, addr, group string) int64 {
	t.Helper()
	offsets, err := kadm.NewClient(newClient(t, addr)).FetchOffsets(testContext(t), group)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := offsets.Lookup("events", 0)
	return o.At
}

// bounds returns the first offset and the end of events/0.
func bounds(t *testing.T, addr string) (start, end int64) {
	t.Helper()
	admin := kadm.NewClient(newClient(t, addr))
	starts, err := admin.ListStartOffsets(testContext(t), "events")
	if err != nil {
		t.Fatal(err)
	}
	ends, err := admin.ListEndOffsets(testContext(t), "events")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := starts.Lookup("events", 0)
	e, _ := ends.Lookup("events", 0)
	return s.Offset, e.Offset
}

// checkValues reads events/0 from its first record and checks that each value
// is its offset.
func checkValues(t *testing.T, addr string) {
	t.Helper()
	start, end := bounds(t, addr)
	client := newClient(t, addr, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"events": {0: kgo.NewOffset().AtStart()}}))
	for next := start; next < end; {
		fetches := client.PollFetches(testContext(t))
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for _, r := range fetches.Records() {
			number, _, _ := strings.Cut(string(r.Value), " ")
			if r.Offset != next || number != strconv.FormatInt(next, 10) {
				t.Fatalf("record at offset %d, value %s, want %d", r.Offset, number, next)
			}
			next++
		}
	}
}

func diskBytes(t *testing.T, b *Broker) int64 {
	t.Helper()
	segments, err := scanSegments(filepath.Join(b.dataDir, "partitions"))
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, s := range segments {
		total += s.size
	}
	return total
}

func TestDataAndGroupOffsetsSurviveCloseAndOpen(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Topics: []Topic{{Name: "events", Partitions: 2}}}
	b := open(t, cfg)
	fill(t, b.Addr(), 100, 10, 10)
	commit(t, b.Addr(), "g", 42)
	if err := errors.Join(b.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}

	cfg.Address, cfg.Topics = b.Addr(), []Topic{{Name: "events", Partitions: 5}, {Name: "more"}}
	b = open(t, cfg)
	checkValues(t, b.Addr())
	if start, end := bounds(t, b.Addr()); start != 0 || end != 100 {
		t.Errorf("offsets are %d to %d, want 0 to 100", start, end)
	}
	if at := committed(t, b.Addr(), "g"); at != 42 {
		t.Errorf("committed %d, want 42", at)
	}
	topics, err := b.admin.ListTopics(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(topics["events"].Partitions); n != 2 {
		t.Errorf("the existing topic has %d partitions, want its 2", n)
	}
	if !topics.Has("more") {
		t.Error("the new topic is missing")
	}
}

func TestAcknowledgedRecordsSurviveASIGKILL(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childDir+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		addr, err := bufio.NewReader(out).ReadString('\n')
		addr = strings.TrimSpace(addr)
		if _, _, splitErr := net.SplitHostPort(addr); err != nil || splitErr != nil {
			t.Fatalf("the child says %q: %v", addr, err)
		}
		if _, err := Open(Config{Dir: dir, Address: "127.0.0.1:0"}); !errors.Is(err, ErrLocked) ||
			!strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", child.Process.Pid)) {
			t.Errorf("second Open gives %v", err)
		}
		start, end := bounds(t, addr)
		if start != 0 || end != int64(round*100) {
			t.Errorf("round %d: offsets are %d to %d", round, start, end)
		}
		client := newClient(t, addr)
		for n := range 100 {
			record := &kgo.Record{Topic: "events", Value: fmt.Appendf(nil, "%d x", round*100+n)}
			if err := client.ProduceSync(testContext(t), record).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		commit(t, addr, "g", int64(round*100+7))
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait()
	}
	b := open(t, Config{Dir: dir})
	checkValues(t, b.Addr())
	if _, end := bounds(t, b.Addr()); end != 300 {
		t.Errorf("the end is %d, want 300", end)
	}
	if at := committed(t, b.Addr(), "g"); at != 207 {
		t.Errorf("committed %d, want 207", at)
	}
}

func TestRetentionBoundsDiskAndNeverEmptiesAPartition(t *testing.T) {
	const maxBytes = 1 << 20
	cfg := Config{Dir: t.TempDir(), MaxBytes: maxBytes, Topics: []Topic{{Name: "events"}}}
	b := open(t, cfg)
	fill(t, b.Addr(), 4000, 1000, 100)
	if err := b.retain(testContext(t), time.Now()); err != nil {
		t.Fatal(err)
	}
	if total := diskBytes(t, b); total > maxBytes || total < maxBytes/4 {
		t.Errorf("%d bytes on disk, want at most %d, and not much less", total, maxBytes)
	}
	start, end := bounds(t, b.Addr())
	if start == 0 || end != 4000 {
		t.Errorf("offsets are %d to %d", start, end)
	}
	checkValues(t, b.Addr())
	b.Close()

	cfg.MaxBytes = 1 // what is left is above this limit
	b = open(t, cfg)
	if err := b.retain(testContext(t), time.Now()); err != nil {
		t.Fatal(err)
	}
	if start, end := bounds(t, b.Addr()); start >= end || end != 4000 {
		t.Errorf("offsets are %d to %d: the partition is empty", start, end)
	}
}

func TestRetentionKeepsWhatAGroupHasYetToCommit(t *testing.T) {
	const maxBytes = 1 << 20
	b := open(t, Config{Dir: t.TempDir(), MaxBytes: maxBytes, Topics: []Topic{{Name: "events"}}})
	fill(t, b.Addr(), 100, 1000, 100)
	commit(t, b.Addr(), "slow", 50)
	commit(t, b.Addr(), "fast", 100)
	fill(t, b.Addr(), 4000, 1000, 100)
	commit(t, b.Addr(), "fast", 4100)
	if err := b.retain(testContext(t), time.Now()); err != nil {
		t.Fatal(err)
	}
	if start, _ := bounds(t, b.Addr()); start > 50 {
		t.Errorf("the first offset is %d, but a group is at 50", start)
	}
	if !b.heldBack.Load() {
		t.Error("the breach of the limit was not reported")
	}
	commit(t, b.Addr(), "slow", 4100)
	if err := b.retain(testContext(t), time.Now()); err != nil {
		t.Fatal(err)
	}
	if total := diskBytes(t, b); total > maxBytes {
		t.Errorf("%d bytes on disk after the commit, want at most %d", total, maxBytes)
	}
}

func TestRetentionDeletesByWallClockAge(t *testing.T) {
	b := open(t, Config{Dir: t.TempDir(), MaxBytes: 1 << 20, MaxAge: time.Hour, Topics: []Topic{{Name: "events"}}})
	fill(t, b.Addr(), 900, 1000, 100)
	if err := b.retain(testContext(t), time.Now()); err != nil {
		t.Fatal(err)
	}
	if start, _ := bounds(t, b.Addr()); start != 0 {
		t.Errorf("the first offset is %d, want 0: nothing is old", start)
	}
	if err := b.retain(testContext(t), time.Now().Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if start, end := bounds(t, b.Addr()); start == 0 || start >= end {
		t.Errorf("offsets are %d to %d, want only the newest segment", start, end)
	}
	checkValues(t, b.Addr())
}

func TestPortTakenIsAClearError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	dir := t.TempDir()
	_, err = Open(Config{Dir: dir, Address: "127.0.0.1:" + port})
	if !errors.Is(err, ErrAddressInUse) || !strings.Contains(err.Error(), "port "+port) {
		t.Fatalf("error is %v", err)
	}
	open(t, Config{Dir: dir}) // the lock was released
}

func TestBadConfigurationIsRefused(t *testing.T) {
	for _, test := range []struct {
		name, address, want string
	}{
		{"all interfaces", "0.0.0.0:9092", "loopback only"},
		{"no host", ":9092", "loopback only"},
		{"another machine", "192.168.0.1:9092", "loopback only"},
		{"no port", "127.0.0.1", "127.0.0.1:9092"},
		{"bad port", "127.0.0.1:many", "port must be a number"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Open(Config{Dir: t.TempDir(), Address: test.address})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error is %v, want one with %q", err, test.want)
			}
		})
	}
	if _, err := Open(Config{}); err == nil || !strings.Contains(err.Error(), "Dir is empty") {
		t.Errorf("without Dir the error is %v", err)
	}
}
