package gate

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

const (
	witnessSeed  = 0x7769746e
	witnessShare = 0.1
	// A version predicts what it was trained on better than what it was not; this is
	// for ratings that changed since.
	witnessSlack = 1.05
)

// doubt is what speaks against comparing at all.
type doubt struct {
	rejects bool
	text    string
}

// witness asks the champion, as published, whether the ratings are still those that
// it was trained on. Were they damaged on their way, then all that is trained and
// tested on would be damaged alike, and no comparison between versions tell: who
// learnt from damaged ratings predicts damaged ratings best. A tenth of the pairs is
// looked at, of users who have as many ratings from the champion's time as it knew.
func (c Case) witness() (doubt, error) {
	m, err := model.New(c.Champion, model.MovieLensScale)
	if err != nil {
		return doubt{}, fmt.Errorf("preparing the champion: %w", err)
	}
	known := c.Ratings[:c.newer()]
	counts := usersOf(known)
	same := userCounts{}
	for u, user := range c.Champion.Users {
		if counts[user] == int(c.Champion.UserCounts[u]) {
			same[user] = counts[user]
		}
	}
	var found eval.RMSE
	var values []float64
	asked := map[int64]int{}
	for _, r := range known {
		if !same.has(r.User) || !eval.InTest(witnessSeed, witnessShare, r.User, r.Movie) {
			continue
		}
		found.Add(float64(m.Predict(r.User, r.Movie).Value), float64(r.Value))
		values = append(values, float64(r.Value))
		asked[r.User]++
	}
	if users := effectiveUsers(asked); users < leastEffective {
		return doubt{text: fmt.Sprintf("whether ratings are as they were when %s was trained on them is not known: %.0f effective users of it are left, and %d are needed",
			c.Version, users, leastEffective)}, nil
	}
	expected := c.Expected
	if expected == 0 {
		expected = math.Sqrt(stat.PopVariance(values, nil)) // of predicting the mean
	}
	if found.Value() <= witnessSlack*expected {
		return doubt{}, nil
	}
	return doubt{true, fmt.Sprintf("the ratings are not those that %s was trained on: its RMSE on %d of them is %.4f, and was to be less than %.4f; mend the ratings, or force the promotion if these are the right ones",
		c.Version, len(values), found.Value(), expected)}, nil
}
