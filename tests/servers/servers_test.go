//go:build cluster

package servers

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// orphanVariable has the test binary start servers and wait to be killed.
const orphanVariable = "RECSYS_SERVERS_TEST_ORPHANS"

func TestMain(m *testing.M) {
	if os.Getenv(orphanVariable) != "" {
		fmt.Fprintln(os.Stderr, leaveOrphans())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// leaveOrphans starts servers, prints their pids and folders, and never ends.
func leaveOrphans() error {
	ctx := context.Background()
	k, err := StartKafka(ctx, KafkaOptions{})
	if err != nil {
		return err
	}
	e, err := StartElasticsearch(ctx, ElasticsearchOptions{})
	if err != nil {
		return err
	}
	if err := e.Nodes[0].Pause(); err != nil { // a frozen one cannot see that its parent is gone
		return err
	}
	// The system wakes what it orphans only if it has stopped, each of its threads.
	if err := poll(ctx, nil, func(context.Context) error { return stopped(e.Nodes[0].Pid()) }); err != nil {
		return err
	}
	fmt.Println(k.Nodes[0].Pid(), k.Dir, e.Nodes[0].Pid(), e.Dir)
	select {}
}

// stopped returns an error as long as a thread of the process runs.
func stopped(pid int) error {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return err
	}
	for _, thread := range threads {
		if stat, err := os.ReadFile(thread); err == nil && !bytes.Contains(stat, []byte(") T ")) {
			return fmt.Errorf("%s: %s", thread, stat)
		}
	}
	return nil
}

func TestServersDieWithTheProcessThatStartedThem(t *testing.T) {
	ForTest(t)
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), orphanVariable+"=1")
	parent.Stderr = os.Stderr
	out := must[interface{ Read([]byte) (int, error) }](t)(parent.StdoutPipe())
	check(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var kafka, elasticsearch int
	var dirs [2]string
	if _, err := fmt.Sscan(line, &kafka, &dirs[0], &elasticsearch, &dirs[1]); err != nil {
		t.Fatal(err)
	}
	check(t, parent.Process.Kill())
	_ = parent.Wait()
	gone(t, kafka)
	gone(t, elasticsearch)
	removeLeftOvers()
	for _, dir := range dirs {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is left over: %v", dir, err)
		}
	}
}

func TestTwoClustersRunAtOnceAndCloseLeavesNothing(t *testing.T) {
	ForTest(t)
	one := must[*Kafka](t)(StartKafka(testContext(t), KafkaOptions{}))
	defer one.Close()
	other := must[*Kafka](t)(StartKafka(testContext(t), KafkaOptions{}))
	defer other.Close()
	pid := one.Nodes[0].Pid()
	check(t, one.Close())
	check(t, one.Close())
	gone(t, pid)
	if _, err := os.Stat(one.Dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", one.Dir, err)
	}
	check(t, other.Nodes[0].Start(testContext(t))) // it runs
}

func TestAnInterruptedFetchIsRepaired(t *testing.T) {
	ForTest(t)
	if _, err := exec.LookPath("mvn"); err != nil {
		t.Skip("needs mvn")
	}
	cache := t.TempDir()
	t.Setenv(cacheVariable, cache)
	check(t, os.MkdirAll(filepath.Join(cache, kafkaRelease.name+".partial", "libs"), 0o755))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := kafkaRelease.fetch(ctx); err == nil || kafkaRelease.cached() {
		t.Fatalf("a fetch that was interrupted: %v", err)
	}
	dirs := make(chan string, 2)
	for range 2 {
		go func() {
			dir, err := kafkaRelease.fetch(testContext(t))
			if err != nil {
				t.Error(err)
			}
			dirs <- dir
		}()
	}
	for range 2 {
		if jars, err := classpath(<-dirs); err != nil || !strings.Contains(jars, "kafka-clients") {
			t.Errorf("fetched %q, %v", jars, err)
		}
	}
}

func TestReservedPortsAreReservedOnce(t *testing.T) {
	a, releaseA, err := reservePorts(50, hosts(3))
	check(t, err)
	defer releaseA()
	b, releaseB, err := reservePorts(50, hosts(3))
	check(t, err)
	defer releaseB()
	for _, port := range a {
		if slices.Contains(b, port) {
			t.Errorf("port %d is reserved twice", port)
		}
	}
}

// started starts servers that are closed with the test, and reports what they cost.
func started[O any, C interface {
	Close() error
	RSS() int64
}](t *testing.T, start func(context.Context, O) (C, error), options O) C {
	t.Helper()
	ForTest(t)
	var c C
	measure(t, "starting", func() {
		var err error
		if c, err = start(testContext(t), options); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { check(t, c.Close()) })
	t.Logf("%d MB", c.RSS()>>20)
	return c
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func measure(t *testing.T, what string, f func()) {
	t.Helper()
	began := time.Now()
	f()
	t.Logf("%s took %.1f s", what, time.Since(began).Seconds())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		check(t, err)
		return v
	}
}

// gone waits until a process is no more, or dead and not reaped yet.
func gone(t *testing.T, pid int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := poll(ctx, nil, func(context.Context) error {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return nil
		}
		return fmt.Errorf("process %d lives: %s", pid, stat)
	})
	check(t, err)
}
