package training

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/gate"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// days are generated ratings of 150 users, the first n of them.
func days(n int) []ratings.Rating {
	all := recsystest.Ratings(150, 60, 0.4, 2)
	return slices.Clone(all[:min(n, len(all))])
}

func TestNewerDataBecomeChampionAndWorseRecipesDoNot(t *testing.T) {
	r, j := newRegistry(t), job(4)
	j.Tolerance = gate.Margin
	first := publish(t, j, r, train(t, j, days(2000)))
	if g := first.Manifest.Gate; !first.Promoted || first.Promotion.Sequence != 1 || first.Manifest.Verdict != "the first version" ||
		g.Rule != message.RuleFirst || g.Outcome != message.OutcomePromoted || g.Refit == nil {
		t.Fatalf("the first version: %+v, %+v", first, g)
	}
	bad := j
	bad.Parameters.Lambda = 1e5 // predicts the mean
	kept := publish(t, bad, r, train(t, bad, days(2500)))
	if g := kept.Manifest.Gate; kept.Promoted || kept.Shadowed || !strings.HasPrefix(kept.Manifest.Verdict, "not promoted: RMSE") || kept.Manifest.Parent != first.Manifest.Version ||
		g.Outcome != message.OutcomeRejected || g.Rule != message.RuleChanged || g.Against != first.Manifest.Version || g.Tests[0].Name != "newest ratings" {
		t.Errorf("a worse version: %+v, %+v", kept, g)
	}
	newer := publish(t, j, r, train(t, j, days(2500)))
	g := newer.Manifest.Gate
	if !newer.Promoted || newer.Promotion.Sequence != 2 || newer.Promotion.Previous != first.Manifest.Version || newer.Promotion.Verdict.Reason != newer.Manifest.Verdict ||
		g.Rule != message.RuleSame || len(g.Tests) < 2 || len(g.Guards) != 3 || g.Refit.Twin == newer.Manifest.SHA256 || g.Refit.Difference > g.Refit.Limit {
		t.Errorf("newer data: %+v, %+v", newer, g)
	}
	if list, err := r.List(); err != nil || len(list) != 3 {
		t.Errorf("%d versions, %v; all three should be there", len(list), err)
	}
	forced := bad
	forced.Force = true
	o := publish(t, forced, r, train(t, forced, days(2600)))
	if g := o.Manifest.Gate; !o.Promoted || !o.Promotion.Forced || g.Rule != message.RuleForced || len(g.Tests) == 0 ||
		!strings.HasPrefix(o.Manifest.Verdict, "forced; the gate said: not promoted: RMSE") {
		t.Errorf("forced: %+v, %+v", o, g)
	}
}

// TestAnUndecidedRecipeIsAChallengerInShadow: another seed is no other recipe, but
// one more iteration is, and no better one that shows.
func TestAnUndecidedRecipeIsAChallengerInShadow(t *testing.T) {
	r, j := newRegistry(t), job(4)
	j.Parameters.Iterations = 20
	first := publish(t, j, r, train(t, j, days(1500)))
	other := j
	other.Parameters.Iterations, other.Parameters.Seed = 21, 2
	o := publish(t, other, r, train(t, other, days(1501)))
	g := o.Manifest.Gate
	if o.Promoted || !o.Shadowed || g.Outcome != message.OutcomeUndecided || g.Tests[len(g.Tests)-1].Name != "twins" {
		t.Fatalf("got %+v, %+v", o, g)
	}
	p := o.Promotion
	if p.Action != registry.ActionAssign || p.Role != Shadow || p.Roles[Shadow] != o.Manifest.Version ||
		p.Roles[registry.Champion] != first.Manifest.Version || p.Verdict.Outcome != message.OutcomeUndecided {
		t.Errorf("the record: %+v", p)
	}
}

// TestALoserOfTheRaceJudgesAgain: while it trains, another version becomes champion.
func TestALoserOfTheRaceJudgesAgain(t *testing.T) {
	r, j := newRegistry(t), job(4)
	j.Tolerance = gate.Margin
	first := publish(t, j, r, train(t, j, days(2000)))
	slow, quick := train(t, j, days(2400)), train(t, j, days(2300))
	raced := j
	raced.Now = func() time.Time { return time.Unix(1_700_000_100, 0) }
	var won Outcome
	j.Progress = func(als.Progress) { // while the gate trains a twin
		if won.Manifest.Version == "" {
			won.Manifest.Version = "under way"
			won = publish(t, raced, r, quick)
		}
	}
	o := publish(t, j, r, slow)
	if !o.Promoted || !won.Promoted || o.Promotion.Sequence != won.Promotion.Sequence+1 {
		t.Fatalf("the loser: %+v, the winner: %+v", o, won)
	}
	if o.Manifest.Gate.Against != first.Manifest.Version || o.Promotion.Verdict.Against != won.Manifest.Version {
		t.Errorf("judged against %s and then %s, want %s and %s", o.Manifest.Gate.Against, o.Promotion.Verdict.Against,
			first.Manifest.Version, won.Manifest.Version)
	}
}

func TestAChampionThatCannotBeReadIsReplaced(t *testing.T) {
	all := recsystest.Ratings(30, 20, 0.5, 1)
	dir := t.TempDir()
	r, err := registry.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	first := publish(t, job(2), r, train(t, job(2), all))
	if err := os.Truncate(filepath.Join(dir, "models", first.Manifest.Version, "model.safetensors"), 10); err != nil {
		t.Fatal(err)
	}
	if o := publish(t, job(1), r, train(t, job(1), all)); !o.Promoted || !strings.Contains(o.Manifest.Verdict, "cannot be read") {
		t.Errorf("got %+v", o)
	}
}

// TestOlderManifestsHaveNoRecipe: such a champion is compared by what defines its
// head that rates.
func TestOlderManifestsHaveNoRecipe(t *testing.T) {
	j := job(4)
	for _, c := range []struct {
		parameters string
		want       gate.Change
	}{
		{`{"algorithm":"als","rank":4,"lambda":1.25,"nu":0.5,"iterations":3}`, gate.Nothing},
		{`{"algorithm":"als","rank":4,"lambda":5,"nu":0.5,"iterations":3}`, gate.RatingHead},
		{`{"algorithm":"als_vb","rank":4,"lambda":1.25,"nu":0.5,"iterations":3}`, gate.RatingHead},
		{`{"rank":4}`, gate.RatingHead},
		{``, gate.RatingHead},
	} {
		if got := j.change(registry.Manifest{Parameters: []byte(c.parameters)}); got != c.want {
			t.Errorf("%s: got %v, want %v", c.parameters, got, c.want)
		}
	}
}

// TestAChampionNobodyCanMakeAgainIsComparedAsItIs, and is no worse than who knows the
// same less a tenth.
func TestAChampionNobodyCanMakeAgainIsComparedAsItIs(t *testing.T) {
	r, j := newRegistry(t), job(3)
	c := train(t, j, days(2000))
	c.Manifest.Parameters, c.Manifest.Recipe = []byte(`{"rank":3}`), ""
	publish(t, j, r, c)
	j.Parameters.Seed++ // the same bits would be the same version
	o := publish(t, j, r, train(t, j, days(2000)))
	if g := o.Manifest.Gate; o.Promoted || g.Rule != message.RuleChanged || !strings.Contains(strings.Join(g.Warnings, "; "), "could not be made again") {
		t.Errorf("got %+v", g)
	}
}

func TestPublishingEndsWithItsContext(t *testing.T) {
	r, j := newRegistry(t), job(3)
	publish(t, j, r, train(t, j, days(2000)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.Publish(ctx, r, train(t, j, days(2500))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestARefitThatIsNoneIsNotPromoted: the version differs from the twin that was
// evaluated.
func TestARefitThatIsNoneIsNotPromoted(t *testing.T) {
	r, j := newRegistry(t), job(4)
	j.Tolerance = gate.Margin
	publish(t, j, r, train(t, j, days(2000)))
	c := train(t, j, days(2500))
	c.Model = train(t, j, permuted(days(2500), 1)).Model
	o := publish(t, j, r, c)
	if g := o.Manifest.Gate; o.Promoted || g.Outcome != message.OutcomeRejected || !strings.Contains(g.Reason, "off its twin") || !(g.Refit.Difference > g.Refit.Limit) {
		t.Errorf("got %+v, %+v", g, g.Refit)
	}
	honest := publish(t, j, r, train(t, j, days(2500)))
	t.Logf("%.3f, and %.3f is honest, of at most %.3f", o.Manifest.Gate.Refit.Difference, honest.Manifest.Gate.Refit.Difference, o.Manifest.Gate.Refit.Limit)
	if !honest.Promoted {
		t.Errorf("an honest one: %+v", honest.Manifest.Gate)
	}
}

// TestASmallHoldoutIsEnlargedForTwins, and the manifest says so.
func TestASmallHoldoutIsEnlargedForTwins(t *testing.T) {
	for _, share := range []float64{0, 0.02} {
		r, j := newRegistry(t), job(4)
		j.Holdout, j.Tolerance = share, gate.Margin
		first := publish(t, j, r, train(t, j, days(2000)))
		if (first.Manifest.Gate.Refit == nil) != (share == 0) || first.Manifest.Holdout.Share != share {
			t.Errorf("%v: the first version: %+v", share, first.Manifest)
		}
		o := publish(t, j, r, train(t, j, days(2010)))
		if g := o.Manifest.Gate; !o.Promoted || g.Tests[len(g.Tests)-1].Name != "twins" || o.Manifest.Holdout.Share != leastTwinShare || g.Refit == nil {
			t.Errorf("%v: %+v, %+v", share, o.Manifest.Holdout, g)
		}
	}
}
