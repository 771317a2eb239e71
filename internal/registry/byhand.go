package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// What a person asks a registry for, by command or by HTTP.

// ErrRefused is a promotion that the gate is against and nobody forced.
var ErrRefused = errors.New("refused")

// CheckName returns what is wrong with the name of a version.
func CheckName(version string) error { return checkVersion(version) }

// Resolve returns the version that name is, or that has the role of that name.
func (r *Registry) Resolve(name string) (string, error) {
	isRole := name == Champion || strings.HasPrefix(name, ChallengerPrefix)
	if !isRole {
		return name, nil
	}
	latest, _, err := r.Latest()
	switch {
	case err != nil:
		return "", err
	case latest.Roles[name] != "":
		return latest.Roles[name], nil
	case name == Champion:
		return "", fmt.Errorf("%w: %s; train one with recsys-benthos train, or let recsys-benthos up do it", ErrNoChampion, r.url)
	}
	return "", fmt.Errorf("%w: no version is %s in %s (see recsys-benthos models list)", ErrRole, name, r.url)
}

// PromoteByHand makes a version the champion, unless the gate rejected it or could
// not decide, and force does not overrule it, which the log keeps. What cannot be
// loaded is not to serve, forced or not. ok is false, and why says so, if it is the
// champion already.
func (r *Registry) PromoteByHand(ctx context.Context, version, reason string, force bool, at time.Time) (p Promotion, ok bool, why string, err error) {
	_, manifest, err := r.model(ctx, version)
	if err != nil {
		return p, false, "", err
	}
	gate := manifest.Gate
	if against := gate != nil && gate.Outcome != message.OutcomePromoted; against && !force {
		return p, false, "", fmt.Errorf("%w: the gate's verdict on %s is %q: %s", ErrRefused, version, gate.Outcome, gate.Reason)
	}
	return r.PromoteAs(ctx, version, at, func(next *Promotion) (bool, error) {
		next.Reason, next.Forced = reason, force
		if force {
			next.Verdict = &message.Verdict{Outcome: message.OutcomePromoted, Rule: message.RuleForced, Against: next.Previous, Reason: reason}
			if gate != nil && gate.Outcome != message.OutcomePromoted {
				next.Verdict.Warnings = []string{fmt.Sprintf("the gate's verdict was %s: %s", gate.Outcome, gate.Reason)}
			}
		}
		return true, nil
	})
}

// What says what a promotion did.
func (p Promotion) What() string {
	var did string
	switch p.Action {
	case ActionWithdraw:
		return fmt.Sprintf("%s is %s no more", p.Previous, p.Role)
	case ActionRollback:
		did = fmt.Sprintf("%s is %s again", p.Version, p.Role)
	case ActionAssign:
		did = fmt.Sprintf("%s is %s, in shadow", p.Version, p.Role)
		if share := p.Shares[p.Role]; share > 0 {
			did = fmt.Sprintf("%s is %s of %g %% of the users", p.Version, p.Role, 100*share)
		}
	default:
		did = fmt.Sprintf("%s is %s", p.Version, p.Role)
	}
	if p.Previous != "" && p.Previous != p.Version {
		did += " in place of " + p.Previous
	}
	return did
}

// Listed is a version in a list.
type Listed struct {
	Version   string    `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	Role      string    `json:"role"` // "champion", "challenger:NAME", several with a comma, or ""
	Share     float64   `json:"share,omitempty"`
	RMSE      float64   `json:"rmse"`
	BiasRMSE  float64   `json:"bias_rmse"`
	Ratings   int64     `json:"ratings"`
	Algorithm string    `json:"algorithm"`
	Simulated bool      `json:"simulated,omitempty"`
	Verdict   string    `json:"verdict"`
}

// Listing lists all versions, oldest first, with their roles. Versions whose
// manifest cannot be read are in the error, which then comes beside the others.
func (r *Registry) Listing() ([]Listed, error) {
	latest, _, err := r.Latest()
	if err != nil {
		return nil, err
	}
	manifests, problems := r.List()
	rows := []Listed{}
	for _, m := range manifests {
		row := Listed{
			Version: m.Version, CreatedAt: m.CreatedAt, RMSE: m.Metrics.RMSE, BiasRMSE: m.Metrics.BiasRMSE,
			Ratings: m.Metrics.Ratings, Algorithm: m.Algorithm, Simulated: m.Data.Simulated, Verdict: m.Verdict,
		}
		row.Role, row.Share = latest.rolesOf(m.Version)
		rows = append(rows, row)
	}
	return rows, problems
}

// rolesOf returns the roles of a version, and its share of the users in them.
func (p Promotion) rolesOf(version string) (roles string, share float64) {
	var all []string
	for _, role := range slices.Sorted(maps.Keys(p.Roles)) {
		if p.Roles[role] == version {
			all, share = append(all, role), share+p.Shares[role]
		}
	}
	return strings.Join(all, ", "), share
}

// Compared is two versions side by side.
type Compared struct {
	A          Manifest    `json:"a"`
	B          Manifest    `json:"b"`
	Parameters []Differing `json:"parameters"` // that differ
}

// Differing is a parameter that two versions have different values of, "" where one
// does not have it.
type Differing struct {
	Name string `json:"name"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// Compare sets two versions side by side, by their names or roles.
func (r *Registry) Compare(a, b string) (c Compared, err error) {
	for _, side := range []struct {
		name     string
		manifest *Manifest
	}{{a, &c.A}, {b, &c.B}} {
		version, err := r.Resolve(side.name)
		if err != nil {
			return c, err
		}
		if *side.manifest, err = r.Manifest(version); err != nil {
			return c, err
		}
	}
	c.Parameters = differences(c.A.Parameters, c.B.Parameters)
	return c, nil
}

// differences lists the parameters whose values differ, by their names.
func differences(a, b json.RawMessage) []Differing {
	left, right := flattened(a), flattened(b)
	names := maps.Clone(left)
	maps.Copy(names, right)
	all := []Differing{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if left[name] != right[name] {
			all = append(all, Differing{name, left[name], right[name]})
		}
	}
	return all
}

// flattened returns the values of an object of JSON, by names with dots.
func flattened(text json.RawMessage) map[string]string {
	values := map[string]string{}
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil {
		if len(text) > 0 {
			values[""] = string(text)
		}
		return values
	}
	for name, value := range object {
		for inner, text := range flattened(value) {
			values[strings.TrimSuffix(name+"."+inner, ".")] = text
		}
	}
	return values
}
