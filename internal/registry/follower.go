package registry

import (
	"fmt"
	"sync"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

// Follower keeps a Live model on the registry's champion: it loads a promoted
// version, verifies and warms it, and swaps it in. Whatever fails, the version
// that serves goes on serving. It is safe for concurrent use.
type Follower struct {
	Registry *Registry
	Live     *model.Live
	OnSwap   func(*model.Version) // called after a swap; may be nil

	mu    sync.Mutex // one load at a time
	known int64      // highest promotion seen in the log
}

// Poll reads the promotions that are new in the log and loads the champion that
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
	if serving := f.Live.Current(); serving != nil && serving.Sequence > latest.Sequence {
		// It was announced, but the log went on without it: the log is the truth.
		return f.replace(latest)
	}
	err = f.load(latest.Roles[Champion], latest.Sequence)
	if err == nil || f.Live.Current() != nil {
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
		serving := f.Live.Current()
		if serving == nil || serving.Sequence < f.known {
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
	for sequence := latest.Sequence - 1; sequence > 0; sequence-- {
		older, ok, err := f.Registry.Next(sequence - 1)
		if err != nil || !ok {
			continue
		}
		// It serves under its own, lower number: the newer one wins once mended.
		if f.load(older.Roles[Champion], older.Sequence) == nil {
			return fmt.Errorf("%w; serving version %s of promotion %d instead", cause, older.Roles[Champion], older.Sequence)
		}
	}
	return cause
}

// Announced loads the version of an announcement, unless a newer promotion
// serves already.
func (f *Follower) Announced(a message.Announcement) error {
	if a.Role != Champion {
		return nil // challengers are not served yet
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == 0 {
		// The log's state of the start is no news against an announcement, so it
		// is read first. What fails here the next Poll reports.
		_ = f.poll()
	}
	if serving := f.Live.Current(); serving != nil &&
		(serving.Sequence > a.Sequence || serving.Sequence == a.Sequence && serving.Name == a.Version) {
		return nil
	}
	manifest, err := f.Registry.Manifest(a.Version)
	if err == nil && a.SHA256 != "" && a.SHA256 != manifest.SHA256 {
		err = fmt.Errorf("%w: version %s was announced with sha256 %s, its manifest says %s", ErrDamaged, a.Version, a.SHA256, manifest.SHA256)
	}
	if err == nil {
		err = f.agrees(a)
	}
	if err != nil {
		return f.stays(err)
	}
	return f.load(a.Version, a.Sequence)
}

// agrees refuses an announcement that the log contradicts. One that is ahead of
// the log is believed until the log has news of its own.
func (f *Follower) agrees(a message.Announcement) error {
	promotion, known, err := f.Registry.Next(a.Sequence - 1)
	if err == nil && known && promotion.Roles[Champion] != a.Version {
		err = fmt.Errorf("version %s was announced as promotion %d, which is of version %s", a.Version, a.Sequence, promotion.Roles[Champion])
	}
	return err
}

func (f *Follower) load(version string, sequence int64) error {
	if serving := f.Live.Current(); serving != nil && serving.Sequence >= sequence {
		return nil
	}
	next, err := f.read(version, sequence)
	if err != nil {
		return err
	}
	if f.Live.Swap(next) && f.OnSwap != nil {
		f.OnSwap(next)
	}
	return nil
}

// replace serves the champion of a promotion though a higher number serves.
func (f *Follower) replace(latest Promotion) error {
	next, err := f.read(latest.Roles[Champion], latest.Sequence)
	if err != nil {
		return err
	}
	f.Live.Replace(next)
	if f.OnSwap != nil {
		f.OnSwap(next)
	}
	return nil
}

// read reads a version, verifies and warms it.
func (f *Follower) read(version string, sequence int64) (*model.Version, error) {
	m, manifest, err := f.Registry.Model(version)
	if err != nil {
		return nil, f.stays(err)
	}
	warm(m)
	return &model.Version{Model: m, Name: version, Sequence: sequence, Until: manifest.Data.Until.UnixMilli()}, nil
}

// stays adds to an error which version goes on serving.
func (f *Follower) stays(err error) error {
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
