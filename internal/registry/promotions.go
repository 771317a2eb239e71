package registry

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// Roles of versions. Others are "challenger:" and a name.
const (
	Champion         = "champion"            // predicts
	ChallengerPrefix = "challenger:"         // predicts for its share of the users, or in shadow
	Previous         = "challenger:previous" // the champion before, in shadow until the new one's probation is over
)

// Actions of promotions.
const (
	ActionPromote  = "promote"  // a version becomes champion
	ActionRollback = "rollback" // the champion before becomes champion again
	ActionAssign   = "assign"   // a version becomes a challenger, or its share changes
	ActionWithdraw = "withdraw" // a challenger loses its role
)

// Promotion is one entry of the log: what changed, and the roles as they are since.
type Promotion struct {
	Format     int                `json:"format,omitempty"` // FormatVersion when it was written, 0 before there was one
	Sequence   int64              `json:"sequence"`
	Action     string             `json:"action,omitempty"` // "" is ActionPromote: records before there were others
	Roles      map[string]string  `json:"roles"`            // role → version, all of them
	Shares     map[string]float64 `json:"shares,omitempty"` // role of a challenger → its share of the users, 0 to 1; in shadow where absent
	Role       string             `json:"role"`             // that changed
	Version    string             `json:"version"`          // that has it now, "" if withdrawn
	Previous   string             `json:"previous,omitempty"`
	Reason     string             `json:"reason"`
	Forced     bool               `json:"forced,omitempty"` // somebody overruled the gate
	Verdict    *message.Verdict   `json:"verdict,omitempty"`
	PromotedAt time.Time          `json:"promoted_at"`

	// Nonce tells the writer's record from another one of the same number, where
	// the outcome of writing is not known.
	Nonce string `json:"nonce,omitempty"`
}

func promotionKey(sequence int64) string  { return "promotions/" + promotionName(sequence) }
func promotionName(sequence int64) string { return fmt.Sprintf("%08d.json", max(sequence, 0)) }

// Next returns the promotion with the lowest number above after, if there is
// one. Followers call it with the last number they know.
func (r *Registry) Next(after int64) (Promotion, bool, error) {
	return r.next(context.Background(), after)
}

func (r *Registry) next(ctx context.Context, after int64) (Promotion, bool, error) {
	var promotion Promotion
	err := r.readJSON(ctx, promotionKey(after+1), &promotion)
	switch {
	case errors.Is(err, ErrNotFound):
		return promotion, false, nil
	case err != nil:
		return promotion, false, fmt.Errorf("reading promotion %d: %w", after+1, err)
	case promotion.Sequence != after+1:
		return promotion, false, fmt.Errorf("reading promotion %d: %w: it says it is number %d", after+1, ErrDamaged, promotion.Sequence)
	}
	return promotion, true, nil
}

// Latest returns the newest promotion, which is the state of all roles; ok is
// false if nothing was ever promoted.
func (r *Registry) Latest() (promotion Promotion, ok bool, err error) {
	return r.latest(context.Background())
}

func (r *Registry) latest(ctx context.Context) (promotion Promotion, ok bool, err error) {
	known := r.known.Load()
	highest, err := r.highest(ctx, "promotions", promotionName(known-1))
	if err == nil && highest < known { // the registry was replaced by another
		highest, err = r.highest(ctx, "promotions", "")
	}
	if err != nil {
		return promotion, false, fmt.Errorf("listing the promotions of %s: %w", r.url, err)
	}
	r.known.Store(highest)
	if highest == 0 {
		return promotion, false, nil
	}
	return r.next(ctx, highest-1)
}

// highest returns the highest number of what is in a folder as NUMBER.json, 0 if
// there is none. It may begin to look after a name.
func (r *Registry) highest(ctx context.Context, folder, after string) (int64, error) {
	names, err := r.bucket.list(ctx, folder, after)
	var highest int64
	for _, name := range names {
		if number, ok := numbered(name); ok {
			highest = max(highest, number)
		}
	}
	return highest, err
}

// numbered reads NUMBER.json.
func numbered(name string) (number int64, ok bool) {
	digits, isJSON := strings.CutSuffix(name, ".json")
	number, err := strconv.ParseInt(digits, 10, 64)
	return number, err == nil && isJSON && number > 0
}

// Update records a change of roles as the next promotion. change gets the newest
// promotion, whose Roles and Shares it may change as they are its own, fills in
// what it did (Action, Role, Version, Previous, Reason and so on), and returns
// true; with false or an error nothing happens. If another promotion comes in
// between, change is asked again about that one. Update sets Sequence, before it
// asks, and Format, Nonce and PromotedAt.
func (r *Registry) Update(ctx context.Context, at time.Time, change func(next *Promotion) (bool, error)) (promotion Promotion, ok bool, err error) {
	for ctx.Err() == nil {
		latest, _, err := r.latest(ctx)
		if err != nil {
			return promotion, false, err
		}
		next := Promotion{Format: FormatVersion, Sequence: latest.Sequence + 1, Roles: maps.Clone(latest.Roles), Shares: maps.Clone(latest.Shares)}
		if next.Roles == nil {
			next.Roles = map[string]string{}
		}
		if next.Shares == nil {
			next.Shares = map[string]float64{}
		}
		if ok, err := change(&next); err != nil || !ok {
			return next, false, err
		}
		next.Sequence, next.PromotedAt, next.Nonce = latest.Sequence+1, at.UTC(), rand.Text()
		won, err := r.record(ctx, next)
		if err != nil {
			return next, false, fmt.Errorf("recording promotion %d: %w", next.Sequence, err)
		}
		if won {
			return next, true, nil
		}
	}
	return promotion, false, ctx.Err()
}

// How often, and after which time, a record is looked for that another is said to have.
const (
	lossTries = 20
	lossWait  = 50 * time.Millisecond
)

// record creates the promotion's file; won is false if another has the number.
func (r *Registry) record(ctx context.Context, promotion Promotion) (won bool, err error) {
	text, err := json.MarshalIndent(promotion, "", "  ")
	if err != nil {
		return false, err
	}
	won, err = r.bucket.create(ctx, promotionKey(promotion.Sequence), append(text, '\n'))
	if won && err == nil {
		return true, nil
	}
	// Whatever was answered, what is there decides: the answer to a write that
	// succeeded may have been lost, and the write been tried again.
	recorded, found, reading := r.next(ctx, promotion.Sequence-1)
	for tries := 0; !found && reading == nil && err == nil && tries < lossTries; tries++ {
		// Some servers of S3's protocol know of an object before they show it.
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(lossWait):
		}
		recorded, found, reading = r.next(ctx, promotion.Sequence-1)
	}
	switch {
	case reading == nil && found:
		return recorded.Nonce == promotion.Nonce, nil
	case reading == nil && err == nil:
		return false, fmt.Errorf("%w: %s was there and is gone", ErrDamaged, r.bucket.where(promotionKey(promotion.Sequence)))
	}
	return false, errors.Join(mend(err), reading)
}

// Decision is what a promoter makes of the present champion, "" if there is
// none: whether the candidate takes its place, and why.
type Decision func(champion string) (promote bool, reason string, err error)

// Promote gives version the role of champion if decide agrees, and the champion
// before the role Previous, in shadow. If another promotion comes in between,
// decide is asked again about the new champion. It returns the promotion, or ok =
// false and the reason against it: the gate's, or that version is the champion
// already, about which decide is not asked.
func (r *Registry) Promote(ctx context.Context, version string, at time.Time, decide Decision) (promotion Promotion, ok bool, reason string, err error) {
	return r.PromoteAs(ctx, version, at, func(next *Promotion) (bool, error) {
		var promote bool
		promote, reason, err = decide(next.Previous)
		next.Reason = reason
		return promote, err
	})
}

// PromoteAs is Promote with a decision that may fill in more of the record: its
// Previous is the present champion.
func (r *Registry) PromoteAs(ctx context.Context, version string, at time.Time, decide func(next *Promotion) (bool, error)) (promotion Promotion, ok bool, reason string, err error) {
	promotion, ok, err = r.Update(ctx, at, func(next *Promotion) (bool, error) {
		if _, err := r.manifest(ctx, version); err != nil {
			return false, err
		}
		if next.Roles[Champion] == version {
			next.Role, next.Version, next.Reason = Champion, version, fmt.Sprintf("version %s is the champion already", version)
			return false, nil
		}
		next.Action, next.Role, next.Version, next.Previous = ActionPromote, Champion, version, next.Roles[Champion]
		if promote, err := decide(next); err != nil || !promote {
			return false, err
		}
		next.crown(version)
		return true, nil
	})
	return promotion, ok, promotion.Reason, err
}

// crown makes version the champion, and the champion before Previous. It is no
// challenger any more.
func (p *Promotion) crown(version string) {
	before := p.Roles[Champion]
	for role, holder := range p.Roles {
		if role != Champion && (holder == version || role == Previous) {
			delete(p.Roles, role)
			delete(p.Shares, role)
		}
	}
	p.Roles[Champion] = version
	if before != "" && before != version {
		p.Roles[Previous] = before
	}
}

// Announcement returns what tells predictors about a promotion.
func (r *Registry) Announcement(promotion Promotion) (message.Announcement, error) {
	a := message.Announcement{
		Role: promotion.Role, Version: promotion.Version, URI: r.url, Sequence: promotion.Sequence, PromotedAt: promotion.PromotedAt,
		Action: promotion.Action, Share: promotion.Shares[promotion.Role], Reason: promotion.Reason, Verdict: promotion.Verdict,
	}
	if promotion.Version == "" {
		return a, nil
	}
	manifest, err := r.Manifest(promotion.Version)
	if err != nil {
		return message.Announcement{}, err
	}
	a.SHA256, a.Metrics, a.Simulated = manifest.SHA256, manifest.Metrics, manifest.Data.Simulated
	if a.Verdict == nil {
		a.Verdict = manifest.Gate
	}
	return a, nil
}
