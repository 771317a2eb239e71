package live

// ring holds one T for each of the latest steps of time; a T is zero until it
// is asked for.
type ring[T any] struct {
	step  int64 // milliseconds
	slots []slot[T]
}

type slot[T any] struct {
	index int64 // time divided by step; what a slot held before is stale
	value T
}

func newRing[T any](step int64, n int) *ring[T] {
	r := &ring[T]{step: step, slots: make([]slot[T], n)}
	for i := range r.slots {
		r.slots[i].index = -1
	}
	return r
}

// at gives the T of a moment, or nil when it is older than the ring reaches
// back from now. A moment in the future counts as now.
func (r *ring[T]) at(moment, now int64) *T {
	index, last := min(moment, now)/r.step, now/r.step
	if index <= last-int64(len(r.slots)) || index < 0 {
		return nil
	}
	s := &r.slots[index%int64(len(r.slots))]
	if s.index > index {
		return nil // the clock went back
	}
	if s.index < index {
		*s = slot[T]{index: index}
	}
	return &s.value
}

// each calls fn for every step of the ring in order of time, the last one being
// now's; a step without data gives the zero T.
func (r *ring[T]) each(now int64, fn func(T)) {
	last := now / r.step
	for index := last - int64(len(r.slots)) + 1; index <= last; index++ {
		var value T
		if index >= 0 {
			if s := r.slots[index%int64(len(r.slots))]; s.index == index {
				value = s.value
			}
		}
		fn(value)
	}
}

// start is the beginning of the first step that each gives, in Unix
// milliseconds.
func (r *ring[T]) start(now int64) int64 {
	return (now/r.step - int64(len(r.slots)) + 1) * r.step
}

// recentIDs remembers the latest ids by their hashes.
type recentIDs struct {
	known map[uint64]struct{}
	order []uint64 // a ring, in order of arrival
	next  int
}

func newRecentIDs(n int) *recentIDs {
	return &recentIDs{known: make(map[uint64]struct{}, n), order: make([]uint64, 0, n)}
}

// add remembers a hash, and says whether it was new.
func (r *recentIDs) add(hash uint64) bool {
	if _, ok := r.known[hash]; ok {
		return false
	}
	r.known[hash] = struct{}{}
	if len(r.order) < cap(r.order) {
		r.order = append(r.order, hash)
		return true
	}
	delete(r.known, r.order[r.next])
	r.order[r.next] = hash
	r.next = (r.next + 1) % len(r.order)
	return true
}
