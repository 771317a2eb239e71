package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Errors of changing roles.
var (
	ErrRole            = errors.New("unusable role")                  // not that of a challenger, or nobody has it
	ErrShare           = errors.New("unusable share of the users")    // not from 0 to 1, or too much together with the others
	ErrChampionChanged = errors.New("the champion is another by now") // than the one that was to be rolled back
	ErrNothingBefore   = errors.New("no version to roll back to")     // the champion replaced none, or one that is no more
)

var challengerName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// checkChallenger refuses what is not the role of a challenger.
func checkChallenger(role string) error {
	name, isChallenger := strings.CutPrefix(role, ChallengerPrefix)
	if !isChallenger {
		return fmt.Errorf("%w: %q: give %sNAME", ErrRole, role, ChallengerPrefix)
	}
	if !challengerName.MatchString(name) {
		return fmt.Errorf("%w: %q is not a challenger's name: up to 32 small letters, digits, dashes and underscores, beginning with a letter or digit", ErrRole, name)
	}
	return nil
}

// Roles returns the promotions that gave the roles of now to who has them, oldest
// first; none if nothing was ever promoted.
func (r *Registry) Roles() ([]Promotion, error) {
	ctx := context.Background()
	promotion, ok, err := r.latest(ctx)
	wanted := maps.Clone(promotion.Roles)
	var gave []Promotion
	for ok && err == nil && len(wanted) > 0 {
		given := false
		for role, version := range wanted {
			// The role that changed, or Previous, which changes with the champion.
			if promotion.Role == role && promotion.Version == version || role == Previous && promotion.Role == Champion {
				delete(wanted, role)
				given = given || promotion.Role == role
			}
		}
		if given {
			gave = append(gave, promotion)
		}
		if promotion.Sequence == 1 {
			break
		}
		promotion, ok, err = r.next(ctx, promotion.Sequence-2)
	}
	slices.Reverse(gave)
	return gave, err
}

// Assign gives a version the role of a challenger, "challenger:NAME", with a share of
// the users from 0 (in shadow) to 1. Whoever had the role loses it. ok is false if
// the version has that role and share already; then nothing is recorded. All
// challengers together have at most all users. The role Previous stays in shadow.
func (r *Registry) Assign(ctx context.Context, role, version string, share float64, reason string, at time.Time) (promotion Promotion, ok bool, err error) {
	if err := checkChallenger(role); err != nil {
		return promotion, false, err
	}
	switch {
	case !(share >= 0 && share <= 1):
		return promotion, false, fmt.Errorf("%w: %v does not lie between 0 and 1", ErrShare, share)
	case role == Previous && share > 0:
		return promotion, false, fmt.Errorf("%w: %s is the champion before, which is kept in shadow; choose another name for a challenger that serves", ErrShare, Previous)
	}
	return r.Update(ctx, at, func(next *Promotion) (bool, error) {
		if _, err := r.manifest(ctx, version); err != nil {
			return false, err
		}
		if next.Roles[Champion] == version {
			return false, fmt.Errorf("%w: version %s is the champion; a challenger is another one", ErrRole, version)
		}
		next.Action, next.Role, next.Version, next.Previous, next.Reason = ActionAssign, role, version, next.Roles[role], reason
		if next.Previous == version && next.Shares[role] == share {
			return false, nil
		}
		next.assign(role, version, share)
		total := 0.0
		for _, share := range next.Shares {
			total += share
		}
		if total > 1+1e-9 {
			return false, fmt.Errorf("%w: with %g for %s challengers would have %g of the users; lower or withdraw another first (%v)", ErrShare, share, role, total, next.Shares)
		}
		return true, nil
	})
}

func (p *Promotion) assign(role, version string, share float64) {
	p.Roles[role] = version
	delete(p.Shares, role)
	if share > 0 {
		p.Shares[role] = share
	}
}

// Withdraw takes the role of a challenger from whoever has it.
func (r *Registry) Withdraw(ctx context.Context, role, reason string, at time.Time) (Promotion, error) {
	if err := checkChallenger(role); err != nil {
		return Promotion{}, err
	}
	promotion, _, err := r.Update(ctx, at, func(next *Promotion) (bool, error) {
		if next.Roles[role] == "" {
			return false, fmt.Errorf("%w: no version is %s", ErrRole, role)
		}
		next.Withdraw(role)
		next.Reason = reason
		return true, nil
	})
	return promotion, err
}

// Withdraw makes p the record of a challenger's losing its role.
func (p *Promotion) Withdraw(role string) {
	p.Action, p.Role, p.Version, p.Previous = ActionWithdraw, role, "", p.Roles[role]
	p.withdraw(role)
}

func (p *Promotion) withdraw(role string) {
	delete(p.Roles, role)
	delete(p.Shares, role)
}

// Rollback makes that version the champion again which the present one replaced
// when it was promoted; a rollback after a rollback goes further back. The version
// that is rolled back has no role any more. With expected not "" it gives
// ErrChampionChanged if the champion is another one by now. It reads the model that
// is to serve again, and changes nothing if it cannot.
func (r *Registry) Rollback(ctx context.Context, at time.Time, reason, expected string) (Promotion, error) {
	promotion, _, err := r.Update(ctx, at, func(next *Promotion) (bool, error) {
		champion := next.Roles[Champion]
		switch {
		case champion == "":
			return false, fmt.Errorf("%w: %s", ErrNoChampion, r.url)
		case expected != "" && expected != champion:
			return false, fmt.Errorf("%w: it is %s, not %s; nothing was rolled back", ErrChampionChanged, champion, expected)
		}
		before, err := r.replacedBy(ctx, champion, next.Sequence-1)
		if err != nil {
			return false, err
		}
		if _, _, err := r.model(ctx, before); errors.Is(err, ErrNotFound) || errors.Is(err, ErrDamaged) {
			return false, fmt.Errorf("%w: %s replaced %s, which cannot serve: %w; promote a version that can", ErrNothingBefore, champion, before, err)
		} else if err != nil {
			return false, err
		}
		next.RollBack(before)
		next.Reason = reason
		return true, nil
	})
	return promotion, err
}

// RollBack makes p the record of version's being the champion again.
func (p *Promotion) RollBack(version string) {
	p.Action, p.Role, p.Version, p.Previous = ActionRollback, Champion, version, p.Roles[Champion]
	p.rollback(version)
}

// rollback makes version the champion, and the champion before nothing: it would be
// compared anew, and given another chance to win by it.
func (p *Promotion) rollback(version string) {
	champion := p.Roles[Champion]
	p.crown(version)
	for role, holder := range p.Roles {
		if holder == champion {
			p.withdraw(role)
		}
	}
}

// replacedBy returns the version that the champion, as of the promotion of number
// sequence, replaced when it was promoted. Rollbacks undo promotions, the last one
// first: going back, each one stands for one promotion before it.
func (r *Registry) replacedBy(ctx context.Context, champion string, sequence int64) (string, error) {
	for undone := 0; sequence > 0; sequence-- {
		p, ok, err := r.next(ctx, sequence-1)
		if err != nil {
			return "", err
		}
		switch {
		case !ok:
			return "", fmt.Errorf("%w: promotion %d is missing from the log", ErrDamaged, sequence)
		case p.Action == ActionRollback:
			undone++
		case p.Action != ActionPromote && p.Action != "":
		case p.Previous == p.Version: // was recorded once, before such a promotion was none
		case undone > 0:
			undone--
		case p.Previous == "":
			return "", fmt.Errorf("%w: %s is the first champion", ErrNothingBefore, champion)
		default:
			return p.Previous, nil
		}
	}
	return "", fmt.Errorf("%w: %s is the first champion", ErrNothingBefore, champion)
}
