package experiment

import "slices"

// pair is the comparison of a challenger with a champion.
type pair struct {
	champion, challenger string
	role                 string
	seen                 int64 // when a rating came last

	users   map[int64]*user
	open    []int64 // users with an open period
	values  moments // of users' values
	bets    bets    // on their first values
	ratings int64
	ignored int64
	skipped int64
	settled Outcome
}

// user is what is kept of one user.
type user struct {
	partition int32
	period    int64   // that is open, or was closed last
	movies    []int64 // rated in the open period; none if no period is open
	sum       float64 // of the differences in it
	periods   int     // that are closed
	closed    float64 // sum of their values
}

func (u *user) value() float64 { return u.closed / float64(u.periods) }

func (p *pair) add(c *Comparisons, r *Rating, difference float64) {
	u, period := p.users[r.User], r.At/c.period
	if u == nil {
		if !c.room() {
			p.skipped++
			return
		}
		c.users++
		u = &user{period: -1}
		p.users[r.User] = u
	}
	isOpen := len(u.movies) > 0
	if isOpen && period > u.period {
		p.close(c, u)
	}
	switch {
	case period < u.period, period == u.period && (!isOpen || slices.Contains(u.movies, r.Movie)):
		p.ignored++
		return
	case len(u.movies) >= maxPerUser || c.ratings >= maxRatings:
		p.skipped++
		return
	}
	if !isOpen {
		p.open = append(p.open, r.User)
	}
	u.partition, u.period = r.Partition, period
	u.movies = append(u.movies, r.Movie)
	u.sum += difference
	c.ratings++
}

// sweep closes all periods up to over of a partition's users, in an order that does
// not depend on what is in them, and that is the same each time.
func (p *pair) sweep(c *Comparisons, partition int32, over int64) {
	slices.Sort(p.open)
	p.open = slices.DeleteFunc(p.open, func(id int64) bool {
		u := p.users[id]
		switch {
		case len(u.movies) == 0: // there was no room for a rating
		case u.partition != partition, u.period > over:
			return false
		default:
			p.close(c, u)
		}
		return true
	})
}

// close closes a user's open period.
func (p *pair) close(c *Comparisons, u *user) {
	n := len(u.movies)
	value := min(max(u.sum/float64(n), -1), 1)
	var before float64
	if u.periods > 0 {
		before = u.value()
	}
	u.periods++
	u.closed += value
	if u.periods == 1 {
		p.values.add(value)
		p.bets.add(value)
	} else {
		p.values.replace(before, u.value())
	}
	p.ratings += int64(n)
	c.ratings -= n
	c.closed++
	u.movies, u.sum = nil, 0
	p.settle(c.config)
}

func (p *pair) settle(c Config) {
	if p.settled != Undecided || p.values.n < c.MinUsers {
		return
	}
	switch gain, half := p.values.mean(), radius(c.Alpha, p.values.n, p.values.variance()); {
	case gain > half:
		p.settled = Better
	case gain < -half:
		p.settled = Worse
	}
}

func (p *pair) result(c Config) Result {
	r := Result{
		Champion: p.champion, Challenger: p.challenger, Role: p.role, Low: -1, High: 1,
		Users: p.values.n, Ratings: p.ratings, Open: len(p.open), EValue: p.bets.eValue(),
		Settled: p.settled, Ignored: p.ignored, Skipped: p.skipped,
	}
	if r.Users > 0 {
		r.Gain = p.values.mean()
	}
	if r.Users >= c.MinUsers {
		half := radius(c.Alpha, r.Users, p.values.variance())
		r.Low, r.High = max(-1, r.Gain-half), min(1, r.Gain+half)
	}
	return r
}
