package model

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Audience is the answer to Crowd.Audience.
type Audience struct {
	Items []ScoredUser // who would like the movie most first
	Head  Head         // that ranked
	Cold  bool         // the model does not know the movie
}

// ScoredUser is a user with the score that a movie has in the user's list.
type ScoredUser struct {
	User       int64
	Score      float32
	Prediction float32 // predicted rating in stars, clamped to the scale
}

// Crowd is all users as one version sees them at one moment: those whom it was
// trained on, and folded in those who have rated since. It is safe for concurrent
// use.
type Crowd struct {
	Recommender
	folded []foldedUser // ascending by user
	stale  []bool       // by row: who is among the folded
}

// foldedUser is a taste that outlives the folders that it was made with.
type foldedUser struct {
	user  int64
	taste taste
}

// Crowd looks at all users. It folds in, on all cores, who is not as training left
// them; of whom nothing is known but movies that the model does not know is left out.
func (r Recommender) Crowd() *Crowd {
	m := r.Version.Model
	c := &Crowd{Recommender: r, stale: make([]bool, len(m.factors.Users))}
	if r.Users == nil {
		return c
	}
	users := c.findStale()
	made := make([]foldedUser, len(users))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(users)) {
		workers.Go(func() {
			a := r.open()
			defer a.done()
			for k := next.Add(1) - 1; k < int64(len(users)); k = next.Add(1) - 1 {
				made[k] = a.folded(users[k])
			}
		})
	}
	workers.Wait()
	c.folded = slices.DeleteFunc(made, func(f foldedUser) bool { return f.taste.basis != ByUser })
	return c
}

// findStale marks the rows of, and returns, the users who are not as training left
// them.
func (c *Crowd) findStale() (users []int64) {
	m := c.Version.Model
	for k := range c.Users.shards {
		shard := &c.Users.shards[k]
		shard.mu.Lock()
		for user, state := range shard.users {
			u := m.row(m.users, user)
			if u >= 0 && !state.isErased() && c.Version.knowsState(u, state) {
				continue
			}
			if u >= 0 {
				c.stale[u] = true
			}
			users = append(users, user)
		}
		shard.mu.Unlock()
	}
	slices.Sort(users)
	return users
}

// knowsState is knows of what is remembered, without a copy of it.
func (v *Version) knowsState(u int, state *userState) bool {
	return int(v.Model.factors.UserCounts[u]) == len(state.rated) &&
		!slices.ContainsFunc(state.rated, func(r rated) bool { return r.time > v.Until })
}

func (a *answer) folded(user int64) foldedUser {
	a.folders.history = a.Users.AppendHistory(a.folders.history[:0], user)
	t := a.folders.user(a.Version, a.known(user), a.folders.history)
	t.factors, t.preference, t.folded = slices.Clone(t.factors), slices.Clone(t.preference), nil
	return foldedUser{user, t}
}

// Audience returns the users in whose lists q.Movie has the greatest score, exactly,
// without q.Exclude and, unless q.WithSeen, those who have rated it until now. The
// score is the one of Recommend, by the same head and with the same share of
// popularity. Ties go to the lower user id.
func (c *Crowd) Audience(q *Query) Audience {
	q.check()
	m := c.Version.Model
	answer := Audience{Head: m.head()}
	i := m.movieRow(q.Movie)
	if i < 0 {
		answer.Cold = true
		return answer
	}
	excluded := sortedIDs(q.Exclude)
	best := topList{n: q.Offset + q.N, exclude: func(user int64) bool {
		return contains(excluded, user) || !q.WithSeen && c.Users != nil && c.Users.rated(user, q.Movie)
	}}
	share, popular := m.share(q), m.popularity(i)
	offer := func(user int64, t *taste) {
		if score := m.blend(m.score(t, i), popular, share); score >= best.least() {
			best.offer(Scored{Movie: user, Score: score})
		}
	}
	for u, user := range m.factors.Users {
		if !c.stale[u] {
			t := m.trained(u)
			offer(user, &t)
		}
	}
	for k := range c.folded {
		offer(c.folded[k].user, &c.folded[k].taste)
	}
	for _, scored := range page(best.best, q) {
		user := scored.Movie
		answer.Items = append(answer.Items, ScoredUser{user, scored.Score, c.stars(user, q.Movie)})
	}
	return answer
}

// stars is the predicted rating, by the way that predictions are made.
func (c *Crowd) stars(user, movie int64) float32 {
	if c.Users == nil {
		return c.Version.Model.Predict(user, movie).Value
	}
	return c.Users.Predict(c.Version.Model, user, movie).Value
}

// share is that of popularity in scores.
func (m *Model) share(q *Query) float32 {
	switch {
	case q.Popularity >= 0:
		return float32(q.Popularity)
	case m.head() == RatingHead:
		return DefaultPopularity
	}
	return 0
}

// rated reports whether a rating of the movie by the user is remembered.
func (u *Users) rated(user, movie int64) bool {
	shard := u.shard(user)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	state := shard.users[user]
	return state != nil && contains(state.movies, movie)
}

// Crowds keeps the crowd of the version that was asked last for a moment, because
// who folds in all users for each movie of a batch does so in vain. The zero value
// is empty. It is safe for concurrent use.
type Crowds struct {
	mu    sync.Mutex
	last  *Crowd
	until int64
}

// crowdAge is how long a crowd is kept, in milliseconds.
const crowdAge = 10_000

// Of returns a crowd that is at most ten seconds old; now is in Unix milliseconds.
func (c *Crowds) Of(r Recommender, now int64) *Crowd {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil || c.last.Version.Model.number != r.Version.Model.number || now >= c.until {
		c.last, c.until = r.Crowd(), now+crowdAge
	}
	return c.last
}

// AllMovies returns the movies that the version knows, ascending.
func (r Recommender) AllMovies() []int64 {
	return sortedIDs(r.Version.Model.factors.Movies)
}
