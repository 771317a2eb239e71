package model

import "slices"

// group finds out what is known of the query's users together. A score is linear in
// a user's factors and bias, so that the mean of the members' scores is the score by
// the mean of what they are:
//
//	1/|G| · Σ_u (x_u·y + b_u) = (1/|G| · Σ_u x_u)·y + 1/|G| · Σ_u b_u
//
// Members of whom nothing is known have no part in the mean; if there are no others,
// the group is one of whom nothing is known. Seen is what any of them has.
func (a *answer) group(q *Query) {
	m := a.m
	mean := taste{basis: ByPopularity, factors: make([]float32, m.factors.Rank)}
	if p := m.factors.Preference; p != nil {
		mean.preference = make([]float32, p.Rank)
	}
	known := float32(0)
	var seen []int64
	for _, user := range sortedIDs(q.Users) {
		a.who(&Query{User: user})
		seen = append(seen, a.seen.ids...)
		if a.taste.basis != ByUser {
			continue
		}
		known++
		a.members = append(a.members, user)
		mean.basis = ByUser
		mean.bias += a.taste.bias
		add(mean.factors, a.taste.factors)
		add(mean.preference, a.taste.preference)
	}
	slices.Sort(seen)
	a.seen.set(slices.Compact(seen))
	a.taste = taste{basis: ByPopularity}
	if known > 0 {
		mean.bias /= known
		scale(mean.factors, 1/known)
		scale(mean.preference, 1/known)
		a.taste = mean
	}
}

// add adds x, which may be shorter than sum or nil for zeros.
func add(sum, x []float32) {
	for c, value := range x[:min(len(x), len(sum))] {
		sum[c] += value
	}
}

func scale(x []float32, by float32) {
	for c := range x {
		x[c] *= by
	}
}
