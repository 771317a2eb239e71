package eval

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Served is a model as its users get it: they are folded into both heads from all
// that they rated so far, whatever the model was trained on. A movie that it does
// not know counts as an average one, with bias 0 and no factors. It is safe for
// concurrent use.
type Served struct {
	f    *als.Factors
	live *liveFactors
}

// NewServed returns f as it is served. f must not change.
func NewServed(f *als.Factors) (*Served, error) {
	live, err := newLiveFactors(f, len(f.Movies), nil)
	if err != nil {
		return nil, err
	}
	live.folder = als.NewFolder(live.f)
	return &Served{f: f, live: live}, nil
}

// Histories are what users rated, each movie once.
type Histories map[int64]*history

// NewHistories returns what the users that of reports rated, in any order but with
// the newest rating of a pair last. Ratings that skip reports are left out; skip
// may be nil.
func NewHistories(all []ratings.Rating, of func(user int64) bool, skip func(r ratings.Rating) bool) Histories {
	histories := Histories{}
	for _, r := range all {
		if !of(r.User) || skip != nil && skip(r) {
			continue
		}
		if histories[r.User] == nil {
			histories[r.User] = &history{}
		}
		histories[r.User].learn(r)
	}
	return histories
}

// Count is how many movies the user rated.
func (h Histories) Count(user int64) int {
	if h[user] == nil {
		return 0
	}
	return len(h[user].movies)
}

// of returns a history that may be changed.
func (h Histories) of(user int64) *history {
	known := h[user]
	if known == nil {
		return &history{}
	}
	return &history{slices.Clone(known.movies), slices.Clone(known.values)}
}

// Steps are ratings in the order of time, of which each is predicted, learned, or
// first the one and then the other. Nil functions mean all of them.
type Steps struct {
	Ratings []ratings.Rating
	Predict func(k int) bool
	Learn   func(k int) bool
}

// Predicted is what was predicted for one of the Steps.
type Predicted struct {
	Stars float32 // clamped to the scale
	Known int32   // ratings of the user that it was predicted from
}

// Predict takes users through steps, from what they rated before, and returns a
// prediction for each step; those of steps that are not predicted are zero. The
// result does not depend on the threads, of which 0 means one per CPU.
func (s *Served) Predict(ctx context.Context, threads int, before Histories, steps Steps) ([]Predicted, error) {
	predicted := make([]Predicted, len(steps.Ratings))
	groups := byUser(steps.Ratings, 0)
	errs := make([]error, len(groups))
	err := inParallel(ctx, threads, len(groups), func() func(int) {
		folder := newUserFolder(s.live)
		return func(group int) {
			h, current := before.of(steps.Ratings[groups[group][0]].User), false
			for _, k := range groups[group] {
				if steps.Predict == nil || steps.Predict(k) {
					if !current {
						if errs[group] = folder.fold(h); errs[group] != nil {
							return
						}
						current = true
					}
					predicted[k] = Predicted{folder.predict(steps.Ratings[k].Movie), int32(len(h.movies))}
				}
				if steps.Learn == nil || steps.Learn(k) {
					h.learn(steps.Ratings[k])
					current = false
				}
			}
		}
	})
	return predicted, errors.Join(append(errs, err)...)
}

// Listener is a user who is recommended movies, and what then turns out to be
// relevant.
type Listener struct {
	User     int64
	Relevant []int64 // movies, ascending, that the user had not rated
}

// Listeners are the users, ascending, who have a history and relevant test ratings
// of movies that are not in it.
func Listeners(before Histories, test []ratings.Rating) []Listener {
	relevant := map[int64][]int64{}
	for _, r := range test {
		h := before[r.User]
		if r.Value < relevantStars || h == nil || len(h.movies) == 0 {
			continue
		}
		if _, seen := slices.BinarySearch(h.movies, r.Movie); !seen {
			relevant[r.User] = append(relevant[r.User], r.Movie)
		}
	}
	listeners := make([]Listener, 0, len(relevant))
	for _, user := range sortedKeys(relevant) {
		slices.Sort(relevant[user])
		listeners = append(listeners, Listener{user, slices.Compact(relevant[user])})
	}
	return listeners
}

// Listed is what a listener is recommended.
type Listed struct {
	Movies []int64 // at most ten, best first
	NDCG10 float64
}

// Lists recommends movies to listeners, as model.TopN does and without those that
// they rated before. Users are folded into the head that ranks from the stars of
// what they rated. The result does not depend on the threads, of which 0 means one
// per CPU.
func (s *Served) Lists(ctx context.Context, threads int, before Histories, listeners []Listener) ([]Listed, error) {
	folded, err := s.foldAll(ctx, threads, before, listeners)
	if err != nil {
		return nil, fmt.Errorf("folding users in: %w", err)
	}
	m, err := model.New(folded, model.MovieLensScale)
	if err != nil {
		return nil, err
	}
	lists := make([]Listed, len(listeners))
	err = inParallel(ctx, threads, len(listeners), func() func(int) {
		return func(k int) {
			seen := before[listeners[k].User].movies
			for _, scored := range m.TopN(listeners[k].User, topDepth, func(movie int64) bool {
				_, rated := slices.BinarySearch(seen, movie)
				return rated
			}) {
				lists[k].Movies = append(lists[k].Movies, scored.Movie)
			}
			lists[k].NDCG10 = quality(lists[k].Movies, listeners[k].Relevant, len(listeners[k].Relevant)).ndcg10
		}
	})
	return lists, err
}

// foldAll returns factors whose users are the listeners, as their histories are.
func (s *Served) foldAll(ctx context.Context, threads int, before Histories, listeners []Listener) (*als.Factors, error) {
	n, rank := len(listeners), s.f.Rank
	folded := *s.f
	folded.Posterior = nil // lists do not ask for it
	folded.Users, folded.UserCounts = make([]int64, n), make([]int32, n)
	folded.UserBias, folded.UserFactors = make([]float32, n), make([]float32, n*rank)
	var ofHead *als.PreferenceFolder
	if s.f.Preference != nil {
		head := *s.f.Preference
		head.UserFactors = make([]float32, n*head.Rank)
		folded.Preference = &head
		var err error
		if ofHead, err = als.NewPreferenceFolder(ctx, s.f.Preference, threads); err != nil {
			return nil, err
		}
	}
	errs := make([]error, n)
	err := inParallel(ctx, threads, n, func() func(int) {
		folder := newUserFolder(s.live)
		head := ofHead
		if head != nil {
			head = head.Clone()
		}
		return func(k int) {
			h := before[listeners[k].User]
			folded.Users[k], folded.UserCounts[k] = listeners[k].User, int32(len(h.movies))
			errs[k] = folder.fold(h)
			folded.UserBias[k] = folder.bias
			copy(folded.UserFactors[k*rank:], folder.x)
			if head != nil {
				errs[k] = errors.Join(errs[k], s.foldIntoHead(head, h, folded.Preference.UserFactors[k*folded.Preference.Rank:]))
			}
		}
	})
	return &folded, errors.Join(append(errs, err)...)
}

// foldIntoHead leaves movies out that the head does not know: nothing tells it what
// they are like.
func (s *Served) foldIntoHead(head *als.PreferenceFolder, h *history, x []float32) error {
	var rows []int32
	var strengths []float32
	for k, movie := range h.movies {
		if row, known := slices.BinarySearch(s.f.Movies, movie); known {
			rows, strengths = append(rows, int32(row)), append(strengths, h.values[k])
		}
	}
	err := head.FoldIn(rows, strengths, x)
	if errors.Is(err, als.ErrNoKnownMovies) {
		return nil
	}
	return err
}
