package gate

import (
	"fmt"
	"strings"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// Change is what of the recipe, by which versions are made, is not the champion's.
type Change int

// Changes.
const (
	Nothing        Change = iota // newer data alone
	PreferenceHead               // how the head that ranks is made
	RatingHead                   // how the head that rates is made, or both
)

// Rule is that by which such a challenger is judged.
func (c Change) Rule() string {
	if c == Nothing {
		return message.RuleSame
	}
	return message.RuleChanged
}

// Margin is the RMSE in stars by which a challenger with newer data alone may be
// worse, if nobody says another.
const Margin = 0.005

// leastEffective is the effective users that an interval needs to decide.
const leastEffective = 30

// Decisions of a Test.
const (
	better    = "better"
	worse     = "worse"
	undecided = "undecided"
)

// decided fills in whether the gain is above what is needed.
func decided(t message.Test, needed float64) message.Test {
	t.Needed = needed
	switch {
	case t.Effective < leastEffective:
		t.Decision = undecided
	case t.Gain.Low > needed:
		t.Decision = better
	case t.Gain.High <= needed:
		t.Decision = worse
	default:
		t.Decision = undecided
	}
	return t
}

// needed is the gain that each head's test asks for. The head that changed has to be
// better; the other one may be worse by a margin.
func (c Change) needed(t message.Test, margin float64) float64 {
	switch {
	case t.Head == als.RatingHead && c != RatingHead:
		return -margin
	case t.Head == als.PreferenceHead && c != PreferenceHead:
		return -mostNDCGLoss * t.Champion
	}
	return 0
}

// decides reports whether the decision is this head's. That the head that ranks did
// not become worse is otherwise a guard's to tell.
func (c Change) decides(head string) bool { return head == als.RatingHead || c == PreferenceHead }

// stage is what all deciding tests of a trial say together.
func (c Change) stage(tests []message.Test) string {
	together := better
	for _, t := range tests {
		switch {
		case !c.decides(t.Head):
		case t.Decision == worse:
			return worse
		case t.Decision == undecided:
			together = undecided
		}
	}
	return together
}

// byPoint reports whether all gains themselves are above what is needed.
func (c Change) byPoint(tests []message.Test) bool {
	for _, t := range tests {
		if c.decides(t.Head) && !(t.Point > t.Needed) {
			return false
		}
	}
	return true
}

// conclude fills in outcome and reason from the last trial's tests, none where there
// was nothing to test on, and its guards.
func (c Change) conclude(v message.Verdict, last []message.Test, guards []message.Guard) message.Verdict {
	v.Rule, v.Guards = c.Rule(), guards
	if len(last) == 0 {
		v.Outcome = message.OutcomeUndecided
		v.Reason = "undecided: there is nothing to compare with " + v.Against + " on"
		return v
	}
	figures := c.words(last, v.Against)
	switch stage := c.stage(last); {
	case stage == worse:
		return rejected(v, figures)
	case stage == undecided && c == Nothing && !c.byPoint(last):
		return rejected(v, figures+", and the interval does not decide")
	case stage == undecided && c != Nothing:
		v.Outcome, v.Reason = message.OutcomeUndecided, "undecided, so it stays a challenger: "+figures
		return v
	}
	var failed []string
	for _, g := range guards {
		if !g.Decides {
			v.Warnings = append(v.Warnings, fmt.Sprintf("%s does not decide: it has %d users, and %d are needed", g.Name, g.Users, guardUsers))
		} else if !g.Passed {
			failed = append(failed, fmt.Sprintf("%s may have become worse by %.4f, and %.4f is allowed%s", g.Name, -g.Change.Low, -g.Limit, share(g)))
		}
	}
	if len(failed) > 0 {
		return rejected(v, strings.Join(append(failed, figures), "; "))
	}
	v.Outcome, v.Reason = message.OutcomePromoted, "promoted: "+figures
	return v
}

func share(g message.Guard) string {
	if g.Relative {
		return " (as a share)"
	}
	return ""
}

func rejected(v message.Verdict, why string) message.Verdict {
	v.Outcome, v.Reason = message.OutcomeRejected, "not promoted: "+why
	return v
}

// words tell the deciding tests.
func (c Change) words(tests []message.Test, against string) string {
	var all []string
	for _, t := range tests {
		if !c.decides(t.Head) {
			continue
		}
		measure := "RMSE"
		if t.Head == als.PreferenceHead {
			measure = "NDCG@10"
		}
		all = append(all, fmt.Sprintf("%s %.4f against %.4f of %s, a gain of %+.4f (90 %%: %+.4f to %+.4f) where more than %+.4f is needed, on %d ratings of %d users (%s)",
			measure, t.Challenger, t.Champion, against, t.Point, t.Gain.Low, t.Gain.High, t.Needed, t.Ratings, t.Users, t.Name))
	}
	return strings.Join(all, "; ")
}
