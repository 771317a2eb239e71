package eval

import (
	"fmt"
	"slices"

	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// GroupComparison is how two models do on the same ratings of a group of users.
type GroupComparison struct {
	Group string `json:"group"`
	Comparison
}

// Contrast is where two models differ.
type Contrast struct {
	ByActivity  []GroupComparison `json:"by_activity"` // quarters of the champion's users by their number of training ratings
	Champion    []Calibration     `json:"champion"`
	Challenger  []Calibration     `json:"challenger"`
	TestRatings int               `json:"test_ratings"`
}

// NewContrast compares two models on test ratings, as Compare does, group by group.
// Users whom the champion does not know are among those with the fewest ratings. Its
// errors are those of Compare.
func NewContrast(champion, challenger *model.Model, test []ratings.Rating) (Contrast, error) {
	f := champion.Factors()
	borders := quartersOf(f.UserCounts)
	groups := make([][]ratings.Rating, len(borders))
	for _, r := range test {
		count := int32(0)
		if row, known := slices.BinarySearch(f.Users, r.User); known {
			count = f.UserCounts[row]
		}
		of := &groups[borders.of(count)]
		*of = append(*of, r)
	}
	c := Contrast{Champion: calibration(champion, test), Challenger: calibration(challenger, test), TestRatings: len(test)}
	for k, name := range borders.names() {
		if len(groups[k]) == 0 {
			continue
		}
		compared, err := Compare(served(champion), served(challenger), groups[k])
		if err != nil {
			return Contrast{}, fmt.Errorf("%s: %w", name, err)
		}
		c.ByActivity = append(c.ByActivity, GroupComparison{name, compared})
	}
	return c, nil
}

// served predicts as m does when it serves.
func served(m *model.Model) Predictor {
	return func(user, movie int64) float64 { return float64(m.Predict(user, movie).Value) }
}
