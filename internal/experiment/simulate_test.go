package experiment

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

const dayMillis = 24 * 60 * 60 * 1000

// traffic is what ratings are simulated from. Users differ in how many ratings
// they give (a few give very many), in how predictable they are, and in which of
// the two versions is better for them: what is off for a user stays so from day to
// day, and what is off on a day is so for all ratings of that day.
type traffic struct {
	days       int
	newUsers   int     // a day
	stays      float64 // probability that a user comes again the day after
	perDay     float64 // the median of a user's ratings a day
	gain       float64 // mean squared error of the champion minus the challenger's
	everybody  int     // users who come every day, from the first on
	heavyTails bool    // some users' values are far from all others'
}

// simulated is one user of the traffic.
type simulated struct {
	id      int64
	noise   float64    // standard deviation of what no version can know
	off     [2]float64 // what champion and challenger are off for the user
	ratings float64    // a day
}

func (f traffic) user(random *rand.Rand, id int64) simulated {
	scale := 0.12
	if f.heavyTails {
		scale *= math.Exp(0.5 * random.NormFloat64())
	}
	u := simulated{id: id, noise: 0.8 * math.Exp(0.3*random.NormFloat64()), ratings: f.perDay * math.Exp(1.2*random.NormFloat64())}
	for k := range u.off {
		u.off[k] = scale * random.NormFloat64()
	}
	return u
}

// run feeds the traffic to add, and calls after at the end of each day; it stops
// when that returns false.
func (f traffic) run(random *rand.Rand, add func(Rating), after func(day int) bool) {
	var here []simulated
	next := int64(0)
	arrive := func(n int) {
		for range n {
			here = append(here, f.user(random, next))
			next++
		}
	}
	arrive(f.everybody)
	rating := Rating{Predictions: []Prediction{{Version: "champion"}, {Version: "challenger", Role: "challenger:x"}}}
	movie := int64(0)
	// The champion is off by more, everywhere the same.
	more := math.Sqrt(max(f.gain, 0))
	for day := range f.days {
		arrive(f.newUsers)
		here = slices.DeleteFunc(here, func(u simulated) bool {
			today := [2]float64{0.06 * random.NormFloat64(), 0.06 * random.NormFloat64()}
			mood := 0.2 * random.NormFloat64() // an error that both versions make
			for range 1 + int(random.ExpFloat64()*u.ratings) {
				truth := u.noise*random.NormFloat64() + mood
				movie++
				rating.User, rating.Movie, rating.At = u.id, movie, int64(day)*dayMillis+random.Int64N(dayMillis)
				for k := range 2 {
					rating.Predictions[k].Value = u.off[k] + today[k] + 0.12*random.NormFloat64()
				}
				rating.Predictions[0].Value += more * random.NormFloat64()
				rating.Actual = truth
				add(rating)
			}
			return f.everybody == 0 && random.Float64() > f.stays
		})
		if !after(day) {
			return
		}
	}
}

// streams runs the traffic n times, and returns the outcomes, and the users that
// had a value when each was settled.
func (f traffic) streams(n int, outcome func(random *rand.Rand) (Outcome, int)) (settled map[Outcome]int, users []int) {
	settled = map[Outcome]int{}
	var mu sync.Mutex
	var workers sync.WaitGroup
	numbers := make(chan int, n)
	for k := range n {
		numbers <- k
	}
	close(numbers)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for k := range numbers {
				o, at := outcome(rand.New(rand.NewPCG(uint64(k), 20240601)))
				mu.Lock()
				settled[o]++
				if o != Undecided {
					users = append(users, at)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	slices.Sort(users)
	return settled, users
}

// compare is the outcome of one stream.
func (f traffic) compare(random *rand.Rand) (Outcome, int) {
	c := NewComparisons(Config{})
	var last Result
	f.run(random, func(r Rating) { c.Add(r) }, func(int) bool {
		if all := c.Results(); len(all) > 0 {
			last = all[0]
		}
		return last.Settled == Undecided
	})
	return last.Settled, last.Users
}

// compareRatings is the same with each rating as a value of its own, which takes
// ratings for independent.
func (f traffic) compareRatings(random *rand.Rand) (Outcome, int) {
	var values moments
	settled := Undecided
	f.run(random, func(r Rating) {
		a, b := r.Predictions[0].Value-r.Actual, r.Predictions[1].Value-r.Actual
		values.add(min(max(a*a-b*b, -1), 1))
		if values.n >= 30 && settled == Undecided && math.Abs(values.mean()) > radius(0.05, values.n, values.variance()) {
			settled = Better
		}
	}, func(int) bool { return settled == Undecided })
	return settled, values.n
}

func simulations(t *testing.T, n int) int {
	if raceEnabled || testing.Short() {
		return n / 20
	}
	return n
}

// atMost is the number of n streams that may be settled at a rate of 5 %, with 2.5
// standard errors.
func atMost(n int) int { return int(0.05*float64(n) + 2.5*math.Sqrt(float64(n)*0.05*0.95)) }

var equal = map[string]traffic{
	"users who come for some days": {days: 30, newUsers: 20, stays: 0.6, perDay: 4},
	"heavy tails":                  {days: 30, newUsers: 20, stays: 0.6, perDay: 4, heavyTails: true},
	"few who come every day":       {days: 60, everybody: 40, perDay: 3},
	"a crowd that comes every day": {days: 30, everybody: 200, perDay: 3, heavyTails: true},
}

func TestVersionsThatAreEquallyGoodAreRarelySettled(t *testing.T) {
	for name, f := range equal {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := simulations(t, 1000)
			start := time.Now()
			settled, users := f.streams(n, f.compare)
			t.Logf("of %d streams %d are settled (%.1f %%): %v; %.1f s", n, len(users), 100*float64(len(users))/float64(n), settled, time.Since(start).Seconds())
			if len(users) > n/20 && (n == 1000 || len(users) > atMost(n)) {
				t.Errorf("%d of %d streams are settled, want at most 5 %%", len(users), n)
			}
		})
	}
}

// TestTheSimulationHasTeeth: a sequence over ratings takes the same streams for
// settled.
func TestTheSimulationHasTeeth(t *testing.T) {
	f := equal["users who come for some days"]
	n := simulations(t, 400)
	_, users := f.streams(n, f.compareRatings)
	t.Logf("a sequence over ratings settles %.0f %% of %d streams of equal versions", 100*float64(len(users))/float64(n), n)
	if float64(len(users)) < 0.15*float64(n) {
		t.Errorf("only %d of %d", len(users), n)
	}
}

func TestADifferenceIsSettled(t *testing.T) {
	for gain, most := range map[float64]int{0.02: 2000, 0.05: 500} { // users in the median
		f := traffic{days: 150, newUsers: 20, stays: 0.6, perDay: 4, gain: gain}
		n := simulations(t, 200)
		settled, users := f.streams(n, f.compare)
		if len(users) == 0 {
			t.Fatalf("gain %v: none of %d streams is settled", gain, n)
		}
		median, late := users[len(users)/2], users[len(users)*9/10]
		t.Logf("gain %v: settled %v; at %d users in the median, %d for 90 %%", gain, settled, median, late)
		if n < 200 {
			continue
		}
		if float64(settled[Better]) < 0.7*float64(n) || settled[Worse] > atMost(n) || median > most {
			t.Errorf("gain %v: %v of %d streams, at %d users in the median", gain, settled, n, median)
		}
	}
}
