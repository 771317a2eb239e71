package registry

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"
)

// Errors of leases.
var (
	ErrLeaseHeld = errors.New("the lease is held")  // by another; see HeldError
	ErrLeaseLost = errors.New("the lease was lost") // another has a higher number
)

// Periods of leases where LeaseOptions have none.
const (
	LeaseBeat     = 3 * time.Second
	LeasePatience = 15 * time.Second
)

// leasesKept is how many leases before the present one stay, for people to look at.
const leasesKept = 16

// LeaseOptions say how a lease is held and waited for. All processes that use a
// lease have the same.
type LeaseOptions struct {
	Beat     time.Duration // between two signs of life of the holder; 0 is LeaseBeat
	Patience time.Duration // without a sign of life, after which the lease is taken over; 0 is LeasePatience

	// Waiting is called by AcquireLease when it begins to wait for a holder; may be nil.
	Waiting func(LeaseRecord)
}

// LeaseRecord says who took a lease.
type LeaseRecord struct {
	Number int64     `json:"number"`
	Holder string    `json:"holder"` // for people
	Nonce  string    `json:"nonce"`
	At     time.Time `json:"at"` // by the holder's clock, for people
}

// beat is the sign of life of a lease's holder: only that it changes matters.
type beat struct {
	Nonce    string `json:"nonce"`
	Count    int64  `json:"count"`
	Released bool   `json:"released,omitempty"`
}

// HeldError says who holds a lease that was to be had. It is an ErrLeaseHeld.
type HeldError struct {
	Name string
	LeaseRecord
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%v: %s lease %d by %s since %s", ErrLeaseHeld, e.Name, e.Number, e.Holder, e.At.Format(time.RFC3339))
}

func (e *HeldError) Unwrap() error { return ErrLeaseHeld }

// Lease is a lease that was taken. While it is held its beat changes; the holder
// ends that by Release. Its methods may be called concurrently.
type Lease struct {
	Number int64 // of the lease: a fence, higher than of any lease before

	registry *Registry
	name     string
	nonce    string
	every    time.Duration

	lost, done chan struct{} // closed when a higher number was seen, and when the beats ended
	stop       context.CancelFunc
	count      int64 // of beats; of the beating goroutine until done
	release    sync.Once
}

// observation is a beat of a lease as it was last seen, and since when it is as it is
// by this process's monotonic clock.
type observation struct {
	number int64
	beat   string
	since  time.Time
}

var leaseName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

func leaseKey(name string, number int64) string {
	return fmt.Sprintf("leases/%s/%04d.json", name, number)
}

func beatKey(name string, number int64) string {
	return fmt.Sprintf("leases/%s/%04d.beat", name, number)
}

// AcquireLease waits until it has the lease, or ctx ends. Who holds it is told to
// Waiting. The caller releases it.
func (r *Registry) AcquireLease(ctx context.Context, name, holder string, o LeaseOptions) (*Lease, error) {
	o = o.withDefaults()
	var held *HeldError
	var told int64
	waited := func() error {
		return fmt.Errorf("waiting for the lease: %w; %w", context.Cause(ctx), held)
	}
	for {
		lease, err := r.TryLease(ctx, name, holder, o)
		if err != nil && held != nil && ctx.Err() != nil {
			return nil, waited()
		}
		if !errors.As(err, &held) {
			return lease, err
		}
		if o.Waiting != nil && told != held.Number {
			o.Waiting(held.LeaseRecord)
			told = held.Number
		}
		select {
		case <-ctx.Done():
			return nil, waited()
		case <-time.After(min(o.Beat, o.Patience/4)):
		}
	}
}

func (o LeaseOptions) withDefaults() LeaseOptions {
	if o.Beat == 0 {
		o.Beat = LeaseBeat
	}
	if o.Patience == 0 {
		o.Patience = LeasePatience
	}
	return o
}

// TryLease takes the lease if nobody holds it: if it was never taken, was released,
// or shows no sign of life for Patience, as seen by the calls of this Registry (by
// its own monotonic clock; clocks of two machines are never compared). Otherwise it
// returns a *HeldError at once.
func (r *Registry) TryLease(ctx context.Context, name, holder string, o LeaseOptions) (*Lease, error) {
	if !leaseName.MatchString(name) {
		return nil, fmt.Errorf("%q is not a lease's name (small letters, digits, dashes)", name)
	}
	o = o.withDefaults()
	number, err := r.highest(ctx, "leases/"+name, "")
	if err != nil {
		return nil, fmt.Errorf("looking for the %s lease in %s: %w", name, r.url, err)
	}
	if number > 0 {
		held, err := r.leaseHeld(ctx, name, number, o.Patience)
		if err != nil {
			return nil, fmt.Errorf("looking for the %s lease in %s: %w", name, r.url, err)
		}
		if held != nil {
			return nil, held
		}
	}
	lease, err := r.takeLease(ctx, name, holder, number+1, o)
	if err != nil && !errors.Is(err, ErrLeaseHeld) {
		return nil, fmt.Errorf("taking %s lease %d in %s: %w", name, number+1, r.url, mend(err))
	}
	return lease, err
}

// leaseHeld tells who holds a lease, nil if it was released or its beat has not
// changed for as long as patience.
func (r *Registry) leaseHeld(ctx context.Context, name string, number int64, patience time.Duration) (*HeldError, error) {
	record, err := r.lease(ctx, name, number)
	if err != nil {
		return nil, err
	}
	text, err := r.bucket.read(ctx, beatKey(name, number))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	var b beat
	if json.Unmarshal(text, &b) == nil && b.Released && b.Nonce == record.Nonce {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.beats[name]
	if seen.number != number || seen.beat != string(text) {
		seen = observation{number, string(text), time.Now()}
		r.beats[name] = seen
	}
	if time.Since(seen.since) >= patience {
		return nil, nil
	}
	return &HeldError{name, record}, nil
}

// lease reads a lease. One that cannot be read is somebody's all the same.
func (r *Registry) lease(ctx context.Context, name string, number int64) (LeaseRecord, error) {
	record := LeaseRecord{Number: number, Holder: "somebody"}
	err := r.readJSON(ctx, leaseKey(name, number), &record)
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotFound) {
		return LeaseRecord{Number: number, Holder: "somebody"}, nil
	}
	record.Number = number
	return record, err
}

// takeLease creates the lease of a number, if nobody was first.
func (r *Registry) takeLease(ctx context.Context, name, holder string, number int64, o LeaseOptions) (*Lease, error) {
	record := LeaseRecord{Number: number, Holder: holder, Nonce: rand.Text(), At: time.Now().UTC()}
	text, err := json.Marshal(record)
	if err != nil {
		return nil, err
	}
	won, err := r.bucket.create(ctx, leaseKey(name, number), append(text, '\n'))
	if !won || err != nil {
		// What is there decides: the answer may have been lost.
		there, reading := r.lease(ctx, name, number)
		switch {
		case reading != nil || err != nil && there.Nonce == "":
			return nil, errors.Join(err, reading)
		case there.Nonce != record.Nonce:
			return nil, &HeldError{name, there}
		}
	}
	// The number may be one that was pruned long ago, taken by one that looked before.
	highest, err := r.highest(ctx, "leases/"+name, "")
	if err == nil && highest > number {
		there, reading := r.lease(ctx, name, highest)
		return nil, errors.Join(r.bucket.delete(ctx, leaseKey(name, number)), reading, &HeldError{name, there})
	}
	if err != nil {
		return nil, err
	}
	r.pruneLeases(ctx, name, number-leasesKept)
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	lease := &Lease{
		Number: number, registry: r, name: name, nonce: record.Nonce, every: o.Beat,
		lost: make(chan struct{}), done: make(chan struct{}), stop: stop,
	}
	go lease.live(beating)
	return lease, nil
}

// pruneLeases removes leases below a number. What cannot be removed is left to the next.
func (r *Registry) pruneLeases(ctx context.Context, name string, below int64) {
	names, err := r.bucket.list(ctx, "leases/"+name, "")
	if err != nil {
		return
	}
	for _, file := range names {
		if number, ok := numbered(file); ok && number < below {
			_ = r.bucket.delete(ctx, beatKey(name, number))
			_ = r.bucket.delete(ctx, leaseKey(name, number))
		}
	}
}

// live gives signs of life until it is stopped or a higher number is there.
func (l *Lease) live(ctx context.Context) {
	defer close(l.done)
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		// A beat that fails is made up for by the next; if none comes through another
		// takes the lease, and that is seen.
		_ = l.beat(ctx, false)
		if errors.Is(l.Check(ctx), ErrLeaseLost) {
			close(l.lost)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (l *Lease) beat(ctx context.Context, released bool) error {
	l.count++
	text, err := json.Marshal(beat{l.nonce, l.count, released})
	if err != nil {
		return err
	}
	return l.registry.bucket.write(ctx, beatKey(l.name, l.Number), append(text, '\n'))
}

// Lost is closed once another is seen to have the lease, and never if it is released
// before.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Check looks now whether another has the lease, and returns ErrLeaseLost then. A
// holder calls it before what only a holder may do.
func (l *Lease) Check(ctx context.Context) error {
	highest, err := l.registry.highest(ctx, "leases/"+l.name, "")
	if err != nil {
		return fmt.Errorf("checking %s lease %d: %w", l.name, l.Number, err)
	}
	if highest <= l.Number {
		return nil
	}
	there, err := l.registry.lease(ctx, l.name, highest)
	return errors.Join(fmt.Errorf("%w: %s lease %d was taken over by %s, as number %d", ErrLeaseLost, l.name, l.Number, there.Holder, highest), err)
}

// Release ends the signs of life and says so, so that the next need not wait. It is
// for a context that has not ended. Later calls do nothing.
func (l *Lease) Release(ctx context.Context) (err error) {
	l.release.Do(func() {
		l.stop()
		<-l.done
		if err = l.beat(ctx, true); err != nil {
			err = fmt.Errorf("releasing %s lease %d: %w", l.name, l.Number, err)
		}
	})
	return err
}
