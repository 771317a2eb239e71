package model

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Version is a version of the registry with its model.
type Version struct {
	Model *Model
	Name  string // the version's name in the registry
	Until int64  // newest event time it was trained on, Unix milliseconds
	Made  int64  // when its training was over, Unix milliseconds; 0 if that is not known
}

// clockSlack is how far the clocks of who trains and who asks may be apart.
const clockSlack = 5000 // milliseconds

// MayKnow says whether a rating may be one that the version was trained on: one that
// is not newer, unless somebody asked for its prediction when the training was over. A
// rating is stored after its prediction is asked for. asked is in Unix milliseconds, 0
// if that is not known.
func (v *Version) MayKnow(rated, asked int64) bool {
	return rated <= v.Until && (asked == 0 || v.Made == 0 || asked <= v.Made+clockSlack)
}

// Challenger is a version that is compared with the champion: it predicts for its
// share of the users, and in shadow for all others.
type Challenger struct {
	*Version
	Role  string  // "challenger:" and the experiment's name
	Share float64 // of the users that it serves, 0 to 1

	at int // its version's place in LineUp.versions
}

// LineUp is all versions that predict at one moment. It never changes.
type LineUp struct {
	Sequence    int64 // number of the promotion whose roles these are
	Champion    *Version
	Challengers []Challenger // in the order of their roles

	versions    []*Version // each once, the champion first
	roles       []string   // of versions, the champion's being ""
	experiments []experiment.Experiment
	places      []int // in Challengers, of experiments
}

const challengerPrefix = "challenger:"

// NewLineUp returns the line-up of a promotion. It takes challengers over.
func NewLineUp(sequence int64, champion *Version, challengers []Challenger) *LineUp {
	slices.SortFunc(challengers, func(a, b Challenger) int { return strings.Compare(a.Role, b.Role) })
	l := &LineUp{Sequence: sequence, Champion: champion, Challengers: challengers, versions: []*Version{champion}, roles: []string{""}}
	for i := range challengers {
		c := &challengers[i]
		c.at = slices.IndexFunc(l.versions, func(v *Version) bool { return v.Name == c.Name })
		if c.at < 0 {
			c.at = len(l.versions)
			l.versions, l.roles = append(l.versions, c.Version), append(l.roles, c.Role)
		}
		if c.Share > 0 {
			l.experiments = append(l.experiments, experiment.New(strings.TrimPrefix(c.Role, challengerPrefix), c.Share))
			l.places = append(l.places, i)
		}
	}
	return l
}

// Equal reports whether two line-ups have the same versions in the same roles
// since the same promotion.
func (l *LineUp) Equal(other *LineUp) bool {
	return l.Sequence == other.Sequence && l.Champion == other.Champion && slices.Equal(l.Challengers, other.Challengers)
}

// Versions returns every version once, the champion first; it must not be changed.
func (l *LineUp) Versions() []*Version { return l.versions }

// Role returns the first role of the version at a place in Versions, "" of the
// champion.
func (l *LineUp) Role(at int) string { return l.roles[at] }

// Serving returns the place in Versions of the version that serves a user, and
// the role in which it does, "" being the champion's: the first challenger, by
// role, whose experiment the user is in, or the champion.
func (l *LineUp) Serving(user int64) (at int, role string) {
	if i := experiment.Assign(user, l.experiments); i >= 0 {
		c := &l.Challengers[l.places[i]]
		return c.at, c.Role
	}
	return 0, ""
}

// Live is the line-up that predicts now. It is swapped while traffic flows: a
// batch takes it once and uses that to its end, so that each reply comes from
// exactly one version. Safe for concurrent use.
type Live struct {
	mu      sync.Mutex // held by who changes what serves
	loaded  *LineUp    // as it was swapped in
	current atomic.Pointer[LineUp]
	first   chan struct{} // closed at the first Swap

	// Users are what is known of users; they outlive a swap.
	Users *Users

	// History reads a user's ratings from where they are stored; nil where they are
	// not. It is set before the Live is used.
	History func(ctx context.Context, user int64) ([]ratings.Rating, error)
}

// NewLive returns a Live without a model.
func NewLive() *Live { return &Live{first: make(chan struct{}), Users: NewUsers()} }

// LineUp returns the line-up that predicts, or nil before the first one.
func (l *Live) LineUp() *LineUp { return l.current.Load() }

// Loaded returns the line-up as it was swapped in, or nil before the first one: LineUp
// is that with the movies that were rated since.
func (l *Live) Loaded() *LineUp {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.loaded
}

// Current returns the champion that serves, or nil before the first one.
func (l *Live) Current() *Version {
	if lineUp := l.current.Load(); lineUp != nil {
		return lineUp.Champion
	}
	return nil
}

// Wait returns the line-up that predicts, and waits for the first one if there
// is none yet. It fails only when ctx ends.
func (l *Live) Wait(ctx context.Context) (*LineUp, error) {
	if lineUp := l.current.Load(); lineUp != nil {
		return lineUp, nil
	}
	select {
	case <-l.first:
		return l.current.Load(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Swap makes a line-up predict, whatever does now. Movies that its versions do not
// know and that were rated are folded in before.
func (l *Live) Swap(next *LineUp) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loaded = next
	movies, _ := l.Users.takeFresh(next.Champion.Model, true)
	if l.current.Swap(next.with(l.Users, movies, l.current.Load())) == nil {
		close(l.first)
	}
}

// FoldInMovies folds movies in that were rated and that the versions do not know, if
// there is anything new of them. It says how many the champion has in addition.
func (l *Live) FoldInMovies() (movies int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loaded == nil {
		return 0
	}
	if movies, changed := l.Users.takeFresh(l.loaded.Champion.Model, false); changed {
		l.current.Store(l.loaded.with(l.Users, movies, l.current.Load()))
	}
	if a := l.current.Load().Champion.Model.added; a != nil {
		return len(a.movies)
	}
	return 0
}

// with returns the line-up with movies folded in that its versions do not know.
// before, which may be nil, is the line-up that predicts so far.
func (l *LineUp) with(users *Users, movies []toFold, before *LineUp) *LineUp {
	if len(movies) == 0 {
		return l
	}
	extended := make([]*Version, len(l.versions))
	for k, v := range l.versions {
		extended[k] = users.foldInMovies(v, movies, before.addedTo(v.Model))
	}
	challengers := slices.Clone(l.Challengers)
	for k := range challengers {
		challengers[k].Version = extended[challengers[k].at]
	}
	return NewLineUp(l.Sequence, extended[0], challengers)
}

// addedTo is what a line-up, which may be nil, has added to a model, or nil.
func (l *LineUp) addedTo(m *Model) *added {
	if l == nil {
		return nil
	}
	for _, v := range l.versions {
		if v.Model.number == m.number {
			return v.Model.added
		}
	}
	return nil
}

// LiveKey is the key of a *Live among the generic values of a Benthos resource
// manager; Label is the label of the resource.
type LiveKey struct{ Label string }
