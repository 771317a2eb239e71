package registry

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// roles returns the roles as they are now.
func roles(t *testing.T, r *Registry) map[string]string {
	t.Helper()
	latest, _, err := r.Latest()
	if err != nil {
		t.Fatal(err)
	}
	return latest.Roles
}

// sound fails if Verify finds a problem, or warnings beyond those expected.
func sound(t *testing.T, r *Registry, warnings int) Report {
	t.Helper()
	report, err := r.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range report.Problems {
		t.Errorf("problem: %s", problem)
	}
	if len(report.Warnings) != warnings {
		t.Errorf("warnings: %q, want %d", report.Warnings, warnings)
	}
	return report
}

// versions publishes n versions, in whose order names sort.
func versions(t *testing.T, r *Registry, n int) (names []string) {
	t.Helper()
	for k := range n {
		names = append(names, publish(t, r, 1+float32(k)/16).Version)
	}
	return names
}

func TestAPromotionKeepsTheChampionBeforeInShadow(t *testing.T) {
	r := open(t)
	v := versions(t, r, 3)
	promote(t, r, v[0])
	if _, ok, err := r.Assign(t.Context(), "challenger:new", v[1], 0.25, "to be tried", time.Now()); !ok || err != nil {
		t.Fatal(ok, err)
	}
	promote(t, r, v[1])
	promote(t, r, v[2])
	latest, _, _ := r.Latest()
	if want := map[string]string{Champion: v[2], Previous: v[1]}; !maps.Equal(latest.Roles, want) || len(latest.Shares) != 0 {
		t.Errorf("roles %v, shares %v; want %v and none", latest.Roles, latest.Shares, want)
	}
	sound(t, r, 0)
}

func TestPromotingTheChampionAgainRecordsNothing(t *testing.T) {
	r := open(t)
	v := publish(t, r, 3)
	promote(t, r, v.Version)
	_, ok, reason, err := r.Promote(t.Context(), v.Version, time.Now(), func(string) (bool, string, error) {
		t.Error("the gate was asked")
		return true, "", nil
	})
	if ok || err != nil || !strings.Contains(reason, v.Version+" is the champion already") {
		t.Errorf("got %v, %q, %v", ok, reason, err)
	}
	if latest, _, _ := r.Latest(); latest.Sequence != 1 {
		t.Errorf("the log is at %d", latest.Sequence)
	}
}

func TestAPromotionRecordsWhatTheDecisionFillsIn(t *testing.T) {
	r := open(t)
	v := versions(t, r, 2)
	promote(t, r, v[0])
	verdict := &message.Verdict{Outcome: message.OutcomePromoted, Rule: message.RuleForced}
	_, ok, _, err := r.PromoteAs(t.Context(), v[1], time.Now(), func(next *Promotion) (bool, error) {
		if next.Previous != v[0] || next.Sequence != 2 {
			t.Errorf("asked about %+v", next)
		}
		next.Forced, next.Verdict, next.Reason = true, verdict, "by hand"
		return true, nil
	})
	p, _, _ := r.Latest()
	if !ok || err != nil || !p.Forced || p.Verdict == nil || p.Verdict.Rule != message.RuleForced || p.Reason != "by hand" ||
		p.Action != ActionPromote || p.Nonce == "" || p.Format != FormatVersion {
		t.Errorf("got %+v, %v, %v", p, ok, err)
	}
}

func TestRollingBackTwiceGoesFurtherBack(t *testing.T) {
	r := open(t)
	v := versions(t, r, 4)
	for _, k := range []int{0, 1, 0, 2} { // v[0] twice
		promote(t, r, v[k])
	}
	for i, want := range []int{0, 1, 0} {
		before := roles(t, r)[Champion]
		p, err := r.Rollback(t.Context(), time.Now(), "worse", before)
		if err != nil {
			t.Fatal(err)
		}
		if p.Version != v[want] || p.Previous != before || p.Action != ActionRollback || !maps.Equal(p.Roles, map[string]string{Champion: v[want]}) {
			t.Errorf("rollback %d: %+v, want champion %s and no other role", i+1, p, v[want])
		}
	}
	if _, err := r.Rollback(t.Context(), time.Now(), "worse", ""); !errors.Is(err, ErrNothingBefore) {
		t.Errorf("beyond the first champion: %v", err)
	}
	// A promotion after a rollback is undone by itself.
	promote(t, r, v[3])
	if p, err := r.Rollback(t.Context(), time.Now(), "worse", ""); err != nil || p.Version != v[0] {
		t.Errorf("got %+v, %v", p, err)
	}
	sound(t, r, 0)
}

func TestARollbackThatCannotHelpChangesNothing(t *testing.T) {
	r := open(t)
	if _, err := r.Rollback(t.Context(), time.Now(), "", ""); !errors.Is(err, ErrNoChampion) {
		t.Errorf("nothing was promoted: %v", err)
	}
	v := versions(t, r, 2)
	promote(t, r, v[0])
	promote(t, r, v[1])
	if _, err := r.Rollback(t.Context(), time.Now(), "", v[0]); !errors.Is(err, ErrChampionChanged) || !strings.Contains(err.Error(), v[1]) {
		t.Errorf("another champion: %v", err)
	}
	damage(t, r, modelKey(v[0]), func(data []byte) []byte { return data[:len(data)-1] })
	if _, err := r.Rollback(t.Context(), time.Now(), "", ""); !errors.Is(err, ErrNothingBefore) || !errors.Is(err, ErrDamaged) {
		t.Errorf("to a damaged model: %v", err)
	}
	if latest, _, _ := r.Latest(); latest.Sequence != 2 {
		t.Errorf("the log is at %d", latest.Sequence)
	}
}

func TestChallengersGetShares(t *testing.T) {
	r := open(t)
	v := versions(t, r, 4)
	promote(t, r, v[0])
	for name, c := range map[string]struct {
		role, version string
		share         float64
		want          error
	}{
		"the champion's role":     {Champion, v[1], 0, ErrRole},
		"no name":                 {ChallengerPrefix, v[1], 0, ErrRole},
		"a capital":               {"challenger:New", v[1], 0, ErrRole},
		"a path":                  {"challenger:../x", v[1], 0, ErrRole},
		"the champion":            {"challenger:new", v[0], 0, ErrRole},
		"less than nothing":       {"challenger:new", v[1], -0.1, ErrShare},
		"more than all":           {"challenger:new", v[1], 1.1, ErrShare},
		"not a number":            {"challenger:new", v[1], math.NaN(), ErrShare},
		"no such version":         {"challenger:new", "nothing", 0.1, ErrNotFound},
		"the one before, serving": {Previous, v[1], 0.1, ErrShare},
	} {
		if _, ok, err := r.Assign(t.Context(), c.role, c.version, c.share, "", time.Now()); ok || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	assign := func(role, version string, share float64, want bool) {
		t.Helper()
		p, ok, err := r.Assign(t.Context(), role, version, share, "a trial", time.Now())
		if ok != want || err != nil || ok && (p.Action != ActionAssign || p.Roles[role] != version || p.Shares[role] != share) {
			t.Errorf("got %+v, %v, %v", p, ok, err)
		}
	}
	assign("challenger:one", v[1], 0.5, true)
	assign("challenger:two", v[2], 0.5, true)
	assign("challenger:two", v[2], 0.5, false) // as it is
	if _, _, err := r.Assign(t.Context(), "challenger:three", v[3], 0.01, "", time.Now()); !errors.Is(err, ErrShare) {
		t.Errorf("more than all together: %v", err)
	}
	assign("challenger:two", v[3], 0, true) // another one, in shadow
	assign(Previous, v[2], 0, true)
	if _, err := r.Withdraw(t.Context(), "challenger:one", "it is worse", time.Now()); err != nil {
		t.Error(err)
	}
	if _, err := r.Withdraw(t.Context(), "challenger:one", "again", time.Now()); !errors.Is(err, ErrRole) {
		t.Errorf("withdrawn twice: %v", err)
	}
	if _, err := r.Withdraw(t.Context(), Champion, "", time.Now()); !errors.Is(err, ErrRole) {
		t.Errorf("the champion: %v", err)
	}
	latest, _, _ := r.Latest()
	if want := map[string]string{Champion: v[0], "challenger:two": v[3], Previous: v[2]}; !maps.Equal(latest.Roles, want) || len(latest.Shares) != 0 {
		t.Errorf("roles %v, shares %v; want %v and none", latest.Roles, latest.Shares, want)
	}
	sound(t, r, 0)
}

// lossy loses the answer to one write to a key in so many, after it was carried out;
// of those, half are tried again by the client, which then sees its own write.
type lossy struct {
	bucket
	every, calls int
}

var errLost = errors.New("the answer was lost")

func (l *lossy) create(ctx context.Context, key string, data []byte) (bool, error) {
	won, err := l.bucket.create(ctx, key, data)
	l.calls++
	if err != nil || l.calls%l.every != 0 {
		return won, err
	}
	if l.calls%(2*l.every) == 0 {
		return false, nil // of the second try
	}
	return false, errLost
}

func TestALostAnswerIsSettledByTheNonce(t *testing.T) {
	r := open(t)
	r.bucket = &lossy{bucket: r.bucket, every: 1}
	v := versions(t, r, 4)
	for k := range v {
		if p := promote(t, r, v[k]); p.Sequence != int64(k+1) {
			t.Errorf("promotion %d has number %d", k+1, p.Sequence)
		}
	}
	lease, err := r.TryLease(t.Context(), "train", "me", LeaseOptions{})
	if err != nil || lease.Number != 1 {
		t.Fatalf("got %+v, %v", lease, err)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if report := sound(t, r, 0); report.Promotions != 4 {
		t.Errorf("%d promotions", report.Promotions)
	}
}

func TestRolesOfNowAreThoseOfThePromotionsThatGaveThem(t *testing.T) {
	r := open(t)
	one, two, three := publish(t, r, 3).Version, publish(t, r, 4).Version, publish(t, r, 5).Version
	expect := func(want ...int64) {
		t.Helper()
		roles, err := r.Roles()
		var got []int64
		for _, p := range roles {
			got = append(got, p.Sequence)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got promotions %v, %v, want %v", got, err, want)
		}
	}
	expect()
	promote(t, r, one)
	expect(1)
	if _, _, err := r.Assign(t.Context(), "challenger:x", two, 0.1, "try", time.Now()); err != nil {
		t.Fatal(err)
	}
	expect(1, 2)
	promote(t, r, three)
	expect(2, 3)
	if _, _, err := r.Assign(t.Context(), "challenger:x", two, 0.2, "more", time.Now()); err != nil {
		t.Fatal(err)
	}
	expect(3, 4)
	if _, err := r.Withdraw(t.Context(), "challenger:x", "enough", time.Now()); err != nil {
		t.Fatal(err)
	}
	expect(3)
}
