package eval

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// GroupError is the error over the test ratings of a group.
type GroupError struct {
	Group    string   `json:"group"`
	Pairs    int      `json:"pairs"`
	RMSE     float64  `json:"rmse"`
	RMSE90   Interval `json:"rmse_90"`   // 90 % bootstrap interval over the group's users
	BiasRMSE float64  `json:"bias_rmse"` // of the bias-only baseline
	Bias90   Interval `json:"bias_rmse_90"`
}

// Calibration compares predictions with what was given, of those predictions that
// are nearest to a half star.
type Calibration struct {
	Predicted float64 `json:"predicted"` // stars, in halves
	Pairs     int     `json:"pairs"`
	Error     float64 `json:"error"` // mean of prediction less rating, in stars
}

// Intervals tell how true the stated uncertainty is.
type Intervals struct {
	Coverage []Coverage `json:"coverage"`
	// PIT is the histogram of the probability integral transform, in equal parts of 0
	// to 1: the shares of the test ratings, all alike where uncertainty is stated
	// rightly, high at the ends where it is understated. A rating stands for all values
	// that round to it (the non-randomized PIT of Czado, Gneiting & Held 2009,
	// "Predictive Model Assessment for Count Data").
	PIT []float64 `json:"pit"`
}

// Coverage is how often ratings of a group lie within the central intervals,
// prediction ± z·standard deviation, neither of which is clamped.
type Coverage struct {
	Group string  `json:"group"`
	Pairs int     `json:"pairs"`
	Of50  float64 `json:"of_50"` // share within the interval that is to hold 50 %
	Of80  float64 `json:"of_80"`
	Of90  float64 `json:"of_90"`
}

const (
	pitBins  = 20
	halfStep = 0.25 // half of MovieLens' step of half a star
)

// movieGroups are the upper ends of the groups of movies, in training ratings.
var movieGroups = []int32{0, 2, 9, 49, 199, math.MaxInt32}

// grouping puts test ratings into groups by what is known of their users and
// movies.
type grouping struct {
	train   *ratings.Matrix
	borders quarters
}

// quarters are the greatest counts of ratings of the quarters of users.
type quarters [4]int32

// quartersOf are those of users with so many ratings each, in any order.
func quartersOf(counts []int32) (q quarters) {
	if len(counts) == 0 {
		return q
	}
	counts = slices.Sorted(slices.Values(counts))
	for k := range q {
		q[k] = counts[(k+1)*len(counts)/4-min(1, (k+1)*len(counts)/4)]
	}
	return q
}

// newGrouping has quarters of the users of the training part by their number of
// ratings.
func newGrouping(train *ratings.Matrix) grouping {
	counts := make([]int32, len(train.Users))
	for u := range counts {
		movies, _ := train.User(u)
		counts[u] = int32(len(movies))
	}
	return grouping{train, quartersOf(counts)}
}

func (g grouping) counts(r ratings.Rating) (ofUser, ofMovie int32) {
	if u, known := g.train.UserRow(r.User); known {
		movies, _ := g.train.User(u)
		ofUser = int32(len(movies))
	}
	if i, known := g.train.MovieRow(r.Movie); known {
		users, _ := g.train.Movie(i)
		ofMovie = int32(len(users))
	}
	return ofUser, ofMovie
}

// of returns the quarter of a user with so many ratings, 0 to 3.
func (q quarters) of(count int32) int {
	for k, border := range q[:3] {
		if count <= border {
			return k
		}
	}
	return 3
}

func ofMovies(count int32) int {
	return slices.IndexFunc(movieGroups, func(most int32) bool { return count <= most })
}

// names are those of the quarters.
func (q quarters) names() []string {
	names := make([]string, len(q))
	from := int32(0)
	for k, most := range q {
		names[k] = fmt.Sprintf("users of %d to %d ratings", from, most)
		from = most + 1
	}
	return names
}

func movieGroupNames() []string {
	names := []string{"movies without ratings"}
	for k, most := range movieGroups[1:] {
		if most == math.MaxInt32 {
			names = append(names, fmt.Sprintf("movies of %d ratings or more", movieGroups[k]+1))
			continue
		}
		names = append(names, fmt.Sprintf("movies of %d to %d ratings", movieGroups[k]+1, most))
	}
	return names
}

// byActivity compares errors of m and of biases alone by quarters of users; seed is
// of the intervals.
func (g grouping) byActivity(m, biases *model.Model, test []ratings.Rating, seed uint64) []GroupError {
	errors := make([][2]groupError, len(g.borders))
	for _, r := range test {
		count, _ := g.counts(r)
		of := &errors[g.borders.of(count)]
		of[0].add(r, float64(m.Predict(r.User, r.Movie).Value))
		of[1].add(r, float64(biases.Predict(r.User, r.Movie).Value))
	}
	var groups []GroupError
	for k, name := range g.borders.names() {
		ours, theirs := &errors[k][0], &errors[k][1]
		if n := ours.all.Count(); n > 0 {
			groups = append(groups, GroupError{
				Group: name, Pairs: int(n), RMSE: ours.all.Value(), RMSE90: intervalOfRMSE(seed, ours.users),
				BiasRMSE: theirs.all.Value(), Bias90: intervalOfRMSE(seed, theirs.users),
			})
		}
	}
	return groups
}

// groupError is the error over a group, and over each of its users.
type groupError struct {
	all   RMSE
	users map[int64]*RMSE
}

func (e *groupError) add(r ratings.Rating, predicted float64) {
	if e.users == nil {
		e.users = map[int64]*RMSE{}
	}
	if e.users[r.User] == nil {
		e.users[r.User] = &RMSE{}
	}
	e.all.Add(predicted, float64(r.Value))
	e.users[r.User].Add(predicted, float64(r.Value))
}

// calibration leaves out half stars that nothing is predicted near.
func calibration(m *model.Model, test []ratings.Rating) []Calibration {
	bins := map[int]*Calibration{}
	for _, r := range test {
		predicted := float64(m.Predict(r.User, r.Movie).Value)
		bin := int(math.Round(2 * predicted))
		if bins[bin] == nil {
			bins[bin] = &Calibration{Predicted: float64(bin) / 2}
		}
		bins[bin].Pairs++
		bins[bin].Error += predicted - float64(r.Value)
	}
	var all []Calibration
	for _, bin := range bins {
		bin.Error /= float64(bin.Pairs)
		all = append(all, *bin)
	}
	slices.SortFunc(all, func(a, b Calibration) int { return int(2 * (a.Predicted - b.Predicted)) })
	return all
}

// intervals returns nil for a model that states no uncertainty.
func (g grouping) intervals(m *model.Model, test []ratings.Rating) (*Intervals, error) {
	if m.Factors().Posterior == nil {
		return nil, nil
	}
	names := append(append([]string{"all"}, g.borders.names()...), movieGroupNames()...)
	hits := make([][3]int, len(names))
	pairs := make([]int, len(names))
	out := &Intervals{PIT: make([]float64, pitBins)}
	scale := m.Scale()
	for _, r := range test {
		deviation, err := m.StdDev(r.User, r.Movie)
		if err != nil {
			return nil, err
		}
		given := distuv.Normal{Mu: m.Mean(r.User, r.Movie), Sigma: deviation}
		off := math.Abs(float64(r.Value)-given.Mu) / deviation
		ofUser, ofMovie := g.counts(r)
		for _, group := range []int{0, 1 + g.borders.of(ofUser), 1 + len(g.borders) + ofMovies(ofMovie)} {
			pairs[group]++
			for k, share := range []float64{0.5, 0.8, 0.9} {
				if off <= distuv.UnitNormal.Quantile(0.5+share/2) {
					hits[group][k]++
				}
			}
		}
		low, high := 0.0, 1.0
		if float64(r.Value) > float64(scale.Min) {
			low = given.CDF(float64(r.Value) - halfStep)
		}
		if float64(r.Value) < float64(scale.Max) {
			high = given.CDF(float64(r.Value) + halfStep)
		}
		addUniform(out.PIT, low, high, 1/float64(len(test)))
	}
	for k, name := range names {
		if n := float64(pairs[k]); n > 0 {
			out.Coverage = append(out.Coverage, Coverage{
				Group: name, Pairs: pairs[k], Of50: float64(hits[k][0]) / n, Of80: float64(hits[k][1]) / n, Of90: float64(hits[k][2]) / n,
			})
		}
	}
	return out, nil
}

// addUniform spreads weight evenly over low to high, 0 to 1.
func addUniform(bins []float64, low, high, weight float64) {
	width := 1 / float64(len(bins))
	for k := range bins {
		from, to := max(low, float64(k)*width), min(high, float64(k+1)*width)
		switch {
		case high-low < 1e-12: // all of it at one place
			if at := min(int(low/width), len(bins)-1); at == k {
				bins[k] += weight
			}
		case to > from:
			bins[k] += weight * (to - from) / (high - low)
		}
	}
}
