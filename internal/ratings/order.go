package ratings

import (
	"cmp"
	"slices"
)

// SortByTime sorts ratings in place by (time, user, movie), and, so that the
// result never depends on the order before, by value last.
func SortByTime(ratings []Rating) {
	slices.SortFunc(ratings, func(a, b Rating) int {
		switch {
		case a.Time != b.Time:
			return cmp.Compare(a.Time, b.Time)
		case a.User != b.User:
			return cmp.Compare(a.User, b.User)
		case a.Movie != b.Movie:
			return cmp.Compare(a.Movie, b.Movie)
		}
		return cmp.Compare(a.Value, b.Value)
	})
}
