package experiment

import (
	"cmp"
	"slices"
	"time"
)

// Moment is a comparison after a request.
type Moment struct {
	At time.Time // newest time of a request
	Result
}

// mostMoments are kept of a comparison: as many again, and every second one goes.
const mostMoments = 500

// History is how comparisons went, for who has all of the ratings.
type History struct {
	Champion, Challenger string
	Moments              []Moment // in the order of time, the last of them the present one
}

// Replay adds ratings to the comparisons and returns how each of those went while
// users were added. Ratings of a partition are in the order in which the topic has
// them; partitions are merged by the time of requests, so that the result depends
// neither on how they were read nor on their number.
func (c *Comparisons) Replay(all []Rating) []History {
	type track struct {
		History
		every, seen int
	}
	var tracks []*track
	of := func(r Result) *track {
		for _, t := range tracks {
			if t.Champion == r.Champion && t.Challenger == r.Challenger {
				return t
			}
		}
		t := &track{History: History{Champion: r.Champion, Challenger: r.Challenger}, every: 1}
		tracks = append(tracks, t)
		return t
	}
	take := func(at int64, last bool) {
		for _, r := range c.Results() {
			t := of(r)
			n := len(t.Moments)
			switch {
			case r.Users == 0, n > 0 && t.Moments[n-1].Result == r:
				continue
			case last, t.seen%t.every == 0:
				t.Moments = append(t.Moments, Moment{time.UnixMilli(at).UTC(), r})
			}
			if t.seen++; len(t.Moments) > 2*mostMoments {
				t.Moments, t.every = everySecond(t.Moments), 2*t.every
			}
		}
	}
	newest := int64(0)
	for _, r := range merged(all) {
		newest = max(newest, r.At)
		if c.Add(r) {
			take(newest, false)
		}
	}
	take(newest, true)
	histories := make([]History, len(tracks))
	for k, t := range tracks {
		histories[k] = t.History
	}
	return histories
}

func everySecond(all []Moment) []Moment {
	kept := all[:0]
	for k := 0; k < len(all); k += 2 {
		kept = append(kept, all[k])
	}
	return kept
}

// merged puts ratings in the order of the newest request that their partition had
// by then; of one moment the lower partition comes first.
func merged(all []Rating) []Rating {
	type placed struct {
		Rating
		newest int64
	}
	newest := map[int32]int64{}
	order := make([]placed, len(all))
	for k, r := range all {
		newest[r.Partition] = max(newest[r.Partition], r.At)
		order[k] = placed{r, newest[r.Partition]}
	}
	slices.SortStableFunc(order, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.newest, b.newest), cmp.Compare(a.Partition, b.Partition))
	})
	sorted := make([]Rating, len(all))
	for k := range order {
		sorted[k] = order[k].Rating
	}
	return sorted
}
