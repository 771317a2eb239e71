package experiment

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// The bounds of what is kept. A rating that would exceed them is skipped, and
// counted.
const (
	maxPairs   = 16      // comparisons; the one that had no rating for longest makes room
	maxUsers   = 1 << 20 // of all comparisons
	maxRatings = 1 << 22 // in open periods, of all comparisons
	maxPerUser = 256     // ratings of one user in one period; those after say little more
)

// Config of Comparisons. The zero value is the default.
type Config struct {
	Alpha    float64       // of the confidence sequences; 0 is 0.05
	MinUsers int           // below which nothing is settled; 0 is 30
	Period   time.Duration // of which a user's ratings make one value; 0 is 24 hours
}

// Prediction is what one version said about a rating before it was made.
type Prediction struct {
	Version string
	Role    string // "" being the champion's
	Value   float64
	Late    bool // the version may have been trained on the rating
}

// Rating is an actual rating with what the versions of a line-up said before.
type Rating struct {
	User, Movie int64
	Partition   int32 // of the topic that the rating came from, the same for all of a user
	At          int64 // time of the request, Unix milliseconds
	Actual      float64
	Predictions []Prediction // each version once
}

// Outcome of a comparison.
type Outcome string

// Outcomes of comparisons, in the challenger's view. One that is settled stays so.
const (
	Undecided Outcome = ""
	Better    Outcome = "better"
	Worse     Outcome = "worse"
)

// Result is a comparison at one moment.
type Result struct {
	Champion   string  `json:"champion"`
	Challenger string  `json:"challenger"`
	Role       string  `json:"role"` // of the challenger, as last seen
	Gain       float64 `json:"gain"` // mean squared error of the champion minus the challenger's, stars²; 0 without users
	Low        float64 `json:"low"`  // of the gain's confidence sequence; -1, the bound, while there are too few users
	High       float64 `json:"high"` // 1 while there are too few users
	Users      int     `json:"users"`
	Ratings    int64   `json:"ratings"` // in closed periods
	Open       int     `json:"open"`    // users with an open period
	EValue     float64 `json:"e_value"` // that there is a difference
	Settled    Outcome `json:"settled"`
	Ignored    int64   `json:"ignored"` // ratings that came after their period was closed, or again in it
	Skipped    int64   `json:"skipped"` // ratings for which there was no room
}

// Comparisons folds ratings into comparisons of each champion with each of its
// challengers: see the package's comment. It is safe for concurrent use.
type Comparisons struct {
	config Config
	period int64 // milliseconds

	mu      sync.Mutex
	clock   int64           // newest time of a request
	swept   map[int32]int64 // by partition: the last period that its newest request has closed
	pairs   []*pair         // that had a rating last, first
	users   int
	ratings int   // in open periods
	closed  int64 // periods, so far
}

// NewComparisons returns Comparisons without ratings.
func NewComparisons(c Config) *Comparisons {
	c.Alpha, c.MinUsers, c.Period = cmp.Or(c.Alpha, 0.05), cmp.Or(c.MinUsers, 30), cmp.Or(c.Period, 24*time.Hour)
	return &Comparisons{config: c, period: max(c.Period.Milliseconds(), 1), swept: map[int32]int64{}}
}

// Add takes in a rating. It reports whether that closed a period, so that results
// are others than before.
func (c *Comparisons) Add(r Rating) (closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	champion := slices.IndexFunc(r.Predictions, func(p Prediction) bool { return p.Role == "" })
	if champion < 0 || r.At < 0 {
		return false
	}
	before := c.closed
	c.tick(r.Partition, r.At)
	by := &r.Predictions[champion]
	for i := range r.Predictions {
		p := &r.Predictions[i]
		if i == champion || p.Version == by.Version || by.Late || p.Late {
			continue
		}
		a, b := by.Value-r.Actual, p.Value-r.Actual
		c.pair(by.Version, p.Version, p.Role).add(c, &r, a*a-b*b)
	}
	return c.closed > before
}

// tick closes the periods of a partition's users that ended, with the time of grace,
// by the moment at.
func (c *Comparisons) tick(partition int32, at int64) {
	c.clock = max(c.clock, at)
	over := (at-c.period/24)/c.period - 1
	if swept, known := c.swept[partition]; known && over <= swept {
		return
	}
	c.swept[partition] = over
	for _, p := range c.pairs {
		p.sweep(c, partition, over)
	}
}

// pair returns the comparison of two versions, and makes room for it if it is new.
func (c *Comparisons) pair(champion, challenger, role string) *pair {
	at := slices.IndexFunc(c.pairs, func(p *pair) bool { return p.champion == champion && p.challenger == challenger })
	var found *pair
	if at >= 0 {
		found = c.pairs[at]
	} else {
		if len(c.pairs) == maxPairs {
			c.drop(len(c.pairs) - 1)
		}
		found = &pair{champion: champion, challenger: challenger, users: map[int64]*user{}}
		at = len(c.pairs)
		c.pairs = append(c.pairs, found)
	}
	found.role, found.seen = role, c.clock
	copy(c.pairs[1:at+1], c.pairs[:at])
	c.pairs[0] = found
	return found
}

func (c *Comparisons) drop(at int) {
	gone := c.pairs[at]
	c.users -= len(gone.users)
	for _, id := range gone.open {
		c.ratings -= len(gone.users[id].movies)
	}
	c.pairs = slices.Delete(c.pairs, at, at+1)
}

// room reports whether there is room for one more user. Comparisons of which no
// rating came for a period make it.
func (c *Comparisons) room() bool {
	for c.users >= maxUsers {
		last := len(c.pairs) - 1
		if last <= 0 || c.clock-c.pairs[last].seen <= c.period {
			return false
		}
		c.drop(last)
	}
	return true
}

// Results returns all comparisons, that which had a rating last first.
func (c *Comparisons) Results() []Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	results := make([]Result, 0, len(c.pairs))
	for _, p := range c.pairs {
		results = append(results, p.result(c.config))
	}
	return results
}
