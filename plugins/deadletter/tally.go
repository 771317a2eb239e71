package deadletter

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// tellPeriod is how often the log tells of dead letters while there are any.
const tellPeriod = time.Minute

// tally tells the log of dead letters in sums: of the first at once, of those behind it
// once a minute. Reasons are in the letters; they may quote what nobody should log.
type tally struct {
	log    *service.Logger
	period time.Duration

	mu     sync.Mutex
	counts map[string]int // by component, since the log was told
	timer  *time.Timer    // nil while nothing came for a period
	closed bool
}

func newTally(log *service.Logger) *tally {
	return &tally{log: log, period: tellPeriod, counts: map[string]int{}}
}

// add counts the letters of a batch, by the component that refused each.
func (t *tally) add(components map[string]int) {
	if len(components) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for component, n := range components {
		t.counts[component] += n
	}
	if t.timer == nil && !t.closed {
		t.tell()
		t.timer = time.AfterFunc(t.period, t.due)
	}
}

// due tells what came in a period, and waits for the next one if something did.
func (t *tally) due() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || !t.tell() {
		t.timer = nil
		return
	}
	t.timer = time.AfterFunc(t.period, t.due)
}

// tell writes the line, if there is something to tell.
func (t *tally) tell() bool {
	sum, parts := 0, []string{}
	for _, component := range slices.Sorted(maps.Keys(t.counts)) {
		sum += t.counts[component]
		parts = append(parts, fmt.Sprintf("%s %d", cmp.Or(component, "unknown"), t.counts[component]))
	}
	if sum == 0 {
		return false
	}
	clear(t.counts)
	t.log.Warnf("Dead letters: %d (%s); the topic has the reasons", sum, strings.Join(parts, ", "))
	return true
}

// close tells what is left.
func (t *tally) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tell()
	t.closed = true
	if t.timer != nil {
		t.timer.Stop()
	}
}
