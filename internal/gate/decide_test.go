package gate

import (
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// ofRating is a test of the head that rates by 400 users, with a gain of low to high.
func ofRating(low, high float64) message.Test {
	return message.Test{Head: als.RatingHead, Name: "twins", Champion: 0.85, Gain: message.Interval{Low: low, High: high}, Point: (low + high) / 2, Effective: 400}
}

func ofPreference(low, high float64) message.Test {
	t := ofRating(low, high)
	t.Head, t.Champion = als.PreferenceHead, 0.3
	return t
}

func by(users float64, t message.Test) message.Test {
	t.Effective = users
	return t
}

func guard(low float64, users int) message.Guard {
	return closed(message.Guard{Name: "ndcg10", Limit: -0.05, Change: message.Interval{Low: low, High: 0.1}, Users: users, Relative: true})
}

// TestWhatTheGateDecides is its table: of the last trial, whatever that is.
func TestWhatTheGateDecides(t *testing.T) {
	good := []message.Guard{guard(-0.05, 100)}
	for _, c := range []struct {
		name    string
		change  Change
		tests   []message.Test
		guards  []message.Guard
		outcome string
		reason  string // a part of it
	}{
		{"newer data, above the margin", Nothing, []message.Test{ofRating(-0.0049, 0.01)}, good, message.OutcomePromoted, "promoted: RMSE"},
		{"newer data, worse than the margin", Nothing, []message.Test{ofRating(-0.02, -0.005)}, nil, message.OutcomeRejected, "not promoted: RMSE"},
		{"newer data, undecided, by the point above", Nothing, []message.Test{ofRating(-0.007, -0.001)}, good, message.OutcomePromoted, "promoted: RMSE"},
		{"newer data, undecided, by the point below", Nothing, []message.Test{ofRating(-0.010, -0.001)}, nil, message.OutcomeRejected, "does not decide"},
		{"newer data, too few users, by the point above", Nothing, []message.Test{by(29.9, ofRating(-0.002, 0.01))}, good, message.OutcomePromoted, "promoted: RMSE"},
		{"newer data, too few users, by the point below", Nothing, []message.Test{by(29.9, ofRating(-0.02, -0.01))}, nil, message.OutcomeRejected, "does not decide"},
		{"newer data, a worse head that ranks is the guard's", Nothing, []message.Test{ofPreference(-0.3, -0.2), ofRating(0, 0.01)}, good, message.OutcomePromoted, "promoted: RMSE"},
		{"newer data, but a guard", Nothing, []message.Test{ofRating(0, 0.01)}, []message.Guard{guard(-0.051, 100)}, message.OutcomeRejected, "ndcg10 may have become worse by 0.0510"},
		{"newer data, and a guard of too few users", Nothing, []message.Test{ofRating(0, 0.01)}, []message.Guard{guard(-0.5, 99)}, message.OutcomePromoted, "promoted: RMSE"},
		{"another recipe, better", RatingHead, []message.Test{ofRating(0.0001, 0.01)}, good, message.OutcomePromoted, "promoted: RMSE"},
		{"another recipe, as good", RatingHead, []message.Test{ofRating(0, 0)}, nil, message.OutcomeRejected, "not promoted: RMSE"},
		{"another recipe, worse", RatingHead, []message.Test{ofRating(-0.01, -0.0001)}, nil, message.OutcomeRejected, "not promoted: RMSE"},
		{"another recipe, undecided", RatingHead, []message.Test{ofRating(-0.001, 0.02)}, nil, message.OutcomeUndecided, "undecided, so it stays a challenger"},
		{"another recipe, better by too few users", RatingHead, []message.Test{by(29, ofRating(0.01, 0.02))}, nil, message.OutcomeUndecided, "undecided"},
		{"another recipe, better, but a guard", RatingHead, []message.Test{ofRating(0.01, 0.02)}, []message.Guard{guard(-0.2, 100)}, message.OutcomeRejected, "ndcg10"},
		{"another head that ranks, better", PreferenceHead, []message.Test{ofRating(-0.001, 0.001), ofPreference(0.001, 0.02)}, good, message.OutcomePromoted, "NDCG@10"},
		{"another head that ranks, undecided", PreferenceHead, []message.Test{ofRating(-0.001, 0.001), ofPreference(-0.001, 0.02)}, nil, message.OutcomeUndecided, "undecided"},
		{"another head that ranks, worse", PreferenceHead, []message.Test{ofRating(-0.001, 0.001), ofPreference(-0.02, 0)}, nil, message.OutcomeRejected, "not promoted"},
		{"another head that ranks, better, but ratings worse", PreferenceHead, []message.Test{ofRating(-0.02, -0.01), ofPreference(0.001, 0.02)}, nil, message.OutcomeRejected, "not promoted"},
		{"nothing to test on", Nothing, nil, nil, message.OutcomeUndecided, "nothing to compare with v1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for k := range c.tests {
				c.tests[k] = decided(c.tests[k], c.change.needed(c.tests[k], Margin))
			}
			got := c.change.conclude(message.Verdict{Against: "v1"}, c.tests, c.guards)
			if got.Outcome != c.outcome || !strings.Contains(got.Reason, c.reason) || got.Rule != c.change.Rule() {
				t.Errorf("got %s by %s: %s", got.Outcome, got.Rule, got.Reason)
			}
			warns := len(c.guards) > 0 && c.guards[0].Users < guardUsers
			if warns != (len(got.Warnings) == 1) {
				t.Errorf("warnings %q", got.Warnings)
			}
		})
	}
}

func TestATestNeedsWhatItsHeadDoes(t *testing.T) {
	for _, c := range []struct {
		change             Change
		rating, preference float64
	}{
		{Nothing, -0.005, -0.015}, // 5 % of .3
		{PreferenceHead, -0.005, 0},
		{RatingHead, 0, -0.015},
	} {
		if got := c.change.needed(ofRating(0, 0), Margin); got != c.rating {
			t.Errorf("%v: ratings need %v, want %v", c.change, got, c.rating)
		}
		if got := c.change.needed(ofPreference(0, 0), Margin); got != c.preference {
			t.Errorf("%v: rankings need %v, want %v", c.change, got, c.preference)
		}
	}
	if got := decided(by(30, ofRating(-0.004, 1)), -Margin); got.Decision != better || got.Needed != -Margin {
		t.Errorf("thirty effective users decide: %+v", got)
	}
}
