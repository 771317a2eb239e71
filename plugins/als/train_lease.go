package als

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// trainLease is the name of the lease under which one process trains at a time.
const trainLease = "train"

// holder names this process for the people who wait for its lease.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%s, process %d", host, os.Getpid())
}

// lead calls work with the number of the lease while this process holds it. If
// another takes it over, because this one gave no sign of life, the context of work
// ends, and the trigger stays as it was. The lease only saves work: what makes two
// trainers safe is that promotions have numbers.
func (t *trainer) lead(ctx context.Context, work func(ctx context.Context, fence int64) error) (err error) {
	lease, err := t.registry.AcquireLease(ctx, trainLease, t.holder, registry.LeaseOptions{Waiting: func(by registry.LeaseRecord) {
		t.log.Infof("Waiting for a training by %s (lease %d)", by.Holder, by.Number)
	}})
	if err != nil {
		return err
	}
	leading, end := context.WithCancelCause(ctx)
	defer end(nil)
	go func() {
		select {
		case <-lease.Lost():
			end(registry.ErrLeaseLost)
		case <-leading.Done():
		}
	}()
	err = work(leading, lease.Number)
	if errors.Is(context.Cause(leading), registry.ErrLeaseLost) && err != nil {
		t.log.Warnf("Ending a training: lease %d was taken over by another process", lease.Number)
		return nil
	}
	if releasing := lease.Release(context.WithoutCancel(ctx)); releasing != nil {
		t.log.Warnf("%v; another process takes it over in %s", releasing, registry.LeasePatience)
	}
	return err
}

// done reports whether another process has trained on what is new while this one
// waited for its lease. An error is none of this: the training will meet it.
func (t *trainer) done(o order, revision int64) bool {
	if err := t.recallTrained(revision); err != nil {
		return false
	}
	if o.isLook() {
		return revision-t.trained < t.threshold
	}
	return revision == t.trained && !o.Force
}

// prune removes versions that are too many. What fails is tried again next time.
func (t *trainer) prune(ctx context.Context) {
	if t.keep == 0 {
		return
	}
	pruned, err := t.registry.Prune(ctx, t.keep, false)
	if err != nil {
		t.log.Warnf("Pruning the registry: %v", err)
	}
	if len(pruned.Versions) > 0 {
		t.log.Infof("Pruned %d versions, %d MiB; %d are kept", len(pruned.Versions), pruned.Bytes>>20, pruned.Kept)
	}
}
