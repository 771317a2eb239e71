package registry

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

// Follower keeps a Live model on the registry's line-up: it loads the versions
// that have a role, verifies and warms them, and swaps them in at once. A version
// that was in the line-up before is not loaded again. If the champion cannot be
// loaded, the line-up that serves goes on serving; a challenger that cannot be
// loaded is left out. It is safe for concurrent use.
type Follower struct {
	Registry *Registry
	Live     *model.Live
	OnSwap   func(*model.LineUp) // called after a swap; may be nil
	// OnFailure is called when a champion could not be loaded, each time; may be nil.
	OnFailure func()

	mu      sync.Mutex // one load at a time
	known   int64      // highest promotion seen in the log
	failed  map[string]*failure
	dropped bool // a model left the line-up, and may still be in memory
}

// failure is a challenger that could not be loaded. It is tried again after as
// many polls as it was tried in vain, so that reading it again and again takes
// nothing from the champion.
type failure struct {
	err         error
	tries, wait int
}

const longestWait = 64 // polls

// Poll reads the promotions that are new in the log and loads the line-up that
// the last of them names.
func (f *Follower) Poll() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.poll()
}

func (f *Follower) poll() error {
	latest, found, err := f.advance()
	if err != nil || !found {
		return err
	}
	// Where an announcement was ahead of the log, and the log went on without it,
	// the log is the truth, though its number is lower.
	serving, err := f.load(latest)
	if serving || f.Live.Loaded() != nil {
		return err
	}
	return f.fallBack(latest, err)
}

// advance follows the log to its end. It finds the state of the roles again if
// that is not what serves, so that a load that failed is tried again.
func (f *Follower) advance() (latest Promotion, found bool, err error) {
	if f.known == 0 {
		latest, found, err = f.Registry.Latest()
	} else {
		serving := f.Live.Loaded()
		if serving == nil || serving.Sequence < f.known || serving.Sequence == f.known && len(f.failed) > 0 {
			latest, found, err = f.Registry.Next(f.known - 1)
		}
		for after := f.known; err == nil; {
			var next Promotion
			var more bool
			if next, more, err = f.Registry.Next(after); !more {
				break
			}
			latest, found, after = next, true, next.Sequence
		}
	}
	if found {
		f.known = latest.Sequence
	}
	return latest, found, err
}

// fallBack serves the newest champion before latest that can be loaded: with
// nothing serving, an older model is better than none.
func (f *Follower) fallBack(latest Promotion, cause error) error {
	tried := map[string]bool{latest.Roles[Champion]: true}
	for sequence := latest.Sequence - 1; sequence > 0; sequence-- {
		older, ok, err := f.Registry.Next(sequence - 1)
		if err != nil || !ok || tried[older.Roles[Champion]] {
			continue
		}
		tried[older.Roles[Champion]] = true
		// It serves under its own, lower number: the newer one wins once mended.
		if serving, _ := f.load(Promotion{Sequence: older.Sequence, Roles: map[string]string{Champion: older.Roles[Champion]}}); serving {
			return fmt.Errorf("%w; serving version %s of promotion %d instead", cause, older.Roles[Champion], older.Sequence)
		}
	}
	return cause
}

// Announced follows an announcement, unless a newer promotion serves already. Of
// challengers the log is the truth, and an announcement a reason to look at it.
func (f *Follower) Announced(a message.Announcement) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == 0 {
		// The log's state of the start is no news against an announcement, so it
		// is read first. What fails here the next Poll reports.
		_ = f.poll()
	}
	serving := f.Live.Loaded()
	if serving != nil && serving.Sequence > a.Sequence {
		return nil
	}
	if a.Role != Champion {
		if serving != nil && serving.Sequence == a.Sequence {
			return nil
		}
		return f.hint(a)
	}
	if serving != nil && serving.Sequence == a.Sequence && serving.Champion.Name == a.Version {
		return nil
	}
	manifest, err := f.Registry.Manifest(a.Version)
	if err == nil && a.SHA256 != "" && a.SHA256 != manifest.SHA256 {
		err = fmt.Errorf("%w: version %s was announced with sha256 %s, its manifest says %s", ErrDamaged, a.Version, a.SHA256, manifest.SHA256)
	}
	var promotion Promotion
	if err == nil {
		promotion, err = f.announced(a)
	}
	if err != nil {
		return f.stays(err)
	}
	if serving != nil && serving.Sequence == promotion.Sequence {
		return nil // two announcements ahead of the log with one number: the first stands
	}
	loaded, err := f.load(promotion)
	if loaded {
		return nil // of challengers that were left out the next Poll tells
	}
	return err
}

// hint looks at the log because a challenger was announced.
func (f *Follower) hint(a message.Announcement) error {
	err := f.poll()
	if serving := f.Live.Loaded(); serving != nil && serving.Sequence >= a.Sequence && f.failed[a.Version] == nil {
		return nil // another one was left out
	}
	return err
}

// announced returns the promotion of an announcement, and refuses one that the
// log contradicts. One that is ahead of the log is believed, as a promotion of the
// champion, until the log has news of its own.
func (f *Follower) announced(a message.Announcement) (Promotion, error) {
	promotion, known, err := f.Registry.Next(a.Sequence - 1)
	if err == nil && known {
		if promotion.Roles[Champion] != a.Version {
			return promotion, fmt.Errorf("version %s was announced as promotion %d, which is of version %s", a.Version, a.Sequence, promotion.Roles[Champion])
		}
		return promotion, nil
	}
	ahead := Promotion{Sequence: a.Sequence, Roles: map[string]string{}, Shares: map[string]float64{}}
	if serving := f.Live.Loaded(); serving != nil {
		ahead.Roles[Champion] = serving.Champion.Name
		for _, c := range serving.Challengers {
			ahead.Roles[c.Role], ahead.Shares[c.Role] = c.Name, c.Share
		}
	}
	ahead.crown(a.Version)
	return ahead, nil
}

// load makes the line-up of a promotion predict. It does not if the champion
// cannot be loaded. An error is of the champion, or of challengers that are left
// out.
func (f *Follower) load(p Promotion) (serving bool, err error) {
	if f.dropped {
		// What was swapped out is garbage, but still there: with the model that
		// comes now there would be three in memory.
		runtime.GC()
		f.dropped = false
	}
	before := f.Live.Loaded()
	versions := map[string]*model.Version{}
	if before != nil {
		for _, v := range before.Versions() {
			versions[v.Name] = v
		}
	}
	champion, err := f.version(versions, p.Roles[Champion])
	if err != nil {
		return false, f.stays(err)
	}
	var challengers []model.Challenger
	var problems []error
	failed := map[string]*failure{}
	for _, role := range slices.Sorted(maps.Keys(p.Roles)) {
		if !strings.HasPrefix(role, ChallengerPrefix) || p.Roles[role] == "" {
			continue
		}
		v, err := f.challenger(versions, failed, p.Roles[role])
		if err != nil {
			problems = append(problems, fmt.Errorf("leaving %s out: %w; the champion, version %s, is not affected", role, err, champion.Name))
			continue
		}
		challengers = append(challengers, model.Challenger{Version: v, Role: role, Share: p.Shares[role]})
	}
	f.failed = failed
	f.swap(before, model.NewLineUp(p.Sequence, champion, challengers))
	return true, errors.Join(problems...)
}

// swap makes next predict instead of before, which may be nil, unless nothing
// would change.
func (f *Follower) swap(before, next *model.LineUp) {
	if before != nil && before.Equal(next) {
		return // a challenger that could not be loaded still cannot
	}
	f.Live.Swap(next)
	if before != nil {
		f.dropped = slices.ContainsFunc(before.Versions(), func(v *model.Version) bool { return !slices.Contains(next.Versions(), v) })
	}
	if f.OnSwap != nil {
		f.OnSwap(next)
	}
}

// challenger is version of a challenger, which is not tried each time if it
// failed before. failed takes those that fail now.
func (f *Follower) challenger(versions map[string]*model.Version, failed map[string]*failure, name string) (*model.Version, error) {
	past := f.failed[name]
	if past != nil && past.wait > 0 {
		past.wait--
		failed[name] = past
		return nil, past.err
	}
	v, err := f.version(versions, name)
	if err != nil {
		tries := 1
		if past != nil {
			tries = past.tries + 1
		}
		failed[name] = &failure{err: err, tries: tries, wait: min(tries-1, longestWait)}
	}
	return v, err
}

// version returns the version of a name, from versions, where it is put if it
// has to be read.
func (f *Follower) version(versions map[string]*model.Version, name string) (*model.Version, error) {
	if v := versions[name]; v != nil {
		return v, nil
	}
	v, err := f.read(name)
	if err == nil {
		versions[name] = v
	}
	return v, err
}

// read reads a version, verifies and warms it.
func (f *Follower) read(version string) (*model.Version, error) {
	m, manifest, err := f.Registry.Model(version)
	if err != nil {
		return nil, err
	}
	warm(m)
	v := &model.Version{Model: m, Name: version, Until: manifest.Data.Until.UnixMilli()}
	if !manifest.CreatedAt.IsZero() {
		v.Made = manifest.CreatedAt.UnixMilli()
	}
	return v, nil
}

// stays adds to an error which version goes on serving.
func (f *Follower) stays(err error) error {
	if f.OnFailure != nil {
		f.OnFailure()
	}
	if serving := f.Live.Current(); serving != nil {
		return fmt.Errorf("%w; version %s goes on serving", err, serving.Name)
	}
	return fmt.Errorf("%w; no version serves yet", err)
}

// warm touches every row once, so that no request meets a cold page.
func warm(m *model.Model) {
	f := m.Factors()
	for i := 0; i < max(len(f.Users), len(f.Movies)); i++ {
		if len(f.Users) > 0 && len(f.Movies) > 0 {
			m.Predict(f.Users[i%len(f.Users)], f.Movies[i%len(f.Movies)])
		}
	}
}

// FollowerKey is the key of a *Follower among the generic values of a Benthos
// resource manager; Label is the label of the als_model resource.
type FollowerKey struct{ Label string }
