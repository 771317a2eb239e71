package ratings

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Choice is an event that is no rating, and yet tells that a user chose a movie.
type Choice struct {
	User  int64
	Movie int64
	Kind  ChoiceKind
	Time  int64 // event time, Unix milliseconds
}

// ChoiceKind is what a user did with a movie.
type ChoiceKind uint8

// Kinds of choices.
const (
	Tagged ChoiceKind = iota + 1
	Viewed
)

// Log is what users did, in any order.
type Log struct {
	Ratings []Rating
	Choices []Choice
}

// Weights say how much events speak for the choice of a movie. A rating counts as
// its stars.
type Weights struct {
	Tag      float64       // of a movie that the user tagged, however often, in stars
	View     float64       // of each time that the user watched or opened it, in stars
	HalfLife time.Duration // after which an event counts half; 0 for never
}

// Matrices returns the matrix of the ratings, and that of what speaks for each
// choice: the sum over a user's events with a movie of weight times 2^(−age /
// half-life), the age being against the newest event of all. Rows of both are the
// same: those who have no ratings but choices have empty rows among the ratings.
// Of several ratings of a pair the newest counts, see NewMatrix, whose errors
// these are.
//
// Where events add nothing to the ratings, the second matrix is nil.
func (l Log) Matrices(w Weights) (rated, chosen *Matrix, err error) {
	choices := l.weighted(w)
	if len(choices) == 0 && w.HalfLife == 0 {
		rated, err = NewMatrix(l.Ratings)
		return rated, nil, err
	}
	var ofRatings, ofChoices MatrixBuilder
	if err := ofRatings.Add(l.Ratings); err != nil {
		return nil, nil, err
	}
	if ofRatings.count == 0 {
		return nil, nil, ErrNoRatings
	}
	if err := ofChoices.Add(l.strengths(choices, w)); err != nil {
		return nil, nil, err
	}
	ofRatings.know(&ofChoices)
	ofChoices.know(&ofRatings)
	if rated, err = ofRatings.Matrix(); err != nil {
		return nil, nil, err
	}
	chosen, err = ofChoices.Matrix()
	return rated, chosen, err
}

// weighted are the choices that have a weight.
func (l Log) weighted(w Weights) []Choice {
	var choices []Choice
	for _, c := range l.Choices {
		if c.Kind == Tagged && w.Tag > 0 || c.Kind == Viewed && w.View > 0 {
			choices = append(choices, c)
		}
	}
	return choices
}

// strengths sums what the events of each pair weigh: a rating for each pair,
// with the sum as its value.
func (l Log) strengths(choices []Choice, w Weights) []Rating {
	type event struct {
		Choice // Kind is 0 of a rating
		value  float64
	}
	events := make([]event, 0, len(l.Ratings)+len(choices))
	newest := int64(math.MinInt64)
	for _, r := range l.Ratings {
		events = append(events, event{Choice{r.User, r.Movie, 0, r.Time}, float64(r.Value)})
		newest = max(newest, r.Time)
	}
	for _, c := range choices {
		value := w.View
		if c.Kind == Tagged {
			value = w.Tag
		}
		events = append(events, event{c, value})
		newest = max(newest, c.Time)
	}
	slices.SortFunc(events, func(a, b event) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Movie, b.Movie), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Time, b.Time), cmp.Compare(a.value, b.value))
	})
	var sums []Rating
	for k, e := range events {
		if k == 0 || e.User != events[k-1].User || e.Movie != events[k-1].Movie {
			sums = append(sums, Rating{User: e.User, Movie: e.Movie})
		}
		if k+1 < len(events) && e.Kind != Viewed {
			if next := events[k+1]; next.User == e.User && next.Movie == e.Movie && next.Kind == e.Kind {
				continue // a newer rating or tag counts instead
			}
		}
		if w.HalfLife > 0 {
			age := float64(newest-e.Time) / float64(w.HalfLife.Milliseconds())
			e.value *= math.Exp2(-age)
		}
		sums[len(sums)-1].Value += float32(e.value)
	}
	return sums
}
