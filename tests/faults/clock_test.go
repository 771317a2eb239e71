package faults

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// asClock makes the test program one that tells the time.
const asClock = "FAULTS_TEST_CLOCK"

func TestMain(m *testing.M) {
	if os.Getenv(asClock) != "" {
		tellTime()
		return
	}
	os.Exit(m.Run())
}

// tellTime writes wall clock and monotonic clock, while other threads do nothing
// but read the time.
func tellTime() {
	began, last := time.Now(), atomic.Int64{}
	for range 3 {
		go func() {
			for {
				last.Store(time.Now().UnixNano())
			}
		}()
	}
	for {
		now := time.Now()
		if _, err := fmt.Println(now.UnixNano(), int64(now.Sub(began)), last.Load()); err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestTheClockOfAProcessJumpsAndItsMonotonicClockDoesNot(t *testing.T) {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), asClock+"=1")
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	lines := bufio.NewScanner(out)
	read := func() (wall, elapsed, other int64) {
		t.Helper()
		if !lines.Scan() {
			t.Fatal("the process has ended")
		}
		if _, err := fmt.Sscan(lines.Text(), &wall, &elapsed, &other); err != nil {
			t.Fatal(err)
		}
		return wall, elapsed, other
	}
	wall, elapsed, _ := read()
	start := wall - elapsed // of its life by the true clock
	for _, ahead := range []time.Duration{time.Hour, -24 * time.Hour, 10 * 365 * 24 * time.Hour, 0} {
		err := SetClock(command.Process.Pid, ahead)
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skipf("NOT TESTED with clocks that jump, on %s/%s", runtime.GOOS, runtime.GOARCH)
		}
		if err != nil {
			t.Fatal(err)
		}
		near := func(at int64) bool {
			return (time.Duration(at-start-elapsed) - ahead).Abs() < time.Second
		}
		deadline := time.Now().Add(time.Minute)
		for other := int64(0); !near(wall) || !near(other); wall, elapsed, other = read() {
			if time.Now().After(deadline) {
				t.Fatalf("the clock is %s ahead instead of %s; another thread's %s", time.Duration(wall-start-elapsed), ahead, time.Duration(other-start-elapsed))
			}
		}
	}
	if true := time.Now().UnixNano(); time.Duration(true-start-elapsed).Abs() > time.Minute {
		t.Errorf("the machine's clock has moved")
	}
}

func TestPartsOfASecondAreRefused(t *testing.T) {
	if err := SetClock(os.Getpid(), 1500*time.Millisecond); err == nil {
		t.Error("half a second was taken")
	}
}
