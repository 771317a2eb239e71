package model

import (
	"cmp"
	"slices"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// takenBack says that the rating of a movie was, if it is not newer than time. It
// outlives the rating: what a slower reader brings later does not come back.
type takenBack struct{ movie, time int64 }

// Remembered is what is known of one user.
type Remembered struct {
	User    int64
	Ratings []ratings.Rating  // one a movie, ascending by movie
	Unrated []ratings.Unrated // movies whose ratings were taken back, ascending by movie
	Erased  bool
	Until   int64 // what is not newer was erased, Unix milliseconds; 0 unless Erased
}

// Learn takes in one rating. The newest rating of a movie wins, on equal time the
// greater, unless it was taken back or erased; learning one twice changes nothing.
func (u *Users) Learn(r ratings.Rating) {
	shard := u.shard(r.User)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.state(r.User).rate(r) {
		u.fresh.note(r.User, r.Movie, r.Time)
	}
}

// Unrate takes a rating back, if it is not newer.
func (u *Users) Unrate(un ratings.Unrated) {
	shard := u.shard(un.User)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	shard.state(un.User).unrate(un.Movie, un.Time)
	u.fresh.note(un.User, un.Movie, un.Time)
}

// Forget erases what a user did up to a time. No model knows the user from then on
// but by what came later.
func (u *Users) Forget(f ratings.Forgotten) {
	shard := u.shard(f.User)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	shard.forget(f)
	u.fresh.touch()
}

// Apply takes in changes as a rating store does; of tags and views nothing is
// remembered.
func (u *Users) Apply(c ratings.Changes) {
	for _, f := range c.Forgotten {
		u.Forget(f)
	}
	for _, un := range c.Unrated {
		u.Unrate(un)
	}
	for _, r := range c.Ratings {
		u.Learn(r)
	}
}

// Merge takes in what somebody else remembers of a user, at the time now, Unix
// milliseconds, which is as good as reading the ratings then.
func (u *Users) Merge(r Remembered, now int64) {
	shard := u.shard(r.User)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if r.Erased {
		shard.forget(ratings.Forgotten{User: r.User, Time: r.Until})
		u.fresh.touch()
	}
	state := shard.state(r.User)
	for _, un := range r.Unrated {
		state.unrate(un.Movie, un.Time)
		u.fresh.note(un.User, un.Movie, un.Time)
	}
	for _, one := range r.Ratings {
		if state.rate(one) {
			u.fresh.note(r.User, one.Movie, one.Time)
		}
	}
	state.refreshed = max(state.refreshed, seconds(now))
}

// Remember returns what is known of a user.
func (u *Users) Remember(user int64) Remembered {
	shard := u.shard(user)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	known := Remembered{User: user}
	state := shard.users[user]
	if state == nil {
		return known
	}
	known.Ratings = state.appendHistory(nil, user)
	if state.rare != nil {
		known.Erased, known.Until = state.rare.erased, state.rare.until
		for _, b := range state.rare.back {
			known.Unrated = append(known.Unrated, ratings.Unrated{User: user, Movie: b.movie, Time: b.time})
		}
	}
	return known
}

// Trim leaves the newest 2,000 ratings, as many as are folded in, and the newest
// 2,000 of those taken back, and returns how many it cut.
func (r *Remembered) Trim() (cut int) {
	cut = max(len(r.Ratings)-maxFolded, 0) + max(len(r.Unrated)-maxFolded, 0)
	r.Ratings = newest(r.Ratings)
	if len(r.Unrated) > maxFolded {
		slices.SortStableFunc(r.Unrated, func(a, b ratings.Unrated) int { return cmp.Compare(b.Time, a.Time) })
		r.Unrated = r.Unrated[:maxFolded]
		slices.SortFunc(r.Unrated, func(a, b ratings.Unrated) int { return cmp.Compare(a.Movie, b.Movie) })
	}
	return cut
}

// Known reports whether a user's ratings were read or followed since the start.
func (u *Users) Known(user int64) bool {
	shard := u.shard(user)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	state := shard.users[user]
	return state != nil && state.refreshed > 0
}

// historyAt is AppendHistory, and the revision of what is known of the user.
func (u *Users) historyAt(history []ratings.Rating, user int64) ([]ratings.Rating, uint32) {
	shard := u.shard(user)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if state := shard.users[user]; state != nil {
		return state.appendHistory(history, user), state.revision
	}
	return history, 0
}

// AppendHistory appends what is remembered of a user's ratings, one a movie and
// in ascending order of movies.
func (u *Users) AppendHistory(history []ratings.Rating, user int64) []ratings.Rating {
	shard := u.shard(user)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if state := shard.users[user]; state != nil {
		return state.appendHistory(history, user)
	}
	return history
}

func (s *userState) appendHistory(history []ratings.Rating, user int64) []ratings.Rating {
	history = slices.Grow(history, len(s.movies))
	for at, movie := range s.movies {
		history = append(history, ratings.Rating{User: user, Movie: movie, Value: s.rated[at].value, Time: s.rated[at].time})
	}
	return history
}

func (s *userShard) state(user int64) *userState {
	state := s.users[user]
	if state == nil {
		state = &userState{}
		s.users[user] = state
	}
	return state
}

func (s *userState) rarely() *rare {
	if s.rare == nil {
		s.rare = &rare{}
	}
	return s.rare
}

func (s *userState) rate(r ratings.Rating) (changed bool) {
	at, known := slices.BinarySearch(s.movies, r.Movie)
	return s.learn(r, at, known)
}

// learn takes in a rating whose movie is, or belongs, at the given place, and
// says whether that changed anything.
func (s *userState) learn(r ratings.Rating, at int, known bool) bool {
	if s.rare != nil && !s.rare.lets(r) {
		return false
	}
	if !known {
		s.movies = slices.Insert(s.movies, at, r.Movie)
		s.rated = slices.Insert(s.rated, at, rated{r.Time, r.Value})
		s.changed()
		return true
	}
	old := &s.rated[at]
	if r.Time < old.time || r.Time == old.time && r.Value <= old.value {
		return false
	}
	old.time, old.value = r.Time, r.Value
	s.changed()
	return true
}

// lets reports whether a rating was neither erased nor taken back. From one that is
// newer than its being taken back on the rating itself keeps older ones away.
func (r *rare) lets(one ratings.Rating) bool {
	if r.erased && one.Time <= r.until {
		return false
	}
	at, back := r.find(one.Movie)
	if !back {
		return true
	}
	if one.Time <= r.back[at].time {
		return false
	}
	r.back = slices.Delete(r.back, at, at+1)
	return true
}

func (r *rare) find(movie int64) (at int, found bool) {
	return slices.BinarySearchFunc(r.back, movie, func(b takenBack, movie int64) int { return cmp.Compare(b.movie, movie) })
}

func (s *userState) unrate(movie, time int64) {
	if s.isErased() && time <= s.rare.until {
		return
	}
	if at, known := slices.BinarySearch(s.movies, movie); known {
		if s.rated[at].time > time {
			return
		}
		s.movies, s.rated = slices.Delete(s.movies, at, at+1), slices.Delete(s.rated, at, at+1)
		s.changed()
	}
	r := s.rarely()
	if at, found := r.find(movie); !found {
		r.back = slices.Insert(r.back, at, takenBack{movie, time})
	} else {
		r.back[at].time = max(r.back[at].time, time)
	}
}

func (s *userShard) forget(f ratings.Forgotten) {
	state := s.state(f.User)
	r := state.rarely()
	if r.erased && f.Time <= r.until {
		return
	}
	r.erased, r.until = true, f.Time
	if s.erased == nil {
		s.erased = map[int64]struct{}{}
	}
	s.erased[f.User] = struct{}{}
	r.back = slices.DeleteFunc(r.back, func(b takenBack) bool { return b.time <= f.Time })
	var movies []int64
	var left []rated
	for at, movie := range state.movies {
		if state.rated[at].time > f.Time {
			movies, left = append(movies, movie), append(left, state.rated[at])
		}
	}
	state.movies, state.rated, state.folded = movies, left, nil
	state.changed()
}

// changed drops what was solved from the ratings before.
func (s *userState) changed() {
	s.newest, s.foldedBy = modelSum{}, 0
	s.revision++
	if s.rare != nil {
		s.rare.sums = modelSums{}
	}
}

// isErased reports whether the user was erased, so that no model may say that it
// knows the user.
func (u *Users) isErased(user int64) bool {
	shard := u.shard(user)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	_, erased := shard.erased[user]
	return erased
}

// appendErased appends all users who were erased.
func (u *Users) appendErased(users []int64) []int64 {
	for k := range u.shards {
		shard := &u.shards[k]
		shard.mu.Lock()
		for user := range shard.erased {
			users = append(users, user)
		}
		shard.mu.Unlock()
	}
	return users
}
