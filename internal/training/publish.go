package training

import (
	"context"
	"fmt"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// Shadow is the role of a version about which the gate could not decide: it predicts
// for nobody, and live ratings tell.
const Shadow = registry.ChallengerPrefix + "shadow"

// Outcome is what a training run led to.
type Outcome struct {
	Manifest  registry.Manifest
	Promotion registry.Promotion // if Promoted, or else if Shadowed
	Promoted  bool
	Shadowed  bool // the version has the role Shadow
}

// Publish lets the gate compare the candidate with the champion, stores it as a
// version with the verdict, whatever that is, and promotes it if the gate agrees. If
// another champion comes in between, the gate is asked again about that one: its
// verdict is in the record of the promotion then. A version on which the gate cannot
// decide becomes a challenger in shadow.
func (j Job) Publish(ctx context.Context, r *registry.Registry, c *Candidate) (Outcome, error) {
	champion, err := currentChampion(r)
	if err != nil {
		return Outcome{}, err
	}
	started := time.Now()
	verdict, err := j.judge(ctx, r, c, champion)
	if err != nil {
		return Outcome{}, err
	}
	c.Manifest.Seconds += secondsSince(started)
	c.Manifest.Gate, c.Manifest.Verdict, c.Manifest.Parent = &verdict, verdict.Reason, champion
	manifest, err := r.Publish(ctx, c.Model, c.Manifest)
	if err != nil {
		return Outcome{}, err
	}
	outcome, last := Outcome{Manifest: manifest}, verdict
	outcome.Promotion, outcome.Promoted, _, err = r.PromoteAs(ctx, manifest.Version, manifest.CreatedAt, func(next *registry.Promotion) (bool, error) {
		if next.Previous != champion {
			if last, err = j.judge(ctx, r, c, next.Previous); err != nil {
				return false, err
			}
			champion = next.Previous
		}
		verdict := last
		next.Reason, next.Verdict, next.Forced = verdict.Reason, &verdict, verdict.Rule == message.RuleForced
		return verdict.Outcome == message.OutcomePromoted, nil
	})
	if err != nil || outcome.Promoted || last.Outcome != message.OutcomeUndecided {
		return outcome, err
	}
	outcome.Promotion, outcome.Shadowed, err = r.Update(ctx, manifest.CreatedAt, func(next *registry.Promotion) (bool, error) {
		next.Action, next.Role, next.Version, next.Previous = registry.ActionAssign, Shadow, manifest.Version, next.Roles[Shadow]
		next.Reason, next.Verdict = last.Reason, &last
		next.Roles[Shadow] = manifest.Version
		delete(next.Shares, Shadow)
		return true, nil
	})
	if err != nil {
		return outcome, fmt.Errorf("making %s a challenger: %w", manifest.Version, err)
	}
	return outcome, nil
}

func currentChampion(r *registry.Registry) (string, error) {
	latest, _, err := r.Latest()
	return latest.Roles[registry.Champion], err
}
