package registry

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report is what Verify found.
type Report struct {
	Versions   int      `json:"versions"`   // complete ones
	Promotions int      `json:"promotions"` // in the log
	Problems   []string `json:"problems"`   // each says what is wrong, where, and what would mend it
	Warnings   []string `json:"warnings"`   // harmless: leftovers, files of others
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

func (r *Report) warning(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// Verify reads the whole registry: every model with its checksum and every manifest,
// and the log from its first promotion on. The error is of a registry that could not
// be looked through; what is wrong inside is in the report.
func (r *Registry) Verify(ctx context.Context) (Report, error) {
	report := Report{Problems: []string{}, Warnings: []string{}}
	// The log first: what it names now was published before.
	latest, err := r.verifyLog(ctx, &report)
	if err != nil {
		return report, fmt.Errorf("verifying %s: %w", r.url, err)
	}
	if err := r.verifyVersions(ctx, &report); err != nil {
		return report, fmt.Errorf("verifying %s: %w", r.url, err)
	}
	for _, role := range slices.Sorted(maps.Keys(latest.Roles)) {
		if _, err := r.manifest(ctx, latest.Roles[role]); errors.Is(err, ErrNotFound) {
			report.problem("promotion %d gives the role %s to version %s, which is not there; import it, or give the role to another", latest.Sequence, role, latest.Roles[role])
		} else if ctx.Err() != nil {
			return report, ctx.Err()
		}
	}
	left, err := r.bucket.leftovers(ctx)
	if err != nil {
		return report, fmt.Errorf("verifying %s: %w", r.url, err)
	}
	for _, o := range left {
		report.warning("%s is of a writer at work, or of one that died %s ago (models prune removes it after an hour)", r.bucket.where(o.key), age(o.changed))
	}
	return report, nil
}

func age(since time.Time) time.Duration { return time.Since(since).Round(time.Second) }

func (r *Registry) verifyVersions(ctx context.Context, report *Report) error {
	names, err := r.bucket.list(ctx, "models", "")
	if err != nil {
		return err
	}
	for _, version := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := checkVersion(version); err != nil {
			report.warning("%s: %v", r.bucket.where("models/"+version), err)
			continue
		}
		_, manifest, err := r.model(ctx, version)
		switch {
		case errors.Is(err, ErrNotFound) && manifest.Version == "":
			r.verifyUnfinished(ctx, report, version)
			continue
		case err != nil:
			report.problem("%v", err)
		}
		report.Versions++
		if manifest.Version != "" {
			r.verifyManifest(manifest, report)
		}
	}
	return nil
}

// verifyUnfinished is about a version that had no manifest a moment ago.
func (r *Registry) verifyUnfinished(ctx context.Context, report *Report, version string) {
	left := "it is empty"
	if model, err := r.bucket.stat(ctx, modelKey(version)); err == nil {
		left = fmt.Sprintf("its model was written %s ago", age(model.changed))
	}
	report.warning("version %s has no manifest: it is being published, or was not to its end; %s (models prune removes it after an hour)", version, left)
}

func (r *Registry) verifyManifest(m Manifest, report *Report) {
	wrong := func(what string) {
		report.problem("%s: %s; publish or import the version again", r.bucket.where(manifestKey(m.Version)), what)
	}
	if sum, err := hex.DecodeString(m.SHA256); err != nil || len(sum) != 32 {
		wrong(fmt.Sprintf("sha256 %q is none", m.SHA256))
	}
	if m.Bytes < 1 {
		wrong(fmt.Sprintf("bytes is %d", m.Bytes))
	}
	if m.CreatedAt.IsZero() {
		wrong("created_at is missing")
	}
	if m.Algorithm == "" {
		wrong("algorithm is missing")
	}
	if m.Data.Until.Before(m.Data.From) {
		wrong(fmt.Sprintf("data is from %s until %s", m.Data.From, m.Data.Until))
	}
}

// verifyLog looks through the log and returns the last promotion that could be read.
func (r *Registry) verifyLog(ctx context.Context, report *Report) (before Promotion, err error) {
	names, err := r.bucket.list(ctx, "promotions", "")
	if err != nil {
		return before, err
	}
	var last int64
	for _, name := range names {
		number, ok := numbered(name)
		if !ok || name != promotionName(number) {
			report.warning("%s is no promotion", r.bucket.where("promotions/"+name))
			continue
		}
		for missing := last + 1; missing < number; missing++ {
			report.problem("promotion %d is missing from the log though %d is there; put %s back", missing, number, r.bucket.where(promotionKey(missing)))
		}
		promotion, ok, err := r.next(ctx, number-1)
		switch {
		case ctx.Err() != nil:
			return before, ctx.Err()
		case err != nil:
			report.problem("%v; put the file back as it was", err)
		case !ok:
			report.problem("promotion %d was listed and is gone", number)
		default:
			report.Promotions++
			if last == number-1 && before.Sequence == last {
				for _, wrong := range follows(before, promotion) {
					report.problem("promotion %d (%s): %s", number, r.bucket.where(promotionKey(number)), wrong)
				}
			}
			before = promotion
		}
		last = number
	}
	return before, nil
}

// follows tells what is wrong with a promotion as the one after another.
func follows(before, p Promotion) (wrong []string) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if p.Previous != before.Roles[p.Role] {
		complain("it says that it replaces %q as %s, which was %q", p.Previous, p.Role, before.Roles[p.Role])
	}
	if p.Roles[p.Role] != p.Version {
		complain("it is of version %q as %s, its roles say %q", p.Version, p.Role, p.Roles[p.Role])
	}
	total := 0.0
	for role, share := range p.Shares {
		if p.Roles[role] == "" || !(share >= 0 && share <= 1) {
			complain("the share %v of %s is none", share, role)
		}
		total += share
	}
	if total > 1+1e-9 {
		complain("challengers have %g of the users", total)
	}
	want := Promotion{Roles: maps.Clone(before.Roles), Shares: maps.Clone(before.Shares)}
	if want.Roles == nil {
		want.Roles = map[string]string{}
	}
	switch p.Action {
	case "": // of a program that knew the champion only
		return wrong
	case ActionPromote:
		want.crown(p.Version)
	case ActionRollback:
		want.rollback(p.Version)
	case ActionAssign:
		want.Roles[p.Role] = p.Version
	case ActionWithdraw:
		delete(want.Roles, p.Role)
	default:
		complain("nobody knows the action %q", p.Action)
		return wrong
	}
	if champions := p.Action == ActionPromote || p.Action == ActionRollback; champions != (p.Role == Champion) {
		complain("a %s of %s", p.Action, p.Role)
	}
	if !maps.Equal(want.Roles, p.Roles) {
		complain("its roles are %s, and would be %s after promotion %d", asJSON(p.Roles), asJSON(want.Roles), before.Sequence)
	}
	return wrong
}

func asJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// versionOfModel returns the version whose model a key is of.
func versionOfModel(key string) (version string, isModel bool) {
	version, isModel = strings.CutSuffix(key, "/model.safetensors")
	version, isPrefixed := strings.CutPrefix(version, "models/")
	return version, isModel && isPrefixed
}
