package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// another returns a registry on the same bucket, as another process has it.
func another(r *Registry) *Registry { return newRegistry(r.url, r.bucket) }

func acquire(t *testing.T, r *Registry, holder string) *Lease {
	t.Helper()
	lease, err := r.AcquireLease(t.Context(), "train", holder, LeaseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func release(t *testing.T, lease *Lease) {
	t.Helper()
	if err := lease.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestALeaseThatIsReleasedIsHadAtOnce(t *testing.T) {
	r := open(t)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		first := acquire(t, r, "first")
		_, err := another(r).TryLease(t.Context(), "train", "second", LeaseOptions{})
		var held *HeldError
		if !errors.As(err, &held) || held.Holder != "first" || held.Number != 1 || !errors.Is(err, ErrLeaseHeld) {
			t.Errorf("while it is held: %v", err)
		}
		release(t, first)
		release(t, first)
		second := acquire(t, another(r), "second")
		if second.Number != 2 || time.Since(began) != 0 {
			t.Errorf("number %d after %s", second.Number, time.Since(began))
		}
		release(t, second)
	})
}

func TestAWaiterIsToldWhoHoldsTheLeaseAndGetsItNext(t *testing.T) {
	r := open(t)
	synctest.Test(t, func(t *testing.T) {
		first := acquire(t, r, "first")
		var told atomic.Value
		got := make(chan *Lease)
		go func() {
			lease, err := another(r).AcquireLease(t.Context(), "train", "second", LeaseOptions{Waiting: func(l LeaseRecord) {
				if told.Swap(l.Holder) != nil {
					t.Error("told twice")
				}
			}})
			if err != nil {
				t.Error(err)
			}
			got <- lease
		}()
		time.Sleep(10 * time.Minute) // of a training; the holder lives
		if told.Load() != "first" {
			t.Errorf("told %v", told.Load())
		}
		select {
		case <-got:
			t.Error("two hold the lease")
		case <-first.Lost():
			t.Error("it was lost")
		default:
		}
		release(t, first)
		second := <-got
		if second.Number != 2 {
			t.Errorf("number %d", second.Number)
		}
		release(t, second)
	})
}

// die ends the signs of life of a lease as a kill does.
func die(l *Lease) { l.stop(); <-l.done }

func TestTheLeaseOfADeadHolderIsTakenOverOnceItIsSilentForLong(t *testing.T) {
	r := open(t)
	synctest.Test(t, func(t *testing.T) {
		first := acquire(t, r, "first")
		time.Sleep(10 * time.Second)
		die(first)
		began := time.Now()
		second := acquire(t, another(r), "second")
		if waited := time.Since(began); second.Number != 2 || waited < LeasePatience || waited > LeasePatience+LeaseBeat {
			t.Errorf("number %d after %s", second.Number, waited)
		}
		if err := first.Check(t.Context()); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("the first one says %v", err)
		}
		if err := second.Check(t.Context()); err != nil {
			t.Error(err)
		}
		release(t, second)
	})
}

// TestOnlyOwnObservationsCount: a beat that is old by the holder's clock says nothing.
func TestOnlyOwnObservationsCount(t *testing.T) {
	r := open(t)
	synctest.Test(t, func(t *testing.T) {
		die(acquire(t, r, "first"))
		time.Sleep(time.Hour)
		waiter := another(r)
		try := func() error {
			lease, err := waiter.TryLease(t.Context(), "train", "second", LeaseOptions{})
			if err == nil {
				release(t, lease)
			}
			return err
		}
		if err := try(); !errors.Is(err, ErrLeaseHeld) {
			t.Errorf("at first sight: %v", err)
		}
		time.Sleep(LeasePatience - time.Second)
		if err := try(); !errors.Is(err, ErrLeaseHeld) {
			t.Errorf("before the time: %v", err)
		}
		time.Sleep(time.Second)
		if err := try(); err != nil {
			t.Errorf("after it: %v", err)
		}
	})
}

func TestAHolderThatWasFrozenLearnsThatItLostTheLease(t *testing.T) {
	r := open(t)
	synctest.Test(t, func(t *testing.T) {
		first := acquire(t, r, "first")
		time.Sleep(time.Second)
		// Another one took it meanwhile.
		text := []byte(`{"number": 2, "holder": "second", "nonce": "x"}`)
		if _, err := r.bucket.create(t.Context(), leaseKey("train", 2), text); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		<-first.Lost()
		if waited := time.Since(began); waited > LeaseBeat {
			t.Errorf("after %s", waited)
		}
		release(t, first)
		// Its own release does not free the other's.
		if _, err := another(r).TryLease(t.Context(), "train", "third", LeaseOptions{}); !errors.Is(err, ErrLeaseHeld) {
			t.Errorf("got %v", err)
		}
	})
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	r := open(t)
	synctest.Test(t, func(t *testing.T) {
		first := acquire(t, r, "first")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := another(r).AcquireLease(ctx, "train", "second", LeaseOptions{})
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrLeaseHeld) {
			t.Errorf("got %v", err)
		}
		release(t, first)
	})
	if _, err := r.TryLease(t.Context(), "../x", "me", LeaseOptions{}); err == nil {
		t.Error("a lease can be anywhere")
	}
}

func TestOldLeasesAreRemovedAndNumbersGoOn(t *testing.T) {
	r := open(t)
	synctest.Test(t, func(t *testing.T) {
		for k := range int64(3 * leasesKept) {
			lease := acquire(t, r, fmt.Sprint("holder ", k))
			if lease.Number != k+1 {
				t.Fatalf("number %d, want %d", lease.Number, k+1)
			}
			release(t, lease)
		}
	})
	entries, err := os.ReadDir(r.bucket.where("leases/train"))
	if err != nil || len(entries) != 2*(leasesKept+1) {
		t.Errorf("%d files are left, %v", len(entries), err)
	}
	// One who looked long ago takes a number that was pruned, and finds that out.
	_, err = r.takeLease(t.Context(), "train", "late", 1, LeaseOptions{}.withDefaults())
	if !errors.Is(err, ErrLeaseHeld) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(r.bucket.where(leaseKey("train", 1))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its lease stays: %v", err)
	}
}
