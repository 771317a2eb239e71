package als

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// rowsAtOnce is how many rows a worker takes: few, as heavy rows come first and
// light ones are cheap even to ask for.
const rowsAtOnce = 4

// forRows calls fn for every row of order, spread over the given number of
// threads, and waits. Each call gets the number of its worker, 0 ≤ worker <
// threads, so that workers can own scratch memory. A row is one worker's alone,
// so nothing depends on which. It returns ctx's error if it ends first.
func forRows(ctx context.Context, threads int, order []int32, fn func(worker int, row int)) error {
	var next atomic.Int64
	work := func(worker int) {
		for ctx.Err() == nil {
			from := int(next.Add(rowsAtOnce)) - rowsAtOnce
			if from >= len(order) {
				return
			}
			for _, row := range order[from:min(from+rowsAtOnce, len(order))] {
				fn(worker, int(row))
			}
		}
	}
	var group sync.WaitGroup
	for worker := 1; worker < threads; worker++ {
		group.Go(func() { work(worker) })
	}
	work(0)
	group.Wait()
	return ctx.Err()
}

// heaviestFirst returns the rows in descending order of their counts, so that
// no thread starts on a heavy row when the others are done.
func heaviestFirst(counts []int32) []int32 {
	order := make([]int32, len(counts))
	for row := range order {
		order[row] = int32(row)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	return order
}

// threadCount resolves 0 to one thread per CPU.
func threadCount(threads int) int {
	if threads == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return threads
}
