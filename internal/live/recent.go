package live

import (
	"cmp"
	"slices"
	"strings"
)

// recent keeps the predictions that arrived last, in a ring.
type recent struct {
	rows []Prediction
	next int
}

func (r *recent) add(p Prediction) {
	if len(r.rows) < keptRecent {
		r.rows = append(r.rows, p)
		return
	}
	r.rows[r.next] = p
	r.next = (r.next + 1) % keptRecent
}

// Query says which predictions to look for. The zero value is all of them.
type Query struct {
	User    int64
	HasUser bool
	Title   string // a part of it, in any case
	Limit   int    // 0 is 50
}

// Search returns the newest of the last 10,000 predictions that fit, newest first,
// and how many of those fit.
func (a *Aggregates) Search(q Query) (found []Prediction, fit int) {
	if q.Limit <= 0 {
		q.Limit = latestRows
	}
	part := strings.ToLower(q.Title)
	found = []Prediction{}
	a.mu.Lock()
	defer a.mu.Unlock()
	fits := map[string]bool{} // titles
	for i := range a.recent.rows {
		row := &a.recent.rows[i]
		if q.HasUser && row.User != q.User {
			continue
		}
		if part != "" {
			ok, known := fits[row.Title]
			if !known {
				ok = strings.Contains(strings.ToLower(row.Title), part)
				fits[row.Title] = ok
			}
			if !ok {
				continue
			}
		}
		found = append(found, *row)
	}
	slices.SortStableFunc(found, func(x, y Prediction) int { return cmp.Compare(y.At, x.At) })
	return found[:min(len(found), q.Limit)], len(found)
}
