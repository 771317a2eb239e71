package eval

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// inParallel calls a worker's function for 0 to n−1, each once, spread over
// threads goroutines, and waits for them; 0 threads means one per CPU. Each
// goroutine makes one worker for itself, which may own scratch memory. It
// returns ctx's error if ctx ends first.
func inParallel(ctx context.Context, threads, n int, newWorker func() func(k int)) error {
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(threads, n) {
		group.Go(func() {
			worker := newWorker()
			for ctx.Err() == nil {
				k := int(next.Add(1)) - 1
				if k >= n {
					return
				}
				worker(k)
			}
		})
	}
	group.Wait()
	return ctx.Err()
}
