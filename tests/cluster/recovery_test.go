//go:build cluster

package cluster

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// recovery is what a fault cost.
type recovery struct {
	fault      string
	messages   int
	gaps       map[string]time.Duration // by group: the longest time without progress
	caughtUp   time.Duration            // from the last message sent, and the fault over, until all is done
	duplicates int                      // predictions written again
}

var recoveries struct {
	mu  sync.Mutex
	all []recovery
}

func record(r recovery) {
	recoveries.mu.Lock()
	defer recoveries.mu.Unlock()
	recoveries.all = append(recoveries.all, r)
	keepRecoveries()
}

// keepRecoveries writes the table of docs/reliability.md to the file that
// RECSYS_FAULTS_TABLE names, after every fault: a long run may be cut off. The
// lock is held.
func keepRecoveries() {
	path := os.Getenv("RECSYS_FAULTS_TABLE")
	if path == "" {
		return
	}
	var text strings.Builder
	text.WriteString("| fault | messages meanwhile | lost | predicted again | predict stood still | ingest stood still | index stood still | caught up after |\n| - | - | - | - | - | - | - | - |\n")
	for _, r := range recoveries.all {
		fmt.Fprintf(&text, "| %s | %d | 0 | %d | %.1f s | %.1f s | %.1f s | %.1f s |\n", r.fault, 2*r.messages, r.duplicates,
			r.gaps["predict"].Seconds(), r.gaps["ingest"].Seconds(), r.gaps["index"].Seconds(), r.caughtUp.Seconds())
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		fmt.Fprintf(os.Stderr, "writing the table of faults: %v; RECSYS_FAULTS_TABLE names its file\n", err)
	}
}

// printRecoveries prints what all faults cost.
func printRecoveries() {
	recoveries.mu.Lock()
	defer recoveries.mu.Unlock()
	if len(recoveries.all) == 0 {
		return
	}
	fmt.Println("\nRecovery. Gaps are the longest times without progress in s; offsets are committed every second. Each fault was in the\n" +
		"middle of so many events and as many requests; done is how long after the last of them, and the end of the fault, all was done.")
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "fault\tmessages\tpredict gap\tingest gap\tindex gap\tdone\tduplicates")
	for _, r := range recoveries.all {
		fmt.Fprintf(table, "%s\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t%d\n", r.fault, r.messages,
			r.gaps["predict"].Seconds(), r.gaps["ingest"].Seconds(), r.gaps["index"].Seconds(), r.caughtUp.Seconds(), r.duplicates)
	}
	_ = table.Flush()
}

// watch looks at the progress of the three groups until it is stopped.
type watch struct {
	stopped chan struct{}
	group   sync.WaitGroup
	mu      sync.Mutex
	gaps    map[string]time.Duration
}

// watchProgress begins when there is something to do. Predictions are counted,
// the others by the offsets their groups commit.
func (s *system) watchProgress() *watch {
	w := &watch{stopped: make(chan struct{}), gaps: map[string]time.Duration{}}
	for group, progress := range map[string]func() (map[int32]int64, error){
		"predict": func() (map[int32]int64, error) { return s.broker.ends("predictions") },
		"ingest":  func() (map[int32]int64, error) { return s.broker.committed("ingest", "events") },
		"index":   func() (map[int32]int64, error) { return s.broker.committed("index", "predictions") },
	} {
		w.group.Go(func() { w.follow(group, progress) })
	}
	return w
}

// follow notes the longest time between two changes, the one after the last
// left out: there was nothing to do then.
func (w *watch) follow(group string, progress func() (map[int32]int64, error)) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	var last int64
	var changed time.Time
	for {
		select {
		case <-w.stopped:
			return
		case <-ticker.C:
		}
		offsets, err := progress()
		if err != nil || total(offsets) == last {
			continue
		}
		now := time.Now()
		if !changed.IsZero() {
			w.mu.Lock()
			w.gaps[group] = max(w.gaps[group], now.Sub(changed))
			w.mu.Unlock()
		}
		last, changed = total(offsets), now
	}
}

// stop ends the watch and returns the longest gap of each group.
func (w *watch) stop() map[string]time.Duration {
	close(w.stopped)
	w.group.Wait()
	return w.gaps
}
