package gate

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// More than these tell nothing more that matters, and cost time.
const (
	mostPairs     = 100_000 // ratings of one trial
	mostListeners = 5_000   // users of it whose lists are compared
)

// coldRatings is how many ratings make a user known.
const coldRatings = 5

// trial is what two versions are compared on.
type trial struct {
	name       string
	before     eval.Histories
	steps      eval.Steps
	coldBefore eval.Histories
	cold       eval.Steps // that users of less than coldRatings are predicted in
	listeners  []eval.Listener
}

// window is the trial by the ratings from place from on, in the order in which users
// gave them: each is predicted from all that came before, and then learned. Lists
// are those of its begin.
func window(name string, sorted []ratings.Rating, from int) trial {
	test := sorted[from:]
	users := usersOf(test)
	t := trial{name: name, before: eval.NewHistories(sorted[:from], users.has, nil), steps: eval.Steps{Ratings: test}}
	t.coldBefore, t.cold = t.before, t.steps
	t.listeners = some(eval.Listeners(t.before, test))
	return t
}

// hashed is the trial by the pairs of a random split that neither version was
// trained on, whenever they were rated: each is predicted from all other ratings of
// its user, none of which are hashed.
func hashed(sorted []ratings.Rating, seed uint64, share float64) trial {
	isTest := func(r ratings.Rating) bool { return eval.InTest(seed, share, r.User, r.Movie) }
	test := pairs(sorted, isTest)
	users := usersOf(test)
	t := trial{
		name: nameTwins, before: eval.NewHistories(sorted, users.has, isTest),
		steps: eval.Steps{Ratings: test, Learn: func(int) bool { return false }},
	}
	t.listeners = some(eval.Listeners(t.before, test))
	t.cold = beginners(sorted, users, test, isTest)
	return t
}

// beginners are predicted in the test ratings as if they had rated little: each next
// one from one rating more, from none to four, and then from none again. That tells
// more than the few test ratings that came so early.
func beginners(sorted []ratings.Rating, users userCounts, test []ratings.Rating, isTest func(ratings.Rating) bool) eval.Steps {
	first, asked := map[int64][]ratings.Rating{}, map[int64]int{}
	for _, r := range sorted {
		if users.has(r.User) && len(first[r.User]) < coldRatings-1 && !isTest(r) {
			first[r.User] = append(first[r.User], r)
		}
	}
	rounds := make([][]ratings.Rating, coldRatings)
	for _, r := range test {
		round := asked[r.User] % coldRatings
		rounds[round] = append(rounds[round], r)
		asked[r.User]++
	}
	var steps []ratings.Rating
	for round, predicted := range rounds {
		for _, user := range slices.Sorted(maps.Keys(first)) {
			if round > 0 && round <= len(first[user]) {
				steps = append(steps, first[user][round-1])
			}
		}
		steps = append(steps, predicted...)
	}
	return eval.Steps{
		Ratings: steps,
		Predict: func(k int) bool { return isTest(steps[k]) },
		Learn:   func(k int) bool { return !isTest(steps[k]) },
	}
}

// pairs are the test ratings, of some users where there are too many.
func pairs(sorted []ratings.Rating, isTest func(ratings.Rating) bool) []ratings.Rating {
	count := 0
	for _, r := range sorted {
		if isTest(r) {
			count++
		}
	}
	share := float64(mostPairs) / float64(max(count, 1))
	var test []ratings.Rating
	for _, r := range sorted {
		if isTest(r) && (count <= mostPairs || eval.InTest(sampleSeed, share, r.User, 0)) {
			test = append(test, r)
		}
	}
	return test
}

func some(listeners []eval.Listener) []eval.Listener {
	if len(listeners) <= mostListeners {
		return listeners
	}
	sample := make([]eval.Listener, mostListeners)
	for k := range sample {
		sample[k] = listeners[k*len(listeners)/mostListeners]
	}
	return sample
}

// userCounts are users with their ratings.
type userCounts map[int64]int

func usersOf(of []ratings.Rating) userCounts {
	counts := userCounts{}
	for _, r := range of {
		counts[r.User]++
	}
	return counts
}

func (u userCounts) has(user int64) bool { return u[user] > 0 }

// versions are the two that are compared.
type versions struct {
	champion, challenger *eval.Served
	catalogue            int // movies that the one knows who knows more
}

func newVersions(champion, challenger *als.Factors) (versions, error) {
	a, err := eval.NewServed(champion)
	if err != nil {
		return versions{}, fmt.Errorf("preparing the champion: %w", err)
	}
	b, err := eval.NewServed(challenger)
	if err != nil {
		return versions{}, fmt.Errorf("preparing the challenger: %w", err)
	}
	return versions{a, b, max(len(champion.Movies), len(challenger.Movies))}, nil
}

// squares are one user's sums of squared errors, in stars².
type squares struct{ champion, challenger, count float64 }

// errors are squared errors by user, in the order of users. Only predictions from
// less than limit ratings count.
func (v versions) errors(ctx context.Context, threads int, before eval.Histories, steps eval.Steps, limit int32) ([]squares, error) {
	champion, err := v.champion.Predict(ctx, threads, before, steps)
	if err != nil {
		return nil, fmt.Errorf("predicting by the champion: %w", err)
	}
	challenger, err := v.challenger.Predict(ctx, threads, before, steps)
	if err != nil {
		return nil, fmt.Errorf("predicting by the challenger: %w", err)
	}
	byUser := map[int64]*squares{}
	var users []int64
	for k, r := range steps.Ratings {
		if steps.Predict != nil && !steps.Predict(k) || champion[k].Known >= limit {
			continue
		}
		of := byUser[r.User]
		if of == nil {
			of = &squares{}
			byUser[r.User], users = of, append(users, r.User)
		}
		a, b := float64(champion[k].Stars-r.Value), float64(challenger[k].Stars-r.Value)
		of.champion += a * a
		of.challenger += b * b
		of.count++
	}
	slices.Sort(users)
	all := make([]squares, len(users))
	for k, user := range users {
		all[k] = *byUser[user]
	}
	return all, nil
}
