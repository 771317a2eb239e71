package experiment

import (
	"math"
)

// Skill tells whether a version has become worse since it began to serve. The error
// of one unchanged model swings by half from window to window, as users come and
// go who are easier or harder to predict; so it is taken relative to that of a
// baseline on the same ratings, the online bias of each user:
//
//	skill = 1 − √(Σ e²_model / Σ e²_baseline)
//
// over a window of ratings, with a standard error over users (ratio estimator, delta
// method; Cochran 1977, "Sampling Techniques", section 6.4): the ratings of one user
// are not independent. The first window of a version is its reference. The skill has
// fallen if it is below the reference by at least Drop, and by more than two standard
// errors of the difference.
//
// It is not safe for concurrent use.
type Skill struct {
	Window int     // ratings of a window, at least 1; it is longer if it has too few users
	Drop   float64 // of skill, such as 0.02

	version   string
	current   skillWindow
	reference SkillWindow
	known     bool // there is a reference
}

// leastEffectiveUsers is what a window has at least: (Σn)²/Σn² of the users' ratings n.
const leastEffectiveUsers = 30

// longestWindow bounds a window whose users are too few, in windows.
const longestWindow = 20

// SkillWindow is what a rating made of the window that it belongs to.
type SkillWindow struct {
	Closed    bool // the rest is of meaning only then
	Fallen    bool
	Skill     float64 // 1 would be without error, 0 is as good as the baseline
	Error     float64 // standard error of Skill
	Reference float64 // skill of the version's first window, or of the one that fell last
	Ratings   int
	Users     int
}

type skillWindow struct {
	users map[int64]*skillUser
	count int
	sum   float64 // of squares of the users' counts
}

type skillUser struct {
	model, baseline float64 // sums of squared errors
	count           float64
}

// Observe takes one rating with what was predicted, in stars. It reports the window
// that it closes, and whether skill has fallen since the reference. After that the
// window that fell is the new reference: it is told once. What is left of another
// version's window is forgotten.
func (s *Skill) Observe(version string, user int64, predicted, baseline, actual float64) SkillWindow {
	if version != s.version {
		s.version, s.known, s.current = version, false, skillWindow{}
	}
	s.current.add(user, predicted-actual, baseline-actual)
	if s.current.count < s.Window || s.current.effective() < leastEffectiveUsers && s.current.count < longestWindow*s.Window {
		return SkillWindow{}
	}
	of := s.current.skill()
	s.current = skillWindow{}
	if !s.known {
		s.reference, s.known = of, true
	}
	of.Closed, of.Reference = true, s.reference.Skill
	drop := s.reference.Skill - of.Skill
	if of.Fallen = drop >= s.Drop && drop > 2*math.Hypot(s.reference.Error, of.Error); of.Fallen {
		s.reference = of
	}
	return of
}

func (w *skillWindow) add(user int64, model, baseline float64) {
	if w.users == nil {
		w.users = map[int64]*skillUser{}
	}
	u := w.users[user]
	if u == nil {
		u = &skillUser{}
		w.users[user] = u
	}
	w.sum += 2*u.count + 1
	u.model += model * model
	u.baseline += baseline * baseline
	u.count++
	w.count++
}

func (w *skillWindow) effective() float64 { return float64(w.count) * float64(w.count) / w.sum }

// skill is 0 with an error without bounds where the baseline makes no errors.
func (w *skillWindow) skill() SkillWindow {
	model, baseline := 0.0, 0.0
	for _, u := range w.users {
		model += u.model
		baseline += u.baseline
	}
	of := SkillWindow{Ratings: w.count, Users: len(w.users)}
	if baseline == 0 {
		of.Error = math.Inf(1)
		return of
	}
	ratio, squares, n := model/baseline, 0.0, float64(len(w.users))
	for _, u := range w.users {
		residual := u.model - ratio*u.baseline
		squares += residual * residual
	}
	of.Skill = 1 - math.Sqrt(ratio)
	of.Error = math.Inf(1)
	if n > 1 {
		of.Error = math.Sqrt(n/(n-1)*squares) / baseline / (2 * math.Sqrt(max(ratio, 1e-12)))
	}
	return of
}
