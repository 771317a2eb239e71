package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

func promotionKey(sequence int64) string { return fmt.Sprintf("promotions/%08d.json", sequence) }

// Next returns the promotion with the lowest number above after, if there is
// one. Followers call it with the last number they know.
func (r *Registry) Next(after int64) (Promotion, bool, error) {
	var promotion Promotion
	err := r.readJSON(promotionKey(after+1), &promotion)
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
	names, err := r.bucket.list("promotions")
	if err != nil {
		return promotion, false, fmt.Errorf("listing the promotions of %s: %w", r.url, err)
	}
	var highest int64
	for _, name := range names {
		digits, isJSON := strings.CutSuffix(name, ".json")
		if sequence, err := strconv.ParseInt(digits, 10, 64); err == nil && isJSON {
			highest = max(highest, sequence)
		}
	}
	if highest == 0 {
		return promotion, false, nil
	}
	return r.Next(highest - 1)
}

// Decision is what a promoter makes of the present champion, "" if there is
// none: whether the candidate takes its place, and why.
type Decision func(champion string) (promote bool, reason string, err error)

// Promote gives version the role of champion if decide agrees. If another
// promotion comes in between, decide is asked again about the new champion. It
// returns the promotion, or ok = false and the reason against it.
func (r *Registry) Promote(ctx context.Context, version string, at time.Time, decide Decision) (promotion Promotion, ok bool, reason string, err error) {
	if _, err := r.Manifest(version); err != nil {
		return promotion, false, "", err
	}
	for ctx.Err() == nil {
		latest, _, err := r.Latest()
		if err != nil {
			return promotion, false, "", err
		}
		previous := latest.Roles[Champion]
		promote, reason, err := decide(previous)
		if err != nil || !promote {
			return promotion, false, reason, err
		}
		roles := maps.Clone(latest.Roles)
		if roles == nil {
			roles = map[string]string{}
		}
		roles[Champion] = version
		promotion = Promotion{
			Sequence: latest.Sequence + 1, Roles: roles, Role: Champion,
			Version: version, Previous: previous, Reason: reason, PromotedAt: at.UTC(),
		}
		text, err := json.MarshalIndent(promotion, "", "  ")
		if err != nil {
			return promotion, false, "", err
		}
		won, err := r.bucket.create(promotionKey(promotion.Sequence), append(text, '\n'))
		if err != nil {
			return promotion, false, "", fmt.Errorf("promoting version %s: %w", version, err)
		}
		if won {
			return promotion, true, reason, nil
		}
	}
	return promotion, false, "", ctx.Err()
}

// Announcement returns what tells predictors about a promotion.
func (r *Registry) Announcement(promotion Promotion) (message.Announcement, error) {
	manifest, err := r.Manifest(promotion.Version)
	if err != nil {
		return message.Announcement{}, err
	}
	return message.Announcement{
		Role: promotion.Role, Version: promotion.Version, URI: r.url, SHA256: manifest.SHA256,
		Sequence: promotion.Sequence, PromotedAt: promotion.PromotedAt,
		Metrics: manifest.Metrics, Simulated: manifest.Data.Simulated,
	}, nil
}
