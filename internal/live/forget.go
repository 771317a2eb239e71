package live

import "slices"

// keptForgotten bounds the users whose rows are left out; those forgotten first make
// room, whose predictions are the first to leave the topic as well.
const keptForgotten = 100_000

// Forget takes the rows of a user away that were made until a moment, Unix
// milliseconds, and leaves such rows out that arrive later. Sums stay: they name
// nobody.
func (a *Aggregates) Forget(user, until int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.forgotten) >= keptForgotten {
		times := make([]int64, 0, len(a.forgotten))
		for _, at := range a.forgotten {
			times = append(times, at)
		}
		slices.Sort(times)
		median := times[len(times)/2]
		for who, at := range a.forgotten {
			if at <= median {
				delete(a.forgotten, who)
			}
		}
	}
	a.forgotten[user] = max(a.forgotten[user], until)
	gone := func(p Prediction) bool { return p.User == user && p.At <= until }
	a.latest = slices.DeleteFunc(a.latest, gone)
	a.recent.forget(gone)
}

// isForgotten says whether a row is of a user who wants to be forgotten since.
func (a *Aggregates) isForgotten(user, at int64) bool {
	until, ok := a.forgotten[user]
	return ok && at <= until
}

// forget keeps the order of what is left.
func (r *recent) forget(gone func(Prediction) bool) {
	rows := append(slices.Clone(r.rows[r.next:]), r.rows[:r.next]...) // the oldest first
	r.rows, r.next = slices.DeleteFunc(rows, gone), 0
}
