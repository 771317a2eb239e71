package model

import (
	"slices"
	"sync"
)

// The bounds of Shown.
const (
	shownLists  = 3      // of a user that count, the newest
	keptLists   = 6      // of a user, so that each of the last three requests may come again
	shownMovies = 50     // of a list; nobody looks further
	shownUsers  = 20_000 // who asked for a rotated list last; 1 kB each with ten movies a list
)

// Shown remembers what users were shown in their last lists, so that they are not
// shown it again. The zero value is empty. It is safe for concurrent use.
type Shown struct {
	mu    sync.Mutex
	users map[int64][]shownList // each oldest first
	order []int64               // of users, as a ring
	next  int
}

type shownList struct {
	request string
	movies  []int64
}

// Recommend is r's, with the movies of the user's last three rotated lists behind all
// others: they are there only where the list would be shorter without. A request with
// the id of one of the user's last three gets the same list again, while nothing else
// has changed: what counts is what was shown before it.
func (s *Shown) Recommend(r Recommender, q *Query, request string) Recommended {
	before := s.before(q.User, request)
	if len(before) == 0 {
		answer := r.Recommend(q)
		s.remember(q.User, request, answer.Items)
		return answer
	}
	fresh := *q
	fresh.Exclude = slices.Concat(q.Exclude, before)
	answer := r.Recommend(&fresh)
	if missing := q.N - len(answer.Items); missing > 0 {
		again := *q
		again.N, again.Candidates = missing, before
		if q.Candidates != nil {
			allowed := sortedIDs(q.Candidates)
			again.Candidates = slices.DeleteFunc(before, func(movie int64) bool { return !contains(allowed, movie) })
		}
		answer.Items = append(answer.Items, r.Recommend(&again).Items...)
	}
	s.remember(q.User, request, answer.Items)
	return answer
}

// before are the movies of the lists that the user was shown before a request, not
// nil if there are any.
func (s *Shown) before(user int64, request string) (movies []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lists := s.users[user]
	if at := slices.IndexFunc(lists, func(l shownList) bool { return l.request == request }); at >= 0 {
		lists = lists[:at]
	}
	for _, list := range lists[max(0, len(lists)-shownLists):] {
		movies = append(movies, list.movies...)
	}
	return movies
}

func (s *Shown) remember(user int64, request string, items []Item) {
	items = items[:min(len(items), shownMovies)]
	list := shownList{request: request, movies: make([]int64, len(items))}
	for k, item := range items {
		list.movies[k] = item.Movie
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	lists, known := s.users[user]
	if slices.ContainsFunc(lists, func(l shownList) bool { return l.request == request }) {
		return
	}
	if !known {
		s.enter(user)
	}
	if len(lists) == keptLists {
		lists = append(lists[:0], lists[1:]...)
	}
	s.users[user] = append(lists, list)
}

// enter makes room for a user.
func (s *Shown) enter(user int64) {
	if s.users == nil {
		s.users = map[int64][]shownList{}
	}
	if len(s.order) < shownUsers {
		s.order = append(s.order, user)
		return
	}
	delete(s.users, s.order[s.next])
	s.order[s.next] = user
	s.next = (s.next + 1) % shownUsers
}
