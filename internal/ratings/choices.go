package ratings

import (
	"math"
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
	if len(l.Ratings) == 0 {
		return nil, nil, ErrNoRatings
	}
	all := events{ratings: l.Ratings, choices: l.weighted(w)}
	known, err := all.ids()
	if err != nil {
		return nil, nil, err
	}
	if rated, err = (events{ratings: l.Ratings}).matrix(known); err != nil {
		return nil, nil, err
	}
	if len(all.choices) == 0 && w.HalfLife == 0 {
		return rated, nil, nil
	}
	all.weigh = all.strength(w)
	chosen, err = all.matrix(known)
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

// strength returns what an event weighs, by its kind and its age against the newest.
func (e events) strength(w Weights) func(kind ChoiceKind, value float32, time int64) float64 {
	newest := int64(math.MinInt64)
	for _, r := range e.ratings {
		newest = max(newest, r.Time)
	}
	for _, c := range e.choices {
		newest = max(newest, c.Time)
	}
	return func(kind ChoiceKind, value float32, time int64) float64 {
		weight := float64(value)
		switch kind {
		case Tagged:
			weight = w.Tag
		case Viewed:
			weight = w.View
		}
		if w.HalfLife > 0 {
			weight *= math.Exp2(-float64(newest-time) / float64(w.HalfLife.Milliseconds()))
		}
		return weight
	}
}
