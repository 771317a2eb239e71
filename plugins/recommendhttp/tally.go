package recommendhttp

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/api"
)

// tallyPeriod is how often answers are handed to the metrics: a counter with labels
// costs more than the count.
const tallyPeriod = 500 * time.Millisecond

// tally counts answers by kind and status. It is safe for concurrent use.
type tally struct {
	metric *service.MetricCounter
	counts sync.Map // of answerKey to *atomic.Int64
}

type answerKey struct {
	kind   api.Kind
	status int
}

func (t *tally) count(kind api.Kind, status int) {
	key := answerKey{kind, status}
	n, ok := t.counts.Load(key)
	if !ok {
		n, _ = t.counts.LoadOrStore(key, new(atomic.Int64))
	}
	n.(*atomic.Int64).Add(1)
}

// tell hands over what was counted since it did so last.
func (t *tally) tell() {
	t.counts.Range(func(key, n any) bool {
		if counted := n.(*atomic.Int64).Swap(0); counted > 0 {
			of := key.(answerKey)
			t.metric.Incr(counted, string(of.kind), strconv.Itoa(of.status))
		}
		return true
	})
}

// run tells until ctx ends, and then what is left.
func (t *tally) run(ctx context.Context) {
	defer t.tell()
	ticker := time.NewTicker(tallyPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			t.tell()
		}
	}
}
